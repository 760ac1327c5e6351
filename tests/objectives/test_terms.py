"""The table of terms: shapes, values against NumPy, and each computed at most once."""

from collections import Counter

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae import objectives, priors
from keras_vae.objectives.terms import merge_samples

tfd = tfp.distributions
RNG = np.random.default_rng(0)
S, B, D, N = 3, 5, 2, 4
LOC, SCALE = RNG.normal(size=(B, D)).astype("float32"), np.exp(RNG.normal(size=(B, D))).astype("float32")
X = RNG.normal(size=(B, N)).astype("float32")
W = RNG.normal(size=(D, N)).astype("float32")
SEED = tf.constant([1, 2])


def normal_log_prob(x, loc, scale):
    x, loc, scale = (np.float64(value) for value in (x, loc, scale))
    return np.sum(-0.5 * ((x - loc) / scale) ** 2 - np.log(scale) - 0.5 * np.log(2 * np.pi), axis=-1)


def posterior():
    return tfd.Independent(tfd.Normal(LOC, SCALE), 1)


def decode(z):
    return tfd.Independent(tfd.Normal(z @ W, 0.5), 1)


def table(num_samples=S, q=None, prior=None, x=X, decoder=decode, **kwargs):
    prior = prior or priors.StandardNormal(D)
    return objectives.Terms(
        tf.constant(x), None, q or posterior(), prior, decoder, num_samples, SEED, **kwargs
    )


@pytest.mark.parametrize("num_samples", [1, S])
def test_shapes(num_samples):
    terms = table(num_samples)
    assert terms.x.shape == (B, N)
    assert terms.z.shape == (num_samples, B, D)
    assert terms.p.batch_shape == (num_samples * B,)
    for name in ("log_px", "log_qz", "log_pz", "log_weights"):
        assert getattr(terms, name).shape == (num_samples, B), name
    assert terms.exact_kl.shape == terms.sampled_kl.shape == (B,)
    for mode in ("auto", "exact", "sampled"):
        assert terms.kl(mode).shape == (B,)


def test_shapes_are_known_when_the_batch_is_not():
    seen = []

    @tf.function(input_signature=[tf.TensorSpec([None, N])])
    def trace(x):
        q = tfd.Independent(tfd.Normal(x[:, :D], 1.0), 1)
        terms = objectives.Terms(x, None, q, priors.StandardNormal(D), decode, S, SEED)
        seen.extend([terms.z.shape.as_list(), terms.log_px.shape.rank, terms.log_weights.shape.rank])
        return terms.log_weights

    assert trace(X).shape == (S, B)
    assert seen == [[S, None, D], 2, 2]


