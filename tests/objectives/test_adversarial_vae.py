"""The critic of x beside the KL: who learns what, and the loss in features."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae import objectives, priors

from .critics import linear, terms_of

tfd = tfp.distributions
RNG = np.random.default_rng(0)
B, D, N, S = 6, 2, 3, 2
X = RNG.normal(size=(B, N)).astype("float32")
LOC, W = RNG.normal(size=(B, D)).astype("float32"), RNG.normal(size=(D, N)).astype("float32")
C = RNG.normal(size=N)


def table(loc=LOC, weights=W, num_samples=S):
    q = tfd.Independent(tfd.Normal(loc, 0.5), 1)
    return terms_of(
        q,
        x=tf.constant(X),
        decode=lambda z: tfd.Independent(tfd.Normal(z @ weights, 0.5), 1),
        num_samples=num_samples,
    )


def build(**kwargs):
    return objectives.AdversarialELBO(**{"critic": linear(C, 0.3), "num_samples": S, **kwargs})


def test_both_sides_against_numpy():
    terms, objective = table(), build(weight=2.0)
    reconstructed, generated = (np.float64(z) @ np.float64(W) @ C + 0.3 for z in (terms.z, terms.prior_z))
    adversarial = np.mean(np.logaddexp(0, -reconstructed) + np.logaddexp(0, -generated), axis=0)
    np.testing.assert_allclose(objective.parts(terms)["weighted_adversarial"], 2.0 * adversarial, rtol=1e-4)
    real = np.logaddexp(0, -(np.float64(X) @ C + 0.3))
    critic_loss = real + np.mean(np.logaddexp(0, reconstructed) + np.logaddexp(0, generated), axis=0)
    np.testing.assert_allclose(objective.critic_parts(terms)["critic_loss"], critic_loss, rtol=1e-4)


def test_rest_is_the_elbo():
    parts, plain = build().parts(table()), objectives.ELBO(num_samples=S).parts(table())
    for name in ("reconstruction", "kl"):
        np.testing.assert_array_equal(parts[name], plain[name])
    assert not np.any(build(weight=0.0).parts(table())["weighted_adversarial"])


def test_critic_reaches_the_decoder_and_not_the_encoder():
    """Larsen et al., Algorithm 1: the encoder sees R and KL; with weight = 1 / gamma the decoder's direction
    is that of gamma R + adversarial."""
    loc, weights, gamma = tf.Variable(LOC), tf.Variable(W), 5.0
    with tf.GradientTape(persistent=True) as tape:
        terms = table(loc, weights)
        parts = build(weight=1.0 / gamma).parts(terms)
        total = tf.add_n(list(parts.values()))
        bound = parts["reconstruction"] + parts["kl"]
        adversarial = parts["weighted_adversarial"]
        paper = gamma * parts["reconstruction"] + gamma * adversarial
    assert tape.gradient(adversarial, loc) is None
    np.testing.assert_array_equal(tape.gradient(total, loc), tape.gradient(bound, loc))
    ours, theirs = tape.gradient(total, weights), tape.gradient(paper, weights)
    np.testing.assert_allclose(gamma * ours, theirs, rtol=1e-4, atol=1e-4)
    # sum over both kinds of fakes of -sigmoid(-D) C z, by hand.
    expected = np.zeros([D, N])
    for z in (np.float64(terms.z), np.float64(terms.prior_z)):
        pull = -1.0 / (1.0 + np.exp(z @ np.float64(W) @ C + 0.3)) / S
        expected += np.einsum("sb,sbd,n->dn", pull, z, C)
    np.testing.assert_allclose(gamma * tape.gradient(adversarial, weights), expected, rtol=1e-4, atol=1e-5)


def test_feature_loss_against_numpy():
    critic = keras.Sequential(
        [
            keras.Input((N,)),
            keras.layers.Dense(4, "tanh", name="features"),
            keras.layers.Dense(1, name="score"),
        ]
    )
    kernel, bias = (np.float64(v) for v in critic.get_layer("features").weights)
    terms = table()
    f = lambda x: np.tanh(x @ kernel + bias)  # noqa: E731
    missed = f(np.float64(terms.z) @ np.float64(W)) - f(np.float64(X))
    expected = 0.5 * np.mean(np.sum(missed**2, axis=-1), axis=0)
    parts = build(critic=critic, feature_layer="features").parts(terms)
    np.testing.assert_allclose(parts["reconstruction"], expected, rtol=1e-4)


@pytest.mark.parametrize("name", ["hidden_7", 3])
def test_unknown_feature_layer(name):
    with pytest.raises(ValueError, match="argument `feature_layer`"):
        build(critic=(4,), feature_layer=name).parts(table())


def test_difference_of_scores_does_not_move_with_a_constant():
    """Two fakes for each real value: with more mass on one side, the critic's loss had no bound."""
    losses = [
        build(critic=linear(C, bias), adversarial_loss="wasserstein", gradient_penalty=1.0).critic_parts(
            table()
        )
        for bias in (0.3, 7.0)
    ]
    np.testing.assert_allclose(losses[0]["critic_loss"], losses[1]["critic_loss"], rtol=1e-4, atol=1e-4)
    terms = table()
    of_fakes = np.mean(np.concatenate([terms.z, terms.prior_z]).astype("float64") @ W @ C, axis=0)
    np.testing.assert_allclose(losses[0]["critic_loss"], of_fakes - np.float64(X) @ C, rtol=1e-4, atol=1e-4)


def test_critic_does_not_reach_the_prior():
    prior = priors.NormalMixture(D, 1)
    q = tfd.Independent(tfd.Normal(LOC, 0.5), 1)

    def decode(z):
        return tfd.Independent(tfd.Normal(z @ W, 0.5), 1)

    with tf.GradientTape() as tape:
        terms = terms_of(q, x=tf.constant(X), decode=decode, num_samples=S, prior=prior)
        adversarial = build().parts(terms)["weighted_adversarial"]
    assert prior.trainable_variables
    assert tape.gradient(adversarial, prior.trainable_variables) == [None] * len(prior.trainable_variables)
