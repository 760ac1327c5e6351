"""Linear-Gaussian chains against dense linear algebra in float64, and against TFP's state space models."""

import numpy as np
import pytest
import scipy.linalg
import scipy.stats
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae.distributions import NormalChain

tfd = tfp.distributions
T, D = 4, 2
SEED = tf.constant([1, 2])


def random_chain(seed, batch=(), noise=0.5):
    """Parameters of a chain, float64."""
    rng = np.random.default_rng(seed)
    transition = 0.6 * rng.normal(size=(*batch, T, D, D))
    offset = rng.normal(size=(*batch, T, D))
    scale = np.tril(noise * rng.normal(size=(*batch, T, D, D)), -1) + noise * np.eye(D)
    return transition, offset, scale


def evidence(seed, batch=(), scale=1.0):
    """Precisions and informations of a random normal at every time, float64."""
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(*batch, T, D, D)) / scale
    precision = root @ np.swapaxes(root, -1, -2) + 0.1 * np.eye(D) / scale**2
    return precision, np.einsum("...ij,...j->...i", precision, rng.normal(size=(*batch, T, D)))


def dense(transition, offset, scale):
    """Mean and precision of the joint normal of one chain: M z = b + L e, with M of identities and -A."""
    matrix = np.eye(T * D)
    for t in range(1, T):
        matrix[t * D : (t + 1) * D, (t - 1) * D : t * D] = -transition[t]
    whiten = np.linalg.inv(scipy.linalg.block_diag(*scale)) @ matrix
    return np.linalg.solve(matrix, offset.ravel()), whiten.T @ whiten


def chain(parameters, dtype="float32"):
    return NormalChain(*(np.asarray(value, dtype) for value in parameters))


def blocks(covariance):
    return np.stack([covariance[t * D : (t + 1) * D, t * D : (t + 1) * D] for t in range(T)])


