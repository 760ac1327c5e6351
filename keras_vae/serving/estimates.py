"""The estimates of `keras_vae.models.estimates` with the number of draws a tensor, for signatures.

For one seed they are those of `model.elbo` and `model.log_likelihood`, whose batches and chunks these follow.
Memory grows neither with the number of draws nor with that of examples.
"""

from collections.abc import Callable, Iterable
from typing import Any

import tensorflow as tf

from keras_vae.distributions.draws import fold_in
from keras_vae.models import estimates
from keras_vae.models.estimates import Estimate


def elbo(
    model: Any, x: tf.Tensor, num_samples: tf.Tensor, batch_size: int, seed: tf.Tensor, y: Any = None
) -> tf.Tensor:
    """The evidence lower bound of every example, `[N]`, in nats."""
    parts = elbo_parts(model, x, num_samples, batch_size, seed, y=y, needs_density=True)
    return -(parts["reconstruction"] + parts["kl"])


def elbo_parts(
    model: Any,
    x: tf.Tensor,
    num_samples: tf.Tensor,
    batch_size: int,
    seed: tf.Tensor,
    y: tf.Tensor | None = None,
    needs_density: bool = False,
) -> dict[str, tf.Tensor]:
    """The negative reconstruction term, and the KL where there is one, of every example, `[N]`, in nats."""
    most = estimates.max_pairs(model)
    size = tf.clip_by_value(most // num_samples, 1, batch_size)
    with tf.init_scope():
        has_kl = needs_density or estimates.has_density(model)

    def parts(x, y, seed):
        return estimates.batch_parts(model, x, y, num_samples, seed, has_kl)

    names = ("reconstruction", "kl") if has_kl else ("reconstruction",)
    return _map_batches(parts, names, x, y, size, seed)


def log_likelihood(
    model: Any, x: tf.Tensor, num_samples: tf.Tensor, batch_size: int, seed: tf.Tensor, y: Any = None
) -> Estimate:
    """The importance-weighted log-likelihood of every example."""
    size = tf.clip_by_value(tf.shape(x)[0], 1, batch_size)
    chunk = tf.clip_by_value(estimates.max_pairs(model) // size, 1, num_samples)

    def estimate(x, y, seed):
        return estimates.batch_estimate(model, x, y, num_samples, chunk, seed)

    names = [name for name in Estimate._fields if name not in Estimate._field_defaults]
    return Estimate(**_map_batches(estimate, names, x, y, size, seed))


def _map_batches(
    function: Callable[..., dict[str, tf.Tensor]],
    names: Iterable[str],
    x: tf.Tensor,
    y: tf.Tensor | None,
    size: tf.Tensor,
    seed: tf.Tensor,
) -> dict[str, tf.Tensor]:
    """One batch after another, the last filled up with the first example; results `[N]` by name."""
    count = tf.shape(x)[0]
    size = tf.clip_by_value(count, 1, size)
    number = -(-count // size)
    columns = (x,) if y is None else (x, y)

    def of_batch(elements):
        index, batch, *given = elements
        results = function(batch, given[0] if given else None, fold_in(seed, index))
        return {name: tf.cast(results[name], tf.float32) for name in names}

    results = tf.map_fn(
        of_batch,
        (tf.range(number), *(_in_batches(column, number, size) for column in columns)),
        parallel_iterations=1,
        fn_output_signature={name: tf.TensorSpec([None], tf.float32) for name in names},
    )
    return {name: tf.reshape(value, [-1])[:count] for name, value in results.items()}


def _in_batches(values: tf.Tensor, number: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """`[N] + event` to `[number, size] + event`."""
    missing = number * size - tf.shape(values)[0]
    filled = tf.concat([values, tf.repeat(values[:1], missing, axis=0)], axis=0)
    shape = tf.concat([[number, size], tf.shape(values)[1:]], axis=0)
    return tf.ensure_shape(tf.reshape(filled, shape), [None, None, *values.shape[1:]])
