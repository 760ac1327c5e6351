"""Distributions as lists and names, and back."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae.distributions import (
    BetaBinomial,
    ContinuousBernoulli,
    DiscretizedLogistic,
    OneHotCategorical,
    OneHotCategoricalMixture,
    PixelCategorical,
    deserialize_distribution,
    serialize_distribution,
)
from keras_vae.layers import IndependentNormal, coercible

tfd = tfp.distributions

DISTRIBUTIONS = {
    "normal": tfd.Normal(np.array([0.1, 0.2]), 3.0),
    "float32 array": tfd.Normal(np.float32([0.1, 0.2]), np.float32(3.0)),
    "diag": tfd.MultivariateNormalDiag(tf.zeros(2), tf.constant([0.1, 0.2])),
    "tril": tfd.MultivariateNormalTriL(tf.zeros(2), tf.linalg.cholesky([[2.0, 0.1], [0.1, 1.0]])),
    "independent": tfd.Independent(tfd.Laplace(tf.zeros([2, 3]), 0.5), 1),
    "mixture": tfd.MixtureSameFamily(
        tfd.Categorical(logits=[0.1, 0.2]), tfd.Independent(tfd.Normal(tf.zeros([2, 3]), 1.0), 1)
    ),
    "dtype": tfd.Bernoulli(logits=[0.3], dtype=tf.float32),
    "variable": tfd.Normal(tf.Variable([0.3]), keras.Variable([2.0])),
    "infinite": tfd.TruncatedNormal(0.0, 1.0, -1.0, float("inf")),
    "coercible": coercible(tfd.Independent(tfd.Normal(tf.zeros(3), 1.0), 1)),
    "of a layer": IndependentNormal(2)(np.ones([1, 4], "float32")),
    "beta-binomial": BetaBinomial(3.0, [1.0, 2.0], 1.0),
    "continuous bernoulli": ContinuousBernoulli([0.1, 0.2]),
    "discretized logistic": DiscretizedLogistic([1.0], [2.0], -3, 4),
    "pixels": PixelCategorical(tf.zeros([2, 3])),
    "one-hot mixture": OneHotCategoricalMixture(
        tfd.Categorical(tf.zeros(2)), OneHotCategorical(tf.zeros([2, 3]))
    ),
}


@pytest.mark.parametrize("distribution", DISTRIBUTIONS.values(), ids=DISTRIBUTIONS)
def test_round_trip(distribution):
    config = json.loads(json.dumps(serialize_distribution(distribution)))
    again = deserialize_distribution(config)
    assert type(again).__name__ == type(distribution).__name__
    assert again.dtype == distribution.dtype
    assert (again.batch_shape, again.event_shape) == (distribution.batch_shape, distribution.event_shape)
    seed = tf.constant([1, 2])
    np.testing.assert_array_equal(again.sample(3, seed=seed), distribution.sample(3, seed=seed))
    np.testing.assert_array_equal(again.mean(), distribution.mean())
    assert serialize_distribution(again) == config


class Normal(tfd.Normal):
    """Has the name of a public class, and is none."""


@pytest.mark.parametrize(
    "distribution, received",
    [
        (Normal(0.0, 1.0), "class Normal"),
        (tfd.TransformedDistribution(tfd.Normal(0.0, 1.0), tfp.bijectors.Exp()), "parameter `bijector`"),
        (tfd.JointDistributionSequential([tfd.Normal(0.0, 1.0), lambda x: tfd.Normal(x, 1.0)]), "parameter"),
    ],
    ids=["subclass", "bijector", "function"],
)
def test_what_cannot_be_serialized(distribution, received):
    with pytest.raises(ValueError, match=received):
        serialize_distribution(distribution)


def test_tensors_of_a_graph_cannot_be_serialized():
    @tf.function
    def function(x):
        with pytest.raises(ValueError, match="parameter `loc` of Normal"):
            serialize_distribution(tfd.Normal(x, 1.0))
        return x

    function(tf.zeros([2]))


@pytest.mark.parametrize("name", ["os", "kl_divergence", "Distribution_", "RegisterKL", "__class__", 3, None])
def test_only_public_distributions_are_made(name):
    with pytest.raises(ValueError, match="config of a distribution"):
        deserialize_distribution({"distribution": name, "parameters": {}})
