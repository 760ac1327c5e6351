"""Packages that only an extra of keras_vae brings, imported when they are needed."""

import importlib
from types import ModuleType


def require(module: str, extra: str) -> ModuleType:
    """Imports a module of an optional package.

    Args:
        module: its full name, such as "grpc" or "tensorflow_serving.apis.predict_pb2".
        extra: the extra of keras_vae that installs it, such as "serving".

    Raises:
        ImportError: if it is not installed, naming the extra to install.

    Example:

    >>> require("json", "serving").dumps({})
    '{}'
    >>> require("no_such_package", "serving")
    Traceback (most recent call last):
    ...
    ImportError: no_such_package is not installed. Install keras_vae with its extra `serving`: \
pip install 'keras-vae[serving]'.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = error.name or module
        raise ImportError(
            f"{missing} is not installed. Install keras_vae with its extra `{extra}`: "
            f"pip install 'keras-vae[{extra}]'."
        ) from error
