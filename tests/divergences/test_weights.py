"""Weights of points: against float64 NumPy and SciPy, repeated points, and equal weights against none."""

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae.divergences import MMD, Sinkhorn, SlicedWasserstein, aggregate_covariance, mmd, sinkhorn
from keras_vae.divergences.checks import check_samples
from keras_vae.divergences.sinkhorn import sinkhorn_with_error
from keras_vae.divergences.sliced import sliced_wasserstein
from keras_vae.divergences.weights import normalized

tfd = tfp.distributions
RNG = np.random.default_rng(0)
N, D = 6, 2
X, Y = RNG.normal(size=(N, D)).astype("float32"), 1.0 + RNG.normal(size=(N, D)).astype("float32")
COUNTS = np.array([2, 0, 1, 3, 1, 1])
WEIGHTS = np.float32(0.7 * COUNTS)
SEED = tf.constant([1, 2])
DISTANCES = {
    "mmd": MMD(),
    "mmd biased": MMD("rbf", unbiased=False),
    "sinkhorn": Sinkhorn(0.5),
    "sliced": SlicedWasserstein(20),
    "sliced p=1": SlicedWasserstein(20, 1.0),
}
EVERY_DISTANCE = pytest.mark.parametrize("distance", DISTANCES.values(), ids=DISTANCES)


def measured(distance, x, weights=None):
    x = tf.Variable(x)
    with tf.GradientTape() as tape:
        value = distance.measure(x, Y, SEED, weights=weights)["divergence"]
    return float(value), tape.gradient(value, x).numpy()


@EVERY_DISTANCE
def test_equal_weights_are_none(distance):
    value, gradient = measured(distance, X)
    for weight in (1.0, 0.3):
        found, slope = measured(distance, X, np.full(N, weight, "float32"))
        assert found == pytest.approx(value, rel=1e-5, abs=1e-6)
        np.testing.assert_allclose(slope, gradient, rtol=1e-4, atol=1e-5)


@EVERY_DISTANCE
def test_points_without_weight_do_not_count(distance):
    value, gradient = measured(distance, X, WEIGHTS)
    moved = np.where(WEIGHTS[:, None] > 0.0, X, 2.0 * X + 1.0)
    assert measured(distance, moved, WEIGHTS)[0] == pytest.approx(value, rel=1e-5)
    assert not gradient[WEIGHTS == 0.0].any()
    assert np.abs(gradient[WEIGHTS > 0.0]).min() > 0.0
    assert value != pytest.approx(measured(distance, X)[0], rel=1e-2)


@EVERY_DISTANCE
def test_a_batch_that_counts_for_nothing_is_finite(distance):
    value, gradient = measured(distance, X, np.zeros(N, "float32"))
    assert value == pytest.approx(measured(distance, X)[0], rel=1e-5)
    assert np.isfinite(gradient).all()


@EVERY_DISTANCE
def test_weights_of_several_samples_at_once(distance):
    x, y = np.stack([X, Y]), np.stack([Y, X])
    weights = np.stack([WEIGHTS, WEIGHTS[::-1]])
    together = distance.measure(x, y, SEED, weights=weights)["divergence"]
    for i in range(2):
        alone = distance.measure(x[i], y[i], SEED, weights=weights[i])["divergence"]
        assert float(together[i]) == pytest.approx(float(alone), rel=1e-4, abs=1e-6)


@EVERY_DISTANCE
def test_weighted_distances_compile(distance):
    compiled = tf.function(lambda w: distance.measure(X, Y, SEED, weights=w), jit_compile=True)
    expected = float(distance.measure(X, Y, SEED, weights=WEIGHTS)["divergence"])
    if isinstance(distance, SlicedWasserstein):
        # Other draws, and so other directions: what is compiled is finite and of that size.
        assert float(compiled(WEIGHTS)["divergence"]) == pytest.approx(expected, rel=0.5)
    else:
        assert float(compiled(WEIGHTS)["divergence"]) == pytest.approx(expected, rel=1e-4, abs=1e-5)


def kernels(x, y):
    """One inverse multiquadratic of scale 1, in float64."""
    distances = np.sum((np.float64(x)[:, None] - np.float64(y)) ** 2, axis=-1)
    return 2.0 * D / (2.0 * D + distances)


