"""The distribution that is one point: codes of autoencoders without noise."""

from math import prod

import keras
import tensorflow as tf
import tensorflow_probability as tfp

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
    """Whether it has no density: all its mass is at one point."""
    while isinstance(distribution, tfd.Independent):
        distribution = distribution.distribution
    return isinstance(distribution, tfd.Deterministic | tfd.VectorDeterministic)
