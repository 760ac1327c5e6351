"""One case for every distribution layer, for the harness and the comparisons."""

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae import layers

tfd = tfp.distributions

BATCH = 4
EVENT = (2, 1)


@keras.saving.register_keras_serializable(package="keras_vae.tests")
def normal_of_two(t):
    return tfd.Independent(tfd.Normal(t[..., :2], tf.math.softplus(t[..., 2:])), 1)


def real(event):
    return lambda rng: rng.normal(size=(BATCH, *event))


def whole(event, high):
    # Both ends of the range among them, where the formulas are others.
    def draw(rng):
        values = rng.integers(0, high + 1, size=(BATCH, *event))
        values.reshape(BATCH, -1)[:2, 0] = 0, high
        return values

    return draw


def unit(event):
    return lambda rng: rng.uniform(size=(BATCH, *event))


def one_hot(size):
    return lambda rng: np.eye(size)[rng.integers(0, size, size=BATCH)]


@dataclass(frozen=True)
class Case:
    """How to make a layer with any keyword arguments of the base, and values its distribution may take.

    Args:
        has_density: whether draws differ and have a density, so that something can be learned from it.
        draws_only: whether the distribution has no `log_prob` at all.
    """

    make: Callable[..., layers.DistributionLayer]
    values: Callable[[np.random.Generator], np.ndarray]
    num_params: int | None = None
    has_density: bool = True
    draws_only: bool = False

    def model(self, units: int = 3, **kwargs) -> keras.Sequential:
        # Biases away from 0, where gradients of mixtures with equal components vanish by symmetry.
        bias = keras.initializers.RandomNormal(stddev=0.5, seed=3)
        dense = keras.layers.Dense(self.size, bias_initializer=bias)
        return keras.Sequential([keras.Input((units,)), dense, self.make(**kwargs)])

    @property
    def size(self) -> int:
        return self.num_params or self.make().num_params

    def data(self, units: int = 3) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(0)
        return rng.normal(size=(BATCH, units)).astype("float32"), self.values(rng).astype("float32")


CASES: dict[str, Case] = {
    "CategoricalMixtureOfOneHotCategorical": Case(
        lambda **kw: layers.CategoricalMixtureOfOneHotCategorical(3, 2, **kw), one_hot(3)
    ),
    "DistributionLambda": Case(
        lambda **kw: layers.DistributionLambda(normal_of_two, **kw), real((2,)), num_params=4
    ),
    "HomoscedasticNormal": Case(
        lambda **kw: layers.HomoscedasticNormal(EVENT, 0.5, trainable_scale=True, **kw), real(EVENT)
    ),
    "ImplicitPosterior": Case(
        lambda **kw: layers.ImplicitPosterior(EVENT, hidden=(4, 3), activation="tanh", **kw),
        real(EVENT),
        draws_only=True,
    ),
    "IndependentBernoulli": Case(lambda **kw: layers.IndependentBernoulli(EVENT, **kw), whole(EVENT, 1)),
    "IndependentBetaBinomial": Case(
        lambda **kw: layers.IndependentBetaBinomial(EVENT, total_count=7, **kw), whole(EVENT, 7)
    ),
    "IndependentCategorical": Case(
        lambda **kw: layers.IndependentCategorical(EVENT, num_classes=5, **kw), whole(EVENT, 4)
    ),
    "IndependentContinuousBernoulli": Case(
        lambda **kw: layers.IndependentContinuousBernoulli(EVENT, **kw), unit(EVENT)
    ),
    "IndependentDeterministic": Case(
        lambda **kw: layers.IndependentDeterministic(EVENT, **kw), real(EVENT), has_density=False
    ),
    "IndependentDiscretizedLogistic": Case(
        lambda **kw: layers.IndependentDiscretizedLogistic(EVENT, 0, 20, **kw), whole(EVENT, 20)
    ),
    "IndependentLaplace": Case(lambda **kw: layers.IndependentLaplace(EVENT, **kw), real(EVENT)),
    "IndependentLogistic": Case(lambda **kw: layers.IndependentLogistic(EVENT, **kw), real(EVENT)),
    "IndependentNormal": Case(lambda **kw: layers.IndependentNormal(EVENT, **kw), real(EVENT)),
    "IndependentPoisson": Case(lambda **kw: layers.IndependentPoisson(EVENT, **kw), whole(EVENT, 5)),
    "MixtureDiscretizedLogistic": Case(
        lambda **kw: layers.MixtureDiscretizedLogistic(2, EVENT, 0, 20, **kw), whole(EVENT, 20)
    ),
    "MixtureLogistic": Case(lambda **kw: layers.MixtureLogistic(2, EVENT, **kw), real(EVENT)),
    "MixtureNormal": Case(lambda **kw: layers.MixtureNormal(2, EVENT, **kw), real(EVENT)),
    "MixtureSameFamily": Case(
        lambda **kw: layers.MixtureSameFamily(
            2, layers.IndependentLaplace(EVENT, dtype=kw.get("dtype")), **kw
        ),
        real(EVENT),
    ),
    "MultivariateNormalDiag": Case(lambda **kw: layers.MultivariateNormalDiag(2, **kw), real((2,))),
    "MultivariateNormalTriL": Case(lambda **kw: layers.MultivariateNormalTriL(2, **kw), real((2,))),
    "OneHotCategorical": Case(lambda **kw: layers.OneHotCategorical(3, **kw), one_hot(3)),
    "SoftmaxAndStyle": Case(
        lambda **kw: layers.SoftmaxAndStyle(
            2, layers.IndependentDeterministic(3, dtype=kw.get("dtype")), **kw
        ),
        real((5,)),
        has_density=False,
    ),
}
