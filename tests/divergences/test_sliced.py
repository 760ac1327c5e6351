"""The sliced Wasserstein distance against POT and closed forms."""

import numpy as np
import pytest
import tensorflow as tf

from keras_vae.divergences import sliced_wasserstein
from keras_vae.divergences.sliced import _along, _directions

RNG = np.random.default_rng(0)
X = (RNG.normal(size=(12, 3)) * 1.5 + 0.5).astype("float32")
Y = RNG.normal(size=(12, 3)).astype("float32")
DIRECTIONS = RNG.normal(size=(20, 3))
DIRECTIONS = (DIRECTIONS / np.linalg.norm(DIRECTIONS, axis=1, keepdims=True)).astype("float32")
SEED = tf.constant([1, 2])

# POT 0.9.7, float64: ot.sliced_wasserstein_distance(x, y, projections=directions.T, p=p).
POT = {1: 0.40271370958106345, 2: 0.564850936578129, 3: 0.7175846657672686}


@pytest.mark.parametrize("p", POT)
def test_value_along_given_directions_is_that_of_pot(p):
    assert float(_along(X, Y, DIRECTIONS, p)) ** (1.0 / p) == pytest.approx(POT[p], rel=1e-4)


def test_directions_are_uniform_unit_vectors():
    directions = _directions(3, 20000, SEED).numpy()
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1.0, rtol=1e-5)
    # E u = 0, E u u^T = I / d, four standard errors of means of 20000.
    np.testing.assert_allclose(directions.mean(axis=0), 0.0, atol=4.0 * np.sqrt(1.0 / 3.0 / 20000))
    np.testing.assert_allclose(directions.T @ directions / 20000, np.eye(3) / 3.0, atol=0.01)


def test_one_dimension_is_the_wasserstein_distance():
    x, y = RNG.normal(size=(9, 1)).astype("float32"), RNG.normal(size=(9, 1)).astype("float32")
    expected = np.mean(np.abs(np.sort(x[:, 0]) - np.sort(y[:, 0])) ** 3)
    assert float(sliced_wasserstein(x, y, 5, SEED, p=3)) == pytest.approx(expected, rel=1e-5)


def test_translation_costs_its_square_over_the_dimension():
    value = sliced_wasserstein(X, X + np.float32([3.0, 0.0, 0.0]), 20000, SEED)
    # The mean of 9 u_1^2, whose standard deviation is 9 * 0.3.
    assert float(value) == pytest.approx(9.0 / 3.0, abs=4.0 * 2.7 / np.sqrt(20000))


def test_order_of_the_points_does_not_matter_and_seeds_do():
    value = float(sliced_wasserstein(X, Y, 10, SEED))
    assert float(sliced_wasserstein(X[::-1], Y, 10, SEED)) == pytest.approx(value, rel=1e-5)
    assert float(sliced_wasserstein(X, Y, 10, tf.constant([3, 4]))) != pytest.approx(value, rel=1e-3)
    assert float(sliced_wasserstein(X, X[::-1], 10, SEED)) == pytest.approx(0.0, abs=1e-10)


def test_gradient_against_the_pairs_of_the_sorted_points():
    x = tf.constant(X)
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = _along(x, tf.constant(Y), tf.constant(DIRECTIONS), 2)
    expected = np.zeros(X.shape)
    for u in np.float64(DIRECTIONS):
        order_x, order_y = np.argsort(X @ u), np.argsort(Y @ u)
        expected[order_x] += 2.0 * ((X @ u)[order_x] - (Y @ u)[order_y])[:, None] * u
    expected /= len(DIRECTIONS) * len(X)
    np.testing.assert_allclose(tape.gradient(value, x), expected, rtol=1e-4, atol=1e-6)


def test_every_batch_is_compared_by_itself():
    x, y = tf.stack([X, 2.0 * X]), tf.stack([Y, Y])
    expected = [sliced_wasserstein(x[i], y[i], 10, SEED) for i in (0, 1)]
    np.testing.assert_allclose(sliced_wasserstein(x, y, 10, SEED), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [({"num_projections": 0}, "num_projections"), ({"p": 0.5}, "p"), ({"y": Y[:5]}, "y")],
)
def test_bad_arguments(arguments, name):
    with pytest.raises(ValueError, match=f"`{name}`"):
        sliced_wasserstein(**{"x": tf.constant(X), "y": Y, "num_projections": 3, "seed": SEED, **arguments})
