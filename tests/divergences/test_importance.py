"""The importance-weighted bound and the control variate of VIMCO against NumPy."""

import numpy as np
import pytest
import scipy.special
import tensorflow as tf

from keras_vae.divergences import importance_bound, leave_one_out_bound, leave_one_out_mean

RNG = np.random.default_rng(0)
LOG_W = RNG.normal(size=(5, 3)) * [1.0, 10.0, 300.0]  # weights that are alike, and some that vanish


def bound(log_w):
    return scipy.special.logsumexp(log_w, axis=0) - np.log(len(log_w))


def test_bound_against_scipy():
    np.testing.assert_allclose(importance_bound(tf.constant(LOG_W)), bound(LOG_W), rtol=1e-12)


def test_bound_is_between_the_mean_and_the_largest():
    value = importance_bound(tf.constant(LOG_W)).numpy()
    assert np.all(value > LOG_W.mean(axis=0))
    assert np.all(value < LOG_W.max(axis=0))


def test_bound_of_equal_weights_is_their_logarithm():
    np.testing.assert_allclose(importance_bound(tf.fill([7, 2], -200.0)), -200.0, rtol=1e-6)


def test_gradient_of_the_bound_is_the_normalised_weights():
    log_w = tf.Variable(LOG_W)
    with tf.GradientTape() as tape:
        value = tf.reduce_sum(importance_bound(log_w))
    expected = np.exp(LOG_W - scipy.special.logsumexp(LOG_W, axis=0))
    np.testing.assert_allclose(tape.gradient(value, log_w), expected, rtol=1e-12)


@pytest.mark.parametrize("count", [2, 5])
def test_leave_one_out_against_a_loop(count):
    log_w = LOG_W[:count]
    means, bounds = np.empty_like(log_w), np.empty_like(log_w)
    for k in range(count):
        means[k] = np.delete(log_w, k, axis=0).mean(axis=0)
        replaced = log_w.copy()
        replaced[k] = means[k]
        bounds[k] = bound(replaced)
    # The mean of the others is the sum less one's own, which costs a digit or two.
    np.testing.assert_allclose(leave_one_out_mean(tf.constant(log_w)), means, rtol=1e-10)
    np.testing.assert_allclose(leave_one_out_bound(tf.constant(log_w)), bounds, rtol=1e-10)


def test_leave_one_out_beside_a_very_small_weight():
    expected = np.log((np.exp(-1.5) + np.exp(-1.0) + np.exp(-2.0)) / 3)
    for smallest in (-3e8, -np.inf):
        log_w = tf.constant([[smallest], [-1.0], [-2.0]])
        assert float(leave_one_out_mean(log_w)[0, 0]) == -1.5
        found = leave_one_out_bound(log_w).numpy()[:, 0]
        assert found[0] == pytest.approx(expected, rel=1e-6)
        np.testing.assert_allclose(found[1:], [-2.0 - np.log(3), -1.0 - np.log(3)], rtol=1e-6)
