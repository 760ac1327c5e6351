"""Tiny networks, data and the table of models that the harness runs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae import models, objectives, priors, schedules
from keras_vae.divergences import Sinkhorn
from keras_vae.layers.deterministic import IndependentDeterministic
from keras_vae.layers.independent import IndependentBernoulli, IndependentNormal

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


@keras.saving.register_keras_serializable(package="tests")
class ReproducibleStandardNormal(priors.Prior):
    """`StandardNormal` with draws that do not depend on how the program is run."""

    def distribution(self):
        zeros = tf.zeros(self.event_shape)
        return tfd.Independent(ReproducibleNormal(zeros, tf.ones_like(zeros)), len(self.event_shape))


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


def autoencoder(kind: type[models.LatentVariableModel], **kwargs: Any) -> models.LatentVariableModel:
    return kind(encoder(IndependentDeterministic(LATENT_SIZE)), decoder(), **{"seed": 3, **kwargs})


def binary(kind: type[models.LatentVariableModel], **kwargs: Any) -> models.LatentVariableModel:
    """A model with binary latents and a learned prior of them."""
    prior = priors.Bernoulli(LATENT_SIZE, learned=True)
    return kind(encoder(IndependentBernoulli(LATENT_SIZE)), decoder(), prior, **{"seed": 3, **kwargs})


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
        compares_samples: whether a part compares the batch with another sample or with itself, pair by pair,
            so that a batch with every example twice is another comparison.
    """

    build: Callable[[], models.LatentVariableModel]
    parts: tuple[str, ...] = ("reconstruction", "kl")
    monitors: tuple[str, ...] = ()
    compares_samples: bool = False


