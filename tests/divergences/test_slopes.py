"""Slopes against derivatives by hand."""

import numpy as np
import tensorflow as tf

from keras_vae.divergences import squared_slopes
from keras_vae.divergences.slopes import points_between

X = np.random.default_rng(0).normal(size=(5, 2, 3)).astype("float32")


def test_slopes_and_their_gradient():
    """f = a sum sin(x) has |df/dx|^2 = a^2 sum cos(x)^2, and that the derivative 2 a sum cos(x)^2 by a."""
    a = tf.Variable(1.5)
    with tf.GradientTape() as tape:
        slopes = squared_slopes(lambda x: a * tf.reduce_sum(tf.sin(x), axis=[1, 2]), tf.constant(X))
    squares = np.sum(np.cos(np.float64(X)) ** 2, axis=(1, 2))
    np.testing.assert_allclose(slopes, 2.25 * squares, rtol=1e-5)
    np.testing.assert_allclose(tape.gradient(slopes, a), 3.0 * np.sum(squares), rtol=1e-5)


def test_what_does_not_depend_on_values_has_no_slope():
    np.testing.assert_array_equal(squared_slopes(lambda x: tf.ones([5, 1]), tf.constant(X)), np.zeros(5))


def test_points_lie_on_their_segments_uniformly():
    a, b = np.full([2000, 2], -1.0, "float32"), np.full([2000, 2], 3.0, "float32")
    points = points_between(a, b, [0, 1]).numpy()
    np.testing.assert_array_equal(points[:, 0], points[:, 1])  # one point of each segment, not of each axis
    at = np.sort((points[:, 0] + 1.0) / 4.0)
    # Kolmogorov's distance from the uniform distribution exceeds 1.95 / sqrt(n) once in a thousand.
    assert np.max(np.abs(at - np.arange(2000) / 2000)) < 1.95 / np.sqrt(2000)
