"""Slopes of functions of a sample, as penalties need them."""

from collections.abc import Callable

import tensorflow as tf

from keras_vae.distributions.draws import uniform


def squared_slopes(function: Callable[[tf.Tensor], tf.Tensor], values: tf.Tensor) -> tf.Tensor:
    """|df/dx|^2 at every value, `[N]`, differentiable again.

    Args:
        function: maps values, `[N] + shape`, to `[N, 1]` or `[N]`, each value by itself.
        values: `[N] + shape`.

    Example: f(x) = x^2 / 2 has the slope x.

    >>> squared_slopes(lambda x: tf.square(x) / 2.0, tf.constant([[1.0], [3.0]])).numpy().tolist()
    [1.0, 9.0]
    """
    with tf.GradientTape() as tape:
        tape.watch(values)
        outputs = function(values)
    gradient = tape.gradient(outputs, values, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    return tf.reduce_sum(tf.square(gradient), axis=list(range(1, gradient.shape.rank)))


def points_between(a: tf.Tensor, b: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """A point of each segment from a to b, uniform on it: `[N] + shape`, as both; `seed` is int32 `[2]`.

    >>> points_between(tf.zeros([2, 3]), tf.zeros([2, 3]), [0, 1]).shape
    TensorShape([2, 3])
    """
    shape = tf.concat([tf.shape(a)[:1], tf.ones([len(a.shape) - 1], tf.int32)], axis=0)
    return a + uniform(shape, seed) * (b - a)
