"""The Sinkhorn divergence against POT, its limits and its gradient."""

import warnings

import numpy as np
import pytest
import tensorflow as tf

from keras_vae.divergences import check_convergence, sinkhorn, sinkhorn_with_error

RNG = np.random.default_rng(0)
X = (RNG.normal(size=(12, 3)) * 1.5 + 0.5).astype("float32")
Y = RNG.normal(size=(12, 3)).astype("float32")

# POT 0.9.7 on these points in float64: with M = ot.dist(x, y) and
# P = ot.sinkhorn(a, b, M, epsilon, method="sinkhorn_log", stopThr=1e-12, numItermax=200000), OT is
# sum(P * M) + epsilon * sum(P * log(P / outer(a, b))), the divergence OT(x, y) - (OT(x, x) + OT(y, y)) / 2.
POT = {0.1: 1.7096799057364132, 1.0: 1.3842738424319159, 10.0: 0.4645107754033688}
POT_UNEQUAL = 1.3162242767804964  # of x with the first 7 of y, epsilon = 1
POT_EMD = 1.709674435406658  # ot.emd2(a, a, ot.dist(x, y))
POT_GRADIENT = [0.17245606, -0.0285824, -0.05120122]  # by x[0], of its plans, epsilon = 1
THOROUGH = {"num_iterations": 3000, "tolerance": 1e-5}


@pytest.mark.parametrize("epsilon", [1.0, 10.0])
def test_value_is_that_of_pot(epsilon):
    value, error = sinkhorn_with_error(X, Y, epsilon, **THOROUGH)
    assert error < 1e-5
    assert float(value) == pytest.approx(POT[epsilon], rel=1e-4)


def test_small_epsilon_is_that_of_pot_and_of_exact_transport():
    value = float(tf.function(sinkhorn)(X, Y, 0.1, **THOROUGH))
    assert value == pytest.approx(POT[0.1], rel=1e-4)
    assert value == pytest.approx(POT_EMD, rel=1e-4)


def test_samples_of_different_sizes():
    assert float(sinkhorn(X, Y[:7], 1.0, **THOROUGH)) == pytest.approx(POT_UNEQUAL, rel=1e-4)


def test_large_epsilon_is_the_distance_of_the_means():
    expected = np.sum((X.mean(axis=0) - Y.mean(axis=0)) ** 2)
    # The error is of the order of cost / epsilon; more epsilon would cost float32 its digits.
    assert float(sinkhorn(X, Y, 1000.0)) == pytest.approx(expected, rel=0.05)


def test_translation_costs_its_square_at_every_epsilon():
    for epsilon in (0.5, 5.0):
        value = sinkhorn(X, X + np.float32([1.0, -2.0, 0.0]), epsilon, **THOROUGH)
        assert float(value) == pytest.approx(5.0, rel=1e-4)


def test_gradient_is_that_of_the_plans_of_pot():
    x = tf.constant(X)
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = sinkhorn(x, Y, 1.0, **THOROUGH)
    np.testing.assert_allclose(tape.gradient(value, x)[0], POT_GRADIENT, rtol=1e-3, atol=1e-5)


def test_gradient_against_differences():
    x, direction = tf.constant(X), RNG.normal(size=X.shape).astype("float32")
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = sinkhorn(x, Y, 2.0, **THOROUGH)
    slope = np.sum(tape.gradient(value, x) * direction)
    above, below = (sinkhorn(X + sign * 0.01 * direction, Y, 2.0, **THOROUGH) for sign in (1.0, -1.0))
    # Differences of float32 values near 1: 1e-6 / 0.02.
    assert slope == pytest.approx(float(above - below) / 0.02, rel=2e-3)


def test_equal_samples_have_no_distance_and_no_gradient():
    x = tf.constant(X)
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = sinkhorn(x, tf.constant(X[::-1].copy()), 1.0, **THOROUGH)
    assert abs(float(value)) < 1e-5
    np.testing.assert_allclose(tape.gradient(value, x), np.zeros_like(X), atol=1e-5)


def test_every_batch_is_compared_by_itself():
    x, y = tf.stack([X, 2.0 * X]), tf.stack([Y, Y])
    values = sinkhorn(x, y, 1.0, **THOROUGH)
    np.testing.assert_allclose(values, [sinkhorn(x[i], y[i], 1.0, **THOROUGH) for i in (0, 1)], rtol=1e-4)


def test_marginal_error_falls_with_the_iterations_and_ends_them():
    errors = [float(sinkhorn_with_error(X, Y, 0.3, n, 1e-9).marginal_error) for n in (8, 30, 200)]
    assert errors[0] > errors[1] > errors[2]
    ended = float(sinkhorn_with_error(X, Y, 0.3, 3000, 1e-2).marginal_error)
    assert errors[2] < ended <= 1e-2


def test_what_did_not_converge_warns_with_the_remedy():
    error = sinkhorn_with_error(X, Y, 0.01, num_iterations=2).marginal_error
    with pytest.warns(RuntimeWarning, match="`epsilon` or `num_iterations`"):
        check_convergence(error, 1e-3)
    with pytest.warns(RuntimeWarning):
        check_convergence(tf.constant(float("nan")), 1e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_convergence(sinkhorn_with_error(X, Y, 5.0).marginal_error, 1e-3)


@pytest.mark.parametrize(
    ("name", "value"),
    [("epsilon", 0.0), ("epsilon", float("inf")), ("num_iterations", 0), ("tolerance", -1.0)],
)
def test_bad_arguments(name, value):
    with pytest.raises(ValueError, match=f"`{name}`"):
        sinkhorn(X, Y, **{name: value})


@pytest.mark.parametrize("far", [3.0, 10.0, 30.0, 100.0])
@pytest.mark.parametrize("epsilon", [0.1, 1.0])
def test_a_point_without_weight_has_no_effect_wherever_it_is(epsilon, far):
    """Not even on the number of iterations; its own term of the plan would be infinite."""
    near = np.float32([[0, 0], [1, 0], [0, 1]])
    y = near + np.float32(0.1)
    found, more = [], np.concatenate([near, np.float32([[far, far]])])
    for x, weights in ((near, None), (more, [1.0, 1.0, 1.0, 0.0])):
        x = tf.constant(x)
        with tf.GradientTape() as tape:
            tape.watch(x)
            value, error = sinkhorn_with_error(x, y, epsilon, weights=weights)
        found.append((value, error, tape.gradient(value, x)))
    (value, error, gradient), (with_it, error_with_it, gradient_with_it) = found
    assert float(value) == pytest.approx(0.02, rel=1e-3)
    assert float(with_it) == pytest.approx(float(value), rel=1e-4)
    assert float(error_with_it) == pytest.approx(float(error), rel=1e-2, abs=1e-6)
    np.testing.assert_allclose(gradient_with_it[:3], gradient, rtol=1e-3, atol=1e-5)
    np.testing.assert_array_equal(gradient_with_it[3], [0.0, 0.0])
