"""The KL divergence of every pair of multivariate normals against float64 NumPy, and what is left without."""

import inspect
import re
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae import divergences, priors
from keras_vae.layers.tensor_coercible import coercible

tfd = tfp.distributions
B, D = 5, 3
RNG = np.random.default_rng(0)
LOC = RNG.normal(size=(B, D))
SCALE = np.exp(RNG.normal(size=(B, D)))
LOWER = np.tril(RNG.normal(size=(B, D, D)), -1) + SCALE[..., None] * np.eye(D)
PRIOR_LOC, PRIOR_SCALE = RNG.normal(size=D), np.exp(RNG.normal(size=D))
PRIOR_LOWER = np.tril(RNG.normal(size=(D, D)), -1) + PRIOR_SCALE[:, None] * np.eye(D)
DIAGONAL = SCALE[..., None] * np.eye(D)
PRIOR_DIAGONAL = PRIOR_SCALE[:, None] * np.eye(D)


def single(*values):
    return [tf.constant(value, tf.float32) for value in values]


def independent(loc, scale):
    return tfd.Independent(tfd.Normal(*single(loc, scale)), 1)


# A distribution, and its scale matrix.
POSTERIORS = {
    "Independent": (lambda: independent(LOC, SCALE), DIAGONAL),
    "MultivariateNormalDiag": (lambda: tfd.MultivariateNormalDiag(*single(LOC, SCALE)), DIAGONAL),
    "MultivariateNormalTriL": (lambda: tfd.MultivariateNormalTriL(*single(LOC, LOWER)), LOWER),
}
# A distribution, its mean and its scale matrix.
PRIORS = {
    "StandardNormal": (lambda: priors.StandardNormal(D)(), np.zeros(D), np.eye(D)),
    "Independent": (lambda: independent(PRIOR_LOC, PRIOR_SCALE), PRIOR_LOC, PRIOR_DIAGONAL),
    "MultivariateNormalDiag": (
        lambda: tfd.MultivariateNormalDiag(*single(PRIOR_LOC, PRIOR_SCALE)),
        PRIOR_LOC,
        PRIOR_DIAGONAL,
    ),
    "MultivariateNormalTriL": (
        lambda: tfd.MultivariateNormalTriL(*single(PRIOR_LOC, PRIOR_LOWER)),
        PRIOR_LOC,
        PRIOR_LOWER,
    ),
}
EVERY_POSTERIOR = pytest.mark.parametrize(("q", "scale"), POSTERIORS.values(), ids=POSTERIORS)
EVERY_PRIOR = pytest.mark.parametrize(("p", "mean", "prior_scale"), PRIORS.values(), ids=PRIORS)


def expected_kl(loc, scale, mean, prior_scale):
    """KL between multivariate normals, in float64."""
    inverse = np.linalg.inv(prior_scale)
    whitened, shift = inverse @ scale, (mean - loc) @ inverse.T
    traces = np.sum(whitened**2, axis=(-1, -2))
    log_det = np.linalg.slogdet(prior_scale)[1] - np.linalg.slogdet(scale)[1]
    return 0.5 * (traces + np.sum(shift**2, axis=-1) - loc.shape[-1]) + log_det


def test_every_public_divergence_has_a_test():
    tests = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parents[1].rglob("test_*.py"))
    for name in divergences.__all__:
        if inspect.isfunction(getattr(divergences, name)):
            assert re.search(rf"\b{name}\(", tests), name


@EVERY_POSTERIOR
@EVERY_PRIOR
@pytest.mark.parametrize("wrap", [lambda q: q, coercible], ids=["plain", "coercible"])
def test_kl_divergence_against_numpy(q, scale, p, mean, prior_scale, wrap):
    result = divergences.kl_divergence(wrap(q()), p())
    assert result.shape == (B,)
    np.testing.assert_allclose(result, expected_kl(LOC, scale, mean, prior_scale), rtol=1e-4, atol=1e-5)


@EVERY_PRIOR
def test_kl_divergence_from_itself_is_zero(p, mean, prior_scale):
    np.testing.assert_allclose(divergences.kl_divergence(p(), p()), 0.0, atol=1e-5)


def test_kl_divergence_of_any_batch_shape():
    q = tfd.Independent(tfd.Normal(tf.zeros([4, B, D]), 1.0), 1)
    assert divergences.kl_divergence(q, priors.StandardNormal(D)()).shape == (4, B)


def test_kl_divergence_of_images():
    loc = RNG.normal(size=(B, 2, 3)).astype("float32")
    q = tfd.Independent(tfd.Normal(loc, 1.0), 2)
    result = divergences.kl_divergence(q, priors.StandardNormal((2, 3))())
    np.testing.assert_allclose(result, 0.5 * np.sum(np.float64(loc) ** 2, axis=(1, 2)), rtol=1e-5)


