"""What the package exports, and what importing it costs."""

import importlib
import inspect
import pkgutil
import subprocess
import sys

import keras
import pytest

import keras_vae

PACKAGES = [
    name
    for _, name, is_package in pkgutil.iter_modules(keras_vae.__path__, "keras_vae.")
    if is_package and not name.endswith((".cli", ".__main__"))
]


@pytest.mark.parametrize("name", ["keras_vae", *PACKAGES])
def test_all_is_complete_sorted_and_documented(name):
    package = importlib.import_module(name)
    names = package.__all__
    assert len(set(names)) == len(names)
    assert package.__doc__
    for member in names:
        value = getattr(package, member)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert value.__doc__, f"{name}.{member}"
            assert value.__module__.startswith("keras_vae"), f"{name}.{member}"
    members = vars(package).items()
    public = {key for key, value in members if key[0] != "_" and not inspect.ismodule(value)}
    assert public <= set(names)


def test_models_are_at_the_top():
    for name in keras_vae.models.__all__:
        assert getattr(keras_vae, name) is getattr(keras_vae.models, name)
        assert name in keras_vae.__all__


def test_version():
    assert keras_vae.__version__.count(".") == 2


ABSTRACT = ("Objective", "Prior", "GraphicalModel", "DistributionLayer", "IndependentLayer")


def test_keras_classes_are_registered_under_the_packages_name():
    for package in (keras_vae.models, keras_vae.objectives, keras_vae.priors, keras_vae.layers):
        for name in package.__all__:
            kind = getattr(package, name)
            if inspect.isclass(kind) and issubclass(kind, keras.layers.Layer) and name not in ABSTRACT:
                assert keras.saving.get_registered_name(kind) == f"keras_vae>{name}"


LAZY = ("matplotlib", "sklearn", "tensorflow_datasets", "PIL", "keras_tuner", "typer", "pandas")
LAZY += ("grpc", "httpx", "starlette", "uvicorn", "prometheus_client", "tensorflow_serving")
LAZY += ("onnx", "tf2onnx", "orjson")


def test_importing_the_package_imports_nothing_heavy_and_prints_nothing():
    program = f"""
import sys
import keras, numpy, tensorflow, tensorflow_probability
tensorflow_probability.distributions
before = set(sys.modules)
import keras_vae
new = set(sys.modules) - before
print(sorted(name for name in {LAZY!r} if name in new))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip() == "[]"
