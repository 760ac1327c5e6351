"""The Keras models: one base with the training loop, and a named model per objective."""

from keras_vae.models.beta_vae import BetaVAE
from keras_vae.models.latent_variable_model import LatentVariableModel
from keras_vae.models.vae import VAE

__all__ = ["VAE", "BetaVAE", "LatentVariableModel"]