BETA = {"parts": ("reconstruction", "weighted_kl"), "monitors": ("kl", "beta")}
SPARSE = {"parts": ("reconstruction", "weighted_sparsity"), "monitors": ("weight",)}
REGULARIZED = {
    "parts": ("reconstruction", "weighted_code_norm", "weighted_regularizer"),
    "monitors": ("beta", "weight"),
}
NOT_REGULARIZED = {"parts": ("reconstruction", "weighted_code_norm"), "monitors": ("beta",)}
WAE = {"parts": ("reconstruction", "weighted_divergence"), "compares_samples": True}
INFO = {"parts": ("reconstruction", "weighted_kl", "weighted_divergence"), "compares_samples": True}
BETA_TC = {
    "parts": ("reconstruction", "weighted_mi", "weighted_tc", "weighted_dimension_kl"),
    "monitors": ("mutual_information", "total_correlation", "dimension_kl", "beta"),
    "compares_samples": True,
}
BOUND = {"parts": ("negative_bound",), "monitors": ("reconstruction", "kl")}
DIP = {"parts": ("reconstruction", "kl", "off_diagonal", "diagonal")}

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
    "autoencoder": Case(lambda: autoencoder(models.Autoencoder), parts=("reconstruction",)),
    "autoencoder_with_noise": Case(
        lambda: models.Autoencoder(encoder(), decoder(), num_samples=2, seed=3), parts=("reconstruction",)
    ),
    "denoising_autoencoder": Case(
        lambda: autoencoder(models.DenoisingAutoencoder), parts=("reconstruction",)
    ),
    "sparse_autoencoder": Case(lambda: autoencoder(models.SparseAutoencoder, weight=0.1), **SPARSE),
    "sparse_autoencoder_kl": Case(
        lambda: autoencoder(models.SparseAutoencoder, weight="linear:0.1:1:4", penalty="kl", rate=0.1),
        **SPARSE,
    ),
    "contractive_autoencoder": Case(
        lambda: autoencoder(models.ContractiveAutoencoder),
        parts=("reconstruction", "weighted_contraction"),
        monitors=("weight",),
    ),
    "regularized_autoencoder_l2": Case(
        lambda: autoencoder(models.RegularizedAutoencoder, weight=0.01), **REGULARIZED
    ),
    "regularized_autoencoder_gp": Case(
        lambda: autoencoder(models.RegularizedAutoencoder, regularizer="gp", weight=0.1), **REGULARIZED
    ),
    "regularized_autoencoder_sn": Case(
        lambda: autoencoder(models.RegularizedAutoencoder, regularizer="sn"), **NOT_REGULARIZED
    ),
    "regularized_autoencoder_none": Case(
        lambda: autoencoder(models.RegularizedAutoencoder, regularizer="none"), **NOT_REGULARIZED
    ),
    "wae": Case(lambda: autoencoder(models.WAE, weight=2.0), **WAE, monitors=("divergence", "weight")),
    "wae_rbf_with_noise": Case(
        lambda: models.WAE(
            encoder(), decoder(), divergence="mmd-rbf", weight="linear:1:5:4", num_samples=2, seed=3
        ),
        **WAE,
        monitors=("divergence", "weight"),
    ),
    "wae_sinkhorn": Case(
        lambda: autoencoder(
            models.WAE,
            divergence=Sinkhorn(epsilon=2.0),
            weight=2.0,
            prior=ReproducibleStandardNormal(LATENT_SIZE),
        ),
        **WAE,
        monitors=("divergence", "weight", "marginal_error"),
    ),
    "wae_sliced": Case(
        lambda: autoencoder(models.WAE, divergence="sliced"), **WAE, monitors=("divergence", "weight")
    ),
    "info_vae": Case(
        lambda: models.InfoVAE(encoder(), decoder(), alpha=0.5, seed=3),
        **INFO,
        monitors=("kl", "divergence", "alpha", "scale"),
    ),
    "beta_tc_vae": Case(lambda: models.BetaTCVAE(encoder(), decoder(), dataset_size=40, seed=3), **BETA_TC),
    "beta_tc_vae_stratified": Case(
        lambda: models.BetaTCVAE(
            encoder(), decoder(), dataset_size=40, beta="linear:0:4:4", estimator="stratified", seed=3
        ),
        **BETA_TC,
    ),
    "vae_bernoulli_sampled_kl": Case(lambda: binary(models.VAE, kl="sampled", num_samples=3)),
    "beta_vae_bernoulli": Case(lambda: binary(models.BetaVAE, baseline="running"), **BETA),
    "iwae": Case(lambda: models.IWAE(encoder(), decoder(), seed=3), **BOUND),
    "iwae_dreg_mixture_prior": Case(
        lambda: models.IWAE(
            encoder(), decoder(), priors.NormalMixture(LATENT_SIZE, 3), gradient="dreg", seed=3
        ),
        **BOUND,
    ),
    "iwae_bernoulli_vimco": Case(lambda: binary(models.IWAE, gradient="vimco"), **BOUND),
    "iwae_bernoulli_score": Case(lambda: binary(models.IWAE, gradient="score", baseline="running"), **BOUND),
    "miwae": Case(
        lambda: models.MIWAE(encoder(), decoder(), num_estimates=2, num_samples=3, seed=3), **BOUND
    ),
    "piwae": Case(
        lambda: models.PIWAE(
            encoder(),
            decoder(),
            priors.NormalMixture(LATENT_SIZE, 3),
            num_estimates=2,
            num_samples=3,
            gradient="dreg",
            seed=3,
        ),
        **BOUND,
    ),
    "ciwae": Case(
        lambda: models.CIWAE(encoder(), decoder(), beta="linear:1:0:4", seed=3),
        parts=("negative_bound",),
        monitors=("reconstruction", "kl", "beta"),
    ),
    # The penalties are of the fourth degree: at their usual weights they need smaller steps than SGD's here.
    "dip_vae": Case(lambda: models.DIPVAE(encoder(), decoder(), lambda_od=0.5, lambda_d=1.0, seed=3), **DIP),
    "dip_vae_ii": Case(
        lambda: models.DIPVAE(encoder(), decoder(), kind="ii", lambda_od=0.5, lambda_d=1.0, seed=3), **DIP
    ),
    "adversarial_autoencoder": Case(
        lambda: autoencoder(models.AdversarialAutoencoder, critic=(8,), r1=1.0),
        parts=("reconstruction", "weighted_adversarial"),
        monitors=("adversarial", "weight", "critic_accuracy", "critic_loss", "critic_r1"),
    ),
    "adversarial_autoencoder_normal": Case(
        lambda: models.AdversarialAutoencoder(
            encoder(), decoder(), critic=(8,), adversarial_loss="hinge", critic_steps=2, seed=3
        ),
        parts=("reconstruction", "weighted_adversarial"),
        monitors=("adversarial", "weight", "critic_accuracy", "critic_loss"),
    ),
    "adversarial_wae": Case(
        lambda: autoencoder(models.AdversarialWAE, critic=(8,), weight=1.0, critic_steps=2),
        parts=("reconstruction", "weighted_divergence"),
        monitors=("divergence", "weight", "critic_accuracy", "critic_loss", "critic_gradient_penalty"),
        compares_samples=True,
    ),
    "factor_vae": Case(
        lambda: models.FactorVAE(encoder(), decoder(), critic=(8,), gamma=2.0, num_samples=2, seed=3),
        parts=("reconstruction", "kl", "weighted_tc"),
        monitors=("total_correlation", "gamma", "critic_accuracy", "critic_loss"),
    ),
    "adversarial_vae": Case(
        lambda: models.AdversarialVAE(
            encoder(), decoder(), critic=(8,), weight="linear:1:2:4", critic_steps=2, seed=3
        ),
        parts=("reconstruction", "kl", "weighted_adversarial"),
        monitors=("adversarial", "weight", "critic_accuracy", "critic_loss"),
        compares_samples=True,
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
