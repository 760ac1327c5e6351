"""Additive normal noise."""

import keras
import tensorflow as tf

from keras_vae.checks import check_number
from keras_vae.corruptions.corruption import Corruption
from keras_vae.distributions import draws


@keras.saving.register_keras_serializable(package="keras_vae")
class Gaussian(Corruption):
    """x + stddev * e with e ~ N(0, I): for data of real numbers.

    Args:
        stddev: standard deviation of the noise in the units of x, at least 0.

    Raises:
        ValueError: if `stddev` is not a finite number >= 0.

    Reference: Vincent et al., Stacked Denoising Autoencoders, 2010, section 3.3 ("additive isotropic Gaussian
    noise").
    """

    def __init__(self, stddev: float):
        self.stddev = check_number("stddev", stddev, at_least=0.0)

    def __call__(self, x: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        return x + tf.cast(self.stddev * draws.normal(tf.shape(x), seed), x.dtype)
