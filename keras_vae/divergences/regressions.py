"""What is believed of a linear regression with unknown slope and noise: its conjugate family."""

from typing import NamedTuple

import tensorflow as tf

from keras_vae.distributions.small_matrices import inverse_tril, product, square, transpose


class Regression(NamedTuple):
    """A matrix-normal inverse-Wishart distribution of A and Q, for y = A x + noise, noise ~ N(0, Q).

        p(Q) = InverseWishart(Q; scale Psi, degrees of freedom nu),    p(A|Q) = MatrixNormal(A; M, Q, V)

    held by natural parameters: the sums that data would have left, so that to learn from data is to add
    theirs. With x = 1 it is the normal inverse-Wishart of a mean, A, and a covariance.

    xx: V^-1, `[..., P, P]`, like the sum of x x'.
    yx: M V^-1, `[..., D, P]`, like the sum of y x'.
    yy: Psi + M V^-1 M', `[..., D, D]`, like the sum of y y'.
    count: nu, `[...]`, like the number of data.

    Reference: Fox et al., Nonparametric Bayesian Learning of Switching Linear Dynamical Systems, 2009,
    section 3.1; Johnson et al., Composing graphical models with neural networks, 2016, appendix.
    """

    xx: tf.Tensor
    yx: tf.Tensor
    yy: tf.Tensor
    count: tf.Tensor


class ExpectedRegression(NamedTuple):
    """What an average over A and Q leaves of log N(y; A x, Q): that of a regression, and two terms more,

        E log N(y; A x, Q) = log N(y; M x, W W') - D x' V x / 2 + constant

    slope: M, `[..., D, P]`.
    scale_tril: W, the Cholesky factor of E[Q^-1]^-1, `[..., D, D]`.
    doubt: D V, `[..., P, P]`: how uncertain the slope is.
    constant: at most 0, `[...]`, in nats: how uncertain the noise is.
    """

    slope: tf.Tensor
    scale_tril: tf.Tensor
    doubt: tf.Tensor
    constant: tf.Tensor


def regression(slope: tf.Tensor, xx: tf.Tensor, noise: tf.Tensor, count: tf.Tensor) -> Regression:
    """The belief with M = `slope`, V^-1 = `xx`, nu = `count` and E[Q^-1]^-1 = Psi / nu = `noise`."""
    yx = product(slope, xx)
    yy = count[..., None, None] * noise + product(yx, transpose(slope))
    return Regression(xx, yx, yy, count)


def expected_regression(belief: Regression) -> ExpectedRegression:
    """The means over a belief that messages are made of; see `ExpectedRegression`.

    Example: nothing is left of the doubt when much has been seen.

    >>> one = tf.ones([1, 1])
    >>> known = expected_regression(regression(2.0 * one, 1e6 * one, 9.0 * one, tf.constant(1e6)))
    >>> [round(float(tf.squeeze(value)), 3) for value in known]
    [2.0, 3.0, 0.0, -0.0]
    """
    slope, covariance, psi_tril = _moments(belief)
    size = psi_tril.shape[-1]
    nu = belief.count
    scale_tril = psi_tril / tf.sqrt(nu)[..., None, None]
    # E log |Q^-1| - log |E Q^-1|, halved.
    constant = 0.5 * (_multivariate_digamma(nu / 2.0, size) + size * tf.math.log(2.0 / nu))
    return ExpectedRegression(slope, scale_tril, size * covariance, constant)


def kl_of_regressions(q: Regression, p: Regression) -> tf.Tensor:
    """KL(q || p) of two beliefs about A and Q, `[...]`, in nats: never negative, and 0 for equal ones.

    The KL of the slopes, averaged over the noise, and that of the noise:

        D/2 (tr(V_p^-1 V_q) - P + log|V_p| / |V_q|) + nu_q/2 tr(Psi_q^-1 (M_q - M_p) V_p^-1 (M_q - M_p)')
        + nu_p/2 log|Psi_q| / |Psi_p| + nu_q/2 (tr(Psi_q^-1 Psi_p) - D)
        + log Gamma_D(nu_p/2) / Gamma_D(nu_q/2) + (nu_q - nu_p)/2 digamma_D(nu_q/2)

    Example:

    >>> one = tf.ones([1, 1])
    >>> belief = regression(2.0 * one, 3.0 * one, one, tf.constant(5.0))
    >>> abs(round(float(kl_of_regressions(belief, belief)), 6))
    0.0
    """
    slope, covariance, psi_tril = _moments(q)
    slope_p, _, psi_tril_p = _moments(p)
    size, inputs = psi_tril.shape[-1], covariance.shape[-1]
    nu, nu_p = q.count, p.count
    apart = tf.linalg.triangular_solve(psi_tril, slope - slope_p)
    of_slopes = (
        0.5 * size * (_trace(p.xx, covariance) - inputs)
        - 0.5 * size * (_log_det(tf.linalg.cholesky(p.xx)) - _log_det(tf.linalg.cholesky(q.xx)))
        + 0.5 * nu * _trace(product(apart, p.xx), apart)
    )
    ratio = tf.linalg.triangular_solve(psi_tril, psi_tril_p)
    of_noise = (
        0.5 * nu_p * (_log_det(psi_tril) - _log_det(psi_tril_p))
        + 0.5 * nu * (_trace(ratio, ratio) - size)
        + _multivariate_lgamma(nu_p / 2.0, size)
        - _multivariate_lgamma(nu / 2.0, size)
        + 0.5 * (nu - nu_p) * _multivariate_digamma(nu / 2.0, size)
    )
    return of_slopes + of_noise


def _moments(belief: Regression) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """M, V and the Cholesky factor of Psi."""
    factor = tf.linalg.cholesky(belief.xx)
    covariance = square(transpose(inverse_tril(factor)))
    slope = product(belief.yx, covariance)
    psi = belief.yy - product(slope, transpose(belief.yx))
    return slope, covariance, tf.linalg.cholesky(0.5 * (psi + transpose(psi)))


def _trace(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """tr(a b')."""
    return tf.reduce_sum(a * b, axis=[-2, -1])


def _log_det(lower: tf.Tensor) -> tf.Tensor:
    """log |L L'| of lower triangular L."""
    return 2.0 * tf.reduce_sum(tf.math.log(tf.linalg.diag_part(lower)), axis=-1)


def _halves(value: tf.Tensor, size: int) -> tf.Tensor:
    return value[..., None] - 0.5 * tf.range(size, dtype=value.dtype)


def _multivariate_digamma(value: tf.Tensor, size: int) -> tf.Tensor:
    return tf.reduce_sum(tf.math.digamma(_halves(value, size)), axis=-1)


def _multivariate_lgamma(value: tf.Tensor, size: int) -> tf.Tensor:
    """log Gamma_D without its constant, D (D - 1) / 4 log pi."""
    return tf.reduce_sum(tf.math.lgamma(_halves(value, size)), axis=-1)
