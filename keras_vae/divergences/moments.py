"""Moments of the aggregate posterior."""

import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae.divergences.weights import normalized
from keras_vae.errors import invalid

tfd = tfp.distributions


def aggregate_covariance(
    q: tfd.Distribution, of_means: bool = False, weights: tf.Tensor | None = None
) -> tf.Tensor:
    """The covariance of z under q(z) = mean_n q(z|x_n): Cov_n[E(z|x_n)] + mean_n Cov(z|x_n), `[d, d]`.

    Args:
        q: q(z|x), batch shape `[B]`, with d elements an event: independent scalars or a multivariate normal.
        of_means: whether to leave out the second term, for the covariance of the posteriors' means.
        weights: of the examples in all means, numbers >= 0, `[B]`, or None for equal ones.

    Raises:
        ValueError: if the moments of q are not known.

    Example:

    >>> q = tfd.Independent(tfd.Normal([[-1.0, 0.0], [1.0, 0.0]], 2.0), 1)
    >>> aggregate_covariance(q).numpy().tolist()
    [[5.0, 0.0], [0.0, 4.0]]
    """
    size = q.event_shape.num_elements()
    try:
        means = tf.reshape(q.mean(), [-1, size])
        shares = normalized(tf.ones_like(means[:, 0]) if weights is None else tf.cast(weights, means.dtype))
        centred = means - tf.tensordot(shares, means, axes=1)
        of_the_means = tf.matmul(centred, shares[:, None] * centred, transpose_a=True)
        if of_means:
            return of_the_means
        return of_the_means + tf.tensordot(shares, _covariances(q, size), axes=1)
    except NotImplementedError as error:
        raise invalid("q", "a posterior of known mean and covariance", type(q).__name__) from error


def _covariances(q: tfd.Distribution, size: int) -> tf.Tensor:
    scalars = isinstance(q, tfd.Independent) and q.distribution.event_shape.rank == 0
    return tf.linalg.diag(tf.reshape(q.variance(), [-1, size])) if scalars else q.covariance()
