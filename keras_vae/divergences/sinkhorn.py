"""The debiased Sinkhorn divergence of two samples."""

import warnings
from typing import NamedTuple

import tensorflow as tf

from keras_vae.checks import check_count, check_number
from keras_vae.divergences.checks import check_samples
from keras_vae.divergences.mmd import squared_distances
from keras_vae.divergences.weights import normalized


class SinkhornResult(NamedTuple):
    """A Sinkhorn divergence and how far its plans are from transporting all mass.

    value: `[...]`.
    marginal_error: `[...]`, the largest over the three plans of sum_i |sum_j P_ij - a_i|, a_i the mass of i.
    """

    value: tf.Tensor
    marginal_error: tf.Tensor


def sinkhorn(
    x: tf.Tensor,
    y: tf.Tensor,
    epsilon: float = 1.0,
    num_iterations: int = 100,
    tolerance: float = 1e-3,
    weights: tf.Tensor | None = None,
) -> tf.Tensor:
    """The debiased Sinkhorn divergence, OT(x, y) - OT(x, x) / 2 - OT(y, y) / 2, with

        OT(x, y) = min over plans P of sum_ij P_ij |x_i - y_j|^2 + epsilon * KL(P || uniform)

    Between the squared Wasserstein distance (epsilon to 0) and the squared distance of the means (epsilon to
    infinity); never negative, and 0 for equal samples only. Computed by log-domain Sinkhorn iterations, from
    a large epsilon halved until the one asked for. The gradient is that of the optimal plan (envelope
    theorem), so nothing is differentiated through the iterations.

    Args:
        x, y: float32 `[..., N, d]` and `[..., M, d]`, points in rows.
        epsilon: a number > 0 in units of the cost, squared distances. Small values take more iterations.
        num_iterations: the most iterations, at least 1.
        tolerance: iterations end where the marginal error falls below this number > 0.
        weights: of the points of x, numbers >= 0, `[..., N]`, or None for equal ones. What is uniform above
            is then in proportion to them, on the side of x.

    Returns:
        `[...]`, float32, in units of the cost. See `sinkhorn_with_error` and `check_convergence`.

    Raises:
        ValueError: for arguments out of range, points of different dimensions, or weights that are not
            numbers >= 0, one for each point of x.

    Example:

    >>> x = tf.constant([[0.0, 0.0], [0.0, 1.0]])
    >>> sinkhorn(x, x + 3.0, epsilon=0.01).numpy().round(3)
    np.float32(18.0)

    Reference: Feydy et al., Interpolating between Optimal Transport and MMD using Sinkhorn Divergences, 2019,
    Eq. 3 (the divergence) and section 3.1 (the iterations, and those of a sample with itself).
    """
    return sinkhorn_with_error(x, y, epsilon, num_iterations, tolerance, weights).value


def sinkhorn_with_error(
    x: tf.Tensor,
    y: tf.Tensor,
    epsilon: float = 1.0,
    num_iterations: int = 100,
    tolerance: float = 1e-3,
    weights: tf.Tensor | None = None,
) -> SinkhornResult:
    """`sinkhorn` and its marginal error; arguments as there."""
    check_options(epsilon, num_iterations, tolerance)
    x, y = tf.cast(x, tf.float32), tf.cast(y, tf.float32)
    check_samples(x, y, weights)
    costs = squared_distances(x, y), squared_distances(x, x), squared_distances(y, y)
    between, within_x, within_y = (tf.stop_gradient(cost) for cost in costs)
    # Masses in units of those of equal points.
    mass, ones = tf.ones_like(x[..., 0]), tf.ones_like(y[..., 0])
    if weights is not None:
        mass *= normalized(tf.cast(weights, tf.float32)) * tf.cast(tf.shape(x)[-2], tf.float32)
    options = epsilon, num_iterations, tolerance
    f, g, of_x, of_y = _potentials(between, within_x, within_y, mass, *options)
    pairs = (f, g, mass, ones), (of_x, of_x, mass, mass), (of_y, of_y, ones, ones)
    parts = [_transport(cost, *pair, epsilon) for cost, pair in zip(costs, pairs, strict=True)]
    value = parts[0].value - 0.5 * parts[1].value - 0.5 * parts[2].value
    error = tf.reduce_max(tf.stack([part.marginal_error for part in parts]), axis=0)
    return SinkhornResult(value, tf.stop_gradient(error))


def check_convergence(marginal_error: tf.Tensor | float, tolerance: float) -> bool:
    """Warns, naming the remedy, if `sinkhorn_with_error` has not converged; for eager code.

    Args:
        marginal_error: as returned there.
        tolerance: as given there.

    Returns:
        Whether it warned.

    Example:

    >>> import warnings
    >>> x = tf.constant([[0.0], [1.0], [5.0]])
    >>> error = sinkhorn_with_error(x, x**2, epsilon=0.01, num_iterations=1).marginal_error
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warned = check_convergence(error, tolerance=1e-3)
    >>> warned, len(caught)
    (True, 1)
    """
    worst = float(tf.reduce_max(marginal_error))
    converged = worst <= tolerance  # not so for an error that is no number
    if not converged:
        warnings.warn(
            f"Sinkhorn did not converge: marginal error {worst:.3g}, tolerance {tolerance:.3g}. "
            "Raise `epsilon` or `num_iterations`, or accept a higher `tolerance`.",
            RuntimeWarning,
            stacklevel=2,
        )
    return not converged


