"""The one report of a model on a data set."""

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_vae.errors import invalid
from keras_vae.evaluation.active_units import active_units
from keras_vae.evaluation.aggregate_posterior import AggregatePosterior, aggregate_posterior_terms
from keras_vae.evaluation.posterior_statistics import posterior_statistics, posteriors
from keras_vae.evaluation.report import Report
from keras_vae.evaluation.statistic import Statistic
from keras_vae.models import LatentVariableModel, checks, estimates

Progress = Callable[[int, int], None]

ACTIVE_THRESHOLD = 0.01
# Draws for the ELBO: more of them narrow its error little beside the spread of the examples.
_ELBO_SAMPLES = 16


def evaluate(
    model: LatentVariableModel,
    x: Any,
    *,
    num_samples: int = 500,
    batch_size: int = 512,
    seed: int = 0,
    aggregate_examples: int = 2000,
    progress: Progress | None = None,
    y: Any = None,
) -> Report:
    """Likelihood, use of the latent and aggregate posterior of a model on held-out data.

    Whatever the model was trained on, the figures are of its encoder, decoder and prior, so models trained on
    different objectives compare. Memory does not grow with `num_samples`, nor with the number of examples
    beyond the data themselves; time is about that of decoding N (`num_samples` + 16) latents.

    Args:
        model: a `VAE`, `BetaVAE`, ...; it need not be compiled.
        x: data, `[N] + event`, or a `tf.data.Dataset` of batches of x, (x, y) or (x, y, sample_weight), which
            is read once; weights play no part.
        num_samples: K, draws per example of the log-likelihood. 5,000 is common in publications.
        batch_size: examples at once.
        seed: of all draws and of the subset; the same seed gives the same report on the same machine.
        aggregate_examples: at most so many examples, a random subset drawn with `seed` where N is larger, are
            taken for the terms of the aggregate posterior, whose time grows with the square.
        progress: called with the draws decoded so far and in all, after each batch.
        y: of a conditional model, `[N]` conditions, unless x is a data set of (x, y). All figures are then
            given y; those of the aggregate posterior are left out where the prior depends on y too.

    Returns:
        A `Report`; of a model with deterministic codes, without the figures that take a density of q(z|x).

    Raises:
        ValueError: for no data, data of the wrong shape, NaN, values outside the support of the decoder's
            likelihood, or counts below 1; before anything is computed.

    Reference: Burda et al., Importance Weighted Autoencoders, 2016, Eq. 8 (log-likelihood); see
    `AggregatePosterior` for the rest.

    Example:

    >>> import keras, keras_vae
    >>> from keras_vae import layers
    >>> encoder = keras.Sequential([
    ...     keras.Input((4,)), keras.layers.Dense(4), layers.IndependentNormal(2)])
    >>> decoder = keras.Sequential([
    ...     keras.Input((2,)), keras.layers.Dense(4), layers.IndependentBernoulli(4)])
    >>> report = evaluate(keras_vae.VAE(encoder, decoder, seed=0), np.eye(4), num_samples=10)
    >>> report.num_examples, report.latent_size, report.kl_is_exact
    (4, 2, True)
    """
    estimates.check_count("num_samples", num_samples)
    estimates.check_count("batch_size", batch_size)
    estimates.check_count("aggregate_examples", aggregate_examples)
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**31:
        raise invalid("seed", "an integer in [0, 2^31)", seed)
    data, given = checked_arrays(model, x, y)
    has_density = estimates.has_density(model)
    elbo_samples = min(_ELBO_SAMPLES, num_samples) if has_density else 1
    before, after = _stages(progress, elbo_samples, num_samples if has_density else 0, len(data))
    elbo_seed, likelihood_seed, subset_seed = _seeds(seed, 3)

    parts = estimates.elbo_parts(model, data, elbo_samples, batch_size, elbo_seed, before, given)
    statistics = posterior_statistics(model, data, batch_size, given)
    reconstruction = _float64(parts["reconstruction"])
    event_size = math.prod(_seen(model, data[:1]).shape[1:])
    of_density: dict[str, Any] = {}
    if has_density:
        estimate = estimates.log_likelihood(
            model, data, num_samples, batch_size, likelihood_seed, after, given
        )
        likelihood = Statistic.of(estimate.log_likelihood)
        of_density = {
            "elbo": Statistic.of(-(reconstruction + _float64(parts["kl"]))),
            "kl": Statistic.of(_float64(parts["kl"])),
            "kl_is_exact": _has_exact_kl(model, data, given),
            "log_likelihood": likelihood,
            "monte_carlo_error": math.sqrt(np.square(_float64(estimate.standard_error)).sum()) / len(data),
            "effective_samples": float(np.median(_float64(estimate.effective_samples))),
            "pareto_k": None if estimate.pareto_k is None else float(np.median(estimate.pareto_k)),
            "bits_per_dim": likelihood.scaled(-1.0 / (event_size * math.log(2.0))),
            "aggregate": _aggregate(model, data, given, aggregate_examples, batch_size, subset_seed),
        }
    return Report(
        num_examples=len(data),
        event_size=event_size,
        latent_size=math.prod(model.latent_shape),
        num_samples=num_samples,
        elbo_samples=elbo_samples,
        seed=seed,
        reconstruction=Statistic.of(reconstruction),
        active_units=_active(statistics.means),
        active_threshold=ACTIVE_THRESHOLD,
        kl_per_dimension=_tuple(statistics.kl_per_dimension),
        **of_density,
    )


