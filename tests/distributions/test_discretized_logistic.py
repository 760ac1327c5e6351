"""DiscretizedLogistic against its definition in float64."""

import numpy as np
import pytest
import scipy.special
import scipy.stats
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae.distributions import DiscretizedLogistic

tfd = tfp.distributions

RNG = np.random.default_rng(0)
X = np.arange(256.0)


def log_mass(x, loc, scale, low=0, high=255):
    """log(sigmoid(a) - sigmoid(b)) from whichever side of the centre keeps the digits."""
    a, b = (x + 0.5 - loc) / scale, (x - 0.5 - loc) / scale
    a, b = np.where(x >= high, np.inf, a), np.where(x <= low, -np.inf, b)
    # Of both tails, the one that has its numbers near 0 and not near 1.
    upper, lower = np.where(a + b > 0, -b, a), np.where(a + b > 0, -a, b)
    log_upper, log_lower = -np.logaddexp(0, -upper), -np.logaddexp(0, -lower)
    with np.errstate(divide="ignore"):
        return log_upper + np.log(-np.expm1(log_lower - log_upper))


PARAMETERS = {
    "usual": (RNG.uniform(0, 255, 50), np.exp(RNG.uniform(-1, 4, 50))),
    "narrow": (RNG.uniform(0, 255, 50), np.full(50, 1.3e-3)),
    "wide": (RNG.uniform(-1000, 1000, 50), np.exp(RNG.uniform(4, 16, 50))),
    "outside": (np.concatenate([RNG.uniform(-2000, -10, 25), RNG.uniform(265, 2000, 25)]), np.full(50, 3.0)),
}

all_parameters = pytest.mark.parametrize("loc, scale", PARAMETERS.values(), ids=PARAMETERS)


def make(loc, scale, *args, **kwargs):
    return DiscretizedLogistic(loc.astype("float32"), scale.astype("float32"), *args, **kwargs)


def as_float32(*arrays):
    return [array.astype("float32").astype(float) for array in arrays]


@all_parameters
def test_log_prob(loc, scale):
    received = make(loc, scale).log_prob(X[:, None])
    loc, scale = as_float32(loc, scale)
    assert np.isfinite(received).all()
    # x - loc is rounded to the spacing of floats at |loc| before it is divided by the scale.
    rounding = np.spacing(np.abs(loc).max().astype("float32")) / scale.min() * 2
    np.testing.assert_allclose(received, log_mass(X[:, None], loc, scale), rtol=1e-5, atol=1e-5 + rounding)


@all_parameters
def test_bins_add_up_to_one(loc, scale):
    total = tf.reduce_sum(make(loc, scale).prob(X[:, None]), axis=0)
    np.testing.assert_allclose(total, 1.0, atol=1e-5)


@all_parameters
def test_gradients_are_finite(loc, scale):
    loc, scale = (tf.constant(value, tf.float32) for value in (loc, scale))
    with tf.GradientTape() as tape:
        tape.watch([loc, scale])
        log_prob = DiscretizedLogistic(loc, scale).log_prob(X[:, None])
    for gradient in tape.gradient(log_prob, [loc, scale]):
        assert np.isfinite(gradient).all()


def test_gradients_are_those_of_the_definition():
    loc, scale = RNG.uniform(0, 255, 50), np.exp(RNG.uniform(0, 4, 50))
    x = RNG.integers(0, 256, 50).astype(float)
    x[:2] = 0, 255
    variables = [tf.constant(value) for value in (loc, scale)]
    with tf.GradientTape() as tape:
        tape.watch(variables)
        log_prob = DiscretizedLogistic(*variables).log_prob(x)
    by_loc, by_scale = tape.gradient(log_prob, variables)
    h = 1e-5
    expected = (log_mass(x, loc + h, scale) - log_mass(x, loc - h, scale)) / (2 * h)
    np.testing.assert_allclose(by_loc, expected, atol=1e-6)
    expected = (log_mass(x, loc, scale + h) - log_mass(x, loc, scale - h)) / (2 * h)
    np.testing.assert_allclose(by_scale, expected, atol=1e-6)


