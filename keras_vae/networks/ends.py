"""Where a network begins and ends: the input as the body reads it, the parameters of a distribution."""

from math import prod
from typing import Any

import keras

from keras_vae.checks import check_count
from keras_vae.errors import invalid
from keras_vae.layers.distribution_layer import DistributionLayer
from keras_vae.layers.independent import IndependentLayer
from keras_vae.networks import _arguments
from keras_vae.networks._arguments import Sizes
from keras_vae.networks.block import CHANNELS_LAST


def read(shape: tuple[int, ...], rescale: tuple[float, float]) -> tuple[Any, Any]:
    """Returns the input of examples of that shape, and `input * scale + offset`."""
    inputs = keras.Input(shape, name="inputs")
    if rescale == (1.0, 0.0):
        return inputs, inputs
    # In the input's type, not a half-precision policy's, which has no room for large counts.
    layer = keras.layers.Rescaling(*rescale, dtype=inputs.dtype, name="rescaling")
    return inputs, layer(inputs)


def flat(x: Any, name: str = "flatten") -> Any:
    """`x` as `[batch, units]`."""
    if len(x.shape) == 2:
        return x
    return keras.layers.Flatten(data_format=CHANNELS_LAST, name=name)(x)


def with_condition(
    inputs: Any, x: Any, condition_shape: Sizes | None, num_classes: int | None
) -> tuple[Any, Any]:
    """Adds the condition as a second input, and joins it to what the body reads.

    Args:
        inputs: the model's first input.
        x: what was made of it, `[batch, units]` or `[batch, height, width, channels]`.
        condition_shape: shape of one condition; or None.
        num_classes: number of classes, for conditions that are class numbers; or None.

    Returns:
        The inputs and x. Vectors get further units. Images get further channels: those of a condition of the
        same height and width, else every pixel the whole condition. Without a condition, both as they were.

    Raises:
        ValueError: for both kinds of condition at once, or sizes that are not positive.
    """
    if condition_shape is None and num_classes is None:
        return inputs, x
    if condition_shape is not None and num_classes is not None:
        raise invalid("condition_shape", "None where num_classes is given", condition_shape)
    if num_classes is not None:
        count = check_count("num_classes", num_classes, 2)
        condition = keras.Input((), dtype="int32", name="condition")
        values = keras.layers.CategoryEncoding(count, output_mode="one_hot", name="one_hot")(condition)
    else:
        condition = keras.Input(_arguments.shape("condition_shape", condition_shape), name="condition")
        values = condition
    if len(x.shape) == 4 and values.shape[1:-1] != x.shape[1:-1]:
        height, width = x.shape[1:-1]
        values = keras.layers.RepeatVector(height * width, name="repeat")(flat(values, "flat_condition"))
        values = keras.layers.Reshape((height, width, -1), name="condition_map")(values)
    elif len(x.shape) == 2:
        values = flat(values, "flat_condition")
    x = keras.layers.Concatenate(name="with_condition")([x, values])
    return [inputs, condition], x


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
