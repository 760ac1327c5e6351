"""A mean with its uncertainty."""

import math
from typing import Any, NamedTuple

import numpy as np


class Statistic(NamedTuple):
    """The mean over examples, and its standard error: their standard deviation over the root of their number.

    The standard error tells how far the mean would move with other examples from the same source. It is NaN
    for one example.

    Example:

    >>> Statistic.of([1.0, 2.0, 3.0, 2.0])
    Statistic(mean=2.0, standard_error=0.408...)
    """

    mean: float
    standard_error: float

    @classmethod
    def of(cls, values: Any) -> "Statistic":
        """The statistic of one value per example, `[N]`."""
        values = np.asarray(values, np.float64)
        if len(values) < 2:
            return cls(float(values.mean()), math.nan)
        # The mean of infinite values is infinite, and has no standard error.
        with np.errstate(invalid="ignore"):
            error = values.std(ddof=1) / math.sqrt(len(values))
        return cls(float(values.mean()), float(error))

    def scaled(self, factor: float) -> "Statistic":
        """The statistic of `factor` times the values."""
        return Statistic(factor * self.mean, abs(factor) * self.standard_error)
