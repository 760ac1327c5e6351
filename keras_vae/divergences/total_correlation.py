"""The aggregate posterior and the product of its marginals, estimated from one batch."""

import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae.checks import check_count
from keras_vae.divergences.marginals import marginal_log_prob
from keras_vae.errors import invalid, lookup

tfd = tfp.distributions

ESTIMATORS = {"weighted": "weighted", "stratified": "stratified"}


def aggregate_log_densities(
    q: tfd.Distribution, z: tf.Tensor, dataset_size: int, estimator: str = "weighted"
) -> tuple[tf.Tensor, tf.Tensor]:
    """log q(z) and the sum over j of log q(z_j), where q(z) = (1/N) sum_n q(z|x_n) over all N of the data.

    With M examples in the batch, z_i a draw from q(z|x_i), and w of `log_pair_weights`,

        q(z_i) = sum_j w_ij q(z_i|x_j),    and the same for every dimension alone.

    Their difference is, on average over z, the total correlation of q(z).

    Args:
        q: q(z|x), batch shape `[M]`, with known marginals: independent scalars or a multivariate normal.
        z: draws of it, `[S, M] + latent`.
        dataset_size: N.
        estimator: "weighted" or "stratified".

    Returns:
        Two tensors `[S, M]`, in nats.

    Raises:
        ValueError: for an unknown estimator, a data set smaller than the batch, or unknown marginals.

    Example: one example is all there is.

    >>> q = tfd.Independent(tfd.Normal([[1.0, 2.0]], 1.0), 1)
    >>> joint, product = aggregate_log_densities(q, tf.zeros([1, 1, 2]), dataset_size=1)
    >>> joint.numpy() == q.log_prob([0.0, 0.0]).numpy(), product.numpy() == joint.numpy()
    (array([[ True]]), array([[ True]]))

    Reference: Chen et al., Isolating Sources of Disentanglement in VAEs, 2018, Eq. 6 and appendix C.
    """
    pairs = z[:, :, tf.newaxis]
    marginals = marginal_log_prob(q, pairs)
    if marginals is None:
        raise invalid("q", "a posterior of independent scalars, or a multivariate normal", type(q).__name__)
    if z.shape[1] is not None:
        check_dataset_size(z.shape[1], dataset_size)
    weights = log_pair_weights(tf.shape(z)[1], dataset_size, estimator, z.dtype)
    joint = tf.reduce_logsumexp(q.log_prob(pairs) + weights, axis=2)
    for _ in range(z.shape.rank - 2):
        weights = weights[..., tf.newaxis]
    factors = tf.reduce_logsumexp(marginals + weights, axis=2)
    return joint, tf.reduce_sum(factors, axis=list(range(2, z.shape.rank)))


def check_dataset_size(batch_size: int, dataset_size: int) -> None:
    """Raises `ValueError` for a data set smaller than a batch."""
    if batch_size > dataset_size:
        raise invalid("dataset_size", f"at least the {batch_size} examples of a batch", dataset_size)


def log_pair_weights(
    batch_size: int | tf.Tensor,
    dataset_size: int,
    estimator: str = "weighted",
    dtype: tf.DType = tf.float32,
) -> tf.Tensor:
    """log w_ij, how q(z_i|x_j) counts in the estimate of q(z_i), `[M, M]`.

    "weighted" has w = 1 / (N M) throughout: of low variance, but a lower bound on average, by log M (narrow
    posteriors) to log N (wide ones). "stratified" knows that x_i, which made z_i, is one of N: it counts 1/N,
    the others stand for the rest of the data, 1 / (M - 1) each but for one, (N - M + 1) / (N (M - 1)), so
    that every row adds up to 1 and the mean over batches drawn without replacement is q(z_i) exactly.

    Args:
        batch_size: M.
        dataset_size: N, at least M.
        estimator: "weighted" or "stratified".
        dtype: a float type, in which the weights are also computed.

    Example:

    >>> tf.exp(log_pair_weights(3, 6, "stratified")).numpy().round(3)
    array([[0.167, 0.333, 0.5  ],
           [0.5  , 0.167, 0.333],
           [0.333, 0.5  , 0.167]], dtype=float32)

    Reference: Chen et al., 2018, appendix C.1 (weighted) and C.2 (stratified, whose M is M - 1 here).
    """
    lookup("estimator", estimator, ESTIMATORS)
    check_count("dataset_size", dataset_size)
    size, whole = tf.cast(batch_size, dtype), tf.constant(dataset_size, dtype)
    square = tf.stack([batch_size, batch_size])
    if estimator == "weighted":
        return tf.fill(square, -tf.math.log(whole * size))
    rest = tf.maximum(size - 1.0, 1.0)
    special = tf.maximum(whole - rest, 0.0) / (whole * rest)
    row, column = tf.range(batch_size)[:, tf.newaxis], tf.range(batch_size)[tf.newaxis]
    others = tf.where(tf.equal(column, (row + 1) % batch_size), special, tf.fill(square, 1.0 / rest))
    return tf.math.log(tf.where(tf.equal(row, column), 1.0 / whole, others))
