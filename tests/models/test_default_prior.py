"""The prior where none is named, by what the posterior draws."""

import numpy as np
import pytest

from keras_vae import models, priors
from keras_vae.layers import IndependentBernoulli, IndependentNormal

from .cases import LATENT_SIZE, data, decoder, encoder


@pytest.mark.parametrize("kind", [models.VAE, models.BetaVAE])
def test_bits_get_fair_coins(kind):
    model = kind.create((4,), 3, hidden=(3,), posterior="bernoulli")
    assert isinstance(model.prior, priors.Bernoulli)
    # log 1/2 of every bit, whatever the draw.
    np.testing.assert_allclose(model.prior().log_prob([0.0, 1.0, 1.0]), -3.0 * np.log(2.0), rtol=1e-6)
    again = kind.from_config(model.get_config())
    assert isinstance(again.prior, priors.Bernoulli)
    assert np.isfinite(model.elbo(np.ones((5, 4)))).all()


def test_however_the_encoder_was_made():
    bits = encoder(IndependentBernoulli(LATENT_SIZE))
    assert isinstance(models.VAE(bits, decoder()).prior, priors.Bernoulli)
    assert isinstance(models.IWAE(bits, decoder(), gradient="vimco").prior, priors.Bernoulli)


def test_others_get_the_standard_normal():
    model = models.VAE(encoder(IndependentNormal(LATENT_SIZE)), decoder())
    assert isinstance(model.prior, priors.StandardNormal)


def test_a_prior_that_is_named_stays():
    prior = priors.Bernoulli(3, 0.2, learned=True)
    assert models.VAE.create((4,), 3, hidden=(3,), posterior="bernoulli", prior=prior).prior is prior


def test_the_exact_kl_to_fair_coins():
    """Of a bit with probability p it is log 2 less the entropy of p."""
    model = models.VAE(encoder(IndependentBernoulli(LATENT_SIZE)), decoder(), seed=1)
    x = data(5)
    p = np.float64(model.encode(x).mean())
    expected = np.sum(np.log(2.0) + p * np.log(p) + (1.0 - p) * np.log(1.0 - p), axis=1)
    np.testing.assert_allclose(model.objective.parts(model.terms(x))["kl"], expected, rtol=1e-3, atol=1e-6)
