"""A linear-Gaussian model, whose log p(x) and posterior are known: every estimate must reach them.

p(z) = N(0, I), p(x|z) = N(W z + b, s^2 I) with orthogonal columns in W, so that the posterior
N(M^-1 W^T (x - b) / s^2, M^-1), M = I + W^T W / s^2, factorises (Tipping & Bishop, 1999).
"""

import warnings

import keras
import numpy as np
import pytest
import scipy.special
import scipy.stats
import tensorflow as tf

from keras_vae import models
from keras_vae.distributions.draws import fold_in
from keras_vae.divergences.pareto import pareto_k, tail_size
from keras_vae.layers.independent import IndependentNormal
from keras_vae.models import estimates

RNG = np.random.default_rng(5)
LATENT, SIZE = 2, 6
W = np.linalg.qr(RNG.normal(size=(SIZE, LATENT)))[0] * [2.0, 0.7]
B = RNG.normal(size=SIZE)
NOISE = 0.6
M = np.diag(1.0 + np.sum(W**2, axis=0) / NOISE**2)
MARGINAL = scipy.stats.multivariate_normal(B, W @ W.T + NOISE**2 * np.eye(SIZE))
X = MARGINAL.rvs(50, random_state=3).astype("float32")
LOG_PX = MARGINAL.logpdf(X.astype("float64"))
# Sums of a dozen float32 terms of up to about 20 nats.
NATS = 2e-5


@pytest.fixture(autouse=True)
def compile_nothing(without_xla):
    """Compiling takes longer than all the rest; one test of the log-likelihood does it."""
    with without_xla():
        yield


def raw_scale(scale):
    """The parameter that softplus makes into `scale`."""
    return np.log(np.expm1(scale))


def affine(inputs, size, name):
    layers = [keras.Input((inputs,)), keras.layers.Dense(2 * size), IndependentNormal(size)]
    return keras.Sequential(layers, name=name)


def linear(inputs, size, kernel, bias, scale, name):
    model = affine(inputs, size, name)
    kernel = np.concatenate([kernel, np.zeros_like(kernel)], axis=1)
    bias = np.concatenate([bias, raw_scale(np.broadcast_to(scale, [size]))])
    model.layers[0].set_weights([kernel, bias])
    return model


def build(widen=1.0, shift=0.0, **kwargs):
    """The model with its exact posterior, or with one whose scale and mean are off."""
    inverse = np.linalg.inv(M)
    kernel = W @ inverse / NOISE**2
    encoder = linear(SIZE, LATENT, kernel, shift - B @ kernel, widen * np.sqrt(np.diag(inverse)), "encoder")
    decoder = linear(LATENT, SIZE, W.T, B, NOISE, "decoder")
    return models.VAE(encoder, decoder, seed=1, **kwargs)


def gap(widen, shift):
    """KL(q || posterior) in closed form: what the bound lacks."""
    variance = np.diag(np.linalg.inv(M))
    return np.sum(0.5 * (widen**2 + shift**2 / variance - 1.0) - np.log(widen))


def test_importance_weights_of_the_exact_posterior_are_constant():
    log_weights = build().terms(tf.constant(X), num_samples=7).log_weights
    assert log_weights.shape == (7, len(X))
    np.testing.assert_allclose(log_weights, np.tile(LOG_PX, (7, 1)), atol=NATS)


@pytest.mark.parametrize(("num_samples", "jit"), [(1, False), (3, True), (1000, False)])
def test_log_likelihood_with_the_exact_posterior_is_exact(num_samples, jit, monkeypatch):
    monkeypatch.setattr(models.VAE, "jit_compile_by_default", lambda model: jit)
    estimate = build().log_likelihood(X, num_samples=num_samples, batch_size=32)
    assert estimate.shape == (len(X),)
    np.testing.assert_allclose(estimate, LOG_PX, atol=NATS)


def test_sampled_elbo_of_the_exact_posterior_is_log_px_for_every_draw():
    model = build(kl="sampled")
    model.compile(run_eagerly=True)
    assert model.evaluate(X, verbose=0, return_dict=True)["loss"] == pytest.approx(-LOG_PX.mean(), abs=NATS)


def test_elbo_of_the_exact_posterior_is_log_px():
    """Its reconstruction is averaged over draws: 4 standard errors of 20000 draws, estimated below."""
    model = build()
    elbo = model.elbo(X, num_samples=20_000, batch_size=10, seed=(1, 1))
    terms = model.terms(tf.constant(X), num_samples=500)
    error = np.std(terms.log_px, axis=0) / np.sqrt(20_000)
    assert np.all(np.abs(elbo - LOG_PX) < 4.5 * error)


@pytest.mark.parametrize(("widen", "shift"), [(1.5, 0.0), (1.0, 0.3), (0.7, -0.2)])
def test_elbo_lacks_the_divergence_from_the_posterior(widen, shift):
    model = build(widen, shift)
    elbo = model.elbo(X, num_samples=5000, batch_size=10, seed=(1, 1))
    # The mean over 50 examples of 5000 draws each, whose log p(x|z) has a standard deviation under 3 nats.
    np.testing.assert_allclose(np.mean(LOG_PX - elbo), gap(widen, shift), atol=4 * 3 / np.sqrt(50 * 5000))


