"""The course of training."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_vae.checks import check_count
from keras_vae.errors import invalid, lookup
from keras_vae.plots._arrays import describe
from keras_vae.plots._style import BLUE, INK, LABEL_SIZE, ORANGE, chart, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_COLUMNS = 3
# So few points are epochs one can count; the dots also keep a run of one epoch visible.
MOST_DOTS = 15


def training_curves(
    history: Any,
    val_prefix: str = "val_",
    units: str | Mapping[str, str] | None = None,
    validation_freq: int = 1,
    title: str | None = None,
) -> "Figure":
    """One panel per metric, with its training and its validation line.

    A value that is NaN or infinite, as of a run that diverged, is a gap in its line: these pictures
    are most needed then.

    Args:
        history: name -> one value per epoch, as the `History.history` that `fit` gives; the
            `History` itself will do.
        val_prefix: what the validation metrics' names begin with.
        units: unit of the metrics, on their vertical axes: one for all, such as "nats", or metric
            -> unit for some. None shows none.
        validation_freq: epochs from one validation to the next, as it was given to `fit`.
        title: text above all panels, or None.

    Returns:
        `Figure` with one axes per metric, in the order of `history`, epochs counted from 1.

    Raises:
        ValueError: if `history` is empty or no such mapping, a list is empty or not numbers, or a
            validation line does not fit the training line's number of epochs.

    Example:

    >>> figure = training_curves({"loss": [3.0, 2.0], "val_loss": [3.1, 2.4], "kl": [0.1, 0.9]})
    >>> [axes.get_title(loc="left") for axes in figure.axes]
    ['loss', 'kl']
    """
    lines = _checked_history(getattr(history, "history", history))
    metrics = list(dict.fromkeys(name.removeprefix(val_prefix) for name in lines))
    unit_of = _checked_units(units, metrics)
    every = check_count("validation_freq", validation_freq)
    for metric in metrics:
        _check_lengths(metric, val_prefix, lines, every)

    cols = 2 if len(metrics) == 4 else min(len(metrics), MOST_COLUMNS)
    rows = -(-len(metrics) // cols)
    figure = new_figure(max(3.6 * cols, 4.6), 2.7 * rows + 0.4)
    figure.set_layout_engine("constrained", hspace=0.08, wspace=0.06)
    for position, metric in enumerate(metrics, start=1):
        axes = figure.add_subplot(rows, cols, position)
        chart(axes, "epoch", unit_of.get(metric, ""), metric)
        _draw_lines(axes, lines.get(metric), lines.get(val_prefix + metric), every)
    _explain(figure)
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=LABEL_SIZE + 2, color=INK)
    return figure


def _checked_history(history: Any) -> dict[str, np.ndarray]:
    expected = "a mapping from the names of metrics to one value per epoch"
    if not isinstance(history, Mapping) or not history:
        raise invalid("history", expected, history)
    return {str(name): _checked_line(str(name), values) for name, values in history.items()}


def _checked_line(name: str, values: Sequence[float]) -> np.ndarray:
    expected = "one number per epoch"
    try:
        line = np.asarray(values, np.float64)
    except (TypeError, ValueError) as error:
        raise invalid(f"history[{name!r}]", expected, values) from error
    if line.ndim != 1 or line.size == 0:
        raise invalid(f"history[{name!r}]", expected, describe(line))
    return np.where(np.isfinite(line), line, np.nan)


def _checked_units(units: str | Mapping[str, str] | None, metrics: Sequence[str]) -> Mapping[str, str]:
    if units is None or isinstance(units, str):
        return dict.fromkeys(metrics, units or "")
    for metric in units:
        lookup("units", metric, dict.fromkeys(metrics))
    return units


def _check_lengths(metric: str, val_prefix: str, lines: Mapping[str, np.ndarray], every: int) -> None:
    name = val_prefix + metric
    if metric not in lines or name not in lines or name == metric:
        return
    expected, received = len(lines[metric]) // every, len(lines[name])
    if expected != received:
        hint = "Pass the `validation_freq` that `fit` was given."
        raise invalid(f"history[{name!r}]", f"{expected} values", f"{received} values", hint)


def _draw_lines(axes: "Axes", train: np.ndarray | None, validation: np.ndarray | None, every: int) -> None:
    from matplotlib.ticker import MaxNLocator

    if train is not None:
        _line(axes, np.arange(1, len(train) + 1), train, BLUE, "-", "training")
    if validation is not None:
        epochs = every * np.arange(1, len(validation) + 1)
        _line(axes, epochs, validation, ORANGE, (0, (5, 2)), "validation")
    last = max(axes.dataLim.x1, 1.0)
    # From just above 0: there is no epoch 0 to put a number at.
    axes.set_xlim(0.6, last + max(0.4, 0.02 * last))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))
    axes.margins(y=0.08)


def _line(axes: "Axes", epochs: np.ndarray, values: np.ndarray, colour: str, style: Any, label: str) -> None:
    dots = "o" if len(values) <= MOST_DOTS else ""
    axes.plot(
        epochs,
        values,
        color=colour,
        linestyle=style,
        linewidth=1.8,
        marker=dots,
        markersize=3.5,
        label=label,
    )


def _explain(figure: "Figure") -> None:
    """One legend for all panels, where they show more than one kind of line."""
    handles = {
        label: handle
        for axes in figure.axes
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    if len(handles) < 2:
        return
    figure.legend(
        handles=list(handles.values()),
        loc="outside upper right",
        ncols=2,
        frameon=False,
        fontsize=LABEL_SIZE - 1,
        labelcolor=INK,
    )
