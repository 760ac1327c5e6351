"""The mixture fitted to codes: closed forms, a known truth, and its place in a model."""

import keras
import numpy as np
import pytest
import scipy.special
import scipy.stats
import sklearn.mixture
import tensorflow as tf

from keras_vae import models, priors
from keras_vae.layers import IndependentDeterministic, IndependentNormal

RNG = np.random.default_rng(0)
MIXING = np.array([[2.0, 0.0, 0.0], [1.0, 0.5, 0.0], [0.0, -0.3, 0.1]])
CODES = RNG.normal(size=(500, 3)) @ MIXING.T + [5.0, -1.0, 100.0]
X = RNG.normal(size=(50, 4)).astype("float32")


def test_one_component_is_the_normal_of_mean_and_covariance():
    prior = priors.FittedMixture.fit(CODES, 1)
    # scikit-learn adds 1e-6 to the variances of scaled codes; float32 has seven digits.
    normal = scipy.stats.multivariate_normal(CODES.mean(axis=0), np.cov(CODES.T, bias=True))
    points = CODES[:20]
    np.testing.assert_allclose(prior().log_prob(np.float32(points)), normal.logpdf(points), atol=0.01)
    np.testing.assert_allclose(prior.loc[0], CODES.mean(axis=0), rtol=1e-6)
    covariance = np.float64(prior.scale_tril[0]) @ np.float64(prior.scale_tril[0]).T
    np.testing.assert_allclose(covariance, np.cov(CODES.T, bias=True), rtol=1e-3, atol=1e-5)


def test_density_against_scipy():
    prior = priors.FittedMixture.fit(CODES, 3, seed=1)
    logits, loc, tril = (np.float64(v) for v in (prior.logits, prior.loc, prior.scale_tril))
    points = np.float32(CODES[:20])
    components = [
        scipy.stats.multivariate_normal(m, t @ t.T).logpdf(points) for m, t in zip(loc, tril, strict=True)
    ]
    expected = scipy.special.logsumexp(np.array(components).T + scipy.special.log_softmax(logits), axis=1)
    np.testing.assert_allclose(prior().log_prob(points), expected, rtol=1e-4, atol=1e-2)


def test_clusters_are_found():
    """Two clusters far apart: their means, shares and covariances, within five standard errors."""
    first = RNG.normal(size=(3000, 2)) @ [[1.0, 0.8], [0.0, 0.6]] + [10.0, 0.0]
    second = 0.5 * RNG.normal(size=(1000, 2)) - [10.0, 0.0]
    prior = priors.FittedMixture.fit(np.concatenate([first, second]), 2)
    order = np.argsort(prior.loc[:, 0])[::-1]
    np.testing.assert_allclose(np.exp(np.array(prior.logits)[order]), [0.75, 0.25], rtol=1e-5)
    np.testing.assert_allclose(np.array(prior.loc)[order], [[10.0, 0.0], [-10.0, 0.0]], atol=0.1)
    tril = np.array(prior.scale_tril)[order]
    covariances = tril @ np.swapaxes(tril, 1, 2)
    np.testing.assert_allclose(covariances[0], [[1.0, 0.8], [0.8, 1.0]], atol=0.15)
    np.testing.assert_allclose(covariances[1], 0.25 * np.eye(2), atol=0.06)


def test_units_do_not_matter():
    """Codes of a thousandth, whose variances are no larger than what scikit-learn adds to them."""
    large, small = priors.FittedMixture.fit(CODES, 2), priors.FittedMixture.fit(CODES * 1e-3, 2)
    np.testing.assert_allclose(1e3 * np.array(small.loc), large.loc, rtol=1e-4)
    np.testing.assert_allclose(1e3 * np.array(small.scale_tril), large.scale_tril, rtol=1e-3, atol=1e-5)
    plain = sklearn.mixture.GaussianMixture(2, random_state=0).fit(CODES * 1e-3)
    assert np.mean(small().log_prob(np.float32(CODES * 1e-3))) > plain.score(CODES * 1e-3)


def test_a_dimension_that_never_moves():
    codes = np.stack([RNG.normal(size=100), np.full(100, 3.0)], axis=1)
    draws = priors.FittedMixture.fit(codes, 2)().sample(50, seed=(1, 2)).numpy()
    np.testing.assert_allclose(draws[:, 1], 3.0, atol=0.01)


