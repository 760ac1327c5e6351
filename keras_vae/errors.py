"""The one wording of every error: what was wrong, what was expected, what was received, how to mend it."""

import difflib
from collections.abc import Iterable, Mapping
from typing import TypeVar

T = TypeVar("T")


def invalid(argument: str, expected: str, received: object, hint: str = "") -> ValueError:
    """Returns (does not raise) the `ValueError` for a bad argument, on one line.

    Args:
        argument: the argument's name as the caller wrote it.
        expected: what would have been right.
        received: what came; shown with `repr`, shortened to 200 characters.
        hint: how to mend it, a full sentence, or nothing.

    Example:

    >>> raise invalid("beta", "a number >= 0", -1)
    Traceback (most recent call last):
    ...
    ValueError: Invalid value received for argument `beta`. Expected: a number >= 0. Received: -1.
    """
    shown = received if isinstance(received, str) and "\n" not in received else repr(received)
    shown = " ".join(str(shown).split())
    if len(shown) > 200:
        shown = shown[:197] + "..."
    message = f"Invalid value received for argument `{argument}`. Expected: {expected}. Received: {shown}."
    return ValueError(f"{message} {hint}".rstrip())


def lookup(argument: str, name: str, known: Mapping[str, T]) -> T:
    """Returns `known[name]`, or raises a `ValueError` that names the nearest known name.

    Example:

    >>> lookup("network", "mpl", {"mlp": 1, "conv": 2})
    Traceback (most recent call last):
    ...
    ValueError: Invalid value received for argument `network`. Expected: one of 'conv', 'mlp'. \
Received: mpl. Did you mean 'mlp'?
    """
    if isinstance(name, str) and name in known:
        return known[name]
    names = ", ".join(repr(key) for key in sorted(known))
    raise invalid(argument, f"one of {names}", name, _did_you_mean(name, known))


def _did_you_mean(name: object, known: Iterable[str]) -> str:
    normalised = {key.lower().replace("_", "-"): key for key in known}
    query = str(name).lower().replace("_", "-")
    near = difflib.get_close_matches(query, list(normalised), n=1, cutoff=0.5)
    return f"Did you mean {normalised[near[0]]!r}?" if near else ""
