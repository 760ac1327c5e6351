"""Monte Carlo estimates over whole data sets, in chunks of bounded memory."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from math import prod
from typing import Any, NamedTuple, TypeAlias, TypeVar

import keras
import numpy as np
import tensorflow as tf

from keras_vae.checks import check_count
from keras_vae.distributions.draws import fold_in
from keras_vae.divergences.pareto import pareto_k, reliable_pareto_k, tail_size
from keras_vae.errors import invalid
from keras_vae.layers import deterministic
from keras_vae.models import checks
from keras_vae.models.resident import falls_back
from keras_vae.objectives import ELBO, Reconstruction
from keras_vae.probes import probe

# How many pairs (example, draw) are decoded at once: 8192 keep matrix products efficient, fewer where the
# activations of the decoder's widest layer would take more than 2^26 numbers, 256 MB.
MAX_PAIRS = 8192
MAX_ACTIVATIONS = 2**26

# Draws from which on the tail of the weights has the five members that a fit of its shape needs, and the
# share of examples with a heavy one that is worth a warning.
_LEAST_DRAWS_OF_A_TAIL, _HEAVY_SHARE = 25, 0.5

Progress = Callable[[int, int], None]
# A number of draws; signatures of exported models have it in a scalar int32 tensor.
Count: TypeAlias = int | tf.Tensor
Total = TypeVar("Total")

# Folded into a batch's seed for the codes that stand for its examples; chunks of draws fold in 0 and above.
_CODES = -1


class Estimate(NamedTuple):
    """Importance-sampling estimates, each `[N]`.

    log_likelihood: in nats.
    standard_error: Monte Carlo error of each log-likelihood, in nats, by the delta method; NaN for one draw.
        Where few draws carry the sum (see `effective_samples`), it is too small.
    effective_samples: (sum w)^2 / sum w^2 of the importance weights, between 1 and K.
    pareto_k: shape of the tail of the importance weights. Above `divergences.pareto.reliable_pareto_k(K)`,
        0.7 at most, the estimate is too low by an amount that its standard error does not show (Vehtari et
        al., Pareto Smoothed Importance Sampling, 2024). None for fewer than 25 draws, and in exported models.
    """

    log_likelihood: tf.Tensor
    standard_error: tf.Tensor
    effective_samples: tf.Tensor
    pareto_k: np.ndarray | None = None


def elbo(
    model: Any, x: Any, num_samples: int, batch_size: int, seed: tf.Tensor, y: tf.Tensor | None = None
) -> tf.Tensor:
    """The evidence lower bound of every example, `[N]`; see `LatentVariableModel.elbo`."""
    parts = elbo_parts(model, x, num_samples, batch_size, seed, y=y, needs_density=True)
    return -(parts["reconstruction"] + parts["kl"])


@falls_back
def elbo_parts(
    model: Any,
    x: Any,
    num_samples: int,
    batch_size: int,
    seed: tf.Tensor,
    progress: Progress | None = None,
    y: tf.Tensor | None = None,
    needs_density: bool = False,
) -> dict[str, tf.Tensor]:
    """The negative reconstruction term and the KL of every example, each `[N]`, in nats.

    A posterior without a density has no KL, and only its reconstruction is returned; with `needs_density`
    the terms refuse it.
    """
    check_count("num_samples", num_samples)
    check_count("batch_size", batch_size)
    batch_size = min(batch_size, max(1, max_pairs(model) // num_samples))
    has_kl = needs_density or has_density(model)

    def parts(batch, given, seed):
        return batch_parts(model, batch, given, num_samples, seed, has_kl)

    compiled = _compiled(model, ("elbo", num_samples, has_kl), parts)
    return _map_batches(model, compiled, x, y, batch_size, seed, progress)


def batch_parts(
    model: Any, x: tf.Tensor, y: tf.Tensor | None, num_samples: Count, seed: tf.Tensor, has_kl: bool
) -> dict[str, tf.Tensor]:
    """What `elbo_parts` computes of one batch, each `[B]`, in chunks of `max_pairs` draws at most."""
    objective = ELBO() if has_kl else Reconstruction()
    chunk = max_pairs(model)
    x = _read_once(model, x, seed)

    def shares(draws, index):
        own = tf.where(num_samples > chunk, fold_in(seed, index), seed)
        parts = objective.parts(model.estimate_terms(x, y, draws, own))
        return {name: part * tf.cast(draws / num_samples, part.dtype) for name, part in parts.items()}

    def add(total, fresh):
        return {name: total[name] + fresh[name] for name in total}

    none = dict.fromkeys(objective.part_names, tf.zeros(tf.shape(x)[:1]))
    return _over_chunks(shares, add, none, num_samples, chunk)


@falls_back
def log_likelihood(
    model: Any,
    x: Any,
    num_samples: int,
    batch_size: int,
    seed: tf.Tensor,
    progress: Progress | None = None,
    y: tf.Tensor | None = None,
) -> Estimate:
    """The importance-weighted log-likelihood; see `LatentVariableModel.log_likelihood`."""
    check_count("num_samples", num_samples)
    check_count("batch_size", batch_size)
    x = checks.check_batch("x", x, model.data_shape)
    batch_size = max(1, min(batch_size, len(x)))
    chunk = min(num_samples, max(1, max_pairs(model) // batch_size))

    tail = tail_size(num_samples) if num_samples >= _LEAST_DRAWS_OF_A_TAIL else 0

    def estimate(batch, given, seed):
        return batch_estimate(model, batch, given, num_samples, chunk, seed, tail)

    compiled = _compiled(model, ("log_likelihood", num_samples, chunk), estimate)
    found = _map_batches(model, compiled, x, y, batch_size, seed, progress)
    largest = found.pop("largest", None)
    if largest is None:
        return Estimate(**found)
    shapes = pareto_k(largest.numpy().T)
    _warn_of_heavy_tails(shapes, num_samples)
    return Estimate(**found, pareto_k=shapes)


def _warn_of_heavy_tails(shapes: np.ndarray, num_samples: int) -> None:
    limit = reliable_pareto_k(num_samples)
    share = float(np.mean(shapes > limit))
    if share > _HEAVY_SHARE:
        warnings.warn(
            f"The importance weights of {share:.0%} of the examples have a Pareto shape k above {limit:.2f}: "
            f"their log-likelihoods by {num_samples} draws are too low, by more than the standard error "
            "shows. Use more draws, or a posterior that is closer to the true one.",
            stacklevel=4,
        )


def batch_estimate(
    model: Any,
    x: tf.Tensor,
    y: tf.Tensor | None,
    num_samples: Count,
    chunk: Count,
    seed: tf.Tensor,
    tail: int = 0,
) -> dict[str, tf.Tensor]:
    """The fields of an `Estimate` of one batch, from `chunk` draws at once; both numbers may be tensors.

    With a `tail` there is also "largest", `[B, tail + 1]`: the largest log-weights, for `pareto_k`.
    """
    x = _read_once(model, x, seed)

    def moments(draws, index):
        log_weights = model.estimate_terms(x, y, draws, fold_in(seed, index)).log_weights
        peak = tf.reduce_max(log_weights, axis=0)
        scaled = tf.exp(log_weights - _finite(peak))
        sums = (peak, tf.reduce_sum(scaled, axis=0), tf.reduce_sum(tf.square(scaled), axis=0))
        return (*sums, _largest(tf.transpose(log_weights), tail + 1)) if tail else sums

    zeros = tf.zeros(tf.shape(x)[:1])
    none = (zeros - np.inf, zeros, zeros)
    return _finish(_over_chunks(moments, _merge, none, num_samples, chunk), num_samples)


def _read_once(model: Any, x: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """What the networks see of a batch, before its draws are divided into chunks.

    Where codes stand for the data, every draw is then of the same code of an example. Chunks that each drew
    another would tend to log E[p(code)], and the more so the more chunks there are.
    """
    return model._read(x, fold_in(seed, _CODES))


def _over_chunks(
    of_chunk: Callable[[Count, Count], Total],
    merge: Callable[[Total, Total], Total],
    none: Total,
    num_samples: Count,
    chunk: Count,
) -> Total:
    """Merges `of_chunk(draws, index)` of all chunks, whose draws add up to `num_samples`.

    The last index has what the others leave, so that they are all of one size.
    """
    last = (num_samples - 1) // chunk
    rest = num_samples - last * chunk
    if tf.is_tensor(num_samples):

        def next_chunk(i, total):
            fresh = of_chunk(tf.where(i < last, chunk, rest), i)
            return i + 1, merge(total, tf.nest.map_structure(lambda value: tf.cast(value, tf.float32), fresh))

        return _loop(next_chunk, last + 1, none)
    # Known numbers give known shapes, which XLA asks for.
    total = of_chunk(rest, last)
    return _loop(lambda i, total: (i + 1, merge(total, of_chunk(chunk, i))), last, total) if last else total


def _loop(body: Callable[[tf.Tensor, Total], tuple[tf.Tensor, Total]], times: Count, total: Total) -> Total:
    return tf.while_loop(lambda i, _: i < times, body, (tf.constant(0), total), parallel_iterations=1)[1]


def has_density(model: Any) -> bool:
    """Whether q(z|x) and p(z) have densities, as all but deterministic and implicit ones do."""
    given = None if model.condition is None else model.condition.probe()
    return _have_densities(model.encode(probe(model.data_shape), given), model.prior.given(given))


def _have_densities(q: Any, p_z: Any) -> bool:
    return deterministic.has_density(q) and deterministic.has_density(p_z)


def max_pairs(model: Any) -> int:
    """How many pairs (example, draw) this model can decode at once in bounded memory."""
    widest = max([1, *_activations(model.decoder)])
    return max(1, min(MAX_PAIRS, MAX_ACTIVATIONS // widest))


def _activations(network: keras.layers.Layer) -> Iterator[int]:
    """Numbers per example in the output of each layer, of layers that tell."""
    for layer in network._flatten_layers():
        with suppress(AttributeError):  # the layers of a subclassed model do not know their output
            yield from (prod(size or 1 for size in t.shape[1:]) for t in keras.tree.flatten(layer.output))


def _merge(total: tuple[tf.Tensor, ...], fresh: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, ...]:
    """Adds two running sums of exp(log w), each held relative to its own largest log w."""
    peak = tf.maximum(total[0], fresh[0])
    a, b = tf.exp(total[0] - _finite(peak)), tf.exp(fresh[0] - _finite(peak))
    sums = (
        peak,
        a * total[1] + b * fresh[1],
        tf.square(a) * total[2] + tf.square(b) * fresh[2],
    )
    pairs = zip(total[3:], fresh[3:], strict=True)
    return (*sums, *(_largest(tf.concat(pair, axis=1), pair[0].shape[1]) for pair in pairs))


def _largest(log_weights: tf.Tensor, count: int) -> tf.Tensor:
    """The `count` largest numbers of each row, `[B, count]`; -inf for those that are missing."""
    missing = max(0, count - log_weights.shape[1])
    padded = tf.pad(log_weights, [[0, 0], [0, missing]], constant_values=-np.inf)
    return tf.math.top_k(padded, count).values


def _finite(peak: tf.Tensor) -> tf.Tensor:
    """What to subtract from log w: the peak, or 0 where all draws have probability 0; -inf - -inf is NaN."""
    return tf.where(tf.equal(peak, -np.inf), tf.zeros_like(peak), peak)


def _finish(total: tuple[tf.Tensor, ...], num_samples: Count) -> dict[str, tf.Tensor]:
    peak, first, second, *largest = total
    count = tf.cast(num_samples, first.dtype)
    mean = first / count
    variance = tf.maximum(second / count - tf.square(mean), 0.0)
    return {
        "log_likelihood": peak + tf.math.log(mean),
        "standard_error": tf.sqrt(variance / (count - 1.0)) / mean,
        "effective_samples": tf.square(first) / second,
        **({"largest": largest[0]} if largest else {}),
    }


def _compiled(model: Any, key: tuple, function: Any) -> Any:
    """One traced function per model and key: a second call must not compile again."""
    cache, xla = model._estimate_functions, model.uses_xla
    key = (*key, xla)
    if key not in cache:
        cache[key] = tf.function(function, jit_compile=xla, reduce_retracing=True, autograph=False)
    return cache[key]


def _map_batches(
    model: Any,
    function: Any,
    x: Any,
    y: tf.Tensor | None,
    batch_size: int,
    seed: tf.Tensor,
    progress: Progress | None,
) -> dict[str, tf.Tensor]:
    x = checks.check_batch("x", x, model.data_shape)
    if len(x) == 0:
        raise invalid("x", "at least one example", f"shape {tuple(x.shape)}")
    count, size = len(x), min(batch_size, len(x))
    if y is not None and len(y) != count:
        raise invalid("y", f"{count} rows, as x has", f"{len(y)} rows")
    # The last batch is filled up with the first example, so that one program serves all batches.
    x, y = (_filled(value, -count % size) for value in (x, y))
    results = []
    for index, start in enumerate(range(0, count, size)):
        given = None if y is None else y[start : start + size]
        results.append(function(x[start : start + size], given, fold_in(seed, index)))
        if progress is not None:
            progress(min(start + size, count), count)
    return {name: tf.concat([result[name] for result in results], axis=0)[:count] for name in results[0]}


def _filled(values: tf.Tensor | None, missing: int) -> tf.Tensor | None:
    if values is None or not missing:
        return values
    return tf.concat([values, tf.repeat(values[:1], missing, axis=0)], axis=0)
