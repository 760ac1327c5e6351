"""Tiny networks, data and the table of models that the harness runs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae import distributions, models, objectives, priors, schedules
from keras_vae.divergences import Sinkhorn
from keras_vae.layers.categorical import OneHotCategorical
from keras_vae.layers.deterministic import IndependentDeterministic
from keras_vae.layers.homoscedastic_normal import HomoscedasticNormal
from keras_vae.layers.implicit_posterior import ImplicitPosterior
from keras_vae.layers.independent import IndependentBernoulli, IndependentNormal
from keras_vae.layers.softmax_and_style import SoftmaxAndStyle

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


def given(inputs: int, distribution: Any, name: str, num_classes: int | None = None) -> keras.Model:
    """The network of a condition too: a class number, or two values."""
    x = keras.Input((inputs,))
    if num_classes is None:
        condition = values = keras.Input((2,))
    else:
        condition = keras.Input((), dtype="int32")
        values = keras.layers.CategoryEncoding(num_classes, output_mode="one_hot")(condition)
    hidden = keras.layers.Dense(HIDDEN, activation="tanh")(keras.layers.Concatenate()([x, values]))
    return keras.Model(
        [x, condition], distribution(keras.layers.Dense(distribution.num_params)(hidden)), name=name
    )


def conditional(kind: Any, *args: Any, classes: int | None = None, **kwargs: Any) -> Any:
    """A model of both networks given y."""
    return kind(
        given(DATA_SIZE, ReproducibleIndependentNormal(LATENT_SIZE), "encoder", classes),
        given(LATENT_SIZE, IndependentNormal(DATA_SIZE), "decoder", classes),
        *args,
        **{"seed": 3, **kwargs},
    )


def conditional_prior() -> priors.ConditionalPrior:
    """p(z|y) of two values, with draws that do not depend on how the program is run."""
    return priors.ConditionalPrior(network(2, ReproducibleIndependentNormal(LATENT_SIZE), "prior"))


def classifier(inputs: int = DATA_SIZE) -> keras.Model:
    """Of three classes."""
    return network(inputs, OneHotCategorical(3), "classifier")


def labels(model: models.LatentVariableModel, x: np.ndarray) -> np.ndarray | None:
    """What a model of the table takes as y: classes, some of them unknown where they may be, or values."""
    if model.labels is None:
        return None
    if not model.labels.is_label:
        return np.ascontiguousarray(x[:, :2])
    classes = (x[:, 0] > 0.0).astype("int32") + (x[:, 3] > 0.0)
    return np.where(np.arange(len(x)) % 2, -1, classes) if model.labels.unknown else classes


def conditions(model: models.LatentVariableModel, x: np.ndarray) -> dict[str, np.ndarray]:
    """The argument y of methods of a conditional model."""
    return {} if model.condition is None else {"y": labels(model, x)}


def vae(**kwargs: Any) -> models.VAE:
    return models.VAE(encoder(), decoder(), **{"seed": 3, **kwargs})


def beta_vae(**kwargs: Any) -> models.BetaVAE:
    return models.BetaVAE(encoder(), decoder(), **{"seed": 3, **kwargs})


@keras.saving.register_keras_serializable(package="tests")
class ReproducibleOneHotAndNormal(priors.OneHotAndNormal):
    """`OneHotAndNormal` with draws that do not depend on how the program is run."""

    def distribution(self):
        one_hot, normal = super().distribution().parts
        loc = normal.mean()
        return distributions.SideBySide([one_hot, tfd.Independent(ReproducibleNormal(loc, 1.0 + loc), 1)])


def with_classes(**kwargs: Any) -> models.SemiSupervisedAdversarialAutoencoder:
    """Three classes and a style of two, that has noise."""
    posterior = SoftmaxAndStyle(3, ReproducibleIndependentNormal(LATENT_SIZE))
    likelihood = network(3 + LATENT_SIZE, IndependentNormal(DATA_SIZE), "decoder")
    options = {"class_critic": (8,), "style_critic": (7,), "seed": 3, **kwargs}
    return models.SemiSupervisedAdversarialAutoencoder(encoder(posterior), likelihood, **options)


def autoencoder(kind: type[models.LatentVariableModel], **kwargs: Any) -> models.LatentVariableModel:
    return kind(encoder(IndependentDeterministic(LATENT_SIZE)), decoder(), **{"seed": 3, **kwargs})


def binary(kind: type[models.LatentVariableModel], **kwargs: Any) -> models.LatentVariableModel:
    """A model with binary latents and a learned prior of them."""
    prior = priors.Bernoulli(LATENT_SIZE, learned=True)
    return kind(encoder(IndependentBernoulli(LATENT_SIZE)), decoder(), prior, **{"seed": 3, **kwargs})


@keras.saving.register_keras_serializable(package="tests")
class ReproducibleSystem(priors.BayesianLinearDynamicalSystem):
    """`BayesianLinearDynamicalSystem` with draws that do not depend on how the program is run."""

    def posterior(self, potentials):
        return ReproducibleChain(**super().posterior(potentials).parameters)


class ReproducibleChain(distributions.NormalChain):
    def _sample_n(self, n, seed=None):
        zeros = tf.zeros_like(self.mean())
        return self.from_noise(ReproducibleNormal(zeros, 1.0).sample(n, seed=seed))


def structured(prior: priors.GraphicalModel, **kwargs: Any) -> models.StructuredVAE:
    """Latents of the prior's shape, as a vector or as a sequence."""
    shape = prior.event_shape
    decoder = keras.Sequential(
        [
            keras.Input(shape),
            keras.layers.Flatten(),
            keras.layers.Dense(DATA_SIZE),
            HomoscedasticNormal(DATA_SIZE),  # of moderate gradients, which half precision can hold
        ],
        name="decoder",
    )
    return models.StructuredVAE(
        encoder(ReproducibleIndependentNormal(shape)), decoder, prior, **{"seed": 3, **kwargs}
    )


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
            so that a batch with every example twice is another comparison; or whether the objective has draws
            of its own beside those of the table.
    """

    build: Callable[[], models.LatentVariableModel]
    parts: tuple[str, ...] = ("reconstruction", "kl")
    monitors: tuple[str, ...] = ()
    compares_samples: bool = False


BETA = {"parts": ("reconstruction", "weighted_kl"), "monitors": ("kl", "beta")}
ANNEALED = {"parts": ("reconstruction", "weighted_kl"), "monitors": ("kl", "annealing")}
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
WITH_CLASSES = (
    "reconstruction",
    "weighted_class_adversarial",
    "weighted_style_adversarial",
    "weighted_classification",
)
OF_CLASSES = (
    *("weight", "label_weight", "classification", "accuracy"),
    *(f"{kind}_{figure}" for kind in ("class", "style") for figure in ("adversarial", "critic_accuracy")),
    *("class_critic_loss", "style_critic_loss"),
)
DIP = {"parts": ("reconstruction", "kl", "off_diagonal", "diagonal")}

CASES: dict[str, Case] = {
    "vae": Case(vae),
    "vae_sampled_kl": Case(lambda: vae(kl="sampled", num_samples=3)),
    "vae_mixture_prior": Case(lambda: vae(prior=priors.NormalMixture(LATENT_SIZE, 3))),
    "vae_annealed": Case(lambda: vae(annealing="cyclical:0:1:4", free_bits=0.1), **ANNEALED),
    "vae_bernoulli_free_bits": Case(
        lambda: binary(models.VAE, kl="sampled", num_samples=3, free_bits=1e-3), **ANNEALED
    ),
    "beta_vae_of_classes": Case(lambda: conditional(models.BetaVAE, classes=3), **BETA),
    "wae_conditional": Case(
        lambda: conditional(models.WAE, num_samples=2), **WAE, monitors=("divergence", "weight")
    ),
    "conditional_vae": Case(lambda: conditional(models.ConditionalVAE, classes=3)),
    "conditional_vae_hybrid": Case(
        lambda: conditional(models.ConditionalVAE, conditional_prior(), alpha=0.3, num_samples=2),
        parts=("reconstruction", "kl", "prediction"),
        monitors=("alpha",),
    ),
    "semi_supervised_vae_m1": Case(
        lambda: models.SemiSupervisedVAE(
            encoder(), decoder(), classifier(LATENT_SIZE), num_samples=2, seed=3
        ),
        parts=("reconstruction", "kl", "classification"),
        monitors=("accuracy",),
    ),
    "semi_supervised_vae_m2": Case(
        lambda: conditional(models.SemiSupervisedVAE, classifier(), classes=3),
        parts=("reconstruction", "kl", "class_kl", "classification"),
        monitors=("accuracy",),
    ),
    "semi_supervised_vae_m1_m2": Case(
        lambda: conditional(
            models.SemiSupervisedVAE,
            classifier(),
            classes=3,
            alpha="linear:0.1:1:4",
            annealing=0.5,
            class_prior=[0.5, 0.3, 0.2],
            num_samples=2,
            features=network(DATA_SIZE, ReproducibleIndependentNormal(DATA_SIZE), "features"),
        ),
        parts=("reconstruction", "weighted_kl", "weighted_class_kl", "classification"),
        monitors=("kl", "class_kl", "annealing", "accuracy"),
        compares_samples=True,  # draws of the features, which differ from copy to copy
    ),
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
    "iwae_annealed": Case(
        lambda: models.IWAE(encoder(), decoder(), gradient="dreg", annealing="linear:0.2:1:4", seed=3),
        parts=("negative_bound",),
        monitors=("reconstruction", "kl", "annealing"),
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
    "adversarial_autoencoder_implicit": Case(
        lambda: models.AdversarialAutoencoder(
            encoder(ImplicitPosterior(LATENT_SIZE, hidden=(8,))),
            decoder(HomoscedasticNormal(DATA_SIZE)),  # of moderate gradients, which half precision can hold
            critic=(8,),
            seed=3,
        ),
        parts=("reconstruction", "weighted_adversarial"),
        monitors=("adversarial", "weight", "critic_accuracy", "critic_loss"),
    ),
    "semi_supervised_adversarial_autoencoder": Case(
        lambda: with_classes(prior=ReproducibleOneHotAndNormal(5, 3), r1=1.0),
        parts=WITH_CLASSES,
        monitors=(*OF_CLASSES, "class_critic_r1", "style_critic_r1"),
    ),
    "semi_supervised_adversarial_autoencoder_hinge": Case(
        lambda: with_classes(adversarial_loss="hinge", critic_steps=2, weight="linear:1:2:4"),
        parts=WITH_CLASSES,
        monitors=OF_CLASSES,
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
    "factor_vae_annealed": Case(
        lambda: models.FactorVAE(
            encoder(), decoder(), critic=(8,), gamma=2.0, annealing=0.5, free_bits=0.1, num_samples=2, seed=3
        ),
        parts=("reconstruction", "weighted_kl", "weighted_tc"),
        monitors=("kl", "annealing", "total_correlation", "gamma", "critic_accuracy", "critic_loss"),
    ),
    "structured_vae": Case(
        lambda: structured(priors.GaussianMixtureGraph(LATENT_SIZE, 3)), compares_samples=True
    ),
    "structured_vae_mean_field": Case(
        lambda: structured(priors.GaussianMixtureGraph(LATENT_SIZE, 3, "mean-field", 3), num_samples=2)
    ),
    "structured_vae_bayesian_mixture": Case(
        lambda: structured(
            priors.BayesianGaussianMixtureGraph(LATENT_SIZE, 3, dataset_size=40), annealing="linear:0.5:1:4"
        ),
        **ANNEALED,
        compares_samples=True,
    ),
    "structured_vae_system": Case(lambda: structured(priors.LinearDynamicalSystem((3, 2)))),
    "structured_vae_bayesian_system": Case(
        lambda: structured(ReproducibleSystem((3, 2), dataset_size=40), num_samples=2)
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
