"""Checks of arguments that are single numbers."""

import math
import numbers
from typing import Any

from keras_vae.errors import invalid


def is_number(value: Any) -> bool:
    """Whether `value` is a real number, of Python or NumPy; `True` is none.

    >>> is_number(1), is_number(0.5), is_number(True), is_number("1")
    (True, True, False, False)
    """
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def is_count(value: Any, least: int = 1) -> bool:
    """Whether `value` is an integer of at least `least`; `True` and `2.0` are not.

    >>> is_count(2), is_count(2, least=3), is_count(2.0)
    (True, False, False)
    """
    return isinstance(value, numbers.Integral) and not isinstance(value, bool) and int(value) >= least


def static_integer(value: Any) -> Any:
    """The value of a scalar integer tensor or array, as an `int`, if it is known; else `value` itself.

    >>> import numpy as np, tensorflow as tf
    >>> static_integer(tf.constant(3)), static_integer(np.array(3)), static_integer(2.5)
    (3, 3, 2.5)
    """
    if not hasattr(value, "dtype"):
        return value
    # Here, since the command line checks its arguments before it loads either.
    import numpy as np
    import tensorflow as tf

    if not isinstance(value, np.ndarray) and not tf.is_tensor(value):
        return value
    static = value if isinstance(value, np.ndarray) else tf.get_static_value(value)
    if static is None or np.ndim(static) or not np.issubdtype(np.asarray(static).dtype, np.integer):
        return value
    return int(static)


def check_count(argument: str, count: Any, least: int = 1) -> int:
    """`count` as an `int`; raises `ValueError` unless it is an integer of at least `least`.

    An integer tensor or array without dimensions is one too, if its value is known.
    """
    count = static_integer(count)
    if not is_count(count, least):
        raise invalid(argument, f"an integer >= {least}", count)
    return int(count)


def check_number(
    argument: str,
    value: Any,
    *,
    at_least: float = -math.inf,
    above: float = -math.inf,
    below: float = math.inf,
    at_most: float = math.inf,
) -> float:
    """`value` as a `float`; raises `ValueError` unless it is a finite number within the bounds.

    >>> check_number("rate", 0.5, at_least=0.0, below=1.0)
    0.5
    >>> check_number("rate", 1, at_least=0.0, below=1.0)
    Traceback (most recent call last):
    ...
    ValueError: Invalid value received for argument `rate`. Expected: a number in [0, 1). Received: 1.
    >>> check_number("scale", 0, above=0.0)
    Traceback (most recent call last):
    ...
    ValueError: Invalid value received for argument `scale`. Expected: a finite number > 0. Received: 0.
    """
    finite = is_number(value) and math.isfinite(value)
    if finite and at_least <= value <= at_most and above < value < below:
        return float(value)
    closed, low, high = at_least > -math.inf, max(at_least, above), min(at_most, below)
    if high < math.inf:
        expected = (
            f"a number in {'[' if closed else '('}{low:g}, {high:g}{']' if at_most < math.inf else ')'}"
        )
    elif low > -math.inf:
        expected = f"a finite number {'>=' if closed else '>'} {low:g}"
    else:
        expected = "a finite number"
    raise invalid(argument, expected, value)
