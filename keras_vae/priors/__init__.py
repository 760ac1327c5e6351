"""Distributions over the latent, fixed or learned, as Keras layers without input."""

from keras_vae.priors.bernoulli import Bernoulli
from keras_vae.priors.fitted_mixture import FittedMixture
from keras_vae.priors.normal_mixture import NormalMixture
from keras_vae.priors.prior import Prior
from keras_vae.priors.standard_normal import StandardNormal

__all__ = ["Bernoulli", "FittedMixture", "NormalMixture", "Prior", "StandardNormal"]
