"""Estimates of the aggregate posterior from a batch against enumeration and float64."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from scipy import stats

from keras_vae.divergences import aggregate_covariance, aggregate_log_densities, log_pair_weights

tfd = tfp.distributions
RNG = np.random.default_rng(0)
S, M, D, N = 2, 4, 3, 9
LOC, SCALE = RNG.normal(size=(M, D)), np.exp(RNG.normal(size=(M, D)))
Z = RNG.normal(size=(S, M, D))


def single(*values):
    return [tf.constant(value, tf.float32) for value in values]


def normal(loc=LOC, scale=SCALE):
    return tfd.Independent(tfd.Normal(*single(loc, scale)), 1)


@pytest.mark.parametrize("estimator", ["weighted", "stratified"])
def test_densities_against_loops(estimator):
    joint, product = aggregate_log_densities(normal(), *single(Z), N, estimator)
    for s, i in np.ndindex(S, M):
        weights = np.full(M, 1.0 / (N * M))
        if estimator == "stratified":
            weights = np.full(M, 1.0 / (M - 1))
            weights[i], weights[(i + 1) % M] = 1.0 / N, (N - M + 1) / (N * (M - 1))
        densities = stats.norm.pdf(Z[s, i], LOC, SCALE)
        assert float(joint[s, i]) == pytest.approx(
            np.log(weights @ densities.prod(axis=1)), rel=1e-4, abs=1e-4
        )
        assert float(product[s, i]) == pytest.approx(np.log(weights @ densities).sum(), rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("batch", [2, 3, 5])
def test_stratified_is_unbiased_over_all_batches(batch):
    """Chen et al., 2018, appendix C.2: x_i is in the batch, the others are any of the rest in any order."""
    size, row = 6, 1
    densities = RNG.uniform(size=size)  # q(z|x_n), where z came from n = 0
    weights = np.exp(log_pair_weights(batch, size, "stratified"))[row]
    estimates = []
    for others in itertools.permutations(range(1, size), batch - 1):
        members = [*others[:row], 0, *others[row:]]
        estimates.append(weights @ densities[members])
    assert np.mean(estimates) == pytest.approx(densities.mean(), rel=1e-5)


def test_stratified_rows_add_up_to_one():
    for batch, size in ((1, 1), (2, 2), (2, 100), (7, 50), (50, 50)):
        rows = tf.reduce_sum(tf.exp(log_pair_weights(batch, size, "stratified")), axis=1)
        expected = np.ones(batch) if batch > 1 else [1.0 / size]
        np.testing.assert_allclose(rows, expected, rtol=1e-5)


def test_weighted_of_all_data_is_the_aggregate_posterior_less_log_n():
    joint, _ = aggregate_log_densities(normal(), *single(Z), M, "weighted")
    densities = stats.norm.pdf(Z[:, :, None], LOC, SCALE).prod(axis=-1)
    np.testing.assert_allclose(joint, np.log(densities.mean(axis=-1)) - np.log(M), rtol=1e-4, atol=1e-4)


def test_total_correlation_of_one_correlated_normal():
    """With one example the marginals are those of q(z|x), and TC is -log(1 - rho^2) / 2 on average."""
    rho, draws = 0.8, 20000
    covariance = np.array([[1.0, rho], [rho, 1.0]])
    q = tfd.MultivariateNormalTriL(tf.zeros([1, 2]), single(np.linalg.cholesky(covariance))[0])
    z = q.sample(draws, seed=tf.constant([1, 2]))
    joint, product = aggregate_log_densities(q, z, 1)
    expected = stats.multivariate_normal([0.0, 0.0], covariance).logpdf(z.numpy()[:, 0])
    np.testing.assert_allclose(joint[:, 0], expected, rtol=1e-3, atol=1e-4)
    difference = (joint - product).numpy()
    error = difference.std() / np.sqrt(draws)
    assert difference.mean() == pytest.approx(-0.5 * np.log(1.0 - rho**2), abs=4.0 * error)


def test_latents_of_two_dimensions_are_those_of_one():
    loc, scale, z = single(LOC.reshape(M, 1, D), SCALE.reshape(M, 1, D), Z.reshape(S, M, 1, D))
    image = tfd.Independent(tfd.Normal(loc, scale), 2)
    flat = aggregate_log_densities(normal(), *single(Z), N)
    for value, expected in zip(aggregate_log_densities(image, z, N), flat, strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-5)


def test_bad_arguments():
    with pytest.raises(ValueError, match="`estimator`"):
        aggregate_log_densities(normal(), *single(Z), N, "exact")
    with pytest.raises(ValueError, match=f"`dataset_size`.*{M} examples"):
        aggregate_log_densities(normal(), *single(Z), M - 1)
    with pytest.raises(ValueError, match="`dataset_size`"):
        log_pair_weights(M, 0)
    dirichlet = tfd.Dirichlet(tf.ones([M, D]))
    with pytest.raises(ValueError, match=r"`q`.*multivariate normal"):
        aggregate_log_densities(dirichlet, tf.fill([1, M, D], 1.0 / D), N)


def test_covariance_against_numpy():
    lower = np.tril(RNG.normal(size=(M, D, D)))
    correlated = tfd.MultivariateNormalTriL(*single(LOC, lower))
    for q, within in ((normal(), SCALE[..., None] ** 2 * np.eye(D)), (correlated, lower @ lower.mT)):
        of_means = np.cov(LOC.T, bias=True)
        np.testing.assert_allclose(aggregate_covariance(q, of_means=True), of_means, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(
            aggregate_covariance(q), of_means + within.mean(axis=0), rtol=1e-4, atol=1e-6
        )


@pytest.mark.parametrize("estimator", ["weighted", "stratified"])
def test_pair_weights_in_double_precision(estimator):
    weights = log_pair_weights(7, 60_000, estimator, tf.float64).numpy()
    if estimator == "weighted":
        expected = np.full((7, 7), -np.log(60_000.0 * 7.0))
    else:
        expected = np.full((7, 7), -np.log(6.0))
        np.fill_diagonal(expected, -np.log(60_000.0))
        expected[np.arange(7), (np.arange(7) + 1) % 7] = np.log((60_000 - 6) / (60_000 * 6))
    np.testing.assert_allclose(weights, expected, rtol=1e-14)
