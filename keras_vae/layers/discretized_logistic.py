"""Likelihoods of integers on a scale, such as 8-bit images, by logistic distributions."""

from math import prod
from typing import Any

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae.checks import check_count
from keras_vae.distributions import DiscretizedLogistic
from keras_vae.distributions.discretized_logistic import check_range
from keras_vae.layers.distribution_layer import positive_scale
from keras_vae.layers.independent import (
    IndependentLayer,
    Shape,
    as_shape,
    independent,
    reshape_event,
    split_kinds,
)
from keras_vae.layers.support import integers_or_bytes
from keras_vae.layers.tensor_coercible import ConvertToTensorFn

tfd = tfp.distributions


@keras.saving.register_keras_serializable(package="keras_vae")
class IndependentDiscretizedLogistic(IndependentLayer):
    """An independent logistic rounded to an integer in `[low, high]` for every element of the event.

    The likelihood of 8-bit images as they are, 0 to 255: minus its logarithm over log 2 is in bits.

    Args:
        event_shape: shape of one draw; `()` for scalars.
        low, high: the smallest and the largest integer.
        convert_to_tensor_fn, validate_args, seed, activity_regularizer: see `DistributionLayer`.

    Call arguments:
        inputs: `batch_shape + [params_size(event_shape)]`: all locations, then all scales, both in units in
            which `[low, high]` is `[-1, 1]`, the scales before softplus. So 0 is the middle, and an untrained
            network starts with broad distributions within the range.

    Reference: Salimans et al., PixelCNN++, ICLR 2017, equations 1 and 2, with one component.

    Example:

    >>> import numpy as np
    >>> p = IndependentDiscretizedLogistic(2)(np.array([[0.0, -1.0, -9.0, -9.0]], "float32"))
    >>> p.mean().numpy().round(2).tolist(), p.mode().numpy().tolist()
    ([[127.5, 0.0]], [[128.0, 0.0]])
    """

    _arguments = ("event_shape", "low", "high")

    def __init__(
        self,
        event_shape: Shape = (),
        low: int = 0,
        high: int = 255,
        convert_to_tensor_fn: str | ConvertToTensorFn = tfd.Distribution.sample,
        validate_args: bool = False,
        **kwargs: Any,
    ):
        super().__init__(event_shape, convert_to_tensor_fn, validate_args, **kwargs)
        self.low, self.high = check_range(low, high)
        self.support = integers_or_bytes(self.low, self.high)

    @staticmethod
    def new(
        params: tf.Tensor,
        event_shape: Shape = (),
        low: int = 0,
        high: int = 255,
        validate_args: bool = False,
        name: str | None = None,
    ) -> tfd.Distribution:
        """The distribution with parameters `params`, `batch_shape + [params_size]`.

        For an element's parameters `(l, s)`, with `half = (high - low) / 2`, the location is
        `low + half * (l + 1)` and the scale `half * softplus(s)`.
        """
        shape = as_shape(event_shape)
        loc, raw_scale = reshape_event(params, shape, 2)
        logistic = _discretized(loc, raw_scale, low, high, validate_args)
        return independent(logistic, shape, validate_args, name)

    @staticmethod
    def params_size(event_shape: Shape = (), name: str | None = None) -> int:
        """The number of parameters of one distribution: a location and a scale an element."""
        return 2 * prod(as_shape(event_shape))


@keras.saving.register_keras_serializable(package="keras_vae")
class MixtureDiscretizedLogistic(IndependentLayer):
    """An independent mixture of logistics rounded to integers for every element of the event.

    Prefer it to `IndependentDiscretizedLogistic` where pixels have several likely values, at
    `num_components` times the parameters. Every element has a mixture of its own; the channels of a pixel are
    independent given the parameters, unlike those of PixelCNN++.

    Args:
        num_components: how many logistics an element mixes, at least 1.
        event_shape: shape of one draw; `()` for scalars.
        low, high: the smallest and the largest integer.
        convert_to_tensor_fn, validate_args, seed, activity_regularizer: see `DistributionLayer`.

    Call arguments:
        inputs: `batch_shape + [params_size(num_components, event_shape)]`, kind by kind: the logits of the
            first component of all elements, of the second, ...; then the locations of the first component,
            ...; then the scales. Locations and scales are in the units of `IndependentDiscretizedLogistic`.

    Reference: Salimans et al., PixelCNN++, ICLR 2017, equations 1 and 2.

    Example:

    >>> import numpy as np
    >>> layer = MixtureDiscretizedLogistic(5, (2, 2))
    >>> p = layer(np.zeros([3, layer.num_params], "float32"))
    >>> layer.params_per_element, p.mean()[0, 0].numpy().round(1).tolist()
    (15, [127.5, 127.5])
    """

    _arguments = ("num_components", "event_shape", "low", "high")

    def __init__(
        self,
        num_components: int,
        event_shape: Shape = (),
        low: int = 0,
        high: int = 255,
        convert_to_tensor_fn: str | ConvertToTensorFn = tfd.Distribution.sample,
        validate_args: bool = False,
        **kwargs: Any,
    ):
        super().__init__(event_shape, convert_to_tensor_fn, validate_args, **kwargs)
        self.num_components = check_count("num_components", num_components)
        self.low, self.high = check_range(low, high)
        self.support = integers_or_bytes(self.low, self.high)

    @property
    def num_params(self) -> int:
        return self.params_size(self.num_components, self.event_shape)

    @staticmethod
    def new(
        params: tf.Tensor,
        num_components: int,
        event_shape: Shape = (),
        low: int = 0,
        high: int = 255,
        validate_args: bool = False,
        name: str | None = None,
    ) -> tfd.Distribution:
        """The distribution with parameters `params`, `batch_shape + [params_size]`.

        See `IndependentDiscretizedLogistic.new` for the units.
        """
        shape = as_shape(event_shape)
        num_components = check_count("num_components", num_components)
        kinds = split_kinds(params, shape, 3 * num_components)
        kind_axis = kinds.shape.rank - 1 - len(shape)
        # Components go last, where TFP's mixture has them.
        order = [axis for axis in range(kinds.shape.rank) if axis != kind_axis] + [kind_axis]
        logits, loc, raw_scale = tf.split(tf.transpose(kinds, order), 3, axis=-1)
        mixture = tfd.MixtureSameFamily(
            tfd.Categorical(logits=logits),
            _discretized(loc, raw_scale, low, high, validate_args),
            validate_args=validate_args,
        )
        return independent(mixture, shape, validate_args, name)

    @staticmethod
    def params_size(num_components: int, event_shape: Shape = (), name: str | None = None) -> int:
        """The number of parameters of one distribution: 3 an element and component."""
        return 3 * check_count("num_components", num_components) * prod(as_shape(event_shape))


def _discretized(
    loc: tf.Tensor, raw_scale: tf.Tensor, low: int, high: int, validate_args: bool
) -> DiscretizedLogistic:
    half = (high - low) / 2
    return DiscretizedLogistic(
        low + half * (loc + 1.0), half * positive_scale(raw_scale), low, high, validate_args
    )
