"""How far units are from being active for a given share of the examples."""

import math

import tensorflow as tf

from keras_vae.checks import check_number
from keras_vae.divergences.weights import normalized


def kl_to_rate(rate: float, logits: tf.Tensor, weights: tf.Tensor | None = None) -> tf.Tensor:
    """KL(Bernoulli(rate) || Bernoulli(r_j)) of every unit j, `[K]`, in nats; r_j is the mean of sigmoid(c_j).

    rate * log(rate / r_j) + (1 - rate) * log((1 - rate) / (1 - r_j)): at least 0, and 0 where the mean over
    the examples is the rate. Computed from logarithms, so that units which are never active have a finite
    value and a gradient.

    Args:
        rate: the wanted mean activation, in (0, 1).
        logits: c, `[B, K]`, any real numbers.
        weights: of the examples in the mean, `[B]`, or None for equal ones.

    Raises:
        ValueError: for a rate out of its range.

    Example:

    >>> kl_to_rate(0.5, tf.zeros([3, 2])).numpy().tolist()
    [0.0, 0.0]

    Reference: Ng, Sparse autoencoder, CS294A lecture notes, 2011, section 3.
    """
    rate = check_number("rate", rate, above=0.0, below=1.0)
    weights = tf.ones_like(logits[:, 0]) if weights is None else tf.cast(weights, logits.dtype)
    log_weights = tf.math.log(normalized(weights))[:, None]
    log_active = tf.reduce_logsumexp(log_weights + tf.math.log_sigmoid(logits), axis=0)
    log_idle = tf.reduce_logsumexp(log_weights + tf.math.log_sigmoid(-logits), axis=0)
    return rate * (math.log(rate) - log_active) + (1.0 - rate) * (math.log1p(-rate) - log_idle)
