"""Elements set to zero."""

import keras
import tensorflow as tf

from keras_vae.checks import check_number
from keras_vae.corruptions.corruption import Corruption
from keras_vae.distributions import draws


@keras.saving.register_keras_serializable(package="keras_vae")
class Masking(Corruption):
    """Sets every element of x to 0 with probability `rate`, independently, and leaves the others as they are.

    The code then has to fill in what is missing from what is left. The paper hides exactly the share `rate`
    of each example; here that holds on average.

    Args:
        rate: probability that an element is hidden, in [0, 1).

    Raises:
        ValueError: if `rate` is outside [0, 1).

    Reference: Vincent et al., Extracting and Composing Robust Features with Denoising Autoencoders, 2008,
    section 2.3.
    """

    def __init__(self, rate: float):
        self.rate = check_number("rate", rate, at_least=0.0, below=1.0)

    def __call__(self, x: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        hidden = draws.uniform(tf.shape(x), seed) < self.rate
        return tf.where(hidden, tf.zeros_like(x), x)
