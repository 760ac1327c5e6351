"""Packaging of keras_vae; the versions that are tested together stand in requirements.txt."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
VERSION = re.search(
    r'^__version__ = "(.+)"$', (ROOT / "keras_vae" / "__init__.py").read_text(encoding="utf-8"), re.MULTILINE
).group(1)

TEST = ["pytest>=8", "pytest-xdist>=3", "scipy>=1.11", "ruff>=0.9", "mypy>=1.14"]
SERVING = [
    "grpcio>=1.60",
    "tensorflow-serving-api>=2.20,<2.22",
    "starlette>=0.40",
    "uvicorn>=0.30",
    # uvicorn takes these two where they are.
    "httptools>=0.6",
    "uvloop>=0.19; sys_platform != 'win32'",
    "orjson>=3.10",
    "httpx>=0.27",
    "prometheus-client>=0.20",
]
CONVERT = ["tf2onnx>=1.16", "onnx>=1.17", "onnxruntime>=1.20", "ai-edge-litert>=1.2"]
# Data frames; the package reads them where they are given and needs none of these itself.
TABLES = ["pandas>=2", "polars>=1", "pyarrow>=15"]
DOCS = ["jupytext>=1.16", "notebook>=7"]

setup(
    name="keras-vae",
    version=VERSION,
    description="Variational autoencoders for Keras 3 and TensorFlow Probability",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    packages=find_packages(include=["keras_vae", "keras_vae.*"]),
    package_data={"keras_vae": ["py.typed", "serving/deployment/templates/*"]},
    python_requires=">=3.11",
    install_requires=[
        "tensorflow>=2.20,<2.22",
        "keras>=3.13,<4",
        # TFP does not import without tf-keras, which its "tf" extra brings; keras_vae itself never uses it.
        "tensorflow-probability[tf]>=0.25,<0.27",
        "tensorflow-datasets>=4.9.4,<5",
        # tensorflow-datasets and keras-tuner need these two without saying so.
        "importlib_resources>=6",
        "tensorboard>=2.18",
        "keras-tuner>=1.4.7,<2",
        "scikit-learn>=1.4",
        "matplotlib>=3.8",
        "pillow>=10",
        "typer>=0.12",
        "numpy>=1.26",
    ],
    extras_require={
        "test": [*TEST, *SERVING, *CONVERT, *TABLES],
        "serving": SERVING,
        "convert": CONVERT,
        "tables": TABLES,
        "docs": DOCS,
        "dev": [*TEST, *SERVING, *CONVERT, *TABLES, *DOCS, "build>=1"],
    },
    entry_points={"console_scripts": ["keras-vae=keras_vae.cli:main"]},
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Science/Research",
        "Programming Language :: Python :: 3.11",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