def test_log_likelihood_rises_to_log_px_from_below():
    model = build(widen=1.3, shift=0.3)
    one, ten, many = (np.mean(model.log_likelihood(X, num_samples=n, seed=(1, n))) for n in (1, 10, 1000))
    assert one < ten - 0.1
    # Ten draws leave an error of about 0.3 an example, averaged over 50; 1000 draws of 0.03.
    assert ten < LOG_PX.mean() + 0.1
    assert many == pytest.approx(LOG_PX.mean(), abs=0.02)


def test_standard_error_and_effective_samples_tell_the_quality():
    seed = tf.constant([1, 2])
    exact = estimates.log_likelihood(build(), X, 200, 64, seed)
    np.testing.assert_allclose(exact.standard_error, 0.0, atol=1e-4)
    np.testing.assert_allclose(exact.effective_samples, 200.0, rtol=1e-4)
    rough = estimates.log_likelihood(build(widen=1.3, shift=0.3), X, 200, 64, seed)
    assert np.all((rough.effective_samples > 1.0) & (rough.effective_samples < 200.0))
    # Errors of the size they say: nearly all within four of them.
    assert np.mean(np.abs(rough.log_likelihood - LOG_PX) < 4.0 * rough.standard_error) > 0.95


def test_pareto_shape_tells_a_narrow_posterior():
    """A posterior whose scale is 0.4 of the true one gives weights with a tail of shape 1 - 0.4^2 = 0.84."""
    seed = tf.constant([1, 2])
    with pytest.warns(UserWarning, match="Pareto shape k above"):
        narrow = estimates.log_likelihood(build(widen=0.4), X, 2000, 50, seed)
    wide = estimates.log_likelihood(build(widen=1.3), X, 2000, 50, seed)
    assert narrow.pareto_k.shape == (50,)
    assert np.median(narrow.pareto_k) == pytest.approx(0.84, abs=0.12)  # of 50 fits of 135 draws each
    assert np.median(wide.pareto_k) < 0.3
    assert estimates.log_likelihood(build(), X, 10, 50, seed).pareto_k is None


@pytest.mark.parametrize("pairs", [1, 16, 10**6])
def test_pareto_shape_does_not_depend_on_chunks(monkeypatch, pairs):
    monkeypatch.setattr(estimates, "MAX_PAIRS", pairs)
    model = build(widen=0.5)
    seed = tf.constant([1, 2])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimate = estimates.log_likelihood(model, X[:3], 100, 3, seed)
    chunk = min(100, max(1, pairs // 3))
    last = 99 // chunk
    sizes = [(100 - last * chunk, last), *((chunk, i) for i in range(last))]
    draws = [
        model.estimate_terms(tf.constant(X[:3]), None, n, fold_in(fold_in(seed, 0), i)) for n, i in sizes
    ]
    log_weights = np.concatenate([terms.log_weights for terms in draws])
    largest = np.sort(log_weights, axis=0)[-tail_size(100) - 1 :]
    np.testing.assert_allclose(estimate.pareto_k, pareto_k(largest), atol=1e-3)


@pytest.mark.parametrize("pairs", [16, 100, 10**6])
def test_estimates_do_not_depend_on_how_they_are_cut_up(monkeypatch, pairs):
    """Chunks of draws of any size, and a rest, add up to the same: exact with the exact posterior."""
    monkeypatch.setattr(estimates, "max_pairs", lambda model: pairs)
    estimate = build().log_likelihood(X[:20], num_samples=10, batch_size=16)
    np.testing.assert_allclose(estimate, LOG_PX[:20], atol=NATS)


def test_log_likelihood_equals_a_manual_log_sum_exp():
    model = build(widen=1.3, shift=0.3)
    fold = tf.random.experimental.stateless_fold_in
    seed = tf.constant([4, 5])
    tf.config.run_functions_eagerly(True)  # since compiled programs draw otherwise
    try:
        estimate = model.log_likelihood(X, num_samples=50, seed=seed)
        # The seed is folded in twice: for the batch, then for the chunk of draws.
        terms = model.terms(tf.constant(X), num_samples=50, seed=fold(fold(seed, 0), 0))
        log_weights = np.float64(terms.log_px + terms.log_pz - terms.log_qz)
    finally:
        tf.config.run_functions_eagerly(False)
    np.testing.assert_array_equal(log_weights, terms.log_weights)
    expected = scipy.special.logsumexp(log_weights, axis=0) - np.log(50)
    np.testing.assert_allclose(estimate, expected, atol=1e-4)


def test_training_reaches_the_marginal_likelihood():
    """From a poor start, a model of the true kind comes back to the likelihood of the truth."""
    x = MARGINAL.rvs(1000, random_state=4).astype("float32")
    model = build(widen=1.5, shift=0.3)
    model.decoder.layers[0].set_weights([0.5 * weight for weight in model.decoder.layers[0].get_weights()])
    truth = MARGINAL.logpdf(x).mean()
    assert np.mean(model.log_likelihood(x, num_samples=100)) < truth - 0.5
    model.compile(optimizer=keras.optimizers.Adam(0.01))
    model.fit(x, batch_size=100, epochs=80, verbose=0)
    # Scales may depend on z here, so that 1000 examples can be overfitted by a few hundredths of a nat.
    result = np.mean(model.log_likelihood(x, num_samples=100))
    assert truth - 0.05 < result < truth + 0.05
