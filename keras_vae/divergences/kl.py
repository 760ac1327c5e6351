"""The Kullback-Leibler divergence, exact wherever a closed form is known."""

import tensorflow as tf
import tensorflow_probability as tfp

tfd = tfp.distributions


def kl_divergence(q: tfd.Distribution, p: tfd.Distribution) -> tf.Tensor:
    """KL(q || p) in nats, exact.

    Beyond the pairs TFP registers, any two of `Independent(Normal)` over one dimension,
    `MultivariateNormalDiag`, `MultivariateNormalTriL` and their kin are compared as the multivariate normals
    they are.

    Args:
        q, p: distributions with equal event shapes and batch shapes that broadcast.

    Returns:
        `[batch]`, the broadcast batch shape of the two.

    Raises:
        NotImplementedError: where no closed form is known; see `exact_kl_or_none`.

    Example:

    >>> import tensorflow_probability as tfp
    >>> tfd = tfp.distributions
    >>> q = tfd.Independent(tfd.Normal([[1.0, 2.0]], 1.0), 1)
    >>> kl_divergence(q, tfd.MultivariateNormalDiag(tf.zeros(2), tf.ones(2))).numpy().tolist()
    [2.5]
    """
    exact = exact_kl_or_none(q, p)
    if exact is None:
        raise NotImplementedError(
            f"No closed form of the KL divergence of {type(q).__name__} from {type(p).__name__} is known."
        )
    return exact


def exact_kl_or_none(q: tfd.Distribution, p: tfd.Distribution) -> tf.Tensor | None:
    """`kl_divergence(q, p)`, or None where no closed form is known."""
    for pair in ((q, p), (_as_multivariate_normal(q), _as_multivariate_normal(p))):
        try:
            return tfd.kl_divergence(*pair)
        except NotImplementedError:
            continue
    return None


def kl_per_dimension(q: tfd.Distribution, p: tfd.Distribution) -> tf.Tensor | None:
    """KL(q_i || p_i) of every latent dimension, `[batch] + event_shape`, in nats; None unless both factorise.

    Its sum over the event is `kl_divergence(q, p)`. Dimensions near 0 carry nothing of x.
    """
    q_factors, p_factors = _factors(q), _factors(p)
    if q_factors is None or p_factors is None:
        return None
    return exact_kl_or_none(q_factors, p_factors)


def log_probs_per_dimension(
    q: tfd.Distribution, p: tfd.Distribution, z: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor] | None:
    """log q_i(z_i) and log p_i(z_i) of every latent dimension, in nats; None unless both factorise.

    Their sums over the event are the log-densities of q and p, and the mean of their difference over draws
    from q is `kl_per_dimension`.

    Args:
        q, p: distributions with equal event shapes; q has batch shape `[batch]`.
        z: values, `[..., batch] + event_shape`.

    Returns:
        Two tensors of the shape of z.

    Example:

    >>> import tensorflow_probability as tfp
    >>> normal = tfp.distributions.Independent(tfp.distributions.Normal([[1.0, 2.0]], 1.0), 1)
    >>> log_q, log_p = log_probs_per_dimension(normal, normal, tf.constant([[1.0, 1.0]]))
    >>> log_q.numpy().round(3)
    array([[-0.919, -1.419]], dtype=float32)
    """
    q_factors, p_factors = _factors(q), _factors(p)
    if q_factors is None or p_factors is None:
        return None
    return q_factors.log_prob(z), tf.broadcast_to(p_factors.log_prob(z), tf.shape(z))


def _factors(distribution: tfd.Distribution) -> tfd.Distribution | None:
    if isinstance(distribution, tfd.Independent) and distribution.distribution.event_shape.rank == 0:
        return distribution.distribution
    if isinstance(distribution, tfd.MultivariateNormalDiag):
        return tfd.Normal(distribution.mean(), distribution.stddev())
    return None


def _as_multivariate_normal(distribution: tfd.Distribution) -> tfd.Distribution:
    if (
        isinstance(distribution, tfd.Independent)
        and isinstance(distribution.distribution, tfd.Normal)
        and distribution.event_shape.rank == 1
    ):
        return tfd.MultivariateNormalDiag(distribution.mean(), distribution.stddev())
    return distribution
