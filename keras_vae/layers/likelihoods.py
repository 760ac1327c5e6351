"""Likelihoods and posteriors by name."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

from keras_vae.checks import check_count
from keras_vae.errors import invalid, lookup
from keras_vae.layers.beta_binomial import IndependentBetaBinomial
from keras_vae.layers.categorical import IndependentCategorical
from keras_vae.layers.deterministic import IndependentDeterministic
from keras_vae.layers.discretized_logistic import IndependentDiscretizedLogistic, MixtureDiscretizedLogistic
from keras_vae.layers.distribution_layer import DistributionLayer
from keras_vae.layers.homoscedastic_normal import HomoscedasticNormal
from keras_vae.layers.implicit_posterior import ImplicitPosterior
from keras_vae.layers.independent import (
    IndependentBernoulli,
    IndependentContinuousBernoulli,
    IndependentLaplace,
    IndependentLogistic,
    IndependentNormal,
    IndependentPoisson,
    Shape,
    as_shape,
)
from keras_vae.layers.multivariate_normal import MultivariateNormalDiag, MultivariateNormalTriL

Maker = Callable[..., DistributionLayer]


def _mixture(event_shape: Shape, num_components: int = 5, **kwargs: Any) -> DistributionLayer:
    # "A relatively small number of mixture components, say 5, is enough": PixelCNN++, section 2.1.
    return MixtureDiscretizedLogistic(num_components, event_shape, **kwargs)


LIKELIHOODS: dict[str, Maker] = {
    "bernoulli": IndependentBernoulli,
    "beta-binomial": IndependentBetaBinomial,
    "categorical": IndependentCategorical,
    "continuous-bernoulli": IndependentContinuousBernoulli,
    "discretized-logistic": IndependentDiscretizedLogistic,
    "discretized-logistic-mixture": _mixture,
    "laplace": IndependentLaplace,
    "logistic": IndependentLogistic,
    "normal": IndependentNormal,
    "normal-fixed": HomoscedasticNormal,
    "normal-shared": functools.partial(HomoscedasticNormal, trainable_scale=True),
    "poisson": IndependentPoisson,
}

POSTERIORS: dict[str, Maker] = {
    "bernoulli": IndependentBernoulli,
    "deterministic": IndependentDeterministic,
    "implicit": ImplicitPosterior,
    "normal": IndependentNormal,
    "normal-diag": MultivariateNormalDiag,
    "normal-tril": MultivariateNormalTriL,
}


def get_likelihood(identifier: str | Maker, event_shape: Shape, **kwargs: Any) -> DistributionLayer:
    """The distribution layer for p(x|z) that `identifier` means.

    Args:
        identifier: a name of `LIKELIHOODS`; a class of `keras_vae.layers`, or another function of
            `event_shape`; or a layer, which is returned as it is.
        event_shape: shape of one x.
        **kwargs: further arguments of the layer, such as `num_classes` of "categorical".

    Raises:
        ValueError: for an unknown name, or a layer whose event shape is another.

    Example:

    >>> get_likelihood("normal-fixed", (28, 28, 1), scale=0.1).num_params
    784
    >>> get_likelihood("gaussian-fixed", 4)
    Traceback (most recent call last):
    ...
    ValueError: Invalid value received for argument `likelihood`. Expected: one of ... Did you mean \
'normal-fixed'?
    """
    return _get("likelihood", identifier, LIKELIHOODS, as_shape(event_shape), kwargs)


def get_posterior(identifier: str | Maker, latent_size: int, **kwargs: Any) -> DistributionLayer:
    """The distribution layer for q(z|x) that `identifier` means.

    Args:
        identifier: a name of `POSTERIORS`; a class of `keras_vae.layers`, or another function of
            `latent_size`; or a layer, which is returned as it is.
        latent_size: number of latent dimensions.
        **kwargs: further arguments of the layer.

    Raises:
        ValueError: for an unknown name, or a layer whose event shape is another.

    Example:

    >>> get_posterior("normal-tril", 3).num_params
    9
    """
    return _get("posterior", identifier, POSTERIORS, check_count("latent_size", latent_size), kwargs)


def _get(
    argument: str,
    identifier: Any,
    known: Mapping[str, Maker],
    shape: int | tuple[int, ...],
    kwargs: dict[str, Any],
) -> DistributionLayer:
    if isinstance(identifier, DistributionLayer):
        if kwargs:
            raise invalid(argument, "a name, for arguments to go with it", f"a layer and {sorted(kwargs)}")
        layer = identifier
    elif isinstance(identifier, str) or not callable(identifier):
        layer = lookup(argument, identifier, known)(shape, **kwargs)
    else:
        layer = identifier(shape, **kwargs)
        if not isinstance(layer, DistributionLayer):
            raise invalid(argument, "a distribution layer, or what makes one", identifier)
    _check_shape(argument, layer, as_shape(shape))
    return layer


def _check_shape(argument: str, layer: DistributionLayer, shape: tuple[int, ...]) -> None:
    known = getattr(layer, "event_shape", getattr(layer, "event_size", None))
    if known is not None and as_shape(known) != shape:
        raise invalid(argument, f"a distribution of event shape {shape}", f"one of {as_shape(known)}")
