"""The sliced Wasserstein distance of two samples of one size."""

import math

import tensorflow as tf

from keras_vae.checks import check_count
from keras_vae.distributions import draws
from keras_vae.divergences.checks import check_samples
from keras_vae.divergences.weights import normalized
from keras_vae.errors import invalid


def sliced_wasserstein(
    x: tf.Tensor,
    y: tf.Tensor,
    num_projections: int,
    seed: tf.Tensor,
    p: float = 2,
    weights: tf.Tensor | None = None,
) -> tf.Tensor:
    """SW_p^p(x, y): the mean over random directions of the Wasserstein distance along each, to the power p.

    In one dimension the best plan pairs the sorted points: with u a direction,

        mean over u and i of |sort(x u)_i - sort(y u)_i|^p

    It costs N log N a direction, where `sinkhorn` costs N^2 an iteration; but in many dimensions most
    directions see little of a difference.

    Args:
        x, y: float32 `[..., N, d]`, as many points each, in rows.
        num_projections: number of directions, uniform on the sphere.
        seed: int32 `[2]`, stateless seed of the directions.
        p: the power, a number >= 1.
        weights: of the points of x, numbers >= 0, `[..., N]`, or None for equal ones. The best plan then
            pairs equal shares of the mass, in order.

    Returns:
        `[...]`, float32, in units of x to the power p. No p-th root is taken: its gradient is infinite at 0.

    Raises:
        ValueError: for arguments out of range, samples of different sizes, or weights that are not
            numbers >= 0, one for each point of x.

    Reference: Kolouri et al., Sliced-Wasserstein Auto-Encoders, 2019, Algorithm 1.
    """
    check_sliced(num_projections, p)
    x, y = tf.cast(x, tf.float32), tf.cast(y, tf.float32)
    check_samples(x, y, weights)
    if not x.shape[-2:].is_compatible_with(y.shape[-2:]):
        raise invalid("y", f"as many points as x, shape {tuple(x.shape)}", f"shape {tuple(y.shape)}")
    directions = _directions(x.shape[-1], num_projections, seed)
    if weights is None:
        return _along(x, y, directions, p)
    return _weighted_along(x, y, normalized(tf.cast(weights, tf.float32)), directions, p)


def check_sliced(num_projections: int, p: float) -> None:
    """Raises `ValueError` for options of `sliced_wasserstein` out of range."""
    check_count("num_projections", num_projections)
    if isinstance(p, bool) or not isinstance(p, int | float) or not 1.0 <= p < math.inf:
        raise invalid("p", "a finite number >= 1", p)


def _directions(size: int, count: int, seed: tf.Tensor) -> tf.Tensor:
    """Unit vectors uniform on the sphere, `[count, size]`."""
    return tf.math.l2_normalize(draws.normal([count, size], seed), axis=-1)


def _along(x: tf.Tensor, y: tf.Tensor, directions: tf.Tensor, p: float) -> tf.Tensor:
    """The mean over `directions`, unit vectors in rows, of W_p^p of the projected points."""

    gaps = tf.abs(tf.sort(_projected(x, directions)) - tf.sort(_projected(y, directions)))
    return tf.reduce_mean(gaps**p, axis=[-2, -1])


def _weighted_along(
    x: tf.Tensor, y: tf.Tensor, weights: tf.Tensor, directions: tf.Tensor, p: float
) -> tf.Tensor:
    """`_along` where the points of x have masses `weights`: the integral of the gap between quantiles."""
    projected, y_sorted = _projected(x, directions), tf.sort(_projected(y, directions))
    order = tf.argsort(projected)
    batch = projected.shape.rank - 1
    x_sorted = tf.gather(projected, order, batch_dims=batch)
    masses = tf.broadcast_to(weights[..., None, :], tf.shape(projected))
    x_ends = tf.cumsum(tf.gather(masses, order, batch_dims=batch), axis=-1)
    y_ends = tf.cumsum(tf.ones_like(y_sorted), axis=-1) / tf.cast(tf.shape(y)[-2], tf.float32)
    # Between two neighbouring ends both quantile functions are constant.
    ends = tf.sort(tf.concat([x_ends, y_ends], axis=-1))
    starts = tf.concat([tf.zeros_like(ends[..., :1]), ends[..., :-1]], axis=-1)

    def quantile(values: tf.Tensor, value_ends: tf.Tensor) -> tf.Tensor:
        index = tf.searchsorted(value_ends, 0.5 * (starts + ends))
        return tf.gather(values, tf.minimum(index, tf.shape(values)[-1] - 1), batch_dims=batch)

    gaps = tf.abs(quantile(x_sorted, x_ends) - quantile(y_sorted, y_ends))
    return tf.reduce_mean(tf.reduce_sum((ends - starts) * gaps**p, axis=-1), axis=-1)


def _projected(points: tf.Tensor, directions: tf.Tensor) -> tf.Tensor:
    """The points along every direction, `[..., count, N]`."""
    return tf.matmul(directions, points, transpose_b=True)
