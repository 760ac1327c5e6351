"""Waking the library up, quietly."""

import importlib
import logging
import sys


def load_library() -> None:
    """Imports TensorFlow and the library, which takes seconds; commands call it when they need them."""
    # "Assets written to", that no optimizer variables were restored, that many models were traced.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    if "tensorflow" in sys.modules and "keras_vae.models" in sys.modules:
        return
    from keras_vae._command import import_tensorflow

    import_tensorflow()
    importlib.import_module("keras_vae.models")
