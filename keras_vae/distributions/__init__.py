"""Distributions that TensorFlow Probability lacks, computes inaccurately in float32, or slowly.

Each is a `tfd.Distribution` like any other. `serialize_distribution` and `deserialize_distribution` turn
distributions with constant parameters into plain lists and back.
"""

from keras_vae.distributions.bernoulli import Bernoulli
from keras_vae.distributions.beta_binomial import BetaBinomial
from keras_vae.distributions.continuous_bernoulli import ContinuousBernoulli
from keras_vae.distributions.discretized_logistic import DiscretizedLogistic
from keras_vae.distributions.gumbel_categorical import GumbelCategorical
from keras_vae.distributions.implicit import Implicit
from keras_vae.distributions.multivariate_normal import MultivariateNormalMixture, MultivariateNormalTriL
from keras_vae.distributions.multivariate_normal_diag import MultivariateNormalDiag
from keras_vae.distributions.normal import Normal
from keras_vae.distributions.normal_chain import NormalChain
from keras_vae.distributions.one_hot_categorical import OneHotCategorical
from keras_vae.distributions.one_hot_categorical_mixture import OneHotCategoricalMixture
from keras_vae.distributions.pixel_categorical import PixelCategorical
from keras_vae.distributions.serialization import deserialize_distribution, serialize_distribution
from keras_vae.distributions.side_by_side import SideBySide

__all__ = [
    "Bernoulli",
    "BetaBinomial",
    "ContinuousBernoulli",
    "DiscretizedLogistic",
    "GumbelCategorical",
    "Implicit",
    "MultivariateNormalDiag",
    "MultivariateNormalMixture",
    "MultivariateNormalTriL",
    "Normal",
    "NormalChain",
    "OneHotCategorical",
    "OneHotCategoricalMixture",
    "PixelCategorical",
    "SideBySide",
    "deserialize_distribution",
    "serialize_distribution",
]
