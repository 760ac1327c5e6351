"""Importance-weighted bounds as functions of the logarithms of the weights."""

import math

import tensorflow as tf


def importance_bound(log_weights: tf.Tensor) -> tf.Tensor:
    """log (1/K) sum_k w_k: a lower bound on log p(x) on average, in nats.

    With w = p(x, z) / q(z|x) and z from q(z|x) (Burda et al., Importance Weighted Autoencoders, 2016, Eq. 8).
    Its derivative by log w_k is the normalised weight w_k / sum w.

    Args:
        log_weights: log w, `[K, ...]`.

    Returns:
        `[...]`.

    Example:

    >>> importance_bound(tf.math.log([1.0, 3.0])).numpy() == tf.math.log(2.0).numpy()
    np.True_
    """
    return tf.reduce_logsumexp(log_weights, axis=0) - math.log(log_weights.shape[0])


def leave_one_out_bound(log_weights: tf.Tensor) -> tf.Tensor:
    """The bound as each draw's peers foresee it: with w_k replaced by the geometric mean of the others.

    Element k does not depend on draw k, which makes it a control variate for that draw (Mnih & Rezende,
    Variational Inference for Monte Carlo Objectives, 2016, Eq. 10).

    Args:
        log_weights: log w, `[K, ...]` with K >= 2.

    Returns:
        `[K, ...]`, in nats. Memory grows with K squared.
    """
    others = leave_one_out_mean(log_weights)
    # Row k is all log-weights with the k-th replaced: sums of differences would lose small weights.
    replaced = tf.where(_own(log_weights), others[:, None], log_weights[None])
    return tf.reduce_logsumexp(replaced, axis=1) - math.log(log_weights.shape[0])


def leave_one_out_mean(values: tf.Tensor) -> tf.Tensor:
    """For each draw the mean of the others: `[K, ...]` to `[K, ...]`, K >= 2. Memory grows with K squared."""
    # The sum of all less one's own would lose the others beside a very large value, or an infinite one.
    others = tf.where(_own(values), tf.zeros([], values.dtype), values[None])
    return tf.reduce_sum(others, axis=1) / (values.shape[0] - 1)


def _own(values: tf.Tensor) -> tf.Tensor:
    """Where row k of `[K, K, ...]` has its own draw, the k-th: `[K, K, 1, ...]` for values `[K, ...]`."""
    count = values.shape[0]
    return tf.reshape(tf.eye(count, dtype=tf.bool), [count, count] + [1] * (values.shape.rank - 1))
