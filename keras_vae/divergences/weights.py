"""Weights of the points of a sample."""

import tensorflow as tf


def normalized(weights: tf.Tensor) -> tf.Tensor:
    """Weights of points, `[..., N]`, as a measure: they add up to 1.

    Equal ones where all are 0, as in a batch that counts for nothing.

    Example:

    >>> normalized(tf.constant([[1.0, 3.0], [0.0, 0.0]])).numpy().tolist()
    [[0.25, 0.75], [0.5, 0.5]]
    """
    total = tf.reduce_sum(weights, axis=-1, keepdims=True)
    weights = tf.where(total > 0.0, weights, tf.ones_like(weights))
    return weights / tf.reduce_sum(weights, axis=-1, keepdims=True)
