"""The sparse objective against NumPy."""

import numpy as np
import pytest
import scipy.special
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae import objectives, priors

tfd = tfp.distributions
CODES = np.random.default_rng(0).normal(size=(5, 2, 3)).astype("float32")
X = np.zeros([5, 1], "float32")


def table(sample_weight=None):
    """Codes of shape [2, 3] each, whose likelihood does not matter."""
    q = tfd.Independent(tfd.Deterministic(CODES), 2)

    def decode(z):
        return tfd.Independent(tfd.Normal(tf.zeros([tf.shape(z)[0], 1]), 1.0), 1)

    prior = priors.StandardNormal((2, 3))
    return objectives.Terms(X, None, q, prior, decode, 1, tf.constant([1, 2]), sample_weight=sample_weight)


def test_l1():
    parts = objectives.SparseReconstruction(0.7).parts(table())
    expected = 0.7 * np.abs(np.float64(CODES)).sum(axis=(1, 2))
    np.testing.assert_allclose(parts["weighted_sparsity"], expected, rtol=1e-6)


@pytest.mark.parametrize("sample_weight", [None, np.float32([1, 2, 0, 0.5, 3])])
def test_kl(sample_weight):
    objective = objectives.SparseReconstruction(0.7, "kl", 0.2)
    parts = objective.parts(table(sample_weight))
    mean = np.average(scipy.special.expit(np.float64(CODES)), axis=0, weights=sample_weight)
    kl = 0.2 * np.log(0.2 / mean) + 0.8 * np.log(0.8 / (1 - mean))
    np.testing.assert_allclose(parts["weighted_sparsity"], np.full(5, 0.7 * kl.sum()), rtol=1e-5)


def test_the_default_rate():
    assert objectives.SparseReconstruction(penalty="kl").rate == 0.05
    assert objectives.SparseReconstruction().rate is None


@pytest.mark.parametrize("rate", [0.0, 1.0, -0.1, 1.5, True, "0.1", float("nan")])
def test_rates_outside_are_refused(rate):
    with pytest.raises(ValueError, match=r"`rate`.*\(0, 1\)"):
        objectives.SparseReconstruction(penalty="kl", rate=rate)


def test_a_rate_without_its_penalty_is_refused():
    with pytest.raises(ValueError, match=r"`rate`.*penalty='kl'"):
        objectives.SparseReconstruction(penalty="l1", rate=0.1)


@pytest.mark.parametrize(("name", "value"), [("penalty", "l2"), ("penalty", None), ("weight", -1.0)])
def test_bad_arguments(name, value):
    with pytest.raises(ValueError, match=f"`{name}`"):
        objectives.SparseReconstruction(**{name: value})
