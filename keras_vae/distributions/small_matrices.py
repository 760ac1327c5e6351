"""Products of many small matrices."""

import tensorflow as tf


def product(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """a b, of `[..., I, J]` and `[..., J, K]` with batch shapes that broadcast.

    Sums of products: XLA fuses these with what is around them, where a batched `tf.matmul` is a call for
    every matrix; and on CPUs oneDNN's ends the process for some batch shapes, such as [30, 1] with [1].
    """
    return tf.reduce_sum(a[..., :, :, tf.newaxis] * b[..., tf.newaxis, :, :], axis=-2)


def square(a: tf.Tensor) -> tf.Tensor:
    """a a', `[..., I, I]`, of `[..., I, J]`."""
    return tf.reduce_sum(a[..., :, tf.newaxis, :] * a[..., tf.newaxis, :, :], axis=-1)


def apply(a: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    """a x, of `[..., I, J]` and `[..., J]` with batch shapes that broadcast."""
    return tf.reduce_sum(a * x[..., tf.newaxis, :], axis=-1)


def transpose(a: tf.Tensor) -> tf.Tensor:
    """a', `[..., J, I]`, of `[..., I, J]`."""
    return tf.linalg.matrix_transpose(a)


def inverse_tril(lower: tf.Tensor) -> tf.Tensor:
    """The inverse of lower triangular matrices, `[..., D, D]`."""
    unit = tf.eye(lower.shape[-1], dtype=lower.dtype)
    return tf.linalg.triangular_solve(lower, tf.broadcast_to(unit, tf.shape(lower)))


def factor_of_inverse(matrix: tf.Tensor) -> tf.Tensor:
    """The upper triangular W with W' W the inverse of a positive definite matrix, `[..., D, D]`."""
    # Rows and columns backwards, a lower factor becomes an upper one.
    lower = tf.linalg.cholesky(tf.reverse(matrix, axis=[-2, -1]))
    return tf.reverse(inverse_tril(lower), axis=[-2, -1])


def factor_with_evidence(scale_tril: tf.Tensor, precision: tf.Tensor) -> tf.Tensor:
    """The upper triangular W with W' W = (I + L' R L)^-1, `[..., D, D]`, for L = `scale_tril`.

    So L W' is lower triangular, and is the Cholesky factor of (Q^-1 + R)^-1, where Q = L L': the covariance
    of a normal with covariance Q that has seen evidence of precision R, without a difference being taken.
    """
    unit = tf.eye(scale_tril.shape[-1], dtype=scale_tril.dtype)
    return factor_of_inverse(unit + product(transpose(scale_tril), product(precision, scale_tril)))
