"""Which latent dimensions a model uses."""

from typing import Any

import numpy as np

from keras_vae.errors import invalid


def active_units(means: Any, threshold: float = 0.01) -> np.ndarray:
    """Which latent dimensions are active: Var_x(E_q(z_i|x)[z_i]) > threshold.

    A dimension whose posterior mean is the same for all data has collapsed: it carries nothing of x. Unlike
    the KL per dimension, this count does not depend on how wide the posterior is.

    Args:
        means: posterior means over a data set, `[N] + latent`, N >= 2.
        threshold: the variance above which a dimension is active; 0.01 suits priors of variance 1.

    Returns:
        Boolean, `latent`: count them with `.sum()`, list them with `np.flatnonzero`.

    Raises:
        ValueError: for fewer than two examples, or a threshold below 0.

    Reference: Burda, Grosse & Salakhutdinov, Importance Weighted Autoencoders, 2016, section 5.2.

    Example:

    >>> active_units([[0.0, 3.0], [0.01, -3.0], [0.0, 0.0]]).tolist()
    [False, True]
    """
    means = np.asarray(means, np.float64)
    if means.ndim < 1 or len(means) < 2:
        raise invalid(
            "means", "posterior means of two or more examples, [N] + latent", f"shape {means.shape}"
        )
    check_threshold(threshold)
    return means.var(axis=0) > threshold


def check_threshold(threshold: Any) -> None:
    if isinstance(threshold, bool) or not isinstance(threshold, int | float) or not threshold >= 0:
        raise invalid("threshold", "a variance >= 0", threshold)
