"""The normal whose scale all elements share."""

import math
from math import prod
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae.checks import check_number, is_number
from keras_vae.distributions import Normal
from keras_vae.errors import invalid
from keras_vae.layers.distribution_layer import MAX_SCALE, MIN_SCALE, positive_scale
from keras_vae.layers.independent import IndependentLayer, Shape, as_shape, independent, reshape_event
from keras_vae.layers.tensor_coercible import ConvertToTensorFn

tfd = tfp.distributions


@keras.saving.register_keras_serializable(package="keras_vae")
class HomoscedasticNormal(IndependentLayer):
    """An independent normal for every element of the event, all with one scale, fixed or learned.

    With a fixed scale of 1, minus the log-density is half the squared error and a constant. The scale weighs
    reconstruction against KL as 1 / beta would, so rather than searching for it let it be learned
    (`trainable_scale=True`): it becomes the root mean squared error of the reconstructions, the sigma-VAE.

    Args:
        event_shape: shape of one draw; `()` for scalars.
        scale: the standard deviation of all elements, in [1e-5, 1e6]; where it is learned, the first one.
        trainable_scale: whether the scale is a weight of the layer.
        convert_to_tensor_fn, validate_args, seed, activity_regularizer: see `DistributionLayer`.

    Call arguments:
        inputs: `batch_shape + [params_size(event_shape)]`: the means.

    Raises:
        ValueError: for a scale out of its range, or a `trainable_scale` that is not True or False.

    Reference: Rybkin, Daniilidis & Levine, Simple and effective VAE training with calibrated decoders, ICML
    2021, section 4.

    Example:

    >>> import numpy as np
    >>> layer = HomoscedasticNormal(2, scale=0.5, trainable_scale=True)
    >>> layer(np.zeros([3, 2], "float32")).stddev()[0].numpy().round(4).tolist()
    [0.5, 0.5]
    >>> len(layer.trainable_variables)
    1
    """

    _arguments = ("event_shape", "scale", "trainable_scale")

    def __init__(
        self,
        event_shape: Shape = (),
        scale: float = 1.0,
        trainable_scale: bool = False,
        convert_to_tensor_fn: str | ConvertToTensorFn = tfd.Distribution.sample,
        validate_args: bool = False,
        **kwargs: Any,
    ):
        super().__init__(event_shape, convert_to_tensor_fn, validate_args, **kwargs)
        self.scale = check_number("scale", scale, at_least=MIN_SCALE, at_most=MAX_SCALE)
        if not isinstance(trainable_scale, bool):
            raise invalid("trainable_scale", "True or False", trainable_scale)
        self.trainable_scale = trainable_scale
        if trainable_scale:
            # Of a Python float Keras would make a float32 first.
            start = keras.initializers.Constant(np.float64(_raw_scale(self.scale)))
            self.raw_scale = self.add_weight(name="raw_scale", shape=(), initializer=start)

    def distribution(self, params: tf.Tensor) -> tfd.Distribution:
        scale = positive_scale(tf.convert_to_tensor(self.raw_scale)) if self.trainable_scale else self.scale
        return self.new(params, self.event_shape, scale, self.validate_args)

    @staticmethod
    def new(
        params: tf.Tensor,
        event_shape: Shape = (),
        scale: float | tf.Tensor = 1.0,
        validate_args: bool = False,
        name: str | None = None,
    ) -> tfd.Distribution:
        """The distribution with means `params`, `batch_shape + [params_size]`, and one scale."""
        shape = as_shape(event_shape)
        (loc,) = reshape_event(params, shape, 1)
        scale = tf.constant(scale, loc.dtype) if is_number(scale) else tf.cast(scale, loc.dtype)
        normal = Normal(loc, scale, validate_args=validate_args)
        return independent(normal, shape, validate_args, name)

    @staticmethod
    def params_size(event_shape: Shape = (), name: str | None = None) -> int:
        """The number of parameters of one distribution: a mean an element."""
        return prod(as_shape(event_shape))


def _raw_scale(scale: float) -> float:
    """The number whose `positive_scale` is `scale`."""
    softplus = math.sqrt(max(scale**2 - MIN_SCALE**2, MIN_SCALE**4))
    return softplus + math.log(-math.expm1(-softplus))
