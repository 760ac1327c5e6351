"""The prior of models that part the class of an example from its style."""

from typing import Any

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae.checks import check_count
from keras_vae.distributions import Normal, OneHotCategorical, SideBySide
from keras_vae.errors import invalid
from keras_vae.layers.independent import Shape
from keras_vae.priors.prior import Prior

tfd = tfp.distributions


@keras.saving.register_keras_serializable(package="keras_vae")
class OneHotAndNormal(Prior):
    """One of K classes, all as likely, as a one-hot vector, then a standard normal: Cat(y; 1/K) N(z; 0, I).

    The prior of `SemiSupervisedAdversarialAutoencoder`, whose latent is `[y, z]`.

    Args:
        event_shape: number of dimensions of y and z together, or a tuple of it.
        num_classes: K, dimensions of y, at least 2; the others, at least 1, are z.

    Raises:
        ValueError: for an event that is no vector of more than `num_classes` elements.

    Example:

    >>> OneHotAndNormal(5, num_classes=3)().mean().numpy().round(3).tolist()
    [0.333..., 0.333..., 0.333..., 0.0, 0.0]

    Reference: Makhzani et al., Adversarial Autoencoders, 2015, section 5.
    """

    def __init__(self, event_shape: Shape, num_classes: int, **kwargs: Any):
        super().__init__(event_shape, **kwargs)
        self.num_classes = check_count("num_classes", num_classes, 2)
        if len(self.event_shape) != 1 or self.event_shape[0] <= self.num_classes:
            raise invalid("event_shape", f"one size, above num_classes = {self.num_classes}", event_shape)

    def distribution(self) -> tfd.Distribution:
        logits = tf.zeros([self.num_classes], self.compute_dtype)
        loc = tf.zeros([self.event_shape[0] - self.num_classes], self.compute_dtype)
        style = tfd.Independent(Normal(loc, tf.ones_like(loc)), 1)
        return SideBySide([OneHotCategorical(logits, dtype=logits.dtype), style])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_classes": self.num_classes}