@pytest.mark.parametrize("num_samples", [1, S])
def test_log_densities(num_samples):
    terms = table(num_samples)
    z = np.float64(terms.z)
    log_px = normal_log_prob(X, z @ np.float64(W), 0.5)
    log_qz = normal_log_prob(z, LOC, SCALE)
    log_pz = normal_log_prob(z, 0.0, 1.0)
    np.testing.assert_allclose(terms.log_px, log_px, rtol=1e-5)
    np.testing.assert_allclose(terms.log_qz, log_qz, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(terms.log_pz, log_pz, rtol=1e-5)
    np.testing.assert_allclose(terms.log_weights, log_px + log_pz - log_qz, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(terms.sampled_kl, np.mean(log_qz - log_pz, axis=0), rtol=1e-4, atol=1e-5)


def test_latents_and_data_of_any_event_shape():
    q = tfd.Independent(tfd.Normal(tf.zeros([B, 2, 3]), 1.0), 2)

    def decoder(z):
        assert z.shape[1:] == (2, 3)
        return tfd.Independent(tfd.Normal(tf.tile(z[..., None], [1, 1, 1, 4]), 1.0), 3)

    x = RNG.normal(size=(B, 2, 3, 4)).astype("float32")
    terms = table(S, q, priors.StandardNormal((2, 3)), x, decoder)
    assert terms.z.shape == (S, B, 2, 3)
    expected = normal_log_prob(x, np.float64(terms.z)[..., None], 1.0).sum(axis=(-1, -2))
    np.testing.assert_allclose(terms.log_px, expected, rtol=1e-5)
    assert terms.exact_kl.shape == (B,)


def test_samples_are_merged_draw_by_draw():
    value = tf.reshape(tf.range(S * B * D), [S, B, D])
    np.testing.assert_array_equal(merge_samples(value), np.arange(S * B * D).reshape(S * B, D))
    assert merge_samples(tf.zeros([S, B])).shape == (S * B,)


def test_draws_are_reproduced_and_reparameterised():
    loc = tf.Variable(LOC)
    with tf.GradientTape() as tape:
        first = table(q=tfd.Independent(tfd.Normal(loc, SCALE), 1)).z
    np.testing.assert_array_equal(first, table().z)
    np.testing.assert_allclose(tape.gradient(first, loc), np.full((B, D), S))


def test_every_term_is_computed_at_most_once(monkeypatch):
    calls = Counter()

    class Counted(tfd.Normal):
        def _sample_n(self, n, seed=None):
            calls["sample"] += 1
            return super()._sample_n(n, seed=seed)

        def _log_prob(self, x):
            calls["log_qz"] += 1
            return super()._log_prob(x)

    class CountedPrior(priors.StandardNormal):
        def distribution(self):
            calls["prior"] += 1
            return super().distribution()

    def counted_decode(z):
        calls["decode"] += 1
        return decode(z)

    divergence = tfd.kl_divergence

    def counted_divergence(*args, **kwargs):
        calls["kl"] += 1
        return divergence(*args, **kwargs)

    monkeypatch.setattr(tfd, "kl_divergence", counted_divergence)
    q = tfd.Independent(Counted(LOC, SCALE), 1)
    terms = table(q=q, prior=CountedPrior(D), decoder=counted_decode)
    for _ in range(3):
        terms.kl("auto"), terms.kl("exact"), terms.kl("sampled"), terms.log_weights, terms.log_px, terms.p
    assert calls == {"sample": 1, "log_qz": 1, "prior": 1, "decode": 1, "kl": 1}


def test_nothing_is_computed_before_it_is_asked_for():
    def decoder(z):
        raise AssertionError

    terms = table(decoder=decoder)
    assert terms.kl().shape == (B,)


def test_terms_at_other_latents():
    """Everything of z anew, and the first table as it was."""
    terms = table()
    first = terms.log_weights
    other = terms.at(2.0 * terms.z)
    z = 2.0 * np.float64(terms.z)
    np.testing.assert_allclose(other.log_px, normal_log_prob(X, z @ np.float64(W), 0.5), rtol=1e-5)
    np.testing.assert_allclose(other.log_qz, normal_log_prob(z, LOC, SCALE), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(other.log_pz, normal_log_prob(z, 0.0, 1.0), rtol=1e-5)
    assert terms.log_weights is first


def test_kl_modes():
    terms = table()
    np.testing.assert_array_equal(terms.kl("auto"), terms.exact_kl)
    np.testing.assert_array_equal(terms.kl("exact"), terms.exact_kl)
    np.testing.assert_array_equal(terms.kl("sampled"), terms.sampled_kl)
    mixture = table(prior=priors.NormalMixture(D, 3))
    assert mixture.exact_kl is None
    np.testing.assert_array_equal(mixture.kl("auto"), mixture.sampled_kl)
    with pytest.raises(ValueError, match="`kl`"):
        mixture.kl("exact")


def test_sampled_kl_tends_to_the_exact_kl():
    terms = table(num_samples=40_000)
    error = np.std(terms.log_qz - terms.log_pz, axis=0) / np.sqrt(40_000)
    assert np.all(np.abs(terms.sampled_kl - terms.exact_kl) < 4.5 * error)
    assert np.all(error < 0.05)


def test_data_of_another_precision():
    """x of float64, NumPy's default, under a float32 likelihood."""
    expected = table().log_px
    terms = table(x=X.astype("float64"))
    terms.z = table().z
    np.testing.assert_allclose(terms.log_px, expected, rtol=1e-6)
