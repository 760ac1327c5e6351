"""This library as its users call it, every option of `compile` and `fit` at its default."""

import keras
import numpy as np

import keras_vae
from benchmarks.contenders.keras_common import FitTrainer
from benchmarks.protocol import Job


def build_vae(job: Job, images: np.ndarray) -> FitTrainer:
    """Returns the compiled VAE."""
    keras.utils.set_random_seed(job.seed)
    vae = keras_vae.VAE.create(
        input_shape=images.shape[1:],
        latent_size=job.latent_size,
        network=job.network,
        hidden=job.hidden,
        likelihood="bernoulli",
        activation="relu",
    )
    vae.compile(optimizer=keras.optimizers.Adam(job.learning_rate))
    return FitTrainer(vae, job, images)


MODELS = {"vae": build_vae}
