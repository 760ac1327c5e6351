"""Vectors side by side, and one-hot vectors, against SciPy and TFP."""

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae.distributions import (
    Normal,
    OneHotCategorical,
    SideBySide,
    deserialize_distribution,
    serialize_distribution,
)

tfd = tfp.distributions
SEED = tf.constant([3, 4])
PROBS = np.array([[0.2, 0.5, 0.3], [0.125, 0.125, 0.75]], "float32")
LOC = np.array([[1.0, -2.0], [0.0, 5.0]], "float32")


def both():
    style = tfd.Independent(Normal(LOC, 2.0), 1)
    return SideBySide([OneHotCategorical(probs=PROBS, dtype=tf.float32), style])


def test_log_prob_moments_and_shapes():
    p = both()
    assert (p.batch_shape, p.event_shape, p.dtype) == ((2,), (5,), tf.float32)
    assert p.batch_shape_tensor().numpy().tolist() == [2] and p.event_shape_tensor().numpy().tolist() == [5]
    x = np.array([[0, 1, 0, 0.5, 0.5], [0, 0, 1, 0.0, 4.0]], "float32")
    density = scipy.stats.norm.logpdf(x[:, 3:], LOC, 2.0).sum(axis=1)
    np.testing.assert_allclose(p.log_prob(x), np.log([0.5, 0.75]) + density, rtol=1e-6)
    np.testing.assert_allclose(p.mean(), np.concatenate([PROBS, LOC], axis=1), rtol=1e-6)
    variance = np.concatenate([PROBS * (1 - PROBS), np.full([2, 2], 4.0)], axis=1)
    np.testing.assert_allclose(p.variance(), variance, rtol=1e-5, atol=1e-7)
    assert p.sample((3, 4), seed=SEED).shape == (3, 4, 2, 5)


def test_parts_are_drawn_apart():
    normal = tfd.Independent(Normal(tf.zeros(1), 1.0), 1)
    x = SideBySide([normal, normal]).sample(10_000, seed=SEED).numpy()
    assert abs(np.corrcoef(x.T)[0, 1]) < 4.0 / np.sqrt(len(x))
    for j in range(2):
        assert scipy.stats.kstest(x[:, j], "norm").pvalue > 1e-3


def test_gradients_flow_only_where_they_do_in_every_part():
    normal = tfd.Independent(Normal(LOC, 2.0), 1)
    assert SideBySide([normal, normal]).reparameterization_type == tfd.FULLY_REPARAMETERIZED
    assert both().reparameterization_type == tfd.NOT_REPARAMETERIZED


def test_saved_and_loaded():
    again = deserialize_distribution(serialize_distribution(both()))
    assert isinstance(again, SideBySide)
    np.testing.assert_array_equal(again.sample(5, seed=SEED), both().sample(5, seed=SEED))


def test_one_hot_draws_have_their_probabilities():
    p = OneHotCategorical(probs=PROBS)
    draws = p.sample(20_000, seed=SEED)
    assert draws.dtype == tf.int32 and draws.shape == (20_000, 2, 3)
    np.testing.assert_array_equal(np.sum(draws, axis=-1), 1)
    for count, probs in zip(np.sum(draws, axis=0), PROBS.astype("float64"), strict=True):
        assert scipy.stats.chisquare(count, 20_000 * probs / probs.sum()).pvalue > 1e-3
    # The rows are drawn apart.
    together = np.mean((draws[:, 0, 1] == 1) & (draws[:, 1, 2] == 1))
    assert together == pytest.approx(0.375, abs=4 * np.sqrt(0.375 * 0.625 / 20_000))
    sure = OneHotCategorical(probs=[0.0, 1.0, 0.0]).sample(1000, seed=SEED)
    assert np.sum(sure, axis=0).tolist() == [0, 1000, 0]


def test_one_hot_draws_are_the_same_under_xla():
    def draw(seed):
        return OneHotCategorical(probs=PROBS, dtype=tf.float32).sample(100, seed=seed)

    np.testing.assert_array_equal(tf.function(draw, jit_compile=True)(SEED), draw(SEED))
    assert not np.array_equal(draw(SEED + 1), draw(SEED))


def test_one_hot_is_that_of_tfp_otherwise():
    x = np.eye(3, dtype="float32")[:2]
    expected = tfd.OneHotCategorical(probs=PROBS).log_prob(x)
    np.testing.assert_array_equal(OneHotCategorical(probs=PROBS).log_prob(x), expected)
    tf.random.set_seed(1)
    assert OneHotCategorical([0.0, 1.0]).sample(3, seed=5).shape == (3, 2)