@pytest.mark.parametrize("unbiased", [True, False])
def test_mmd_against_numpy(unbiased):
    pairs = np.outer(WEIGHTS, WEIGHTS).astype("float64")
    of_y = 1.0 - np.eye(N) if unbiased else np.ones((N, N))
    if unbiased:
        np.fill_diagonal(pairs, 0.0)
    expected = np.average(kernels(X, X), weights=pairs) + np.average(kernels(Y, Y), weights=of_y)
    expected -= 2.0 * np.average(kernels(X, Y), weights=np.outer(WEIGHTS, np.ones(N)))
    found = mmd(X, Y, scales=[1.0], unbiased=unbiased, weights=WEIGHTS)
    assert float(found) == pytest.approx(expected, rel=1e-4)


def test_one_point_with_all_the_weight_has_no_pairs():
    weights = np.eye(N, dtype="float32")[0]
    found = mmd(X, Y, scales=[1.0], weights=weights)
    assert float(found) == pytest.approx(float(mmd(X[:1], Y, scales=[1.0])), rel=1e-5)


@pytest.mark.parametrize("epsilon", [0.1, 1.0])
def test_sinkhorn_of_whole_weights_is_that_of_repeated_points(epsilon):
    options = {"epsilon": epsilon, "num_iterations": 2000, "tolerance": 1e-5}
    found = sinkhorn_with_error(X, Y, **options, weights=WEIGHTS)
    assert float(found.marginal_error) < 1e-4
    assert float(found.value) == pytest.approx(
        float(sinkhorn(X.repeat(COUNTS, axis=0), Y, **options)), rel=1e-4
    )


def test_sliced_in_one_dimension_against_scipy():
    x, y = X[:, :1], Y[:, :1]
    found = sliced_wasserstein(x, y, 5, SEED, 1.0, WEIGHTS)
    expected = scipy.stats.wasserstein_distance(x[:, 0], y[:, 0], WEIGHTS)
    assert float(found) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("p", [1.5, 2.0])
def test_sliced_of_whole_weights_is_that_of_repeated_points(p):
    """The points of y are repeated too, so that both samples have as many."""
    repeated = X.repeat(N * COUNTS, axis=0), Y.repeat(COUNTS.sum(), axis=0)
    expected = sliced_wasserstein(*repeated, 20, SEED, p)
    assert float(sliced_wasserstein(X, Y, 20, SEED, p, WEIGHTS)) == pytest.approx(float(expected), rel=1e-4)


@pytest.mark.parametrize("of_means", [True, False])
def test_covariance_against_numpy(of_means):
    scale = np.exp(RNG.normal(size=(N, D))).astype("float32")
    q = tfd.Independent(tfd.Normal(X, scale), 1)
    expected = np.cov(np.float64(X).T, aweights=WEIGHTS, bias=True)
    if not of_means:
        expected += np.diag(np.average(np.float64(scale) ** 2, axis=0, weights=WEIGHTS))
    np.testing.assert_allclose(aggregate_covariance(q, of_means, WEIGHTS), expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(
        aggregate_covariance(q, of_means, np.ones(N, "float32")), aggregate_covariance(q, of_means), rtol=1e-6
    )


def test_normalized_weights_are_a_measure():
    found = normalized(tf.constant([[1.0, 3.0], [0.0, 0.0]]))
    np.testing.assert_allclose(found, [[0.25, 0.75], [0.5, 0.5]])


@EVERY_DISTANCE
@pytest.mark.parametrize(
    ("x", "y", "weights", "name"),
    [
        (X, Y[:, :1], None, "y"),
        (X, np.tile(Y, (1, 2)), None, "y"),
        (X, Y[:, 0], None, "y"),
        (X[0], Y, None, "x"),
        (X, Y, WEIGHTS[:1], "weights"),
        (X, Y, WEIGHTS[:-1], "weights"),
        (X, Y, np.float32(1.0), "weights"),
        (X, Y, WEIGHTS[:, None], "weights"),
        (X, Y, -WEIGHTS, "weights"),
        (X, Y, np.where(WEIGHTS > 1.0, np.nan, WEIGHTS), "weights"),
    ],
)
def test_what_cannot_be_compared(distance, x, y, weights, name):
    with pytest.raises(ValueError, match=f"`{name}`"):
        distance.measure(x, y, SEED, weights=weights)


def test_sizes_that_a_graph_does_not_know_pass():
    signature = [tf.TensorSpec([None, None]), tf.TensorSpec(None), tf.TensorSpec([None])]
    checked = tf.function(lambda x, y, w: check_samples(x, y, w) or tf.shape(x), input_signature=signature)
    np.testing.assert_array_equal(checked(X, Y, WEIGHTS), X.shape)