def test_density_and_moments_against_the_joint_normal():
    parameters = random_chain(0)
    mean, precision = dense(*parameters)
    joint = scipy.stats.multivariate_normal(mean, np.linalg.inv(precision))
    q = chain(parameters)
    assert (q.batch_shape, q.event_shape) == ((), (T, D))
    assert q.reparameterization_type == tfd.FULLY_REPARAMETERIZED
    z = np.random.default_rng(1).normal(size=(5, T, D))
    np.testing.assert_allclose(q.log_prob(np.float32(z)), joint.logpdf(z.reshape(5, -1)), rtol=1e-5)
    np.testing.assert_allclose(q.mean(), mean.reshape(T, D), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(q.mode(), q.mean())
    np.testing.assert_allclose(q.marginal_covariance(), blocks(joint.cov), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(q.variance(), np.diag(joint.cov).reshape(T, D), rtol=1e-5)
    np.testing.assert_allclose(q.stddev(), np.sqrt(q.variance()), rtol=1e-6)
    assert float(q.entropy()) == pytest.approx(joint.entropy(), rel=1e-5)


def test_draws_have_the_joint_moments():
    parameters = random_chain(0)
    mean, precision = dense(*parameters)
    covariance = np.linalg.inv(precision)
    draws = np.reshape(chain(parameters).sample(20_000, seed=SEED), [20_000, -1])
    deviations = np.sqrt(np.diag(covariance))
    # Standard errors of means are deviations / sqrt(n); of covariances at most sqrt(2) products of two.
    np.testing.assert_allclose(draws.mean(axis=0) / deviations, mean / deviations, atol=4 / np.sqrt(20_000))
    scaled = (np.cov(draws.T) - covariance) / np.outer(deviations, deviations)
    np.testing.assert_allclose(scaled, 0.0, atol=5 * np.sqrt(2 / 20_000))


def test_draws_follow_the_noise_in_every_batch():
    parameters = random_chain(0, batch=(3,))
    noise = np.random.default_rng(1).normal(size=(5, 3, T, D))
    z = chain(parameters, "float64").from_noise(noise)
    transition, offset, scale = parameters
    for t in range(T):
        before = z[:, :, t - 1] if t else tf.zeros_like(z[:, :, 0])
        expected = tf.linalg.matvec(transition[:, t], before) + offset[:, t]
        expected += tf.linalg.matvec(scale[:, t], noise[:, :, t])
        np.testing.assert_allclose(z[:, :, t], expected, rtol=1e-12)


def test_kl_against_the_joint_normals():
    q, p = random_chain(0, batch=(3,)), random_chain(1)
    mean_p, precision_p = dense(*p)
    expected = []
    for i in range(3):
        mean, precision = dense(*(value[i] for value in q))
        covariance = np.linalg.inv(precision)
        shift = mean - mean_p
        squares = np.trace(precision_p @ covariance) + shift @ precision_p @ shift - T * D
        dets = np.linalg.slogdet(precision)[1] - np.linalg.slogdet(precision_p)[1]
        expected.append(0.5 * (squares + dets))
    np.testing.assert_allclose(tfd.kl_divergence(chain(q), chain(p)), expected, rtol=1e-5)
    np.testing.assert_allclose(tfd.kl_divergence(chain(q), chain(q)), 0.0, atol=1e-5)


# Deviations of the noise and of what is observed: usual, sharp, vague, and nearly deterministic dynamics.
SCALES = [(0.5, 1.0), (0.5, 1e-4), (0.5, 1e4), (1e-3, 1.0), (1e-3, 1e-3)]


@pytest.mark.parametrize(("noise", "observed"), SCALES)
def test_conditioning_against_the_joint_normal(noise, observed):
    prior = random_chain(0, noise=noise)
    precisions, informations = evidence(1, batch=(3,), scale=observed)
    q = chain(prior).times(np.float32(precisions), np.float32(informations))
    assert (q.batch_shape, q.event_shape) == ((3,), (T, D))
    mean, precision = dense(*prior)
    for i in range(3):
        posterior = precision + scipy.linalg.block_diag(*precisions[i])
        covariance = np.linalg.inv(posterior)
        deviations = np.sqrt(np.diag(covariance))
        expected = covariance @ (precision @ mean + informations[i].ravel())
        # Rounding of the means themselves, and 1e-3 of what is uncertain of them.
        error = np.ravel(q.mean()[i]) - expected
        assert np.all(np.abs(error) < 2e-6 * (1.0 + np.abs(expected).max()) + 1e-3 * deviations)
        np.testing.assert_allclose(np.ravel(q.stddev()[i]), deviations, rtol=1e-4)
        # Densities one standard deviation out, which depend on every entry of the precision.
        z = expected + np.random.default_rng(i).multivariate_normal(np.zeros(T * D), covariance)
        if observed > 1e-3 and noise > 1e-3:
            log_prob = chain(prior, "float64").times(precisions, informations).log_prob(z.reshape(T, D))
            joint = scipy.stats.multivariate_normal(expected, covariance)
            assert float(log_prob[i]) == pytest.approx(joint.logpdf(z), rel=1e-8)
            assert float(q.log_prob(np.float32(z.reshape(T, D)))[i]) == pytest.approx(
                joint.logpdf(z), abs=1e-2
            )


def test_no_evidence_leaves_the_chain():
    prior = chain(random_chain(0))
    q = prior.times(tf.zeros([1, T, D, D]), tf.zeros([1, T, D]))
    z = prior.sample(5, seed=SEED)
    np.testing.assert_allclose(q.log_prob(z[:, None])[:, 0], prior.log_prob(z), rtol=1e-5)


def test_against_the_state_space_model_of_tfp():
    """Smoothed moments, and E_q[log psi] - KL(q || p), the log-likelihood of the observations."""
    rng = np.random.default_rng(0)
    transition = np.float32([[0.9, -0.3], [0.3, 0.9]])
    noise, scale = np.float32([[0.3, 0.0], [0.1, 0.2]]), np.float32(0.7)
    x = rng.normal(size=(T, D)).astype("float32")
    model = tfd.LinearGaussianStateSpaceModel(
        T,
        transition,
        tfd.MultivariateNormalTriL(tf.zeros(D), noise),
        np.eye(D, dtype="float32"),
        tfd.MultivariateNormalDiag(tf.zeros(D), scale * tf.ones(D)),
        tfd.MultivariateNormalTriL([1.0, -1.0], tf.eye(D)),
    )
    prior = NormalChain(
        np.tile(transition, (T, 1, 1)),
        np.float32([[1.0, -1.0], *[[0.0, 0.0]] * (T - 1)]),
        np.stack([np.eye(D, dtype="float32"), *[noise] * (T - 1)]),
    )
    q = prior.times(tf.eye(D, batch_shape=[T]) / scale**2, x / scale**2)
    mean, covariance = model.posterior_marginals(x)
    np.testing.assert_allclose(q.mean(), mean, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(q.marginal_covariance(), covariance, rtol=1e-4, atol=1e-5)
    psi = tfd.Independent(tfd.Normal(x, scale), 2)
    expected_psi = psi.log_prob(q.mean()) - 0.5 * tf.reduce_sum(q.variance()) / scale**2
    log_z = expected_psi - tfd.kl_divergence(q, prior)
    assert float(log_z) == pytest.approx(float(model.log_prob(x)), rel=1e-5)


def test_gradients_against_differences():
    """Of a function of draws, density and KL, by every entry of all parameters, in float64."""
    given = [*random_chain(0), *evidence(1, batch=(1,))]
    noise = np.random.default_rng(2).normal(size=(1, T, D))

    @tf.function
    def value(transition, offset, scale_tril, precision, information):
        prior = NormalChain(transition, offset, tf.linalg.band_part(scale_tril, -1, 0))
        q = prior.times(0.5 * (precision + tf.linalg.matrix_transpose(precision)), information)
        z = q.from_noise(noise)
        return tf.reduce_sum(tf.sin(z)) + tf.reduce_sum(q.log_prob(z) + tfd.kl_divergence(q, prior))

    theory, numbers = tf.test.compute_gradient(value, [tf.constant(v) for v in given], delta=1e-5)
    for exact, differences in zip(theory, numbers, strict=True):
        assert np.any(exact)
        np.testing.assert_allclose(exact, differences, rtol=1e-5, atol=1e-6)


def test_one_step_is_a_multivariate_normal():
    parameters = random_chain(0)
    q = NormalChain(*(np.float32(value[:1]) for value in parameters))
    normal = tfd.MultivariateNormalTriL(np.float32(parameters[1][0]), np.float32(parameters[2][0]))
    z = np.float32([[0.3, -0.2]])
    assert float(q.log_prob(z)) == pytest.approx(float(normal.log_prob(z[0])), rel=1e-6)