def test_the_seed_decides():
    first, again, other = (priors.FittedMixture.fit(CODES, 5, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.loc, again.loc)
    assert not np.array_equal(first.loc, other.loc)


def test_draws_have_the_fitted_moments_and_shape():
    prior = priors.FittedMixture.fit(CODES.reshape([500, 3, 1]), 1)
    draws = prior().sample(4000, seed=(1, 2)).numpy()
    assert draws.shape == (4000, 3, 1)
    errors = 5 * CODES.std(axis=0) / np.sqrt(4000)
    assert np.all(np.abs(draws[:, :, 0].mean(axis=0) - CODES.mean(axis=0)) < errors)
    assert np.all(np.abs(np.cov(draws[:, :, 0].T) / np.cov(CODES.T) - 1)[[0, 1, 2], [0, 1, 2]] < 0.15)


def test_it_has_nothing_to_train():
    assert priors.FittedMixture(3, 2).trainable_variables == []
    assert len(priors.FittedMixture(3, 2).non_trainable_variables) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((CODES[:1], 1), "at least 2 codes"),
        ((CODES[:3], 4), "at least 4 codes"),
        ((CODES[:, 0], 1), "codes"),
        ((np.full([5, 2], np.nan), 1), "finite"),
        ((CODES, 0), "`num_components`"),
        ((CODES, 1.5), "`num_components`"),
        ((CODES, 1, -1), "`seed`"),
        ((CODES, 1, None), "`seed`"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        priors.FittedMixture.fit(*arguments)


def model(kind=models.Autoencoder, posterior=None, **kwargs):
    posterior = posterior or IndependentDeterministic(2)
    encoder = keras.Sequential([keras.Input((4,)), keras.layers.Dense(posterior.num_params), posterior])
    decoder = keras.Sequential([keras.Input((2,)), keras.layers.Dense(8), IndependentNormal(4)])
    return kind(encoder, decoder, seed=1, **kwargs)


def test_a_model_generates_from_its_codes():
    autoencoder = model()
    before = autoencoder.sample(5, seed=1)
    prior = autoencoder.fit_prior(X, num_components=1, batch_size=7)
    assert autoencoder.prior is prior
    codes = np.float64(autoencoder.encode(X).mean())
    np.testing.assert_allclose(prior.loc[0], codes.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(
        np.array(prior.scale_tril[0]), np.linalg.cholesky(np.cov(codes.T, bias=True)), atol=1e-4
    )
    assert not np.allclose(autoencoder.sample(5, seed=1), before)


def test_the_fitted_prior_is_saved(tmp_path):
    autoencoder = model()
    autoencoder.fit_prior(X, num_components=4)
    autoencoder.fit_prior(X, num_components=3)  # in the place of the first
    assert len(autoencoder.prior.variables) == 3
    assert sum(isinstance(layer, priors.Prior) for layer in autoencoder._flatten_layers()) == 1
    autoencoder.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.sample(5, seed=1), autoencoder.sample(5, seed=1))
    assert [v.shape for v in loaded.weights] == [v.shape for v in autoencoder.weights]
    again = type(autoencoder).from_config(autoencoder.get_config())
    again.set_weights(autoencoder.get_weights())
    np.testing.assert_array_equal(again.sample(5, seed=1), autoencoder.sample(5, seed=1))


def test_noisy_codes_are_drawn():
    """Codes of a normal posterior are draws: their variance is more than their means'."""
    vae = model(models.VAE, IndependentNormal(2))
    prior = vae.fit_prior(np.zeros_like(X), num_components=1, seed=3)
    scale = vae.encode(X[:1] * 0).stddev()[0]
    # 50 draws of one posterior: five standard errors of a deviation.
    np.testing.assert_allclose(tf.norm(prior.scale_tril[0], axis=1), scale, rtol=5 / np.sqrt(100))


def test_training_goes_on_after_a_fit_and_estimates_use_it():
    vae = model(models.VAE, IndependentNormal(2), prior=priors.NormalMixture(2, 2))
    vae.decoder.layers[0].kernel.assign(np.zeros([2, 8]))  # so that estimates are close to each other
    vae.compile(optimizer="adam", jit_compile=False)
    vae.fit(X, verbose=0)
    before = vae.elbo(X, seed=1)
    prior = vae.fit_prior(X, num_components=2)
    expected = -np.sum(list(vae.objective.parts(vae.terms(tf.constant(X), num_samples=400)).values()), axis=0)
    after = vae.elbo(X, num_samples=400, seed=1)
    assert not np.allclose(before, after, atol=0.1)
    np.testing.assert_allclose(np.mean(after), np.mean(expected), atol=0.2)
    fitted = [np.array(v) for v in prior.variables]
    weights = vae.encoder.get_weights()
    assert np.isfinite(vae.fit(X, verbose=0).history["loss"]).all()
    assert not np.array_equal(weights[0], vae.encoder.get_weights()[0])
    for value, variable in zip(fitted, prior.variables, strict=True):
        np.testing.assert_array_equal(value, variable)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x": X[:, :3]}, "`x`"),
        ({"x": X[:0]}, "`x`"),
        ({"x": X[:5]}, "at least 10 codes"),
        ({"x": X, "num_components": 0}, "`num_components`"),
        ({"x": X, "seed": 1.5}, "`seed`"),
        ({"x": X, "batch_size": 0}, "`batch_size`"),
    ],
)
def test_bad_arguments_of_a_model(arguments, message):
    autoencoder = model()
    prior = autoencoder.prior
    with pytest.raises(ValueError, match=message):
        autoencoder.fit_prior(**arguments)
    assert autoencoder.prior is prior


def test_training_resumes_from_a_file_with_a_fitted_prior(tmp_path):
    autoencoder = model(models.RegularizedAutoencoder)
    autoencoder.compile(optimizer="adam", run_eagerly=True)
    fit = {"batch_size": 25, "shuffle": False, "verbose": 0}
    autoencoder.fit(X, **fit)
    autoencoder.fit_prior(X, num_components=2)
    assert int(autoencoder.optimizer.iterations) == 2  # the optimizer is the one before
    autoencoder.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    expected = autoencoder.fit(X, **fit).history["loss"]
    np.testing.assert_allclose(loaded.fit(X, **fit).history["loss"], expected, rtol=1e-6)
