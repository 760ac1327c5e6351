"""A trainable mixture of normals as prior."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae.checks import check_count
from keras_vae.distributions import GumbelCategorical, Normal
from keras_vae.layers.distribution_layer import positive_scale
from keras_vae.layers.independent import Shape
from keras_vae.priors.prior import Prior

tfd = tfp.distributions

# softplus of it is 1. Of a Python float Keras would make a float32 first.
_UNIT_RAW_SCALE = np.float64(0.5413248546129181)


@keras.saving.register_keras_serializable(package="keras_vae")
class NormalMixture(Prior):
    """A mixture of factorised normals whose weights, means and scales are learned with the model.

    Prefer it to the standard normal when the data fall into clusters. The KL to it has no closed form and is
    sampled.

    Args:
        event_shape: shape of one latent.
        num_components: how many normals, at least 1. With 1, it starts as the standard normal.
        seed: seed of the initial means, which are drawn from N(0, 1) where there are several components, so
            that they can part.

    Reference: Dilokthanakul et al., Deep Unsupervised Clustering with Gaussian Mixture Variational
    Autoencoders, 2016; Tomczak & Welling, VAE with a VampPrior, 2018, section 2 ("MoG" prior).
    """

    def __init__(self, event_shape: Shape, num_components: int = 10, seed: int = 0, **kwargs: Any):
        super().__init__(event_shape, **kwargs)
        self.num_components = check_count("num_components", num_components)
        self.seed = seed
        shape = (num_components, *self.event_shape)
        means = keras.initializers.RandomNormal(stddev=1.0, seed=seed)
        self.logits = self.add_weight(name="logits", shape=(num_components,), initializer="zeros")
        self.loc = self.add_weight(
            name="loc", shape=shape, initializer=means if num_components > 1 else "zeros"
        )
        self.raw_scale = self.add_weight(
            name="raw_scale", shape=shape, initializer=keras.initializers.Constant(_UNIT_RAW_SCALE)
        )

    def distribution(self) -> tfd.Distribution:
        # As tensors: a distribution of this layer must not depend on when Keras' variables are read.
        loc = tf.convert_to_tensor(self.loc)
        scale = positive_scale(tf.convert_to_tensor(self.raw_scale))
        return tfd.MixtureSameFamily(
            GumbelCategorical(logits=tf.convert_to_tensor(self.logits)),
            tfd.Independent(Normal(loc, scale), len(self.event_shape)),
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_components": self.num_components, "seed": self.seed}
