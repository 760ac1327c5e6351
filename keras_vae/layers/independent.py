"""Distribution layers whose event is a tensor of independent scalars."""

from collections.abc import Sequence
from math import prod
from typing import Any

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae.errors import invalid
from keras_vae.layers.distribution_layer import DistributionLayer, positive_scale

tfd = tfp.distributions

Shape = int | Sequence[int]


def as_shape(event_shape: Shape) -> tuple[int, ...]:
    """An event shape as a tuple; raises `ValueError` for sizes that are not positive integers."""
    sizes = event_shape if isinstance(event_shape, Sequence) else tf.TensorShape(event_shape)
    if isinstance(event_shape, int):
        sizes = (event_shape,)
    try:
        shape = tuple(int(size) for size in sizes)
    except TypeError:
        shape = (-1,)
    if any(size < 1 for size in shape):
        raise invalid("event_shape", "positive integers", event_shape)
    return shape


def reshape_event(params: tf.Tensor, shape: tuple[int, ...], num_params: int) -> list[tf.Tensor]:
    """Splits `batch_shape + [num_params * size]` into `num_params` tensors `batch_shape + shape`.

    The parameters of one kind stand together: all locations first, then all scales, as in `tfp.layers`.
    """
    expected = num_params * prod(shape)
    if params.shape[-1] is not None and params.shape[-1] != expected:
        raise invalid(
            "inputs",
            f"a last dimension of params_size = {expected} for event_shape {shape}",
            f"shape {tuple(params.shape)}",
            f"End the previous layer with {expected} units.",
        )
    batch_shape = tf.shape(params)[:-1]
    target = tf.concat([batch_shape, shape], axis=0)
    pieces = tf.split(params, num_params, axis=-1)
    static = params.shape[:-1].concatenate(shape)
    return [tf.ensure_shape(tf.reshape(piece, target), static) for piece in pieces]


class IndependentLayer(DistributionLayer):
    """Base of the layers over an `event_shape` of independent scalars.

    The input of every one is `batch_shape + [params_per_element * prod(event_shape)]`, kind by kind: all
    parameters of the first kind, then all of the second, each in the order of the event.
    """

    def __init__(
        self,
        event_shape: Shape = (),
        convert_to_tensor_fn=tfd.Distribution.sample,
        validate_args: bool = False,
        **kwargs: Any,
    ):
        self.event_shape = as_shape(event_shape)
        super().__init__(convert_to_tensor_fn, validate_args, **kwargs)

    @property
    def params_per_element(self) -> int:
        """How many parameters one scalar of the event takes."""
        return self.num_params // prod(self.event_shape)

    @property
    def num_params(self) -> int:
        return self.params_size(self.event_shape)

    @staticmethod
    def params_size(event_shape: Shape = (), name: str | None = None) -> int:
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "event_shape": self.event_shape}


@keras.saving.register_keras_serializable(package="keras_vae")
class IndependentNormal(IndependentLayer):
    """An independent normal for every element of the event, with its own mean and scale.

    Args:
        event_shape: shape of one draw; `()` for scalars.
        convert_to_tensor_fn, validate_args, seed: see `DistributionLayer`.

    Call arguments:
        inputs: `batch_shape + [params_size(event_shape)]`: all means, then all scales before softplus.

    Example:

    >>> import numpy as np
    >>> q = IndependentNormal(2)(np.zeros([3, IndependentNormal.params_size(2)], "float32"))
    >>> q.event_shape, q.stddev()[0].numpy().round(3).tolist()
    (TensorShape([2]), [0.693..., 0.693...])
    """

    def distribution(self, params: tf.Tensor) -> tfd.Distribution:
        return self.new(params, self.event_shape, self.validate_args)

    @staticmethod
    def new(
        params: tf.Tensor,
        event_shape: Shape = (),
        validate_args: bool = False,
        name: str | None = None,
    ) -> tfd.Distribution:
        """The distribution with parameters `params`, `batch_shape + [params_size]`."""
        shape = as_shape(event_shape)
        loc, raw_scale = reshape_event(tf.convert_to_tensor(params), shape, 2)
        normal = tfd.Normal(loc, positive_scale(raw_scale), validate_args=validate_args)
        return tfd.Independent(normal, len(shape), validate_args=validate_args, name=name)

    @staticmethod
    def params_size(event_shape: Shape = (), name: str | None = None) -> int:
        """The number of parameters of one distribution: a mean and a scale an element."""
        del name
        return 2 * prod(as_shape(event_shape))
