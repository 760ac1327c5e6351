"""Stateless draws by the Philox generator, named, since what TensorFlow would choose differs between devices.

Under XLA on a CPU it would choose one that takes some hundred times as long.
"""

from typing import Any

import tensorflow as tf

_ALGORITHM = "philox"


def uniform(shape: Any, seed: tf.Tensor, dtype: tf.DType = tf.float32) -> tf.Tensor:
    """Draws from the uniform distribution on [0, 1), of this shape; `seed` is int32 `[2]`."""
    return tf.random.stateless_uniform(shape, seed, dtype=dtype, alg=_ALGORITHM)


def normal(shape: Any, seed: tf.Tensor, dtype: tf.DType = tf.float32) -> tf.Tensor:
    """Draws from the standard normal, of this shape; `seed` is int32 `[2]`."""
    return tf.random.stateless_normal(shape, seed, dtype=dtype, alg=_ALGORITHM)


def bits(shape: Any, seed: tf.Tensor) -> tf.Tensor:
    """Any int32 with equal probability, of this shape; equal in eager code, in a graph and under XLA."""
    return tf.random.stateless_uniform(shape, seed, minval=None, maxval=None, dtype=tf.int32, alg=_ALGORITHM)


def dropout(x: tf.Tensor, rate: float, seed: tf.Tensor, noise_shape: Any = None) -> tf.Tensor:
    """x with a share `rate` of its values 0 and the others divided by 1 - rate; `seed` is int32 `[2]`.

    Args:
        noise_shape: shape of the mask, None where it is that of x; None for one of the shape of x.
    """
    if noise_shape is not None:
        noise_shape = [tf.shape(x)[axis] if size is None else size for axis, size in enumerate(noise_shape)]
    return tf.nn.experimental.stateless_dropout(x, rate, seed, rng_alg=_ALGORITHM, noise_shape=noise_shape)


def fold_in(seed: tf.Tensor, number: int | tf.Tensor) -> tf.Tensor:
    """A seed of its own for each number, int32 `[2]`."""
    return tf.random.experimental.stateless_fold_in(seed, tf.cast(number, tf.int32), alg=_ALGORITHM)
