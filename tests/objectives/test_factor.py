"""The FactorVAE's total correlation, against that of correlated normals."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae import objectives

from .critics import linear, terms_of, train_critic

tfd = tfp.distributions
RHO = 0.8
TC = -0.5 * np.log(1.0 - RHO**2)  # -1/2 log det R
COVARIANCE = np.array([[4.0, 2.0 * RHO], [2.0 * RHO, 1.0]])


def correlated(count):
    scale = np.tile(np.linalg.cholesky(COVARIANCE), (count, 1, 1)).astype("float32")
    return tfd.MultivariateNormalTriL(tf.zeros([count, 2]), scale)


def independent(count):
    return tfd.Independent(tfd.Normal(tf.zeros([count, 2]), [2.0, 1.0]), 1)


@pytest.mark.parametrize(("q", "truth"), [(correlated, TC), (independent, 0.0)])
def test_trained_critic_estimates_the_total_correlation(q, truth):
    """0.51 nats, and 0 for what factorises; the critic never sees a closed form."""
    keras.utils.set_random_seed(0)
    objective = objectives.FactorELBO(critic=(32, 32))
    train_critic(objective, q(512), steps=400, rate=0.01)
    terms = terms_of(q(50_000), seed=(9, 9))
    estimate = np.mean(objective.monitors(terms)["total_correlation"])
    # The log-ratio's standard deviation is about 0.8, so the error of the mean is 0.004; the rest is the
    # critic's, which small networks trained on 200,000 draws know to a few hundredths.
    assert estimate == pytest.approx(truth, abs=0.04)
    # The critic's loss falls from log 4 as the Jensen-Shannon divergence of the two rises from 0.
    critic_loss = np.mean(objective.critic_parts(terms)["critic_loss"])
    if truth == 0.0:
        assert critic_loss == pytest.approx(np.log(4.0), abs=0.01)
    else:
        assert critic_loss < np.log(4.0) - 0.1


def test_gamma_of_zero_is_the_elbo():
    terms = terms_of(independent(6))
    parts = objectives.FactorELBO(gamma=0.0).parts(terms)
    plain = objectives.ELBO().parts(terms_of(independent(6)))
    assert not np.any(parts["weighted_tc"])
    for name in ("reconstruction", "kl"):
        np.testing.assert_array_equal(parts[name], plain[name])


def test_total_correlation_is_the_mean_score():
    terms = terms_of(correlated(6), num_samples=3)
    objective = objectives.FactorELBO(gamma=5.0, critic=linear([1.0, -2.0], 0.5), num_samples=3)
    expected = np.mean(np.float64(terms.z) @ [1.0, -2.0] + 0.5, axis=0)
    np.testing.assert_allclose(objective.monitors(terms)["total_correlation"], expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(objective.parts(terms)["weighted_tc"], 5.0 * expected, rtol=1e-5, atol=1e-6)


def test_fakes_are_the_draws_shuffled():
    terms = terms_of(correlated(20_000), num_samples=2)
    real, fakes = objectives.FactorELBO(num_samples=2).compared(terms)
    real, fakes = (np.reshape(values, [-1, 2]) for values in (real, fakes))
    np.testing.assert_array_equal(np.sort(fakes, axis=0), np.sort(real, axis=0))
    assert np.corrcoef(real.T)[0, 1] == pytest.approx(RHO, abs=0.02)
    assert np.corrcoef(fakes.T)[0, 1] == pytest.approx(0.0, abs=0.02)  # four standard errors
