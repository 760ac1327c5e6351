"""The critic's Wasserstein distance, against that of normals of equal covariance: of their means."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae import objectives

from .critics import linear, terms_of, train_critic

tfd = tfp.distributions
MEAN = np.array([1.8, -2.4])  # of length 3
DISTANCE = 3.0


def shifted(count):
    return tfd.Independent(tfd.Normal(tf.tile(tf.constant(MEAN[np.newaxis], tf.float32), [count, 1]), 1.0), 1)


@pytest.mark.parametrize(
    ("arguments", "expected", "tolerance"),
    # The slope s that maximises s W - P (s - 1)^2 is 1 + W / (2 P): the penalty P holds it softly. Spectral
    # norms hold it at 1, and the network must become linear.
    [
        ({"gradient_penalty": 30.0}, DISTANCE * (1.0 + DISTANCE / 60.0), 0.02),
        ({"gradient_penalty": 0.0, "spectral_norm": True}, DISTANCE, 0.05),
    ],
    ids=["gradient_penalty", "spectral_norm"],
)
def test_trained_critic_gives_the_distance_of_the_means(arguments, expected, tolerance):
    keras.utils.set_random_seed(0)
    objective = objectives.AdversarialWasserstein(critic=(32, 32), **arguments)
    train_critic(objective, shifted(256), steps=400, rate=0.005)
    terms = terms_of(shifted(50_000), seed=(9, 9))
    estimate = np.mean(objective.monitors(terms)["divergence"])
    # Scores have a standard deviation of 1, so the error of the mean is 0.006.
    assert estimate == pytest.approx(expected, rel=tolerance)
    if objective.spectral_norm:
        assert estimate < DISTANCE + 0.03
    critic_loss = np.mean(objective.critic_parts(terms)["critic_loss"])
    assert critic_loss == pytest.approx(-estimate, rel=1e-3)


def test_the_best_critic_of_shifted_normals():
    """D(z) = -m z / |m| is 1-Lipschitz and attains the distance."""
    objective = objectives.AdversarialWasserstein(weight=2.0, critic=linear(-MEAN / DISTANCE, 7.0))
    terms = terms_of(shifted(100_000))
    assert np.mean(objective.parts(terms)["weighted_divergence"]) == pytest.approx(2.0 * DISTANCE, abs=0.04)
    np.testing.assert_allclose(objective.critic_parts(terms)["critic_gradient_penalty"], 0.0, atol=1e-8)


def test_critic_without_bound_is_refused():
    with pytest.raises(ValueError, match="spectral_norm=True"):
        objectives.AdversarialWasserstein(gradient_penalty=0.0)
    objectives.AdversarialWasserstein(gradient_penalty=0.0, critic=linear(MEAN))
