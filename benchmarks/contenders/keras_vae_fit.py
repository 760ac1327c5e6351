"""This library as its users call it, every option of `compile` and `fit` at its default."""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

import keras_vae
from benchmarks.contenders import models
from benchmarks.contenders.keras_common import FitTrainer
from benchmarks.protocol import Job
from keras_vae import schedules


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A model of this library.

    Args:
        name: of its class.
        options: arguments of `create`, or a function of the job and the images that gives them.
    """

    name: str
    options: dict[str, Any] | Callable[[Job, np.ndarray], dict[str, Any]] = dataclasses.field(
        default_factory=dict
    )

    def __call__(self, job: Job, images: np.ndarray) -> FitTrainer:
        """Returns the compiled model."""
        learnt = models.MODELS[job.model].learnt
        job = dataclasses.replace(job, batch_size=round(learnt * job.batch_size))
        images = images[: round(learnt * len(images))]
        keras.utils.set_random_seed(job.seed)
        options = self.options(job, images) if callable(self.options) else self.options
        model = getattr(keras_vae, self.name).create(
            **{
                "input_shape": images.shape[1:],
                "latent_size": job.latent_size,
                "network": job.network,
                **NETWORKS[job.network](job),
                "likelihood": "bernoulli",
                "activation": "relu",
                **options,
            }
        )
        model.compile(optimizer=keras.optimizers.Adam(job.learning_rate))
        return FitTrainer(model, job, images)


NETWORKS: dict[str, Callable[[Job], dict[str, Any]]] = {
    "mlp": lambda job: {"hidden": job.hidden},
    "conv": lambda job: {"filters": job.filters, "dense": job.hidden, "kernel_size": models.KERNEL_SIZE},
}
SQUARED_ERROR = {"likelihood": "normal-fixed"}


def critic(inputs: int, units: tuple[int, ...], activation: Any) -> keras.Model:
    """pythae's critic: dense layers and one logit."""
    dense = [keras.layers.Dense(size, activation=activation) for size in units]
    return keras.Sequential([keras.Input((inputs,)), *dense, keras.layers.Dense(1)])


MODELS = {
    "vae": Recipe("VAE"),
    "ae": Recipe("Autoencoder", SQUARED_ERROR),
    "beta_tc_vae": Recipe(
        "BetaTCVAE",
        lambda job, images: {"dataset_size": len(images), "estimator": "stratified", "beta": 1.0},
    ),
    "disentangled_beta_vae": Recipe(
        "BetaVAE", {"beta": models.BETA, "capacity": schedules.Capacity(models.CAPACITY, 500)}
    ),
    "factor_vae": Recipe(
        "FactorVAE",
        lambda job, images: {
            "gamma": models.GAMMA,
            "critic": critic(
                job.latent_size, models.FACTOR_UNITS, keras.layers.LeakyReLU(negative_slope=0.2)
            ),
        },
    ),
    "iwae": Recipe("IWAE", {"num_samples": models.NUM_SAMPLES}),
    "miwae": Recipe("MIWAE", {"num_samples": models.NUM_SAMPLES, "num_estimates": models.NUM_ESTIMATES}),
    "wae_mmd": Recipe("WAE", {**SQUARED_ERROR, "divergence": "mmd-imq"}),
    "info_vae": Recipe("InfoVAE", {"divergence": "mmd-imq"}),
    "adversarial_ae": Recipe(
        "AdversarialAutoencoder",
        lambda job, images: {
            "posterior": "normal",
            "critic": critic(job.latent_size, models.CRITIC_UNITS, "relu"),
        },
    ),
    "vae_gan": Recipe("AdversarialVAE", {"critic": models.CRITIC_UNITS, "feature_layer": "hidden_0"}),
    "rae_l2": Recipe("RegularizedAutoencoder", {**SQUARED_ERROR, "regularizer": "l2"}),
}
