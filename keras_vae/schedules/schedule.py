"""The base class of every schedule."""

import inspect
import math
from typing import Any

import tensorflow as tf

from keras_vae.errors import invalid
from keras_vae.schedules._arguments import LARGEST_STEP


class Schedule:
    """A pure function of the training step: the same step gives the same value, always.

    A schedule holds no state and draws nothing, so a run that is resumed at step `n` goes on as if
    it had never stopped. It is built of TensorFlow ops: pass `step` as a tensor or a variable and a
    `tf.function`, jitted or not, traces it once; a Python number is a constant to the trace.

    To write one, keep each constructor argument in the attribute of the same name, implement
    `_value`, and register the class with `keras.saving.register_keras_serializable`.

    Example:

    >>> import keras
    >>> @keras.saving.register_keras_serializable(package="docs")
    ... class Halving(Schedule):
    ...     def __init__(self, every):
    ...         self.every = every
    ...     def _value(self, step):
    ...         return 0.5 ** (step / self.every)
    >>> Halving(every=100)(200).numpy()
    np.float32(0.25)
    """

    def __call__(self, step: Any) -> tf.Tensor:
        """Returns the value at `step`.

        Args:
            step: steps done so far, the first is 0: an int, a float, a tensor or variable of any
                integer or floating dtype. Below 0 counts as 0. A tensor of steps gives the tensor
                of their values, which is how a schedule is drawn.

        Returns:
            float32 tensor of the shape of `step`, a scalar in training.

        Raises:
            ValueError: if `step` is not numeric.
        """
        return tf.cast(self._value(_checked(step)), tf.float32)

    def _value(self, step: tf.Tensor) -> tf.Tensor:
        """The value at `step`, a float64 tensor in [0, 2**53]; returns float64 of its shape."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Schedule":
        """Returns the schedule that `get_config` described."""
        return cls(**config)

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.get_config().items())
        return f"{type(self).__name__}({arguments})"


def _checked(step: Any) -> tf.Tensor:
    if isinstance(step, (str, bytes, bool)) or (isinstance(step, float) and math.isnan(step)):
        raise invalid("step", "a number of training steps", step)
    # A Python number goes straight to float64: as int32 or float32 it would overflow or be rounded.
    dtype = tf.float64 if isinstance(step, (int, float)) else None
    try:
        tensor = tf.convert_to_tensor(step, dtype)
    except (TypeError, ValueError, OverflowError) as error:
        raise invalid("step", "a number of training steps", step) from error
    if not (tensor.dtype.is_integer or tensor.dtype.is_floating):
        raise invalid("step", "an integer or floating dtype", tensor.dtype.name)
    return tf.clip_by_value(tf.cast(tensor, tf.float64), 0.0, float(LARGEST_STEP))
