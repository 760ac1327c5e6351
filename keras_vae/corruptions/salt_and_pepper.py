"""Elements set to the lowest or the highest value."""

import keras
import tensorflow as tf

from keras_vae.checks import check_number
from keras_vae.corruptions.corruption import Corruption
from keras_vae.distributions import draws
from keras_vae.errors import invalid


@keras.saving.register_keras_serializable(package="keras_vae")
class SaltAndPepper(Corruption):
    """Sets every element of x, with probability `rate`, to `low` or `high` by the toss of a fair coin.

    For binary and nearly binary data, such as pixels of digits.

    Args:
        rate: probability that an element is replaced, in [0, 1).
        low, high: the two values, usually the ends of the data's range; `low` < `high`.

    Raises:
        ValueError: if `rate` is outside [0, 1), or `low` is not below `high`.

    Reference: Vincent et al., Stacked Denoising Autoencoders, 2010, section 3.3 ("salt-and-pepper noise").
    """

    def __init__(self, rate: float, low: float = 0.0, high: float = 1.0):
        self.rate = check_number("rate", rate, at_least=0.0, below=1.0)
        self.low, self.high = check_number("low", low), check_number("high", high)
        if self.low >= self.high:
            raise invalid("low", f"a number below high = {self.high:g}", low)

    def __call__(self, x: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        uniform = draws.uniform(tf.shape(x), seed)
        low, high = tf.cast(self.low, x.dtype), tf.cast(self.high, x.dtype)
        # Below half of the rate the coin shows `low`, between there and the rate `high`.
        return tf.where(uniform < 0.5 * self.rate, low, tf.where(uniform < self.rate, high, x))
