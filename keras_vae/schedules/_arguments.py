"""Checks of the numbers a schedule is built from."""

import math
from typing import Any

from keras_vae.checks import is_number
from keras_vae.errors import invalid

# Beyond these, float32 has no finite value and float64 no exact integer.
LARGEST_VALUE = 3.4028234e38
LARGEST_STEP = 2**53


def number(
    argument: str,
    value: Any,
    minimum: float = -LARGEST_VALUE,
    maximum: float = LARGEST_VALUE,
    expected: str = "a finite number",
) -> float:
    """Returns `value` as a `float` within `[minimum, maximum]`, or raises `ValueError`."""
    if not (is_number(value) and minimum <= value <= maximum):
        raise invalid(argument, expected, value)
    return float(value)


def whole(argument: str, value: Any, minimum: int) -> int:
    """Returns `value` as an `int` of at least `minimum`; `1e4` counts as whole, `1.5` does not."""
    expected = f"a whole number >= {minimum}"
    result = number(argument, value, minimum, LARGEST_STEP, expected)
    if not math.floor(result) == result:
        raise invalid(argument, expected, value)
    return int(result)
