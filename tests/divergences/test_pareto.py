"""The Pareto shape of importance weights, where it is known."""

import numpy as np
import pytest
from scipy import stats

from keras_vae.divergences.pareto import pareto_k, reliable_pareto_k, tail_size


def largest(log_weights):
    return np.sort(log_weights, axis=0)[-tail_size(len(log_weights)) - 1 :]


@pytest.mark.parametrize("k", [0.2, 0.5, 0.7, 0.9, 1.5])
def test_shape_of_exponential_proposals(k):
    """A proposal Exp(1) for a target Exp(1 - k) has weights proportional to exp(k x): Pareto of shape k."""
    x = np.random.default_rng(0).exponential(size=(20_000, 50))
    found = pareto_k(largest(k * x))
    # The mean over 50 fits of 425 exceedances; the prior draws towards 0.5 by 2 %.
    assert found.shape == (50,)
    np.testing.assert_allclose(found.mean(), (k * 425 + 5) / 435, atol=0.03)


def test_agrees_with_maximum_likelihood():
    x = stats.genpareto(0.6, scale=2.0).rvs(size=2_000, random_state=0)
    logs = np.log(np.concatenate([[1.0], 1.0 + x]))
    shape, _, _ = stats.genpareto.fit(x, floc=0.0)
    assert abs(float(pareto_k(logs)) - (2_000 * shape + 5) / 2_010) < 0.01


def test_weights_that_do_not_vary_and_too_few_of_them():
    assert pareto_k(np.zeros(30)) == -np.inf
    assert np.isnan(pareto_k(np.zeros(5)))
    assert np.isnan(pareto_k(np.full(30, np.nan)))


def test_scale_of_the_weights_does_not_matter():
    logs = largest(0.8 * np.random.default_rng(1).exponential(size=1_000))
    np.testing.assert_allclose(pareto_k(logs - 5_000.0), pareto_k(logs), rtol=1e-6)


def test_limits():
    assert reliable_pareto_k(100) == pytest.approx(0.5)
    assert reliable_pareto_k(10**6) == 0.7
    assert [tail_size(n) for n in (25, 200, 5000)] == [5, 40, 213]
