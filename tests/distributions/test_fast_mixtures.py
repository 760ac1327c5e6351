"""Multivariate normals and mixtures draw by a generator that is fast under XLA, and are those of TFP."""

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae import divergences, layers, priors
from keras_vae.distributions import (
    GumbelCategorical,
    MultivariateNormalDiag,
    MultivariateNormalTriL,
    deserialize_distribution,
    serialize_distribution,
)

tfd = tfp.distributions
SEED = tf.constant([3, 4])
COUNT = 50_000
LOC = np.float32([[1.0, -2.0], [0.0, 3.0]])
DIAG = np.float32([[0.5, 2.0], [1.0, 3.0]])
TRIL = np.float32([[[0.5, 0.0], [1.0, 2.0]], [[1.0, 0.0], [-2.0, 3.0]]])
LOGITS = np.float32([0.0, 1.0, -np.inf, 2.0])
NORMALS = {
    "diag": (MultivariateNormalDiag(LOC, DIAG), tfd.MultivariateNormalDiag(LOC, DIAG)),
    "tril": (MultivariateNormalTriL(LOC, TRIL), tfd.MultivariateNormalTriL(LOC, TRIL)),
}
EVERY_NORMAL = pytest.mark.parametrize(("ours", "theirs"), NORMALS.values(), ids=NORMALS)


@EVERY_NORMAL
def test_densities_and_moments_are_those_of_tfp(ours, theirs):
    x = np.random.default_rng(0).normal(size=(5, 2, 2)).astype("float32")
    np.testing.assert_array_equal(ours.log_prob(x), theirs.log_prob(x))
    for name in ("mean", "mode", "stddev", "covariance", "entropy"):
        np.testing.assert_array_equal(getattr(ours, name)(), getattr(theirs, name)(), err_msg=name)


def assert_moments(draws, mean, covariance):
    """To four standard errors of each; those of a covariance follow from the normal's fourth moments."""
    variances = np.diagonal(covariance, axis1=-2, axis2=-1)
    error = np.sqrt(variances / COUNT)
    np.testing.assert_array_less(np.abs(draws.mean(axis=0) - mean), 4.0 * error)
    centred = draws - mean
    found = np.einsum("nbi,nbj->bij", centred, centred) / COUNT
    error = np.sqrt((variances[:, :, None] * variances[:, None] + covariance**2) / COUNT)
    np.testing.assert_array_less(np.abs(found - covariance), 4.0 * error)


@EVERY_NORMAL
def test_draws_have_the_moments(ours, theirs):
    draws = ours.sample(COUNT, seed=SEED)
    assert draws.shape == (COUNT, 2, 2)
    assert_moments(np.float64(draws), np.float64(LOC), np.float64(theirs.covariance()))
    np.testing.assert_array_equal(ours.sample(COUNT, seed=SEED), draws)
    assert not np.array_equal(ours.sample(COUNT, seed=SEED + 1), draws)


@EVERY_NORMAL
def test_draws_of_every_shape(ours, theirs):
    for shape in ((), 3, (3, 4), (0,)):
        assert ours.sample(shape, seed=SEED).shape == theirs.sample(shape, seed=SEED).shape
    tf.random.set_seed(1)
    assert ours.sample(3).shape == ours.sample(3, seed=5).shape == (3, 2, 2)


@EVERY_NORMAL
def test_draws_are_reparameterised(ours, theirs):
    """The derivative of a draw by the mean is 1; of its squared length by a scale, that of the noise."""
    loc, scale = tf.Variable(LOC), tf.Variable(DIAG if "scale_diag" in ours.parameters else TRIL)
    with tf.GradientTape(persistent=True) as tape:
        draws = type(ours)(loc, scale).sample(seed=SEED)
    np.testing.assert_array_equal(tape.gradient(draws, loc), np.ones_like(LOC))
    noise = np.linalg.solve(np.float64(ours.scale.to_dense()), np.float64(draws - LOC)[..., None])[..., 0]
    expected = noise if scale.shape.rank == 2 else np.tril(noise[:, None].repeat(2, axis=1))
    np.testing.assert_allclose(tape.gradient(draws, scale), expected, rtol=1e-4, atol=1e-6)


