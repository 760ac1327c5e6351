"""The standard normal prior."""

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae.distributions import Normal
from keras_vae.priors.prior import Prior

tfd = tfp.distributions


@keras.saving.register_keras_serializable(package="keras_vae")
class StandardNormal(Prior):
    """Independent standard normals: p(z) = N(z; 0, I). The prior of the VAE, and the default.

    Args:
        event_shape: shape of one latent.

    Example:

    >>> StandardNormal(3)().event_shape
    TensorShape([3])

    Reference: Kingma & Welling, Auto-Encoding Variational Bayes, 2014, section 3.
    """

    def distribution(self) -> tfd.Distribution:
        zeros = tf.zeros(self.event_shape, self.compute_dtype)
        return tfd.Independent(Normal(zeros, tf.ones_like(zeros)), len(self.event_shape))
