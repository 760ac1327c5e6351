"""Which models no other beats in both rate and distortion, and how much they beat together."""

from typing import Any

import numpy as np

from keras_vae.errors import invalid


def pareto_front(rates: Any, distortions: Any) -> np.ndarray:
    """Indices of the models that no other dominates, both figures to be minimised.

    A model dominates another if it is no worse in both figures and better in one. Of models with the same
    two figures the first is kept, and one with a figure that is NaN or infinite is never on the front.

    Args:
        rates: KL(q(z|x) || p(z)) of each model, `[N]`, in nats; N may be 0.
        distortions: -E_q[log p(x|z)] of each model, `[N]`, in nats.

    Returns:
        Indices, int64 `[F]`, by rising rate: along them the rate rises strictly and the distortion falls
        strictly. Empty where no model has finite figures.

    Raises:
        ValueError: for figures that are not numbers of shape `[N]`, or not as many of both.

    Reference: Alemi et al., Fixing a Broken ELBO, 2018, section 3 (rate and distortion).

    Example: the third is as good as the second and later, the last is worse than the first in both.

    >>> pareto_front([1.0, 5.0, 5.0, 2.0], [90.0, 60.0, 60.0, 95.0]).tolist()
    [0, 1]
    """
    points = _checked(rates, distortions)
    finite = np.flatnonzero(np.isfinite(points).all(axis=1))
    rate, distortion = points[finite].T
    # A stable sort, so that the first of equal models stays first.
    order = np.lexsort((distortion, rate))
    sorted_distortion = distortion[order]
    best_before = np.minimum.accumulate(np.concatenate([[np.inf], sorted_distortion]))[:-1]
    return finite[order[sorted_distortion < best_before]]


def hypervolume(rates: Any, distortions: Any, reference: Any) -> float:
    """The area of the rate-distortion plane that the models dominate, up to a reference.

    One figure for a whole search: the area of the points that are worse than some model in both figures and
    better than the reference in both, in nats squared. Only the front counts, and each model that pushes it
    outwards adds to the area. Compare searches by the same reference only.

    Args:
        rates, distortions: as of `pareto_front`.
        reference: a rate and a distortion, finite, worse than those of interest; models that are not better
            than it in both add nothing.

    Returns:
        The area, >= 0.

    Raises:
        ValueError: for figures that are not numbers of shape `[N]`, not as many of both, or a reference that
            is not two finite numbers.

    Reference: Zitzler & Thiele, Multiobjective Optimization Using Evolutionary Algorithms - A Comparative
    Case Study, 1998 (there, "size of the space covered").

    Example: rectangles of 4 x 1 and 2 x 3 that share 2 x 1.

    >>> hypervolume([1.0, 3.0], [4.0, 2.0], reference=(5.0, 5.0))
    8.0
    """
    points = _checked(rates, distortions)
    corner = _numbers("reference", reference, "a rate and a distortion, two finite numbers")
    if corner.shape != (2,) or not np.isfinite(corner).all():
        raise invalid("reference", "a rate and a distortion, two finite numbers", reference)
    rate, distortion = points[pareto_front(*points.T)].T
    # The front goes down to the right, so those that are better than the reference are neighbours on it.
    better = (rate < corner[0]) & (distortion < corner[1])
    rate, distortion = rate[better], distortion[better]
    # One rectangle a model, as wide as the way to the next one.
    widths = np.diff(np.concatenate([rate, corner[:1]]))
    return float(np.sum(widths * (corner[1] - distortion)))


def _checked(rates: Any, distortions: Any) -> np.ndarray:
    """The models as points, float64 `[N, 2]`."""
    expected = "one number per model, shape [N]"
    columns = {
        name: _numbers(name, value, expected)
        for name, value in (("rates", rates), ("distortions", distortions))
    }
    for name, column in columns.items():
        if column.ndim != 1:
            raise invalid(name, expected, f"shape {column.shape}")
    first, second = columns.values()
    if len(first) != len(second):
        raise invalid("distortions", f"{len(first)} numbers, as many as rates", f"{len(second)}")
    return np.stack([first, second], axis=1)


def _numbers(name: str, value: Any, expected: str) -> np.ndarray:
    try:
        return np.asarray(value, np.float64)
    except (TypeError, ValueError) as error:
        raise invalid(name, expected, value) from error
