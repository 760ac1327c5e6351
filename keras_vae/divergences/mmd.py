"""The maximum mean discrepancy of two samples."""

from collections.abc import Iterable

import tensorflow as tf

from keras_vae.checks import check_number
from keras_vae.divergences.checks import check_samples, check_scales
from keras_vae.divergences.weights import normalized
from keras_vae.errors import lookup

SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)

KERNELS = {
    "imq": lambda distance, width: width / (width + distance),
    "rbf": lambda distance, width: tf.exp(-distance / width),
}


def squared_distances(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """|x_i - y_j|^2 of every pair: `[..., N, d]` and `[..., M, d]` to `[..., N, M]`.

    From the differences themselves: |x|^2 + |y|^2 - 2 x.y would cancel, most of all in the shortened floats
    in which GPUs multiply matrices.
    """
    return tf.reduce_sum(tf.math.squared_difference(x[..., :, None, :], y[..., None, :, :]), axis=-1)


def mmd(
    x: tf.Tensor,
    y: tf.Tensor,
    kernel: str = "imq",
    scales: Iterable[float] = SCALES,
    unbiased: bool = True,
    variance: float = 1.0,
    weights: tf.Tensor | None = None,
) -> tf.Tensor:
    """The squared maximum mean discrepancy, E k(x, x') + E k(y, y') - 2 E k(x, y), with a sum of kernels.

    k is the sum over `scales` of C / (C + |x - y|^2) ("imq", inverse multiquadratic) or exp(-|x - y|^2 / C)
    ("rbf"), with C = scale * 2 * d * variance: 2 * d * variance is the expected squared distance of two draws
    from N(0, variance * I). The multiquadratic has heavier tails, so that points far from all of y still feel
    a pull; prefer it for codes of an autoencoder.

    Args:
        x, y: float32 `[..., N, d]` and `[..., M, d]`, points in rows.
        kernel: "imq" or "rbf".
        scales: numbers > 0.
        unbiased: leaves the pairs of a point with itself out of the first two means (a U-statistic): 0 on
            average for equal distributions, and below 0 half of the time. False is the biased V-statistic, a
            squared distance and never negative. A sample of one point has no pairs, and is always biased.
        variance: a number > 0, the variance of one coordinate of y.
        weights: of the points of x, numbers >= 0, `[..., N]`, or None for equal ones. The means over x are
            weighted ones; pairs count as the product of their weights.

    Returns:
        `[...]`, float32, without unit.

    Raises:
        ValueError: for an unknown kernel, a scale or variance that is not above 0, points of different
            dimensions, or weights that are not numbers >= 0, one for each point of x.

    Example:

    >>> x, y = tf.constant([[0.0], [2.0]]), tf.constant([[0.0], [2.0]])
    >>> mmd(x, y, scales=[1.0], unbiased=False).numpy()
    np.float32(0.0)

    Reference: Gretton et al., A Kernel Two-Sample Test, 2012, Eq. 3 (unbiased) and 5 (biased); Tolstikhin
    et al., Wasserstein Auto-Encoders, 2018, section 4 (C of the multiquadratic) and Algorithm 2.
    """
    x, y = tf.cast(x, tf.float32), tf.cast(y, tf.float32)
    check_samples(x, y, weights)
    function, scales = lookup("kernel", kernel, KERNELS), check_scales(scales)
    unit = 2.0 * x.shape[-1] * check_number("variance", variance, above=0.0)

    def total(distances: tf.Tensor) -> tf.Tensor:
        return tf.add_n([function(distances, scale * unit) for scale in scales])

    def weighted(x_weights: tf.Tensor) -> tf.Tensor:
        within_x, rows = total(squared_distances(x, x)), x_weights[..., None]
        pairs = rows * x_weights[..., None, :]
        mean = tf.reduce_sum(pairs * within_x, axis=[-2, -1])
        if unbiased:
            others = tf.linalg.set_diag(pairs, tf.zeros_like(x_weights))
            share = tf.reduce_sum(others, axis=[-2, -1])
            u_statistic = tf.math.divide_no_nan(tf.reduce_sum(others * within_x, axis=[-2, -1]), share)
            mean = tf.where(share > 0.0, u_statistic, mean)
        between = tf.reduce_sum(rows * total(squared_distances(x, y)), axis=-2)
        return mean + within(y) - 2.0 * tf.reduce_mean(between, axis=-1)

    def within(points: tf.Tensor) -> tf.Tensor:
        kernels = total(squared_distances(points, points))
        mean = tf.reduce_mean(kernels, axis=[-2, -1])
        if not unbiased:
            return mean
        count = tf.cast(tf.shape(points)[-2], tf.float32)
        off_diagonal = tf.linalg.set_diag(kernels, tf.zeros_like(kernels[..., 0]))
        pairs = tf.maximum(count * (count - 1.0), 1.0)
        return tf.where(count > 1.0, tf.reduce_sum(off_diagonal, axis=[-2, -1]) / pairs, mean)

    if weights is not None:
        return weighted(normalized(tf.cast(weights, tf.float32)))
    between = tf.reduce_mean(total(squared_distances(x, y)), axis=[-2, -1])
    return within(x) + within(y) - 2.0 * between
