"""Pareto-smoothed importance sampling's diagnostic: whether importance weights carry a mean at all."""

import numpy as np


def tail_size(num_samples: int) -> int:
    """How many of the largest weights are the tail, min(S / 5, 3 sqrt(S)) (Vehtari et al., 2024)."""
    return int(np.ceil(min(num_samples / 5.0, 3.0 * np.sqrt(num_samples))))


def reliable_pareto_k(num_samples: int) -> float:
    """The shape above which an estimate from so many draws is unreliable: min(1 - 1 / log10(S), 0.7).

    Reference: Vehtari et al., Pareto Smoothed Importance Sampling, 2024, Eq. 13.
    """
    return min(1.0 - 1.0 / np.log10(max(num_samples, 2)), 0.7)


def pareto_k(largest: np.ndarray) -> np.ndarray:
    """The shape k of the generalised Pareto distribution that fits the largest importance weights, `[...]`.

    The weights have 1 / k finite moments: below 0.5 their sum obeys the central limit theorem, from 1 on they
    have no mean. The fit is the one of Zhang and Stephens with the weak prior of Vehtari et al.

    Args:
        largest: the M + 1 largest log-weights, `[M + 1, ...]`, in any order. The smallest is the threshold
            that the others exceed, M = `tail_size(num_samples)`.

    Returns:
        `[...]`, float64; NaN for fewer than 5 exceedances, and -inf where all weights of the tail are equal.

    Reference: Zhang & Stephens, A New and Efficient Estimation Method for the Generalized Pareto
    Distribution, 2009; Vehtari, Simpson, Gelman, Yao & Gabry, Pareto Smoothed Importance Sampling, 2024,
    section 3.2 and appendix C.

    Example:

    >>> rng = np.random.default_rng(0)
    >>> log_weights = 0.8 * rng.exponential(size=10_000)        # weights of shape 0.8
    >>> largest = np.sort(log_weights)[-tail_size(10_000) - 1 :]
    >>> abs(float(pareto_k(largest)) - 0.8) < 0.2
    True
    """
    logs = np.sort(np.asarray(largest, np.float64), axis=0)
    shape = logs.shape[1:]
    return np.array([_fit(column) for column in logs.reshape(len(logs), -1).T]).reshape(shape)


def _fit(logs: np.ndarray) -> float:
    """The shape for one ascending column of log-weights."""
    if len(logs) < 6 or not np.isfinite(logs[-1]):
        return np.nan
    weights = np.exp(logs - logs[-1])
    x = weights[1:] - weights[0]
    size = len(x)
    if not x[-1] > 0.0:
        return -np.inf
    quarter = x[int(size / 4.0 + 0.5) - 1]
    if not quarter > 0.0:
        # More than a quarter of the tail is level with the threshold, or vanishes beside the largest weight.
        quarter = x[x > 0.0][0]
    count = 30 + int(np.sqrt(size))
    theta = 1.0 / x[-1] + (1.0 - np.sqrt(count / (np.arange(1, count + 1) - 0.5))) / (3.0 * quarter)
    # At 0 the likelihood has the limit of an exponential; no candidate has to be exactly there.
    theta = np.where(theta == 0.0, np.finfo(np.float64).tiny, theta)
    shapes = np.log1p(-theta[:, None] * x).mean(axis=1)
    log_likelihood = size * (np.log(-theta / shapes) - shapes - 1.0)
    posterior = np.exp(log_likelihood - log_likelihood.max())
    mean = np.sum(theta * posterior) / posterior.sum()
    k = np.log1p(-mean * x).mean()
    return float((size * k + 5.0) / (size + 10.0))
