"""Where a network begins and ends: the input as the body reads it, the parameters of a distribution."""

from math import prod
from typing import Any

import keras

from keras_vae.layers.distribution_layer import DistributionLayer
from keras_vae.layers.independent import IndependentLayer
from keras_vae.networks.block import CHANNELS_LAST


def read(shape: tuple[int, ...], rescale: tuple[float, float]) -> tuple[Any, Any]:
    """Returns the input of examples of that shape, and `input * scale + offset`."""
    inputs = keras.Input(shape, name="inputs")
    if rescale == (1.0, 0.0):
        return inputs, inputs
    # In the input's type, not a half-precision policy's, which has no room for large counts.
    layer = keras.layers.Rescaling(*rescale, dtype=inputs.dtype, name="rescaling")
    return inputs, layer(inputs)


def flat(x: Any) -> Any:
    """`x` as `[batch, units]`."""
    if len(x.shape) == 2:
        return x
    return keras.layers.Flatten(data_format=CHANNELS_LAST, name="flatten")(x)


def dense_head(x: Any, distribution: DistributionLayer) -> Any:
    """The distribution whose parameters are a linear map of the vectors `x`."""
    return distribution(keras.layers.Dense(distribution.num_params, name="params")(x))


def image_head(x: Any, likelihood: IndependentLayer, kernel_size: int) -> Any:
    """The distribution of an image whose parameters are a convolution of the feature map `x`.

    The convolution has a channel for every channel of the image and kind of parameter. Likelihoods take
    their parameters kind by kind, the whole image's locations before its scales, so the kinds are moved
    from innermost to outermost.
    """
    height, width, channels = likelihood.event_shape
    kinds = likelihood.params_per_element
    x = keras.layers.Conv2D(
        kinds * channels,
        kernel_size,
        padding="same",
        data_format=CHANNELS_LAST,
        name="params",
    )(x)
    if kinds > 1:
        x = keras.layers.Reshape((height * width, kinds, channels), name="split_kinds")(x)
        x = keras.layers.Permute((2, 1, 3), name="kinds_first")(x)
    num_params = kinds * prod(likelihood.event_shape)
    return likelihood(keras.layers.Reshape((num_params,), name="flat_params")(x))


def to_feature_map(x: Any, size: tuple[int, int], channels: int, use_bias: bool = True) -> Any:
    """A linear map of the vectors `x` to `[batch, height, width, channels]`."""
    x = keras.layers.Dense(prod(size) * channels, use_bias=use_bias, name="to_feature_map")(x)
    return keras.layers.Reshape((*size, channels), name="feature_map")(x)
