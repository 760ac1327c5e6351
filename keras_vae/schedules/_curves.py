"""The few formulas of the schedules, in float64: cast to float32 once, at the very end.

Steps are whole numbers that float32 cannot tell apart beyond 2**24, and a fraction of a cycle
needs what is left after the division. A scalar in float64 costs nothing.
"""

import math

import tensorflow as tf

DEFAULT_SHARPNESS = 10.0


def progress(step: tf.Tensor, num_steps: float, delay: float = 0) -> tf.Tensor:
    """The fraction of a ramp that is done, in [0, 1]: 0 until `delay`, then 1 after `num_steps`."""
    return tf.clip_by_value((step - delay) / num_steps, 0.0, 1.0)


def mix(start: float, end: float, weight: tf.Tensor) -> tf.Tensor:
    """`start` at weight 0 and `end` at weight 1, both exactly, whatever their magnitudes."""
    return start * (1.0 - weight) + end * weight


def linear(fraction: tf.Tensor) -> tf.Tensor:
    """The straight line from (0, 0) to (1, 1)."""
    return fraction


def sigmoid(fraction: tf.Tensor, sharpness: float = DEFAULT_SHARPNESS) -> tf.Tensor:
    """The logistic curve around 1/2, stretched so that it meets 0 and 1 at its ends.

    With `s(p) = 1 / (1 + exp(-k (p - 1/2)))` this is `(s(p) - s(0)) / (s(1) - s(0))`, written with
    the hyperbolic tangent because that form neither overflows nor cancels.
    """
    scale = 2.0 * math.tanh(sharpness / 4.0)
    curve = 0.5 + tf.tanh(0.5 * sharpness * (fraction - 0.5)) / scale
    return _pinned(curve, fraction)


def cosine(fraction: tf.Tensor) -> tf.Tensor:
    """Half a cosine wave from 0 to 1, flat at both ends."""
    return _pinned(0.5 * (1.0 - tf.cos(math.pi * fraction)), fraction)


def _pinned(curve: tf.Tensor, fraction: tf.Tensor) -> tf.Tensor:
    """`curve`, but exactly 0 and 1 at the ends: tanh and cos differ between devices by rounding."""
    inside = (fraction > 0.0) & (fraction < 1.0)
    return tf.where(inside, tf.clip_by_value(curve, 0.0, 1.0), fraction)


SHAPES = {"linear": linear, "sigmoid": sigmoid, "cosine": cosine}
