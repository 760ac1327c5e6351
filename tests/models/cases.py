"""Tiny networks, data and the table of models that the harness runs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae import models, objectives, priors, schedules
from keras_vae.layers.independent import IndependentNormal

tfd = tfp.distributions

DATA_SIZE, LATENT_SIZE, HIDDEN = 6, 2, 5


class ReproducibleNormal(tfd.Normal):
    """A normal whose draws are equal in eager code, in a graph and under XLA.

    TensorFlow's float draws differ between compiled and plain programs for one seed; its integer draws do
    not, so these are made of them (Box & Muller, 1958).
    """

    def _sample_n(self, n, seed=None):
        shape = tf.concat([[2, n], self.batch_shape_tensor()], axis=0)
        bits = tf.random.stateless_uniform(
            shape, seed, minval=None, maxval=None, dtype=tf.int32, alg="philox"
        )
        uniform = (tf.cast(tf.bitwise.bitwise_and(bits, 2**20 - 1), self.dtype) + 0.5) * 2.0**-20
        radius = tf.sqrt(-2.0 * tf.math.log(uniform[0]))
        return self.loc + self.scale * radius * tf.cos(2.0 * np.pi * uniform[1])


@keras.saving.register_keras_serializable(package="tests")
class ReproducibleIndependentNormal(IndependentNormal):
    """`IndependentNormal` with draws that do not depend on how the program is run."""

    def distribution(self, params):
        normal = super().distribution(params).distribution
        return tfd.Independent(ReproducibleNormal(normal.loc, normal.scale), len(self.event_shape))


def encoder(distribution: Any = None, **dense: Any) -> keras.Model:
    """`[B, 6]` to a normal over 2 latents."""
    return network(DATA_SIZE, distribution or ReproducibleIndependentNormal(LATENT_SIZE), "encoder", **dense)


def decoder(distribution: Any = None, **dense: Any) -> keras.Model:
    """`[B, 2]` to a normal over 6 values."""
    return network(LATENT_SIZE, distribution or IndependentNormal(DATA_SIZE), "decoder", **dense)


def network(inputs: int, distribution: Any, name: str, **dense: Any) -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((inputs,)),
            keras.layers.Dense(HIDDEN, activation="tanh", **dense),
            keras.layers.Dense(distribution.num_params),
            distribution,
        ],
        name=name,
    )


def vae(**kwargs: Any) -> models.VAE:
    return models.VAE(encoder(), decoder(), **{"seed": 3, **kwargs})


def beta_vae(**kwargs: Any) -> models.BetaVAE:
    return models.BetaVAE(encoder(), decoder(), **{"seed": 3, **kwargs})


def data(count: int = 40, seed: int = 0) -> np.ndarray:
    """`[count, 6]`, two correlated blocks of normal numbers."""
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(count, 2)).repeat(3, axis=1)
    return (factors + 0.3 * rng.normal(size=(count, DATA_SIZE))).astype("float32")


@dataclass(frozen=True)
class Case:
    """A model of the harness.

    Args:
        build: makes it, untrained and not compiled.
        parts: the metrics that add up to the loss.
        monitors: the further metrics.
    """

    build: Callable[[], models.LatentVariableModel]
    parts: tuple[str, ...] = ("reconstruction", "kl")
    monitors: tuple[str, ...] = ()


BETA = {"parts": ("reconstruction", "weighted_kl"), "monitors": ("kl", "beta")}

CASES: dict[str, Case] = {
    "vae": Case(vae),
    "vae_sampled_kl": Case(lambda: vae(kl="sampled", num_samples=3)),
    "vae_mixture_prior": Case(lambda: vae(prior=priors.NormalMixture(LATENT_SIZE, 3))),
    "beta_vae": Case(beta_vae, **BETA),
    "beta_vae_schedule": Case(lambda: beta_vae(beta="linear:0:1:4"), **BETA),
    "beta_vae_capacity": Case(
        lambda: beta_vae(beta=10.0, capacity=schedules.Capacity(5.0, 4)),
        parts=("reconstruction", "weighted_kl"),
        monitors=("kl", "beta", "capacity"),
    ),
    "latent_variable_model": Case(
        lambda: models.LatentVariableModel(encoder(), decoder(), objective=objectives.ELBO(), seed=3)
    ),
}


def sgd(**kwargs: Any) -> keras.optimizers.Optimizer:
    """An optimizer with state that does not amplify small differences, as Adam's first steps do."""
    return keras.optimizers.SGD(**{"learning_rate": 0.01, "momentum": 0.9, **kwargs})


def weights(model: keras.Model) -> list[tuple[str, np.ndarray]]:
    """All state of a model, named: weights, step, schedules, seeds."""
    return [(v.name, np.array(v)) for v in model.variables]


def trainable(model: keras.Model) -> np.ndarray:
    """All trainable weights in one vector."""
    return np.concatenate([np.ravel(v) for v in model.trainable_variables])
