"""The base of the corruptions."""

import inspect
import math
import numbers
from typing import Any

import tensorflow as tf

from keras_vae.errors import invalid


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


def check_number(argument: str, value: Any, low: float = -math.inf) -> float:
    """`value` as a finite float of at least `low`; raises `ValueError` for anything else."""
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not (is_number and math.isfinite(value) and value >= low):
        raise invalid(argument, "a finite number" + (f" >= {low:g}" if low > -math.inf else ""), value)
    return float(value)


def check_rate(argument: str, value: Any) -> float:
    """`value` as a float in [0, 1), the share of elements to corrupt; raises `ValueError` outside."""
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not (is_number and 0.0 <= value < 1.0):
        raise invalid(argument, "a number in [0, 1)", value)
    return float(value)
