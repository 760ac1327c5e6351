"""The plain and the denoising objective of autoencoders, and what they refuse."""

import keras
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from keras_vae import models, objectives, priors
from keras_vae.layers import IndependentDeterministic, IndependentNormal

X = np.random.default_rng(0).normal(size=(6, 3)).astype("float32")


def networks(posterior=None):
    posterior = posterior or IndependentDeterministic(2)
    encoder = keras.Sequential([keras.Input((3,)), keras.layers.Dense(posterior.num_params), posterior])
    decoder = keras.Sequential([keras.Input((2,)), keras.layers.Dense(6), IndependentNormal(3)])
    return encoder, decoder


def test_against_scipy():
    model = models.Autoencoder(*networks())
    (kernel, bias), (out, out_bias) = (
        [np.float64(w) for w in network.layers[0].get_weights()] for network in (model.encoder, model.decoder)
    )
    loc, raw = np.split((np.float64(X) @ kernel + bias) @ out + out_bias, 2, axis=1)
    scale = np.sqrt(np.logaddexp(0.0, raw) ** 2 + 1e-10)
    expected = -scipy.stats.norm.logpdf(X, loc, scale).sum(axis=1)
    parts = model.objective.parts(model.terms(tf.constant(X)))
    np.testing.assert_allclose(parts["reconstruction"], expected, rtol=1e-5)


def test_is_the_elbo_without_its_kl():
    model = models.Autoencoder(*networks(IndependentNormal(2)), num_samples=3, seed=1)
    terms = model.terms(tf.constant(X))
    expected = objectives.ELBO(num_samples=3).parts(terms)["reconstruction"]
    np.testing.assert_array_equal(model.objective.parts(terms)["reconstruction"], expected)


def test_draws_of_a_deterministic_code_are_refused():
    with pytest.raises(ValueError, match=r"`num_samples`.*deterministic"):
        models.Autoencoder(*networks(), num_samples=2)


def test_a_prior_that_would_not_train_is_refused():
    with pytest.raises(ValueError, match=r"`prior`.*fit_prior"):
        models.Autoencoder(*networks(), prior=priors.NormalMixture(2, 3))
    fixed = priors.NormalMixture(2, 3)
    fixed.trainable = False
    assert models.Autoencoder(*networks(), prior=fixed).prior is fixed


def losses(model, x):
    model.compile(optimizer=keras.optimizers.SGD(0.0), run_eagerly=True)
    return [model.evaluate(x, batch_size=3, verbose=0, return_dict=True)["loss"] for _ in range(2)]


def test_without_noise_denoising_is_the_autoencoder():
    encoder, decoder = networks()
    plain = losses(models.Autoencoder(encoder, decoder), X)
    for corruption in ("masking:0", "gaussian:0", "salt-and-pepper:0"):
        assert losses(models.DenoisingAutoencoder(encoder, decoder, corruption=corruption), X) == plain


def test_the_encoder_sees_noise_and_the_likelihood_does_not():
    """All inputs but the largest share are hidden, so nearly every code is that of x = 0."""
    encoder, decoder = networks()
    model = models.DenoisingAutoencoder(encoder, decoder, corruption="masking:0.9999999")
    first, second = losses(model, X)
    p = decoder(encoder(np.zeros_like(X)).mean())
    assert first == pytest.approx(-float(np.mean(p.log_prob(X))), rel=1e-5)
    assert first == second


def test_noise_of_training_changes_with_the_step():
    model = models.DenoisingAutoencoder(*networks(), corruption="gaussian:1.0", seed=3)
    model.compile(optimizer=keras.optimizers.SGD(0.0), run_eagerly=True)
    losses = model.fit(X, epochs=3, batch_size=6, shuffle=False, verbose=0).history["loss"]
    assert len(set(losses)) == 3


def test_unknown_corruption():
    with pytest.raises(ValueError, match=r"`corruption`.*Did you mean 'masking'"):
        models.DenoisingAutoencoder(*networks(), corruption="maskin:0.3")
