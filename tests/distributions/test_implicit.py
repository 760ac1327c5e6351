"""The implicit distribution against the distributions that its function makes of a normal."""

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae.distributions import Implicit, serialize_distribution

tfd = tfp.distributions
SEED = tf.constant([3, 4])
PARAMS = np.array([[0.5, -1.0], [2.0, 3.0], [0.0, 0.0]], "float32")
MIXING = np.array([[1.0, 0.5], [0.0, 2.0], [0.3, 0.0]], "float32")  # 3 numbers of noise to 2


def affine(params, noise):
    return params + noise @ tf.cast(MIXING, noise.dtype)


def affine_normal(dtype="float32", **kwargs):
    return Implicit(affine, tf.constant(PARAMS, dtype), noise_size=3, event_shape=(2,), **kwargs)


def test_shapes():
    q = affine_normal()
    assert (q.batch_shape, q.event_shape) == ((3,), (2,))
    assert q.batch_shape_tensor().numpy().tolist() == [3] and q.event_shape_tensor().numpy().tolist() == [2]
    assert q.sample(seed=SEED).shape == (3, 2)
    assert q.sample((4, 5), seed=SEED).shape == (4, 5, 3, 2)
    assert q.mean().shape == q.stddev().shape == (3, 2)
    image = Implicit(lambda p, e: tf.tile(p[..., :1] + e, [1, 1, 6]), PARAMS, 1, (2, 3))
    assert image.sample(4, seed=SEED).shape == (4, 3, 2, 3) and image.mean().shape == (3, 2, 3)


def test_affine_function_of_noise_is_a_normal():
    """Mean exact; covariance of the draws M'M, up to sqrt(2 / n) of it a standard error."""
    q = affine_normal()
    np.testing.assert_allclose(q.mean(), PARAMS, atol=1e-6)
    x = q.sample(40_000, seed=SEED).numpy().astype("float64")
    for b in range(3):
        np.testing.assert_allclose(np.cov(x[:, b].T), MIXING.T @ MIXING, atol=5 * np.sqrt(2 / 40_000) * 4.25)
        for j in range(2):
            normal = scipy.stats.norm(PARAMS[b, j], np.sqrt((MIXING.T @ MIXING)[j, j]))
            assert scipy.stats.kstest(x[:, b, j], normal.cdf).pvalue > 1e-3
    # Over 128 points in place of all: a chi-squared number over its degrees of freedom.
    np.testing.assert_allclose(q.variance()[0], np.diag(MIXING.T @ MIXING), rtol=5 * np.sqrt(2 / 64))
    np.testing.assert_allclose(q.stddev(), np.sqrt(q.variance()), rtol=1e-6)


def test_mean_of_a_bent_function_is_that_of_the_draws():
    """z = e + e^2 has the mean 1 and the variance 3: over the points, within 3 of their standard errors."""
    q = Implicit(lambda p, e: p + e + tf.square(e), tf.zeros([1, 1]), 1, (1,))
    assert float(q.mean()[0, 0]) == pytest.approx(1.0, abs=3 * np.sqrt(2 / 64))
    draws = q.sample(40_000, seed=SEED).numpy()
    assert draws.mean() == pytest.approx(1.0, abs=4 * np.sqrt(3 / 40_000))
    np.testing.assert_array_equal(q.mean(), q.mean())


def test_draws_carry_gradients_to_parameters_and_weights():
    params, weight = tf.Variable(PARAMS), tf.Variable(2.0)
    with tf.GradientTape() as tape:
        q = Implicit(lambda p, e: p[..., :1] + weight * e, params, 1, (1,))
        z = q.sample(5, seed=SEED)
        total = tf.reduce_sum(z)
    assert q.reparameterization_type == tfd.FULLY_REPARAMETERIZED
    by_params, by_weight = tape.gradient(total, [params, weight])
    np.testing.assert_allclose(by_params, [[5.0, 0.0]] * 3, rtol=1e-6)
    noise = (z - PARAMS[:, :1]) / 2.0
    assert float(by_weight) == pytest.approx(float(tf.reduce_sum(noise)), rel=1e-5)


def test_seeds():
    q = affine_normal()
    np.testing.assert_array_equal(q.sample(5, seed=SEED), q.sample(5, seed=SEED))
    assert not np.array_equal(q.sample(5, seed=SEED), q.sample(5, seed=SEED + 1))
    single, double = q.sample(5, seed=SEED), affine_normal("float64").sample(5, seed=SEED)
    assert double.dtype == tf.float64
    np.testing.assert_allclose(single, double, rtol=1e-5, atol=1e-6)
    tf.random.set_seed(1)
    assert q.sample(3, seed=5).shape == q.sample(3).shape == (3, 3, 2)


def test_draws_and_moments_under_xla_and_of_an_unknown_batch():
    @tf.function(jit_compile=True, input_signature=[tf.TensorSpec([None, 2])])
    def moments(params):
        q = Implicit(affine, params, 3, (2,))
        return q.mean(), q.sample(20_000, seed=SEED)

    mean, draws = moments(PARAMS)
    # XLA has normal numbers of its own.
    np.testing.assert_allclose(mean, PARAMS, atol=1e-5)
    normal = scipy.stats.norm(2.0, np.sqrt(1.09))
    assert scipy.stats.kstest(draws.numpy()[:, 1, 0], normal.cdf).pvalue > 1e-3


def test_it_has_no_density_and_cannot_be_saved():
    with pytest.raises(NotImplementedError, match="log_prob"):
        affine_normal().log_prob(PARAMS)
    with pytest.raises(ValueError, match="registered"):
        serialize_distribution(affine_normal())


def test_validate_args_wants_finite_parameters():
    bad = np.full([1, 2], np.nan, "float32")
    assert np.isnan(Implicit(affine, bad, 3, (2,)).sample(seed=SEED)).all()
    with pytest.raises(tf.errors.InvalidArgumentError, match="finite"):
        Implicit(affine, bad, 3, (2,), validate_args=True).sample(seed=SEED)