def checked_arrays(model: LatentVariableModel, x: Any, y: Any) -> tuple[np.ndarray, tf.Tensor | None]:
    """The data as an array the decoder's log-density takes, and the model's conditions, checked."""
    if isinstance(x, tf.data.Dataset):
        batches = [keras.utils.unpack_x_y_sample_weight(batch) for batch in x]
        if not batches:
            raise invalid("x", "at least one batch", "an empty tf.data.Dataset")
        x = np.concatenate([np.asarray(batch[0]) for batch in batches])
        if model.condition is not None and y is None and batches[0][1] is not None:
            y = np.concatenate([np.asarray(batch[1]) for batch in batches])
    x = np.asarray(x)
    checks.check_data("x", x, model.data_shape, checks.support_of(model.decoder))
    return x.astype(model.decoder.variable_dtype), model._given(y)


def _has_exact_kl(model: LatentVariableModel, data: np.ndarray, given: tf.Tensor | None) -> bool:
    first = None if given is None else given[:1]
    seed = tf.constant([0, 0])
    return model.estimate_terms(_seen(model, data[:1]), first, 1, seed).exact_kl is not None


def _seen(model: LatentVariableModel, x: np.ndarray) -> tf.Tensor:
    """What the likelihood is of: x, or codes of it where the model reads codes."""
    return model._read(checks.as_float(x), tf.constant([0, 0]))


def _stages(progress: Progress | None, first: int, second: int, count: int) -> tuple[Any, Any]:
    """Two counters of examples that tell `progress` the draws decoded, over both stages."""
    if progress is None:
        return None, None
    total = (first + second) * count
    return (
        lambda done, _: progress(first * done, total),
        lambda done, _: progress(first * count + second * done, total),
    )


def _seeds(seed: int, num: int) -> list[tf.Tensor]:
    return [tf.constant([seed, number], tf.int32) for number in range(num)]


def _active(means: np.ndarray | None) -> tuple[int, ...] | None:
    if means is None or len(means) < 2:
        return None
    return tuple(int(i) for i in np.flatnonzero(active_units(means, ACTIVE_THRESHOLD)))


def _tuple(values: np.ndarray | None) -> tuple[float, ...] | None:
    return None if values is None else tuple(float(value) for value in values.ravel())


def _aggregate(
    model: LatentVariableModel,
    data: np.ndarray,
    given: tf.Tensor | None,
    most: int,
    batch_size: int,
    seed: tf.Tensor,
) -> AggregatePosterior | None:
    prior = model.prior.given(given)
    if min(len(data), most) < 2 or prior.batch_shape.rank:
        return None
    if len(data) > most:
        rng = np.random.default_rng(np.asarray(seed))
        rows = np.sort(rng.choice(len(data), most, replace=False))
        data, given = data[rows], None if given is None else tf.gather(given, rows)
    blocks = [q for q, _ in posteriors(model, data, batch_size, given)]
    return aggregate_posterior_terms(blocks, prior, seed=int(seed[0]))


def _float64(values: tf.Tensor) -> np.ndarray:
    return np.asarray(values, np.float64)
