"""The log-density of every dimension alone."""

import tensorflow as tf
import tensorflow_probability as tfp

tfd = tfp.distributions


def marginal_log_prob(distribution: tfd.Distribution, z: tf.Tensor) -> tf.Tensor | None:
    """log p(z_i) of every scalar of the event, `[batch] + event_shape`; None where that is not known.

    Known are those of independent scalars, of multivariate normals, and of mixtures of these.

    Args:
        distribution: batch shape `[batch]`.
        z: values, of a shape that broadcasts with `[batch] + event_shape`.

    Example:

    >>> normal = tfd.MultivariateNormalTriL(tf.zeros(2), [[1.0, 0.0], [3.0, 4.0]])
    >>> marginal_log_prob(normal, tf.zeros(2)).numpy().round(3)  # of scales 1 and 5
    array([-0.919, -2.528], dtype=float32)
    """
    if isinstance(distribution, tfd.MixtureSameFamily):
        return _of_mixture(distribution, z)
    scalars = _scalars(distribution)
    return None if scalars is None else scalars.log_prob(z)


def _scalars(distribution: tfd.Distribution) -> tfd.Distribution | None:
    """A distribution of scalars whose batch shape is the batch and the event of the given one."""
    if isinstance(distribution, tfd.Independent):
        scalars = distribution.distribution
        return scalars if scalars.event_shape.rank == 0 else None
    if isinstance(distribution, tfd.MultivariateNormalLinearOperator):
        return tfd.Normal(distribution.mean(), distribution.stddev())
    return None


def _of_mixture(mixture: tfd.MixtureSameFamily, z: tf.Tensor) -> tf.Tensor | None:
    rank = mixture.event_shape.rank
    axis = -1 - rank
    components = marginal_log_prob(mixture.components_distribution, tf.expand_dims(z, axis))
    if components is None:
        return None
    weights = tf.math.log_softmax(mixture.mixture_distribution.logits_parameter())
    for _ in range(rank):
        weights = weights[..., tf.newaxis]
    return tf.reduce_logsumexp(components + weights, axis=axis)
