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
    count = log_weights.shape[0]
    others = leave_one_out_mean(log_weights)
    # Row k is all log-weights with the k-th replaced: sums of differences would lose small weights.
    own = tf.eye(count, dtype=tf.bool)
    own = tf.reshape(own, [count, count] + [1] * (log_weights.shape.rank - 1))
    replaced = tf.where(own, others[:, None], log_weights[None])
    return tf.reduce_logsumexp(replaced, axis=1) - math.log(count)


def leave_one_out_mean(values: tf.Tensor) -> tf.Tensor:
    """For each draw the mean of the others: `[K, ...]` to `[K, ...]`, K >= 2."""
    return (tf.reduce_sum(values, axis=0) - values) / (values.shape[0] - 1)
