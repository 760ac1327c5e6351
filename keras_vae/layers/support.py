"""Where a likelihood's values may lie, so that data outside is refused before training."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Support:
    """The set of values a scalar of an event may take.

    Args:
        name: the word data sets use for it.
        description: what an error message calls it.
        contains: maps an array to a boolean array of its shape, true inside the set.
        scale, offset: `x * scale + offset` brings values of this set to about [-1, 1] for a network to read;
            (1, 0) leaves them as they are.
        hint: how to bring data into the set.
    """

    name: str
    description: str
    contains: Callable[[np.ndarray], np.ndarray]
    scale: float = 1.0
    offset: float = 0.0
    hint: str = ""


def integers(low: int, high: int | None, name: str = "integers") -> Support:
    """The integers from `low` to `high`, both included; no upper end where `high` is None."""
    upper = np.inf if high is None else high
    span = f"integers >= {low}" if high is None else f"integers in [{low}, {high}]"
    scale = 1.0 if high is None else 2.0 / (high - low)
    return Support(
        name=name,
        description=span,
        contains=lambda x: (x >= low) & (x <= upper) & (x == np.floor(x)),
        scale=scale,
        offset=0.0 if high is None else -1.0 - low * scale,
        hint="" if high is None else f"Multiply images in [0, 1] by {high} and round them.",
    )


REAL = Support("real", "real numbers", np.isfinite)
UNIT_INTERVAL = Support(
    "unit",
    "numbers in [0, 1]",
    lambda x: (x >= 0.0) & (x <= 1.0),
    hint="Divide 8-bit images by 255.",
)
ONE_HOT = Support("one-hot", "one-hot vectors of zeros and ones", lambda x: (x == 0.0) | (x == 1.0))
COUNTS = integers(0, None, "counts")
BYTES = integers(0, 255, "bytes")


def integers_or_bytes(low: int, high: int) -> Support:
    """`BYTES` where the two ends are those of 8-bit data."""
    return BYTES if (low, high) == (0, 255) else integers(low, high)
