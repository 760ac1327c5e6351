"""The sparsity penalty against NumPy in float64."""

import numpy as np
import pytest
import scipy.special
import tensorflow as tf

from keras_vae.divergences import kl_to_rate

LOGITS = np.random.default_rng(0).normal(scale=3.0, size=(9, 4)).astype("float32")
WEIGHTS = np.random.default_rng(1).exponential(size=9).astype("float32")


def expected(rate, logits, weights=None):
    mean = np.average(scipy.special.expit(np.float64(logits)), axis=0, weights=weights)
    return scipy.special.rel_entr(rate, mean) + scipy.special.rel_entr(1 - rate, 1 - mean)


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.5, 0.9])
@pytest.mark.parametrize("weights", [None, WEIGHTS, np.float32([1, 0] * 4 + [0])])
def test_against_scipy(rate, weights):
    kl = kl_to_rate(rate, tf.constant(LOGITS), weights)
    np.testing.assert_allclose(kl, expected(rate, LOGITS, weights), rtol=1e-5, atol=1e-6)


def test_zero_at_the_rate_and_above_it_elsewhere():
    at_rate = np.full([3, 1], scipy.special.logit(0.2), "float32")
    assert float(kl_to_rate(0.2, tf.constant(at_rate))[0]) == pytest.approx(0.0, abs=1e-6)
    kl = [float(kl_to_rate(0.2, tf.constant(at_rate + shift))[0]) for shift in (-2.0, -1.0, 0.0, 1.0, 2.0)]
    assert kl[0] > kl[1] > kl[2] < kl[3] < kl[4]


@pytest.mark.parametrize("logit", [-200.0, 200.0])
def test_units_that_never_change_keep_a_gradient(logit):
    """A sigmoid of -200 is 0 in float32, where a logarithm of it would be infinite and its slope 0."""
    logits = tf.fill([3, 1], logit)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        kl = tf.reduce_sum(kl_to_rate(0.05, logits))
    assert np.isfinite(kl)
    # d KL / d c = (r - rate) / B for one logit in common, with r the activation, here 0 or 1.
    slope = (float(logit > 0) - 0.05) / 3
    np.testing.assert_allclose(tape.gradient(kl, logits), np.full([3, 1], slope), rtol=1e-5)


def test_a_batch_without_weight_is_finite():
    assert np.isfinite(kl_to_rate(0.1, tf.constant(LOGITS), tf.zeros(9))).all()


@pytest.mark.parametrize("rate", [0.0, 1.0, -0.1, "a", None, float("nan")])
def test_bad_rates(rate):
    with pytest.raises(ValueError, match="`rate`"):
        kl_to_rate(rate, tf.constant(LOGITS))