@all_parameters
def test_moments_and_mode(loc, scale):
    p = make(loc, scale)
    mass = np.exp(log_mass(X[:, None], *as_float32(loc, scale)))
    mean = np.sum(X[:, None] * mass, axis=0)
    variance = np.sum((X[:, None] - mean) ** 2 * mass, axis=0)
    np.testing.assert_allclose(p.mean(), mean, rtol=1e-5, atol=1e-3)
    np.testing.assert_allclose(p.variance(), variance, rtol=1e-4, atol=1e-3)
    np.testing.assert_array_equal(p.mode(), np.argmax(mass, axis=0))


def test_mean_has_the_gradient_of_its_definition():
    loc, scale = tf.constant(RNG.uniform(-20, 270, 20)), tf.constant(np.exp(RNG.uniform(0, 4, 20)))
    with tf.GradientTape() as tape:
        tape.watch(loc)
        mean = DiscretizedLogistic(loc, scale).mean()
    slopes = scipy.stats.logistic.pdf(X[:-1, None] + 0.5, loc, scale)
    np.testing.assert_allclose(tape.gradient(mean, loc), slopes.sum(axis=0), atol=1e-6)


@pytest.mark.parametrize("low, high", [(0, 1), (-3, 4), (0, 16), (10, 27), (0, 4095)])
def test_other_ranges(low, high):
    x = np.arange(low, high + 1.0)
    loc, scale = np.array([low - 1.0, (low + high) / 2 + 0.3, high + 0.2]), np.array([0.7, 2.0, high / 3])
    p = make(loc, scale, low, high)
    mass = np.exp(log_mass(x[:, None], *as_float32(loc, scale), low, high))
    np.testing.assert_allclose(p.prob(x[:, None]), mass, atol=1e-6)
    np.testing.assert_allclose(mass.sum(axis=0), 1.0)
    np.testing.assert_allclose(p.mean(), np.sum(x[:, None] * mass, axis=0), rtol=1e-5, atol=1e-3)
    np.testing.assert_array_equal(p.mode(), x[np.argmax(mass, axis=0)])
    np.testing.assert_allclose(p.cdf(x[:, None]), np.cumsum(mass, axis=0), atol=1e-5)


def test_draws_are_distributed_as_it_says():
    p = DiscretizedLogistic([2.2, 8.0], [1.5, 0.4], 0, 9)
    draws = p.sample(20000, seed=tf.constant([1, 2])).numpy()
    for i in range(2):
        counts = np.bincount(draws[:, i].astype(int), minlength=10)
        expected = 20000 * p.prob(np.arange(10.0)[:, None])[:, i].numpy().astype(float)
        likely = expected > 5
        received = counts[likely]
        expected = expected[likely] * received.sum() / expected[likely].sum()
        assert scipy.stats.chisquare(received, expected).pvalue > 1e-3


def test_any_dtype_of_values():
    p = DiscretizedLogistic(tf.constant([3.0]), 2.0)
    for dtype in ("uint8", "int32", "float64"):
        np.testing.assert_array_equal(p.log_prob(np.array([[3]], dtype)), p.log_prob([[3.0]]))


def test_shapes_broadcast():
    p = DiscretizedLogistic(tf.zeros([3, 1]), tf.ones([2]))
    assert p.batch_shape == p.mean().shape == p.variance().shape == p.mode().shape == (3, 2)
    assert p.sample(5, seed=1).shape == (5, 3, 2)
    assert p[1].batch_shape == (2,)


def test_is_a_distribution_like_any_other():
    p = DiscretizedLogistic([1.0, 2.0], 1.0)
    assert isinstance(tfd.Independent(p, 1), tfd.Independent)
    assert p.copy(loc=[3.0]).batch_shape == (1,)
    assert p.reparameterization_type == tfd.NOT_REPARAMETERIZED
    inside = tf.function(lambda q: q.mean())(p)
    np.testing.assert_allclose(inside, p.mean())


def test_arguments_are_checked():
    for low, high in ((0, 0), (3, 1), (0, 2.5)):
        with pytest.raises(ValueError, match="low < high"):
            DiscretizedLogistic(0.0, 1.0, low, high)
    with pytest.raises(tf.errors.InvalidArgumentError, match="positive"):
        DiscretizedLogistic(0.0, -1.0, validate_args=True)
    p = DiscretizedLogistic(0.0, 1.0, validate_args=True)
    for wrong in (-1.0, 256.0, 0.5):
        with pytest.raises(tf.errors.InvalidArgumentError, match="integers in"):
            p.log_prob(wrong)
