"""The normal and the Bernoulli are those of TFP and SciPy."""

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae.distributions import Bernoulli, Normal, deserialize_distribution, draws, serialize_distribution

tfd = tfp.distributions
SEED = tf.constant([3, 4])
LOGITS = np.array([-80.0, -5.0, -1e-3, 0.0, 1e-3, 5.0, 80.0], "float32")


@pytest.mark.parametrize("x", [0.0, 1.0])
def test_bernoulli_log_prob(x):
    probs = scipy.special.expit((2.0 * x - 1.0) * LOGITS.astype("float64"))
    expected = -np.log1p(np.exp(-(2.0 * x - 1.0) * LOGITS.astype("float64")))
    np.testing.assert_allclose(np.exp(expected), probs, rtol=1e-12)
    # A float32 result of one exp and one log1p: some units in the last place.
    np.testing.assert_allclose(Bernoulli(LOGITS).log_prob(x), expected, rtol=1e-6, atol=1e-37)


@pytest.mark.parametrize("x", [0.0, 0.3, 1.0])
def test_bernoulli_gradient(x):
    logits = tf.constant(LOGITS)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        value = Bernoulli(logits).log_prob(x)
    expected = x - scipy.special.expit(LOGITS.astype("float64"))
    np.testing.assert_allclose(tape.gradient(value, logits), expected, atol=1e-6)


def test_bernoulli_by_probabilities_and_shapes():
    np.testing.assert_allclose(Bernoulli(probs=0.2).log_prob([0.0, 1.0]), np.log([0.8, 0.2]), rtol=1e-6)
    assert Bernoulli(LOGITS).log_prob(np.ones((3, 1))).shape == (3, 7)
    assert Bernoulli(LOGITS).log_prob(np.ones((3, 1), "int32")).dtype == tf.float32


@pytest.mark.parametrize("kind", ["Normal", "Bernoulli"])
def test_draws_are_those_of_tfp(kind):
    arguments = {"Normal": ([0.5, -1.0], [1.0, 2.0]), "Bernoulli": ([0.5, -1.0],)}[kind]
    ours = {"Normal": Normal, "Bernoulli": Bernoulli}[kind](*arguments)
    drawn = ours.sample(1000, seed=SEED)
    expected = getattr(tfd, kind)(*arguments).sample(1000, seed=SEED)
    assert drawn.dtype == expected.dtype
    np.testing.assert_allclose(drawn, expected, rtol=1e-6)


def test_draws_under_xla():
    """Not those of plain code, but of the same distribution: Kolmogorov and Smirnov at one in a thousand."""
    draw = tf.function(lambda seed: Normal(1.0, 2.0).sample(20_000, seed=seed), jit_compile=True)
    x = draw(SEED).numpy()
    assert scipy.stats.kstest(x, scipy.stats.norm(1.0, 2.0).cdf).pvalue > 1e-3
    assert abs(scipy.stats.pearsonr(x[:-1], x[1:]).statistic) < 4.0 / np.sqrt(len(x))
    np.testing.assert_array_equal(draw(SEED), x)
    assert not np.array_equal(draw(SEED + 1), x)


def test_stateful_seeds_are_taken():
    tf.random.set_seed(1)
    assert Normal(0.0, 1.0).sample(3, seed=5).shape == (3,)
    assert Bernoulli(0.0).sample(3).shape == (3,)


def test_kl_is_registered():
    q, p = Normal(1.0, 2.0), Normal(0.0, 1.0)
    assert float(tfd.kl_divergence(q, p)) == pytest.approx(0.5 * (4.0 + 1.0 - 1.0) - np.log(2.0))
    assert float(tfd.kl_divergence(Bernoulli(0.0), Bernoulli(probs=0.5))) == pytest.approx(0.0, abs=1e-7)


@pytest.mark.parametrize("distribution", [Normal(0.0, 2.0), tfd.Normal(0.0, 2.0), Bernoulli(0.3)])
def test_saved_and_loaded(distribution):
    again = deserialize_distribution(serialize_distribution(distribution))
    assert isinstance(again, type(distribution))
    np.testing.assert_array_equal(again.log_prob(1.0), distribution.log_prob(1.0))


def test_folded_seeds_differ_and_are_the_same_under_xla():
    seeds = np.array([draws.fold_in(SEED, i) for i in range(4)])
    assert len(np.unique(seeds, axis=0)) == 4
    compiled = tf.function(lambda: draws.fold_in(SEED, 2), jit_compile=True)()
    np.testing.assert_array_equal(compiled, seeds[2])
