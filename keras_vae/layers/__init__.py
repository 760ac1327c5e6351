"""Keras layers that return distributions.

The names of `tfp.layers`, for Keras 3, with likelihoods and posteriors for autoencoders beyond them. A
layer's call turns parameters into a `tfd.Distribution` that is also a tensor, a draw, to the layers that
follow.
"""

from keras_vae.layers.beta_binomial import IndependentBetaBinomial
from keras_vae.layers.categorical import (
    CategoricalMixtureOfOneHotCategorical,
    IndependentCategorical,
    OneHotCategorical,
)
from keras_vae.layers.deterministic import IndependentDeterministic
from keras_vae.layers.discretized_logistic import IndependentDiscretizedLogistic, MixtureDiscretizedLogistic
from keras_vae.layers.distribution_layer import DistributionLambda, DistributionLayer, positive_scale
from keras_vae.layers.dropout import Dropout
from keras_vae.layers.homoscedastic_normal import HomoscedasticNormal
from keras_vae.layers.implicit_posterior import ImplicitPosterior
from keras_vae.layers.independent import (
    IndependentBernoulli,
    IndependentContinuousBernoulli,
    IndependentLaplace,
    IndependentLayer,
    IndependentLogistic,
    IndependentNormal,
    IndependentPoisson,
)
from keras_vae.layers.kl_divergence import KLDivergenceAddLoss, KLDivergenceRegularizer
from keras_vae.layers.likelihoods import LIKELIHOODS, POSTERIORS, get_likelihood, get_posterior
from keras_vae.layers.mixture import MixtureLogistic, MixtureNormal, MixtureSameFamily
from keras_vae.layers.multivariate_normal import MultivariateNormalDiag, MultivariateNormalTriL
from keras_vae.layers.softmax_and_style import SoftmaxAndStyle
from keras_vae.layers.support import Support
from keras_vae.layers.tensor_coercible import coercible
from keras_vae.layers.variable_layer import BlockwiseInitializer, VariableLayer

__all__ = [
    "LIKELIHOODS",
    "POSTERIORS",
    "BlockwiseInitializer",
    "CategoricalMixtureOfOneHotCategorical",
    "DistributionLambda",
    "DistributionLayer",
    "Dropout",
    "HomoscedasticNormal",
    "ImplicitPosterior",
    "IndependentBernoulli",
    "IndependentBetaBinomial",
    "IndependentCategorical",
    "IndependentContinuousBernoulli",
    "IndependentDeterministic",
    "IndependentDiscretizedLogistic",
    "IndependentLaplace",
    "IndependentLayer",
    "IndependentLogistic",
    "IndependentNormal",
    "IndependentPoisson",
    "KLDivergenceAddLoss",
    "KLDivergenceRegularizer",
    "MixtureDiscretizedLogistic",
    "MixtureLogistic",
    "MixtureNormal",
    "MixtureSameFamily",
    "MultivariateNormalDiag",
    "MultivariateNormalTriL",
    "OneHotCategorical",
    "SoftmaxAndStyle",
    "Support",
    "VariableLayer",
    "coercible",
    "get_likelihood",
    "get_posterior",
    "positive_scale",
]
