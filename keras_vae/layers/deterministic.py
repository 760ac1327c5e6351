"""The distribution that is one point: codes of autoencoders without noise."""

from math import prod

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae.distributions import SideBySide
from keras_vae.layers.independent import IndependentLayer, Shape, as_shape, independent, reshape_event

tfd = tfp.distributions


@keras.saving.register_keras_serializable(package="keras_vae")
class IndependentDeterministic(IndependentLayer):
    """All mass at one point: the "posterior" of an autoencoder whose codes have no noise.

    Draws, mean and mode are the input itself. Objectives with a KL or importance weights need a posterior
    with a density, and refuse this one.

    Args:
        event_shape: shape of one draw; `()` for scalars.
        convert_to_tensor_fn, validate_args, seed, activity_regularizer: see `DistributionLayer`.

    Call arguments:
        inputs: `batch_shape + [params_size(event_shape)]`: the point.

    Example:

    >>> import numpy as np
    >>> q = IndependentDeterministic(2)(np.ones([3, 2], "float32"))
    >>> q.event_shape, q.sample()[0].numpy().tolist()
    (TensorShape([2]), [1.0, 1.0])
    """

    @staticmethod
    def new(
        params: tf.Tensor,
        event_shape: Shape = (),
        validate_args: bool = False,
        name: str | None = None,
    ) -> tfd.Distribution:
        """The distribution with parameters `params`, `batch_shape + [params_size]`."""
        shape = as_shape(event_shape)
        (loc,) = reshape_event(params, shape, 1)
        return independent(tfd.Deterministic(loc, validate_args=validate_args), shape, validate_args, name)

    @staticmethod
    def params_size(event_shape: Shape = (), name: str | None = None) -> int:
        """The number of parameters of one distribution: a value an element."""
        return prod(as_shape(event_shape))


def is_deterministic(distribution: tfd.Distribution) -> bool:
    """Whether all its mass is at one point."""
    return all(isinstance(part, tfd.Deterministic | tfd.VectorDeterministic) for part in _parts(distribution))


def has_density(distribution: tfd.Distribution) -> bool:
    """Whether it has a density or probabilities: no part is at one point, or can only be drawn from."""
    return not any(
        isinstance(part, tfd.Deterministic | tfd.VectorDeterministic)
        or not (hasattr(part, "_log_prob") or hasattr(part, "_prob"))
        for part in _parts(distribution)
    )


def _parts(distribution: tfd.Distribution) -> list[tfd.Distribution]:
    """The distributions behind those that only arrange them."""
    if isinstance(distribution, tfd.Independent):
        return _parts(distribution.distribution)
    if isinstance(distribution, SideBySide):
        return [inner for part in distribution.parts for inner in _parts(part)]
    return [distribution]