@EVERY_NORMAL
def test_kl_is_registered_and_saved(ours, theirs):
    p = priors.StandardNormal(2)()
    expected = tfd.kl_divergence(theirs, tfd.MultivariateNormalDiag(tf.zeros(2), tf.ones(2)))
    np.testing.assert_allclose(divergences.kl_divergence(ours, p), expected, rtol=1e-6)
    again = deserialize_distribution(serialize_distribution(ours))
    assert type(again) is type(ours)
    np.testing.assert_array_equal(again.mean(), ours.mean())


def test_classes_are_drawn_with_their_probabilities():
    draws = GumbelCategorical(logits=np.stack([LOGITS, np.zeros(4, "float32")])).sample(COUNT, seed=SEED)
    assert draws.shape == (COUNT, 2) and draws.dtype == tf.int32
    for column, probs in enumerate((tf.nn.softmax(LOGITS).numpy(), np.full(4, 0.25))):
        counts = np.bincount(draws[:, column], minlength=4)
        possible = probs > 0.0
        assert not counts[~possible].any()
        expected = np.float64(probs[possible]) / np.float64(probs[possible]).sum() * COUNT
        assert scipy.stats.chisquare(counts[possible], expected).pvalue > 1e-3
    tf.random.set_seed(1)
    one = GumbelCategorical(logits=LOGITS)
    assert one.sample(3).shape == one.sample(3, seed=5).shape == one.sample(3, seed=SEED).shape == (3,)
    assert GumbelCategorical(logits=LOGITS, dtype=tf.float32).sample(seed=SEED).dtype == tf.float32


def mixtures():
    params = tf.constant(np.random.default_rng(0).normal(size=(2, 15)), tf.float32)
    prior = priors.NormalMixture(2, 3)
    prior.logits.assign([0.0, 1.0, -1.0])
    prior.raw_scale.assign(np.random.default_rng(1).normal(size=(3, 2)))
    codes = np.random.default_rng(2).normal(size=(50, 2)) @ [[1.0, 2.0], [0.0, 1.0]]
    return {
        "layer": layers.MixtureNormal(3, 2)(params),
        "layer of a layer": layers.MixtureSameFamily(3, layers.IndependentNormal(2))(params),
        "prior": prior(),
        "fitted": priors.FittedMixture.fit(codes, 2)(),
    }


@pytest.mark.parametrize("name", ["layer", "layer of a layer", "prior", "fitted"])
def test_mixtures_are_fast_and_have_their_moments(name):
    mixture = mixtures()[name]
    assert isinstance(mixture.mixture_distribution, GumbelCategorical)
    draws = np.float64(mixture.sample(COUNT, seed=SEED)).reshape(COUNT, -1, 2)
    mean = np.float64(mixture.mean()).reshape(-1, 2)
    covariance = np.float64(mixture.variance()).reshape(-1, 2)
    np.testing.assert_array_less(np.abs(draws.mean(axis=0) - mean), 4.0 * np.sqrt(covariance / COUNT))
    fourth = np.mean((draws - mean) ** 4, axis=0)
    error = np.sqrt((fourth - covariance**2) / COUNT)
    np.testing.assert_array_less(np.abs(np.mean((draws - mean) ** 2, axis=0) - covariance), 4.0 * error)


def slow_draws(distribution):
    """The operations of a draw that are not of the Philox algorithm, but for those that split seeds."""
    draw = tf.function(lambda seed: distribution.sample(3, seed=seed), autograph=False)
    slow = []
    for op in draw.get_concrete_function(SEED).graph.get_operations():
        named = op.type in ("StatelessRandomNormalV2", "StatelessRandomUniformV2")
        if named and tf.get_static_value(op.inputs[3]) != tf.random.Algorithm.PHILOX.value:
            slow.append(op.name)
        if op.type == "StatelessMultinomial":  # of no choice
            slow.append(op.name)
    return slow


def test_no_draw_is_left_to_the_default_generator():
    """On a CPU XLA runs the default algorithm some hundred times slower."""
    assert len(slow_draws(tfd.MixtureSameFamily(tfd.Categorical(LOGITS[:2]), NORMALS["diag"][1]))) == 2
    for distribution in (*mixtures().values(), *(ours for ours, _ in NORMALS.values())):
        assert slow_draws(distribution) == []
