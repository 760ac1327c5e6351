"""Distributions over the latent, fixed or learned, as Keras layers without input."""

from keras_vae.priors.bayesian_gaussian_mixture_graph import BayesianGaussianMixtureGraph
from keras_vae.priors.bayesian_linear_dynamical_system import BayesianLinearDynamicalSystem
from keras_vae.priors.bernoulli import Bernoulli
from keras_vae.priors.conditional import ConditionalPrior
from keras_vae.priors.fitted_mixture import FittedMixture
from keras_vae.priors.gaussian_mixture_graph import GaussianMixtureGraph
from keras_vae.priors.graphical_model import GraphicalModel
from keras_vae.priors.linear_dynamical_system import LinearDynamicalSystem
from keras_vae.priors.normal_mixture import NormalMixture
from keras_vae.priors.one_hot_and_normal import OneHotAndNormal
from keras_vae.priors.prior import Prior
from keras_vae.priors.standard_normal import StandardNormal

__all__ = [
    "BayesianGaussianMixtureGraph",
    "BayesianLinearDynamicalSystem",
    "Bernoulli",
    "ConditionalPrior",
    "FittedMixture",
    "GaussianMixtureGraph",
    "GraphicalModel",
    "LinearDynamicalSystem",
    "NormalMixture",
    "OneHotAndNormal",
    "Prior",
    "StandardNormal",
]
