"""The sliced Wasserstein distance of two samples of one size."""

import math

import tensorflow as tf

from keras_vae.distributions import draws
from keras_vae.divergences.checks import check_whole
from keras_vae.errors import invalid


def sliced_wasserstein(
    x: tf.Tensor, y: tf.Tensor, num_projections: int, seed: tf.Tensor, p: float = 2
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

    Returns:
        `[...]`, float32, in units of x to the power p. No p-th root is taken: its gradient is infinite at 0.

    Raises:
        ValueError: for arguments out of range or samples of different sizes.

    Reference: Kolouri et al., Sliced-Wasserstein Auto-Encoders, 2019, Algorithm 1.
    """
    check_sliced(num_projections, p)
    x, y = tf.convert_to_tensor(x, tf.float32), tf.convert_to_tensor(y, tf.float32)
    if not x.shape[-2:].is_compatible_with(y.shape[-2:]):
        raise invalid("y", f"as many points as x, shape {tuple(x.shape)}", f"shape {tuple(y.shape)}")
    return _along(x, y, _directions(x.shape[-1], num_projections, seed), p)


def check_sliced(num_projections: int, p: float) -> None:
    """Raises `ValueError` for options of `sliced_wasserstein` out of range."""
    check_whole("num_projections", num_projections)
    if isinstance(p, bool) or not isinstance(p, int | float) or not 1.0 <= p < math.inf:
        raise invalid("p", "a finite number >= 1", p)


def _directions(size: int, count: int, seed: tf.Tensor) -> tf.Tensor:
    """Unit vectors uniform on the sphere, `[count, size]`."""
    return tf.math.l2_normalize(draws.normal([count, size], seed), axis=-1)


def _along(x: tf.Tensor, y: tf.Tensor, directions: tf.Tensor, p: float) -> tf.Tensor:
    """The mean over `directions`, unit vectors in rows, of W_p^p of the projected points."""

    def sorted_projections(points: tf.Tensor) -> tf.Tensor:
        return tf.sort(tf.matmul(directions, points, transpose_b=True), axis=-1)

    gaps = tf.abs(sorted_projections(x) - sorted_projections(y))
    return tf.reduce_mean(gaps**p, axis=[-2, -1])
