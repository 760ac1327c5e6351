"""From measurements to medians, ratios and flags. Pure functions of plain numbers."""

import dataclasses
import statistics
from collections.abc import Mapping, Sequence


@dataclasses.dataclass(frozen=True)
class Spread:
    """Smallest, middle and largest of some numbers."""

    low: float
    median: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    """Returns the spread of one or more numbers.

    Example:

    >>> spread([3.0, 1.0, 2.0])
    Spread(low=1.0, median=2.0, high=3.0)
    """
    return Spread(min(values), statistics.median(values), max(values))


def speeds(rounds: Sequence[Mapping[str, float]]) -> dict[str, Spread]:
    """Returns each contender's spread over the rounds.

    Args:
        rounds: steps per second by contender, one mapping a round.
    """
    return {name: spread([one[name] for one in rounds]) for name in rounds[0]}


def ratios(rounds: Sequence[Mapping[str, float]], reference: str) -> dict[str, Spread]:
    """Returns the spread of reference / contender, divided within each round.

    Neighbours in time share the machine's state, so the ratio within a round is steadier than the
    ratio of two medians.

    Example:

    >>> ratios([{"a": 2.0, "b": 1.0}, {"a": 9.0, "b": 3.0}], "a")
    {'b': Spread(low=2.0, median=2.5, high=3.0)}
    """
    peers = [name for name in rounds[0] if name != reference]
    return {name: spread([one[reference] / one[name] for one in rounds]) for name in peers}


def loss_flags(losses: Mapping[str, Sequence[float]], tolerance: float) -> dict[str, str]:
    """Returns what is wrong with a contender's training, by contender; nothing for the others.

    Args:
        losses: each contender's mean loss per warm-up epoch.
        tolerance: largest relative distance of the last loss from the contenders' median.

    Example:

    >>> loss_flags({"a": [300.0, 100.0], "b": [310.0, 101.0], "c": [310.0, 120.0]}, 0.05)
    {'c': 'loss differs by +18.8 % from the median 101.0'}
    """
    median = statistics.median(values[-1] for values in losses.values())
    flags = {}
    for name, values in losses.items():
        distance = values[-1] / median - 1
        if len(values) > 1 and values[-1] >= values[0]:
            flags[name] = f"loss does not fall: {values[0]:.1f}, then {values[-1]:.1f}"
        elif abs(distance) > tolerance:
            flags[name] = f"loss differs by {100 * distance:+.1f} % from the median {median:.1f}"
    return flags


def odd_ones(values: Mapping[str, object]) -> dict[str, object]:
    """Returns the entries whose value is not the most frequent one.

    Example:

    >>> odd_ones({"a": "cpu", "b": "gpu", "c": "cpu"})
    {'b': 'gpu'}
    """
    usual = statistics.mode(values.values())
    return {name: value for name, value in values.items() if value != usual}


def whole_epochs(seconds: float, epoch_seconds: float) -> int:
    """Returns how many epochs fill the time best, at least one.

    Example:

    >>> whole_epochs(3.0, 0.8), whole_epochs(3.0, 10.0)
    (4, 1)
    """
    return max(1, round(seconds / epoch_seconds))


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns aligned columns, the first to the left and the others to the right.

    Example:

    >>> print(table(["name", "n"], [["a", "10"], ["long name", "9"]]))
    name        n
    a          10
    long name   9
    """
    lines = [list(header), *map(list, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(_line(cells, widths) for cells in lines)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first = cells[0].ljust(widths[0])
    rest = [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
    return "  ".join([first, *rest]).rstrip()
