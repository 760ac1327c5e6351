"""The same value at every step."""

import keras
import tensorflow as tf

from keras_vae.schedules._arguments import number
from keras_vae.schedules.schedule import Schedule


@keras.saving.register_keras_serializable(package="keras_vae")
class Constant(Schedule):
    """The same value at every step; what a plain number becomes where a schedule is expected.

    Args:
        value: the value.

    Raises:
        ValueError: if `value` is not a finite number.

    Example:

    >>> Constant(4)(1000).numpy()
    np.float32(4.0)
    """

    def __init__(self, value: float):
        self.value = number("value", value)

    def _value(self, step: tf.Tensor) -> tf.Tensor:
        return tf.fill(tf.shape(step), tf.constant(self.value, tf.float64))
