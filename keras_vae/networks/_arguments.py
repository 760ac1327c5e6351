"""Checks of what a network is built from."""

import numbers
from collections.abc import Callable, Sequence
from math import isfinite, prod
from typing import Any

import keras
import tensorflow as tf

from keras_vae.checks import check_number, is_count, is_number
from keras_vae.errors import invalid, lookup
from keras_vae.layers.distribution_layer import DistributionLayer
from keras_vae.layers.independent import IndependentLayer

Sizes = int | Sequence[int]


def sizes(argument: str, value: Any, hint: str = "") -> tuple[int, ...]:
    """Returns one size or a sequence of them as a tuple of positive ints, or raises `ValueError`."""
    items = (value,) if isinstance(value, numbers.Integral) else value
    is_sequence = isinstance(items, Sequence | tf.TensorShape) and not isinstance(items, str)
    if not is_sequence or not all(is_count(item) for item in items):
        raise invalid(argument, "positive whole numbers", value, hint)
    return tuple(int(item) for item in items)


def shape(argument: str, value: Any) -> tuple[int, ...]:
    """The shape of one example, without the batch dimension."""
    return sizes(argument, value, "Leave the batch dimension out and fix every other.")


def image_shape(argument: str, value: Any) -> tuple[int, int, int]:
    """The shape of one image with its channels, height, width, channels."""
    checked = shape(argument, value)
    if len(checked) == 3:
        return checked
    hint = "Flat data has no neighbourhoods to convolve; use an MLP for it."
    if len(checked) == 2:
        hint = f"Add the channel dimension: {(*checked, 1)}."
    raise invalid(argument, "(height, width, channels)", checked, hint)


def activation(identifier: Any) -> Callable:
    """The activation of that name, or the function itself."""
    if isinstance(identifier, keras.layers.Layer):
        raise invalid(
            "activation",
            "the name of an activation, or a function",
            identifier,
            "A layer would be shared by all layers of the network; use its name, as 'leaky_relu'.",
        )
    try:
        return keras.activations.get(identifier)
    except ValueError:
        return lookup("activation", identifier, _activations())


def _activations() -> dict[str, Callable]:
    helpers = ("get", "serialize", "deserialize")
    return {
        name: function
        for name, function in vars(keras.activations).items()
        if callable(function) and not name.startswith("_") and name not in helpers
    }


def rate(argument: str, value: Any) -> float:
    """Returns the share of units to drop as a `float` in [0, 1), or raises `ValueError`."""
    return check_number(argument, value, at_least=0.0, below=1.0)


def scale_and_offset(argument: str, value: Any) -> tuple[float, float]:
    """Returns a finite `(scale, offset)` with a scale other than 0, or raises `ValueError`."""
    is_pair = isinstance(value, Sequence) and len(value) == 2
    numeric = is_pair and all(is_number(item) and isfinite(item) for item in value)
    if not numeric or value[0] == 0:
        raise invalid(argument, "two finite numbers (scale, offset) with scale != 0", value)
    return float(value[0]), float(value[1])


def distribution_layer(argument: str, value: Any) -> DistributionLayer:
    """Returns `value` if it is a distribution layer that knows how many parameters it takes."""
    if not isinstance(value, DistributionLayer):
        raise invalid(argument, "a distribution layer, as IndependentNormal(16)", value)
    try:
        _ = value.num_params
    except NotImplementedError:
        raise invalid(
            argument,
            "a distribution layer with a `num_params`",
            type(value).__name__,
            "Use a named layer, or end a model of your own in this one.",
        ) from None
    return value


def image_likelihood(argument: str, value: Any) -> tuple[IndependentLayer, tuple[int, int, int]]:
    """Returns `value`, if it is a likelihood of an image's independent elements, and the image's shape."""
    layer = distribution_layer(argument, value)
    if not isinstance(layer, IndependentLayer) or layer.num_params % prod(layer.event_shape):
        raise invalid(
            argument,
            "a distribution layer of independent elements, as IndependentNormal((28, 28, 1))",
            type(layer).__name__,
            "A convolution gives every pixel the same number of parameters; use an MLP decoder.",
        )
    return layer, image_shape(f"{argument}.event_shape", layer.event_shape)