def test_kl_divergence_at_the_smallest_and_largest_scales():
    """The scales at which the library's posteriors end, 1e-5 and 1e6, keep finite values and gradients."""
    scale = tf.Variable([[1e-5, 1e6, 1.0]])
    with tf.GradientTape() as tape:
        kl = divergences.kl_divergence(tfd.Independent(tfd.Normal(0.0, scale), 1), priors.StandardNormal(3)())
    expected = expected_kl(np.zeros((1, 3)), np.diag([1e-5, 1e6, 1.0])[None], np.zeros(3), np.eye(3))
    np.testing.assert_allclose(kl, expected, rtol=1e-5)
    assert np.isfinite(tape.gradient(kl, scale)).all()


def test_kl_divergence_gradient():
    loc, scale = tf.Variable(LOC, dtype=tf.float32), tf.Variable(SCALE, dtype=tf.float32)
    with tf.GradientTape() as tape:
        q = tfd.Independent(tfd.Normal(loc, scale), 1)
        kl = divergences.kl_divergence(q, tfd.MultivariateNormalDiag(tf.zeros(D), tf.ones(D)))
    gradients = tape.gradient(kl, [loc, scale])
    np.testing.assert_allclose(gradients[0], LOC, rtol=1e-5)
    np.testing.assert_allclose(gradients[1], SCALE - 1.0 / SCALE, rtol=1e-4, atol=1e-5)


NO_CLOSED_FORM = {
    "mixture": lambda: priors.NormalMixture(D, 2)(),
    "student": lambda: tfd.Independent(tfd.StudentT(4.0, tf.zeros(D), 1.0), 1),
    "flow": lambda: tfd.TransformedDistribution(priors.StandardNormal(D)(), tfp.bijectors.Shift(1.0)),
}


@pytest.mark.parametrize("p", NO_CLOSED_FORM.values(), ids=NO_CLOSED_FORM)
def test_no_closed_form(p):
    q = independent(LOC, SCALE)
    assert divergences.exact_kl_or_none(q, p()) is None
    with pytest.raises(NotImplementedError, match="Independent"):
        divergences.kl_divergence(q, p())


def test_exact_kl_or_none_is_the_kl_divergence_where_known():
    q, p = independent(LOC, SCALE), priors.StandardNormal(D)()
    np.testing.assert_array_equal(divergences.exact_kl_or_none(q, p), divergences.kl_divergence(q, p))


@pytest.mark.parametrize("name", ["Independent", "MultivariateNormalDiag"])
@pytest.mark.parametrize("prior_name", ["StandardNormal", "Independent", "MultivariateNormalDiag"])
def test_kl_per_dimension_adds_up(name, prior_name):
    q, p = POSTERIORS[name][0](), PRIORS[prior_name][0]()
    per_dimension = divergences.kl_per_dimension(q, p)
    assert per_dimension.shape == (B, D)
    total = tf.reduce_sum(per_dimension, axis=1)
    np.testing.assert_allclose(total, divergences.kl_divergence(q, p), rtol=1e-5)
    assert np.all(per_dimension >= -1e-6)


def test_kl_per_dimension_of_coercible_posteriors_and_images():
    q = coercible(tfd.Independent(tfd.Normal(tf.ones([B, 2, 3]), 1.0), 2))
    per_dimension = divergences.kl_per_dimension(q, priors.StandardNormal((2, 3))())
    np.testing.assert_allclose(per_dimension, np.full((B, 2, 3), 0.5), rtol=1e-6)


@pytest.mark.parametrize("p", NO_CLOSED_FORM.values(), ids=NO_CLOSED_FORM)
def test_kl_per_dimension_is_none_without_factors(p):
    assert divergences.kl_per_dimension(independent(LOC, SCALE), p()) is None


def test_kl_per_dimension_is_none_for_correlated_latents():
    q = POSTERIORS["MultivariateNormalTriL"][0]()
    assert divergences.kl_per_dimension(q, priors.StandardNormal(D)()) is None


def test_kl_per_dimension_is_none_for_factors_that_are_vectors():
    """Independent rows of correlated numbers have no divergence per number."""
    rows = tfd.Independent(tfd.MultivariateNormalDiag(tf.zeros([B, 4, D]), tf.ones(D)), 1)
    result = divergences.kl_per_dimension(rows, rows)
    assert result is None or result.shape == (B, 4, D)


def test_log_probs_per_dimension_add_up():
    q, p = independent(LOC, SCALE), independent(PRIOR_LOC, PRIOR_SCALE)
    z = q.sample(4, seed=(1, 2))
    log_q, log_p = divergences.log_probs_per_dimension(q, p, z)
    assert log_q.shape == log_p.shape == (4, B, D)
    np.testing.assert_allclose(tf.reduce_sum(log_q, axis=-1), q.log_prob(z), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(tf.reduce_sum(log_p, axis=-1), p.log_prob(z), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("p", [*NO_CLOSED_FORM.values(), POSTERIORS["MultivariateNormalTriL"][0]])
def test_log_probs_per_dimension_are_none_without_factors(p):
    known = divergences.log_probs_per_dimension(independent(LOC, SCALE), p(), tf.zeros([B, D]))
    # Independent t distributions factorise, though their KL has no closed form.
    assert (known is None) == (p is not NO_CLOSED_FORM["student"])