def check_options(epsilon: float, num_iterations: int, tolerance: float) -> None:
    """Raises `ValueError` for options of `sinkhorn` out of range."""
    check_count("num_iterations", num_iterations)
    check_number("epsilon", epsilon, above=0.0)
    check_number("tolerance", tolerance, above=0.0)


def _potentials(
    between: tf.Tensor,
    within_x: tf.Tensor,
    within_y: tf.Tensor,
    mass: tf.Tensor,
    epsilon: float,
    num_iterations: int,
    tolerance: float,
) -> tuple[tf.Tensor, ...]:
    """The dual potentials f, g of x with y, and those of x and of y with themselves."""
    log_mass = tf.math.log(mass)

    def iterate(error, step, f, g, of_x, of_y):
        del error
        new_f = _softmin(between, g[..., None, :], step, axis=-1)
        new_g = _softmin(between, new_f[..., :, None], step, axis=-2, log_mass=log_mass[..., :, None])
        x_map = _softmin(within_x, of_x[..., None, :], step, axis=-1, log_mass=log_mass[..., None, :])
        y_map = _softmin(within_y, of_y[..., None, :], step, axis=-1)
        # What the rows of the plans before this step sum to, relative to their mass. Only at the end.
        moves = ((f - new_f, mass), (of_x - x_map, mass), (of_y - y_map, tf.ones_like(of_y)))
        sums = [tf.math.multiply_no_nan(tf.abs(tf.exp(move / step) - 1.0), of) for move, of in moves]
        worst = [tf.reduce_max(tf.reduce_mean(total, axis=-1)) for total in sums]
        error = tf.where(step > epsilon, float("inf"), tf.reduce_max(tf.stack(worst)))
        # The potential of a sample with itself is a fixed point; half steps towards it converge at once.
        halves = 0.5 * (of_x + x_map), 0.5 * (of_y + y_map)
        return error, tf.maximum(step / 2.0, epsilon), new_f, new_g, *halves

    # Points without mass have no part in it.
    start = tf.maximum(tf.reduce_max(tf.where(mass[..., :, None] > 0.0, between, 0.0)), epsilon)
    zeros = tf.zeros_like(between[..., :, 0]), tf.zeros_like(between[..., 0, :])
    state = (tf.constant(float("inf")), start, *zeros, *zeros)
    _, _, f, g, of_x, of_y = tf.while_loop(
        lambda error, *_: error > tolerance, iterate, state, maximum_iterations=num_iterations
    )
    return f, g, of_x, of_y


def _softmin(
    cost: tf.Tensor,
    potential: tf.Tensor,
    epsilon: tf.Tensor,
    axis: int,
    log_mass: tf.Tensor | float = 0.0,
) -> tf.Tensor:
    """-epsilon * log of the mean over `axis` of mass * exp((potential - cost) / epsilon)."""
    count = tf.cast(tf.shape(cost)[axis], tf.float32)
    exponents = (potential - cost) / epsilon + log_mass
    return -epsilon * (tf.reduce_logsumexp(exponents, axis=axis) - tf.math.log(count))


def _transport(
    cost: tf.Tensor,
    f: tf.Tensor,
    g: tf.Tensor,
    row_mass: tf.Tensor,
    column_mass: tf.Tensor,
    epsilon: float,
) -> SinkhornResult:
    """The dual objective at the potentials, and the marginal error of their plan."""
    rows, columns = (tf.cast(tf.shape(cost)[axis], tf.float32) for axis in (-2, -1))
    constant = tf.stop_gradient(cost)
    mass = row_mass[..., :, None] * column_mass[..., None, :]
    # Where there is no mass nothing holds the potentials back: the exponential may be infinite.
    exponents = tf.where(mass > 0.0, (f[..., :, None] + g[..., None, :] - constant) / epsilon, 0.0)
    plan = tf.exp(exponents) * mass / (rows * columns)
    excess = tf.reduce_sum(plan, axis=[-2, -1]) - 1.0
    means = tf.reduce_mean(row_mass * f, axis=-1), tf.reduce_mean(column_mass * g, axis=-1)
    dual = means[0] + means[1] - epsilon * excess
    # 0, with the gradient of the cost of the plan.
    slope = tf.reduce_sum(plan * (cost - constant), axis=[-2, -1])
    errors = (
        tf.reduce_sum(tf.abs(tf.reduce_sum(plan, axis=-1) - row_mass / rows), axis=-1),
        tf.reduce_sum(tf.abs(tf.reduce_sum(plan, axis=-2) - column_mass / columns), axis=-1),
    )
    return SinkhornResult(dual + slope, tf.maximum(*errors))
