"""The base of the corruptions."""

import inspect
from typing import Any

import tensorflow as tf


class Corruption:
    """Noise put on data: a pure function of the data and a seed.

    To write one, keep each constructor argument in the attribute of the same name, implement `__call__`, and
    register the class with `keras.saving.register_keras_serializable`.
    """

    def __call__(self, x: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Returns x with noise, of its shape and dtype.

        Args:
            x: floats, `[B] + event`.
            seed: int32 `[2]`; the same seed gives the same noise.
        """
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Corruption":
        """Returns the corruption that `get_config` described."""
        return cls(**config)

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.get_config().items())
        return f"{type(self).__name__}({arguments})"
