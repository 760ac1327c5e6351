"""Beliefs about regressions against SciPy's distributions, textbook updates and averages over draws."""

import numpy as np
import pytest
import scipy.special
import scipy.stats
import tensorflow as tf

from keras_vae.divergences import Regression, expected_regression, kl_of_regressions, regression

D, P = 2, 3


def parameters(seed, nu=9.0):
    """M, V, Psi and nu, float64."""
    rng = np.random.default_rng(seed)
    roots = rng.normal(size=(P, P)), rng.normal(size=(D, D))
    return rng.normal(size=(D, P)), *(a @ a.T + 0.5 * np.eye(len(a)) for a in roots), nu


def belief(m, v, psi, nu, dtype="float32"):
    values = m, np.linalg.inv(v), psi / nu, nu
    return regression(*(tf.constant(value, dtype) for value in values))


def draws(m, v, psi, nu, count):
    """(A, Q) from SciPy's inverse Wishart, and the definition of the matrix normal."""
    rng = np.random.default_rng(7)
    noise = scipy.stats.invwishart(nu, psi).rvs(count, random_state=rng)
    rows, columns = np.linalg.cholesky(noise), np.linalg.cholesky(v)
    return m + rows @ rng.normal(size=(count, D, P)) @ columns.T, noise


def log_density(m, v, psi, nu, slopes, noises):
    values = [
        scipy.stats.invwishart.logpdf(q, nu, psi) + scipy.stats.matrix_normal.logpdf(a, m, q, v)
        for a, q in zip(slopes, noises, strict=True)
    ]
    return np.array(values)


def test_the_fields_are_the_sums_data_would_leave():
    """A belief and data: the posterior of a Bayesian multivariate regression, by its textbook formulas."""
    m, v, psi, nu = parameters(0)
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(20, P)), rng.normal(size=(20, D))
    prior = belief(m, v, psi, nu, "float64")
    sums = (x.T @ x, y.T @ x, y.T @ y, 20.0)
    posterior = Regression(*(field + more for field, more in zip(prior, sums, strict=True)))
    # Minka, Bayesian linear regression, 2000, with residuals instead of differences of squares.
    precision = np.linalg.inv(v) + x.T @ x
    slope = (m @ np.linalg.inv(v) + y.T @ x) @ np.linalg.inv(precision)
    rest, moved = y - x @ slope.T, slope - m
    scatter = psi + rest.T @ rest + moved @ np.linalg.inv(v) @ moved.T
    expected = belief(slope, np.linalg.inv(precision), scatter, nu + 20.0, "float64")
    for value, wanted in zip(posterior, expected, strict=True):
        np.testing.assert_allclose(value, wanted, rtol=1e-10)


def test_expected_log_density_against_draws():
    given = parameters(0)
    slope, scale_tril, doubt, constant = (np.float64(v) for v in expected_regression(belief(*given)))
    slopes, noises = draws(*given, 40_000)
    rng = np.random.default_rng(2)
    for x, y in zip(0.3 * rng.normal(size=(3, P)), rng.normal(size=(3, D)), strict=True):
        normal = scipy.stats.multivariate_normal(slope @ x, scale_tril @ scale_tril.T)
        expected = normal.logpdf(y) - 0.5 * x @ doubt @ x + constant
        rest = y - slopes @ x
        squares = np.einsum("ni,nij,nj->n", rest, np.linalg.inv(noises), rest)
        values = -0.5 * (squares + np.linalg.slogdet(noises)[1] + D * np.log(2 * np.pi))
        error = values.std() / np.sqrt(len(values))
        assert 0.0 < error < 0.01 * abs(expected)
        assert error < 0.1 * x @ doubt @ x and error < 0.1 * abs(constant)
        assert values.mean() == pytest.approx(expected, abs=4 * error)


def test_kl_against_draws():
    q, p = parameters(0), parameters(3, nu=6.0)
    sample = draws(*q, 4000)
    ratios = log_density(*q, *sample) - log_density(*p, *sample)
    error = ratios.std() / np.sqrt(len(ratios))
    exact = float(kl_of_regressions(belief(*q), belief(*p)))
    assert error < 0.02 * exact
    assert exact == pytest.approx(ratios.mean(), abs=4 * error)


def test_kl_of_a_mean_and_a_variance():
    """D = P = 1, x = 1: normal inverse-gamma distributions, by their own formula."""
    q = belief(np.array([[1.0]]), np.array([[1 / 4.0]]), np.array([[6.0]]), 5.0)
    p = belief(np.array([[0.0]]), np.array([[1 / 2.0]]), np.array([[2.0]]), 3.0)
    a, b, a0, b0 = 2.5, 3.0, 1.5, 1.0
    of_mean = 0.5 * (2.0 / 4.0 - 1.0 + np.log(4.0 / 2.0) + 2.0 * 1.0**2 * a / b)
    of_variance = (a - a0) * scipy.special.digamma(a) - scipy.special.gammaln(a) + scipy.special.gammaln(a0)
    of_variance += a0 * np.log(b / b0) + a * (b0 - b) / b
    assert float(kl_of_regressions(q, p)) == pytest.approx(of_mean + of_variance, rel=1e-6)


def test_kl_is_0_for_equals_and_above_for_others():
    same = belief(*parameters(0))
    assert float(kl_of_regressions(same, same)) == pytest.approx(0.0, abs=1e-5)
    m, v, psi, nu = parameters(0)
    for other in ((m + 0.1, v, psi, nu), (m, 1.2 * v, psi, nu), (m, v, 1.2 * psi, nu), (m, v, psi, nu + 1)):
        assert float(kl_of_regressions(same, belief(*other))) > 1e-3


def test_a_batch_is_one_after_another():
    singles = [belief(*parameters(seed)) for seed in range(3)]
    batch = Regression(*(tf.stack(values) for values in zip(*singles, strict=True)))
    again = tf.nest.map_structure(lambda v: v[::-1], batch)
    expected = [kl_of_regressions(singles[i], singles[2 - i]) for i in range(3)]
    np.testing.assert_allclose(kl_of_regressions(batch, again), expected, rtol=1e-4, atol=1e-5)
    for i, single in enumerate(singles):
        for values, value in zip(expected_regression(batch), expected_regression(single), strict=True):
            np.testing.assert_allclose(values[i], value, rtol=1e-5, atol=1e-6)
