"""Multivariate normals."""

from typing import Any

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae import distributions
from keras_vae.checks import check_count
from keras_vae.layers.distribution_layer import (
    MIN_SCALE,
    DistributionLayer,
    check_last_dimension,
    positive_scale,
)
from keras_vae.layers.tensor_coercible import ConvertToTensorFn

tfd = tfp.distributions


class _MultivariateNormal(DistributionLayer):
    _arguments = ("event_size",)

    def __init__(
        self,
        event_size: int,
        convert_to_tensor_fn: str | ConvertToTensorFn = tfd.Distribution.sample,
        validate_args: bool = False,
        **kwargs: Any,
    ):
        super().__init__(convert_to_tensor_fn, validate_args, **kwargs)
        self.event_size = check_count("event_size", event_size)

    @property
    def num_params(self) -> int:
        return self.params_size(self.event_size)

    @staticmethod
    def params_size(event_size: int, name: str | None = None) -> int:
        raise NotImplementedError


@keras.saving.register_keras_serializable(package="keras_vae")
class MultivariateNormalTriL(_MultivariateNormal):
    """A multivariate normal with any covariance, by its Cholesky factor.

    The richest normal posterior. Its parameters grow with the square of `event_size`: prefer
    `IndependentNormal` beyond some fifty dimensions.

    Args:
        event_size: number of dimensions d.
        convert_to_tensor_fn, validate_args, seed, activity_regularizer: see `DistributionLayer`.

    Call arguments:
        inputs: `batch_shape + [params_size(event_size)]`: d means, then d (d + 1) / 2 entries of the factor
            in the order of `tfp.math.fill_triangular`, those of its diagonal before softplus and 1e-5 more.

    Example:

    >>> import numpy as np
    >>> layer = MultivariateNormalTriL(3)
    >>> q = layer(np.zeros([2, layer.num_params], "float32"))
    >>> layer.num_params, q.covariance().shape
    (9, TensorShape([2, 3, 3]))
    """

    @staticmethod
    def new(
        params: tf.Tensor,
        event_size: int,
        validate_args: bool = False,
        name: str | None = None,
    ) -> tfd.Distribution:
        """The distribution with parameters `params`, `batch_shape + [params_size]`."""
        params, event_size = tf.convert_to_tensor(params), check_count("event_size", event_size)
        size = MultivariateNormalTriL.params_size(event_size)
        check_last_dimension(params, size, f"event_size {event_size}")
        factor = tfp.bijectors.FillScaleTriL(
            diag_shift=tf.constant(MIN_SCALE, params.dtype), validate_args=validate_args
        )
        return distributions.MultivariateNormalTriL(
            loc=params[..., :event_size],
            scale_tril=factor(params[..., event_size:]),
            validate_args=validate_args,
            name=name or "MultivariateNormalTriL",
        )

    @staticmethod
    def params_size(event_size: int, name: str | None = None) -> int:
        """The number of parameters of one distribution: d + d (d + 1) / 2."""
        size = check_count("event_size", event_size)
        return size + size * (size + 1) // 2


@keras.saving.register_keras_serializable(package="keras_vae")
class MultivariateNormalDiag(_MultivariateNormal):
    """A multivariate normal with a diagonal covariance.

    The distribution of `IndependentNormal(event_size)` with the same parameters, as a
    `tfd.MultivariateNormalDiag`, for code that asks for `covariance()`.

    Args:
        event_size: number of dimensions d.
        convert_to_tensor_fn, validate_args, seed, activity_regularizer: see `DistributionLayer`.

    Call arguments:
        inputs: `batch_shape + [params_size(event_size)]`: d means, then d scales before softplus.

    Example:

    >>> import numpy as np
    >>> layer = MultivariateNormalDiag(3)
    >>> q = layer(np.zeros([2, layer.num_params], "float32"))
    >>> layer.num_params, q.covariance().shape
    (6, TensorShape([2, 3, 3]))
    """

    @staticmethod
    def new(
        params: tf.Tensor,
        event_size: int,
        validate_args: bool = False,
        name: str | None = None,
    ) -> tfd.Distribution:
        """The distribution with parameters `params`, `batch_shape + [params_size]`."""
        params, event_size = tf.convert_to_tensor(params), check_count("event_size", event_size)
        size = MultivariateNormalDiag.params_size(event_size)
        check_last_dimension(params, size, f"event_size {event_size}")
        return distributions.MultivariateNormalDiag(
            loc=params[..., :event_size],
            scale_diag=positive_scale(params[..., event_size:]),
            validate_args=validate_args,
            name=name or "MultivariateNormalDiag",
        )

    @staticmethod
    def params_size(event_size: int, name: str | None = None) -> int:
        """The number of parameters of one distribution: a mean and a scale a dimension."""
        return 2 * check_count("event_size", event_size)
