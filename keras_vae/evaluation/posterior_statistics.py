"""The posteriors of a data set, batch by batch."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import tensorflow_probability as tfp

from keras_vae.divergences import kl_per_dimension
from keras_vae.models import LatentVariableModel

tfd = tfp.distributions


class PosteriorStatistics(NamedTuple):
    """What `posterior_statistics` returns.

    means: posterior means, `[N] + latent`; None where the posterior has no known mean.
    kl_per_dimension: KL(q(z_i|x) || p(z_i)) averaged over the examples, `latent`, in nats, exact; None unless
        posterior and prior factorise.
    """

    means: np.ndarray | None
    kl_per_dimension: np.ndarray | None


def posterior_statistics(
    model: LatentVariableModel, x: Any, batch_size: int = 512, y: Any = None
) -> PosteriorStatistics:
    """Posterior means and mean KL per dimension over x; deterministic.

    Args:
        model: with an encoder.
        x: data, `[N] + event`.
        batch_size: examples encoded at once.
        y: of a conditional model, `[N]` conditions.

    Example:

    >>> import keras, keras_vae
    >>> from keras_vae import layers
    >>> encoder = keras.Sequential([
    ...     keras.Input((4,)), keras.layers.Dense(4), layers.IndependentNormal(2)])
    >>> decoder = keras.Sequential([
    ...     keras.Input((2,)), keras.layers.Dense(4), layers.IndependentBernoulli(4)])
    >>> statistics = posterior_statistics(keras_vae.VAE(encoder, decoder), np.zeros([3, 4]))
    >>> statistics.means.shape, statistics.kl_per_dimension.shape
    ((3, 2), (2,))
    """
    means, divergences = [], []
    for q, given in posteriors(model, x, batch_size, y):
        mean, kl = _mean(q), _kl(q, model.prior.given(given))
        means += [] if mean is None else [mean]
        divergences += [] if kl is None else [kl]
    return PosteriorStatistics(
        means=np.concatenate(means) if means else None,
        kl_per_dimension=np.concatenate(divergences).mean(axis=0) if divergences else None,
    )


def posterior_means(
    model: LatentVariableModel, x: Any, batch_size: int = 512, y: Any = None
) -> np.ndarray | None:
    """Posterior means over x, `[N] + latent`; None where the posterior has no known mean. Deterministic."""
    means = []
    for q, _ in posteriors(model, x, batch_size, y):
        mean = _mean(q)
        means += [] if mean is None else [mean]
    return np.concatenate(means) if means else None


def posteriors(
    model: LatentVariableModel, x: Any, batch_size: int, y: Any = None
) -> Iterator[tuple[tfd.Distribution, Any]]:
    """q(z|x) of every batch, and its conditions."""
    for start in range(0, len(x), batch_size):
        given = None if y is None else y[start : start + batch_size]
        yield model.encode(x[start : start + batch_size], given), given


def _mean(q: tfd.Distribution) -> np.ndarray | None:
    try:
        return np.asarray(q.mean())
    except NotImplementedError:
        return None


def _kl(q: tfd.Distribution, prior: tfd.Distribution) -> np.ndarray | None:
    kl = kl_per_dimension(q, prior)
    return None if kl is None or kl.shape[1:] != q.event_shape else np.asarray(kl, np.float64)
