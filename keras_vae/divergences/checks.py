"""Checks of the options of distances, and of what they compare."""

from collections.abc import Iterable

import numpy as np
import tensorflow as tf

from keras_vae.checks import check_number
from keras_vae.errors import invalid


def check_scales(scales: Iterable[float]) -> tuple[float, ...]:
    """The scales as a tuple; raises `ValueError` unless there is one and all are > 0."""
    if isinstance(scales, str) or not isinstance(scales, Iterable) or not list(scales):
        raise invalid("scales", "one or more numbers > 0", scales)
    return tuple(check_number("scales", scale, above=0.0) for scale in scales)


def check_samples(x: tf.Tensor, y: tf.Tensor, weights: tf.Tensor | None = None) -> None:
    """Raises `ValueError` for samples that cannot be compared, as far as that is known when it is called.

    Args:
        x, y: points in rows, `[..., N, d]` and `[..., M, d]`.
        weights: of the points of x, `[..., N]`, numbers >= 0; or None.
    """
    for argument, points in (("x", x), ("y", y)):
        if points.shape.rank is not None and points.shape.rank < 2:
            raise invalid(argument, "points in rows, shape [..., N, d]", f"shape {points.shape}")
    if not x.shape[-1:].is_compatible_with(y.shape[-1:]):
        raise invalid("y", f"points of as many dimensions as x, shape {x.shape}", f"shape {y.shape}")
    if weights is None:
        return
    weights = tf.convert_to_tensor(weights)
    if not weights.shape[-1:].is_compatible_with(x.shape[-2:-1]):
        received = f"shape {weights.shape}"
        raise invalid("weights", f"one for each of the points of x, shape {x.shape[:-1]}", received)
    values = tf.get_static_value(weights)
    if values is not None and not np.all(np.isfinite(values) & (values >= 0)):
        raise invalid("weights", "numbers >= 0", values)
