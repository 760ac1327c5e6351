"""Estimators of log p(x) and its bounds where log p(x) is known."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from scipy import stats

from keras_vae import layers, models, networks
from keras_vae.models import estimates
from tests.oracles import LinearGaussian

tfd = tfp.distributions

# Densities of a few nats in float32: an error of 1e-6 each for some ten additions.
ROUNDING = 3e-5


def seeded(seed):
    return tf.constant([7, seed], tf.int32)


def test_the_oracle_agrees_with_itself(oracle):
    """E_q[log p(x|z)] - KL(q || prior) + KL(q || posterior) = log p(x), for any q."""
    x = oracle.draw(20)
    for widen, shift in ((1.0, 0.0), (1.4, 0.1), (0.3, -2.0)):
        mean = oracle.posterior_mean(x) + shift
        spread = widen**2 * np.diag(np.diag(oracle.posterior_covariance))
        residual = np.float64(x) - mean @ oracle.weights.T - oracle.bias
        expected_log_px = (
            stats.norm(0.0, oracle.scale).logpdf(residual).sum(axis=1)
            - np.trace(oracle.weights @ spread @ oracle.weights.T) / 2 / oracle.scale**2
        )
        bound = expected_log_px - oracle.kl(x, widen, shift)
        np.testing.assert_allclose(bound + oracle.gap(widen, shift), oracle.log_prob(x), rtol=1e-10)


@pytest.mark.parametrize("num_samples", [1, 7])
def test_every_draw_gives_log_p_with_the_exact_posterior(oracle, exact, num_samples):
    x = oracle.draw(9)
    estimate = estimates.log_likelihood(exact, x, num_samples, 4, seeded(0))
    np.testing.assert_allclose(estimate.log_likelihood, oracle.log_prob(x), atol=ROUNDING)
    np.testing.assert_allclose(estimate.effective_samples, num_samples, rtol=1e-5)
    if num_samples == 1:
        assert np.isnan(estimate.standard_error).all()
    else:
        np.testing.assert_allclose(estimate.standard_error, 0.0, atol=1e-3)


def test_correlated_exact_posterior(without_xla):
    weights = np.random.default_rng(3).normal(size=(4, 3))
    oracle = LinearGaussian(weights, np.zeros(4), 0.6)
    model = without_xla(oracle.build(posterior=layers.MultivariateNormalTriL))
    x = oracle.draw(6)
    estimate = estimates.log_likelihood(model, x, 3, 6, seeded(0))
    np.testing.assert_allclose(estimate.log_likelihood, oracle.log_prob(x), atol=ROUNDING)


def test_elbo_is_log_p_less_the_gap(oracle, wide):
    x = oracle.draw(64)
    bounds = -sum(estimates.elbo_parts(wide, x, 128, 64, seeded(1)).values())
    error = np.asarray(bounds) - (oracle.log_prob(x) - oracle.gap(1.4, 0.1))
    # Of 64 independent errors the mean is within four of its standard errors.
    assert abs(error.mean()) < 4 * error.std() / np.sqrt(len(x))
    assert error.std() < 0.2


def test_elbo_of_more_draws_than_are_decoded_at_once(oracle, wide, monkeypatch):
    """In chunks of 64 draws with a rest of 32: their shares add up to the mean over all."""
    monkeypatch.setattr(estimates, "MAX_PAIRS", 64)
    x = oracle.draw(16)
    parts = estimates.elbo_parts(wide, x, 160, 16, seeded(8))
    np.testing.assert_allclose(parts["kl"], oracle.kl(x, 1.4, 0.1), rtol=1e-5)
    error = -np.asarray(sum(parts.values())) - (oracle.log_prob(x) - oracle.gap(1.4, 0.1))
    # Of 16 independent errors the mean is within four of its standard errors.
    assert abs(error.mean()) < 4 * error.std() / np.sqrt(len(x))
    assert error.std() < 0.2


def test_kl_part_is_exact(oracle, wide):
    x = oracle.draw(5)
    kl = estimates.elbo_parts(wide, x, 1, 5, seeded(1))["kl"]
    np.testing.assert_allclose(kl, oracle.kl(x, 1.4, 0.1), rtol=1e-5)


def test_log_likelihood_rises_to_log_p_from_below(oracle, wide):
    x = np.repeat(oracle.draw(1), 1000, axis=0)  # 1,000 independent estimates of one example
    truth = oracle.log_prob(x[:1])[0]
    means, errors = [], []
    for num_samples in (1, 4, 16, 64):
        values = np.asarray(estimates.log_likelihood(wide, x, num_samples, 1000, seeded(2)).log_likelihood)
        means.append(values.mean())
        errors.append(values.std() / np.sqrt(len(values)))
    assert (np.diff(means) > 0).all()
    assert (np.array(means) < truth + 3 * np.array(errors)).all()
    assert abs(means[0] - (truth - oracle.gap(1.4, 0.1))) < 4 * errors[0]  # K = 1 is the ELBO
    # The bias is near -Var(w) / (2 K), and 64 times smaller at K = 64.
    assert truth - means[-1] < (truth - means[0]) / 20


def test_standard_errors_are_calibrated(oracle, wide):
    x = np.repeat(oracle.draw(8), 200, axis=0)
    estimate = estimates.log_likelihood(wide, x, 64, 1600, seeded(3))
    spread = np.asarray(estimate.log_likelihood).reshape(8, 200).std(axis=1, ddof=1)
    told = np.sqrt(np.square(np.asarray(estimate.standard_error)).reshape(8, 200).mean(axis=1))
    # The standard deviation of 200 numbers is known to 5%; the eight are averaged.
    assert abs(np.mean(told / spread) - 1.0) < 0.08


def test_chunks_and_their_rest_add_up(oracle, wide, monkeypatch, without_xla):
    """Draws in chunks of 3 with a rest of 1 have the distribution of all draws at once."""
    monkeypatch.setattr(estimates, "MAX_PAIRS", 3 * 500)
    x = np.repeat(oracle.draw(1), 500, axis=0)
    chunked = estimates.log_likelihood(wide, x, 10, 500, seeded(4))
    monkeypatch.undo()
    whole = estimates.log_likelihood(wide, x, 10, 500, seeded(5))
    for a, b in zip(chunked[:3], whole[:3], strict=True):  # so few draws have no Pareto shape
        a, b = np.asarray(a), np.asarray(b)
        assert abs(a.mean() - b.mean()) < 4 * np.sqrt((a.var() + b.var()) / 500)


def test_compiled_and_not_agree(oracle):
    x = oracle.draw(5)
    model = oracle.build()
    estimate = estimates.log_likelihood(model, x, 5, 5, seeded(0))
    np.testing.assert_allclose(estimate.log_likelihood, oracle.log_prob(x), atol=ROUNDING)


def test_same_seed_same_estimate_and_batches_do_not_matter(oracle, wide):
    x = oracle.draw(7)
    first = estimates.log_likelihood(wide, x, 5, 3, seeded(6))
    again = estimates.log_likelihood(wide, x, 5, 3, seeded(6))
    np.testing.assert_array_equal(first.log_likelihood, again.log_likelihood)
    other = estimates.log_likelihood(wide, x, 5, 3, seeded(7))
    assert not np.allclose(first.log_likelihood, other.log_likelihood)


def uniform_model(without_xla):
    """z ~ N(0, 1), x|z uniform within 1 of z; the posterior is the prior."""
    encoder = keras.Sequential(
        [keras.Input((1,)), keras.layers.Dense(2, kernel_initializer="zeros"), layers.IndependentNormal(1)]
    )
    raw_one = np.log(np.expm1(1.0))
    encoder.layers[0].set_weights([np.zeros((1, 2)), np.array([0.0, raw_one])])
    box = layers.DistributionLambda(lambda z: tfd.Independent(tfd.Uniform(z - 1.0, z + 1.0), 1))
    decoder = keras.Sequential([keras.Input((1,)), box])
    return without_xla(models.VAE(encoder, decoder, seed=0))


def test_draws_of_probability_zero(without_xla):
    """Some weights are 0 at the first two, all are at the last."""
    x = np.array([[0.0], [1.5], [50.0]], "float32")
    estimate = estimates.log_likelihood(uniform_model(without_xla), x, 40_000, 3, seeded(0))
    truth = np.log((stats.norm.cdf(x + 1) - stats.norm.cdf(x - 1))[:2, 0] / 2)
    np.testing.assert_array_less(
        np.abs(estimate.log_likelihood[:2] - truth), 4 * np.asarray(estimate.standard_error[:2])
    )
    assert estimate.log_likelihood[2] == -np.inf


def test_wide_decoders_decode_fewer_at_once(oracle, exact):
    assert estimates.max_pairs(exact) == estimates.MAX_PAIRS
    conv = models.VAE(
        *networks.build("conv", (28, 28, 1), 2, posterior="normal", likelihood="bernoulli", filters=(64, 64))
    )
    widest = max(np.prod(layer.output.shape[1:]) for layer in conv.decoder.layers)
    assert widest >= 28 * 28 * 64
    assert estimates.max_pairs(conv) == estimates.MAX_ACTIVATIONS // widest
