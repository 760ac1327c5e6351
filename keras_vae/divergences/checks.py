"""Checks of the options of distances."""

import math
import numbers
from collections.abc import Iterable

from keras_vae.errors import invalid


def check_number(argument: str, value: object, above: float = 0.0) -> float:
    """The value as a float; raises `ValueError` unless it is a finite number > `above`."""
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not (is_number and above < value < math.inf):  # type: ignore[operator]
        raise invalid(argument, f"a finite number > {above:g}", value)
    return float(value)  # type: ignore[arg-type]


def check_whole(argument: str, value: object) -> int:
    """The value as an integer; raises `ValueError` unless it is one and at least 1."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 1:
        raise invalid(argument, "an integer >= 1", value)
    return int(value)


def check_scales(scales: Iterable[float]) -> tuple[float, ...]:
    """The scales as a tuple; raises `ValueError` unless there is one and all are > 0."""
    if isinstance(scales, str) or not isinstance(scales, Iterable) or not list(scales):
        raise invalid("scales", "one or more numbers > 0", scales)
    return tuple(check_number("scales", scale) for scale in scales)
