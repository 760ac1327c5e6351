"""Variational autoencoders for Keras 3 and TensorFlow Probability."""

from keras_vae import divergences, layers, models, networks, objectives, priors, schedules
from keras_vae.models import VAE, BetaVAE, LatentVariableModel

__version__ = "0.1.0"

__all__ = [
    "VAE",
    "BetaVAE",
    "LatentVariableModel",
    "divergences",
    "layers",
    "models",
    "networks",
    "objectives",
    "priors",
    "schedules",
]
