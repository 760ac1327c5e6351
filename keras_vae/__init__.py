"""Variational autoencoders for Keras 3 and TensorFlow Probability."""

from keras_vae import (
    callbacks,
    datasets,
    distributions,
    divergences,
    evaluation,
    layers,
    losses,
    models,
    networks,
    objectives,
    plots,
    priors,
    runs,
    schedules,
    serving,
)
from keras_vae.models import VAE, BetaVAE, LatentVariableModel

__version__ = "0.1.0"

__all__ = [
    "VAE",
    "BetaVAE",
    "LatentVariableModel",
    "callbacks",
    "datasets",
    "distributions",
    "divergences",
    "evaluation",
    "layers",
    "losses",
    "models",
    "networks",
    "objectives",
    "plots",
    "priors",
    "runs",
    "schedules",
    "serving",
]
