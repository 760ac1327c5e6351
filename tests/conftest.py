"""What every test starts from: fixed seeds and the default dtype policy."""

import contextlib
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import pytest

from keras_vae import LatentVariableModel


@pytest.fixture(autouse=True)
def fresh_keras():
    """Seeds Python, NumPy and TensorFlow before each test, and undoes what a test did to the dtype policy."""
    policy, floatx = keras.config.dtype_policy(), keras.config.floatx()
    keras.utils.set_random_seed(1234)
    yield
    keras.config.set_floatx(floatx)
    keras.config.set_dtype_policy(policy)


@contextlib.contextmanager
def _without_xla():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LatentVariableModel, "jit_compile_by_default", lambda self: False)
        yield


@pytest.fixture(scope="session")
def without_xla():
    """A context in which models train without XLA: compiling takes most of the time of a small training."""
    return _without_xla
