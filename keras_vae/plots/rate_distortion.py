"""What a search found: rate against distortion, and the best so far."""

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_vae.errors import invalid, lookup
from keras_vae.plots._arrays import describe, numeric
from keras_vae.plots._style import (
    BLUE,
    INK,
    LABEL_SIZE,
    MUTED,
    ORANGE,
    QUIET,
    TICK_SIZE,
    chart,
    new_figure,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.figure import Figure
    from matplotlib.text import Text

NOTE_SIZE = 8
MOST_SIZES_IN_THE_LEGEND = 4
# More models on the front are numbered, and told in a list beside the axes of so many inches a line.
MOST_NOTES = 10
LIST_WIDTH, LIST_LINE, MOST_LINES = 2.2, 0.165, 40
# Areas of markers, in square points: of the smallest latent, of the largest, and where there is one size.
SMALLEST, LARGEST, ONLY = 22.0, 130.0, 48.0
# Where a note may stand, seen from its point: directions, and distances in points. Below and to the left of
# the front there are no models.
DIRECTIONS = ((-1, -1), (-1, 0), (0, -1), (1, 1), (1, 0), (0, 1), (1, -1), (-1, 1))
DISTANCES = (7.0, 16.0, 28.0, 44.0, 64.0)

_BEST = {"min": np.minimum, "max": np.maximum}


def rate_distortion(
    rates: Any,
    distortions: Any,
    betas: Any = None,
    latent_sizes: Any = None,
    front: Any = None,
    collapsed: Any = None,
    active_units: Any = None,
    title: str | None = None,
) -> "Figure":
    """Models as points in the plane of rate and distortion, and the front of those that none dominates.

    The rate is what a model spends on its code, the distortion what it still misses of the data; their sum
    is the negative ELBO, and faint lines join points of equal ELBO. On one such line, models at rate 0 ignore
    their latent and those further right use it. Models whose figures are NaN or infinite are not drawn, and
    the right end of the title line says how many they are.

    Args:
        rates: KL(q(z|x) || p(z)) of each model, `[N]`, in nats, of at least one model finite.
        distortions: -E_q[log p(x|z)] of each model, `[N]`, in nats.
        betas: weight of the KL in training, `[N]`, above 0: colour, on a logarithmic scale.
        latent_sizes: number of latent dimensions, `[N]`, whole numbers above 0: size of the marker.
        front: indices of the models on the front, as `tuning.pareto_front` gives them: a line through them,
            and at each a note of its beta, latent size and active units, as far as they are given. Of more
            than 10 models the notes are in a list beside, by numbers.
        collapsed: booleans, `[N]`: models that ignore their latent, shown by a cross.
        active_units: latent dimensions in use, `[N]`, for the notes; needs `front`. Fractions are welcome, as
            means over several runs of one setting.
        title: text above, or None.

    Returns:
        `Figure` with one axes, and a second one for the colour bar where there is one.

    Raises:
        ValueError: for arrays of other shapes, lengths or ranges, no model with finite figures, or a front
            with indices that are out of range, double, or of models that cannot be drawn.

    Reference: Alemi et al., Fixing a Broken ELBO, 2018, Figure 1 and section 3.

    Example:

    >>> figure = rate_distortion([1.0, 5.0, 6.0], [90.0, 70.0, 75.0], betas=[4, 1, 1], front=[0, 1])
    >>> [text.get_text() for text in figure.axes[0].texts if "β" in text.get_text()]
    ['β 4', 'β 1']
    """
    points = _checked_points(rates, distortions)
    count = len(points)
    finite = np.isfinite(points).all(axis=1)
    if not finite.any():
        raise invalid("rates", "one model or more with finite rate and distortion", f"none of {count}")
    beta = None if betas is None else _per_model("betas", betas, count, "numbers > 0")
    if beta is not None and not np.all((beta > 0) & np.isfinite(beta)):
        raise invalid("betas", "numbers > 0, for a logarithmic scale", betas)
    size = None if latent_sizes is None else _checked_sizes(latent_sizes, count)
    active = None if active_units is None else _per_model("active_units", active_units, count, "numbers >= 0")
    if active is not None and np.any(active < 0):
        raise invalid("active_units", "numbers >= 0", active_units)
    crossed = np.zeros(count, bool) if collapsed is None else _flags("collapsed", collapsed, count)
    best = None if front is None else _checked_front(front, points)
    if best is None and active is not None:
        raise invalid("active_units", "None without a `front`, whose notes tell them", active_units)

    listed = best is not None and len(best) > MOST_NOTES
    notes = [] if best is None else [_note(index, beta, size, active) for index in best]
    figure = _figure(beta is not None, notes if listed else [])
    axes = figure.add_subplot()
    chart(axes, "rate: KL (nats)", "distortion: −E[log p(x|z)] (nats)", title)
    axes.grid(visible=False)
    _set_limits(axes, points[finite])
    texts = _draw_equal_elbo(axes)
    areas = _areas(size)
    drawn = _draw_models(axes, points, finite, crossed, beta, areas)
    if beta is not None:
        _explain_colours(figure, axes, drawn[0])
    if not finite.all():
        missing = f"{count - int(finite.sum())} of {count} not finite, not drawn"
        axes.set_title(missing, loc="right", fontsize=NOTE_SIZE, color=MUTED)
    if best is not None:
        axes.plot(*points[best].T, color=ORANGE, linewidth=1.4, zorder=2.5, label="front")
    _explain_markers(figure, size, areas, crossed & finite, best)
    if best is not None and any(notes):
        if listed:
            _list_notes(figure, notes)
            notes = [str(number) for number in range(1, len(notes) + 1)]
        _write_notes(figure, axes, points[finite], points[best], notes, texts)
    return figure


def search_progress(
    values: Any,
    failed: Any = None,
    direction: str = "min",
    name: str = "objective",
    title: str | None = None,
) -> "Figure":
    """The objective of each finished trial of a search, in order, and the best so far.

    Args:
        values: objective of each trial, `[T]`, in the order in which they finished.
        failed: booleans, `[T]`: trials without a result, whatever their value, shown by crosses on the axis.
            Those whose value is NaN or infinite are shown so too.
        direction: "min" or "max", as KerasTuner has it: whether small or large values are better.
        name: of the objective, with its unit, on the vertical axis.
        title: text above, or None.

    Returns:
        `Figure` with one axes; trials are counted from 1.

    Raises:
        ValueError: if `values` is not `[T]`, T >= 1, `failed` is not as long, or the direction is another.

    Example:

    >>> figure = search_progress([3.0, 4.0, float("nan"), 1.0], name="-ELBO (nats)")
    >>> [line.get_ydata().tolist() for line in figure.axes[0].lines if line.get_label() == "best so far"]
    [[3.0, 3.0, 3.0, 1.0]]
    """
    expected = "one number per trial, shape [T]"
    objective = _numbers("values", values, expected)
    if objective.ndim != 1 or objective.size == 0:
        raise invalid("values", expected, describe(objective))
    better = lookup("direction", direction, _BEST)
    lost = ~np.isfinite(objective)
    if failed is not None:
        lost = lost | _flags("failed", failed, len(objective))
    figure = new_figure(6.8, 3.8)
    axes = figure.add_subplot()
    chart(axes, "trial", str(name), title)
    trials = np.arange(1, len(objective) + 1)
    if not lost.all():
        _draw_search(axes, trials, objective, lost, better)
    else:
        axes.set_yticks([])
    if lost.any():
        axes.plot(
            trials[lost],
            np.zeros(lost.sum()),
            linestyle="",
            marker="X",
            markersize=7,
            markeredgewidth=0,
            color=ORANGE,
            clip_on=False,
            transform=axes.get_xaxis_transform(),
            zorder=3,
            label=f"failed, {int(lost.sum())} of {len(lost)}",
        )
    _number_trials(axes, len(objective))
    _legend(figure, axes.get_legend_handles_labels()[0], "outside upper right", ncols=3)
    return figure


def _checked_points(rates: Any, distortions: Any) -> np.ndarray:
    """[N, 2], NaN and infinities included."""
    expected = "one number per model, shape [N]"
    first, second = _numbers("rates", rates, expected), _numbers("distortions", distortions, expected)
    if first.ndim != 1 or first.size == 0:
        raise invalid("rates", expected, describe(first))
    if second.shape != first.shape:
        raise invalid("distortions", f"{len(first)} numbers, as many as rates", describe(second))
    return np.stack([first, second], axis=1)


def _numbers(argument: str, value: Any, expected: str) -> np.ndarray:
    try:
        return np.asarray(value, np.float64)
    except (TypeError, ValueError) as error:
        raise invalid(argument, expected, value) from error


def _per_model(argument: str, value: Any, count: int, of: str) -> np.ndarray:
    expected = f"{of}, shape [{count}]"
    array = numeric(argument, value, 1, expected)
    if len(array) != count:
        raise invalid(argument, expected, describe(array))
    return array


def _checked_sizes(latent_sizes: Any, count: int) -> np.ndarray:
    of = "whole numbers >= 1"
    array = _per_model("latent_sizes", latent_sizes, count, of)
    if np.any(array != np.round(array)) or np.any(array < 1):
        raise invalid("latent_sizes", of, latent_sizes)
    return array.astype(np.int64)


def _flags(argument: str, value: Any, count: int) -> np.ndarray:
    array = np.asarray(value)
    if array.shape != (count,) or array.dtype.kind != "b":
        raise invalid(argument, f"booleans, shape [{count}]", describe(array))
    return array


def _checked_front(front: Any, points: np.ndarray) -> np.ndarray:
    """The indices by rising rate."""
    indices = np.asarray(front)
    expected = f"different indices from 0 to {len(points) - 1}, shape [F]"
    if indices.ndim != 1 or indices.size == 0 or indices.dtype.kind not in "iu":
        raise invalid("front", expected, describe(indices))
    if indices.min() < 0 or indices.max() >= len(points) or len(np.unique(indices)) < len(indices):
        raise invalid("front", expected, front)
    if not np.isfinite(points[indices]).all():
        raise invalid("front", "models with finite rate and distortion", front)
    return indices[np.argsort(points[indices, 0], kind="stable")]


def _figure(has_colours: bool, listed: Sequence[str]) -> "Figure":
    """Wider for a colour bar and for the list of the front, and higher where that is long."""
    columns = _columns(listed)
    lines = -(-len(listed) // max(columns, 1))
    width = 6.8 + 0.6 * has_colours + LIST_WIDTH * columns
    return new_figure(width, max(5.2, 1.0 + LIST_LINE * lines))


def _columns(listed: Sequence[str]) -> int:
    return -(-len(listed) // MOST_LINES)


def _set_limits(axes: "Axes", points: np.ndarray) -> None:
    """Room around the models: for the notes most at the left and below, where none of them are."""
    low, high = points.min(axis=0), points.max(axis=0)
    extent = np.where(high > low, high - low, np.maximum(0.1 * np.abs(low), 1.0))
    axes.set_xlim(low[0] - 0.12 * extent[0], high[0] + 0.1 * extent[0])
    axes.set_ylim(low[1] - 0.14 * extent[1], high[1] + 0.08 * extent[1])


def _draw_equal_elbo(axes: "Axes") -> "list[Text]":
    """Lines rate + distortion = constant across the axes, each with its ELBO at the lower right end."""
    texts: list[Text] = []
    from matplotlib.ticker import MaxNLocator

    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    for total in MaxNLocator(nbins=9, steps=[1, 2, 2.5, 5, 10]).tick_values(left + bottom, right + top):
        ends = np.clip([left, right], total - top, total - bottom)
        length = ends[1] - ends[0]
        if length < 0.06 * (right - left) and length < 0.06 * (top - bottom):
            continue  # the tip of a corner
        axes.plot(ends, total - ends, color=QUIET, linewidth=0.8, linestyle=(0, (1, 2)), zorder=0.5)
        text = axes.annotate(
            # Zero minus it, for there is no minus zero to read.
            f"ELBO {0.0 - total:g}".replace("-", "−"),
            (ends[1], total - ends[1]),
            xytext=(-2, 3),
            textcoords="offset points",
            ha="right",
            va="bottom",
            fontsize=NOTE_SIZE - 1,
            color=MUTED,
            zorder=0.6,
        )
        texts.append(text)
    return texts


def _areas(size: np.ndarray | None) -> np.ndarray | None:
    """Marker areas: equal factors in the latent size are equal steps in area."""
    if size is None:
        return None
    low, high = np.log(size.min()), np.log(size.max())
    if high == low:
        return np.full(len(size), ONLY)
    return SMALLEST + (LARGEST - SMALLEST) * (np.log(size) - low) / (high - low)


def _draw_models(
    axes: "Axes",
    points: np.ndarray,
    finite: np.ndarray,
    crossed: np.ndarray,
    beta: np.ndarray | None,
    areas: np.ndarray | None,
) -> "list[PathCollection]":
    from matplotlib.colors import LogNorm

    style: dict[str, Any] = {"linewidths": 0.6, "edgecolors": "white", "alpha": 0.9, "zorder": 3}
    if beta is not None:
        low, high = beta[finite].min(), beta[finite].max()
        # A scale of one value has no width.
        ends = (low, high) if high > low else (low / 2, high * 2)
        style |= {"cmap": "viridis", "norm": LogNorm(*ends)}
    drawn = []
    for marker, kind in (("o", finite & ~crossed), ("X", finite & crossed)):
        if kind.any():
            x, y = points[kind].T
            colour: dict[str, Any] = {"color": BLUE} if beta is None else {"c": beta[kind]}
            drawn.append(
                axes.scatter(x, y, marker=marker, **style, **colour, s=ONLY if areas is None else areas[kind])
            )
    return drawn


def _explain_colours(figure: "Figure", axes: "Axes", drawn: "PathCollection") -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    bar = figure.colorbar(drawn, ax=axes, shrink=0.8, aspect=28, pad=0.02)
    if bar.solids is not None:
        bar.solids.set_alpha(1.0)
    bar.outline.set_visible(False)
    bar.ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    bar.ax.yaxis.set_minor_locator(NullLocator())
    bar.ax.tick_params(length=0, labelsize=TICK_SIZE, labelcolor=MUTED)
    bar.set_label("β", fontsize=LABEL_SIZE, color=INK)


def _explain_markers(
    figure: "Figure",
    size: np.ndarray | None,
    areas: np.ndarray | None,
    crossed: np.ndarray,
    best: np.ndarray | None,
) -> None:
    from matplotlib.lines import Line2D

    def dot(marker: str, area: float, label: str) -> Line2D:
        return Line2D(
            [],
            [],
            linestyle="",
            marker=marker,
            color=MUTED,
            markersize=np.sqrt(area),
            markeredgewidth=0,
            label=label,
        )

    handles: list[Line2D] = []
    if best is not None:
        handles.append(Line2D([], [], color=ORANGE, linewidth=1.4, label="front"))
    if crossed.any():
        handles.append(dot("X", ONLY, "collapsed"))
    if size is not None and areas is not None:
        values, first = np.unique(size, return_index=True)
        shown = np.unique(np.linspace(0, len(values) - 1, MOST_SIZES_IN_THE_LEGEND).round().astype(int))
        for i in shown:
            unit = " latent" if i == shown[-1] else ""
            handles.append(dot("o", areas[first[i]], f"{values[i]}{unit}"))
    if handles:
        _legend(figure, handles, "outside upper right", ncols=len(handles))


def _legend(figure: "Figure", handles: Sequence[Any], where: str, ncols: int) -> None:
    figure.legend(
        handles=list(handles),
        loc=where,
        ncols=ncols,
        frameon=False,
        fontsize=TICK_SIZE,
        labelcolor=INK,
        handletextpad=0.4,
        columnspacing=1.2,
    )


def _note(index: int, beta: np.ndarray | None, size: np.ndarray | None, active: np.ndarray | None) -> str:
    parts = [
        f"β {beta[index]:.3g}" if beta is not None else "",
        f"{size[index]} latent" if size is not None else "",
        f"{active[index]:.3g} active" if active is not None else "",
    ]
    return ", ".join(part for part in parts if part)


def _list_notes(figure: "Figure", notes: Sequence[str]) -> None:
    from matplotlib.lines import Line2D

    lines = [f"{number}:  {note}" for number, note in enumerate(notes, start=1)]
    figure.legend(
        handles=[Line2D([], [], linestyle="", label=line) for line in lines],
        loc="outside right center",
        ncols=_columns(notes),
        frameon=False,
        fontsize=NOTE_SIZE,
        labelcolor=INK,
        handlelength=0,
        handletextpad=0,
        labelspacing=0.3,
    )


def _write_notes(
    figure: "Figure",
    axes: "Axes",
    models: np.ndarray,
    front: np.ndarray,
    notes: Sequence[str],
    texts: "Sequence[Text]",
) -> None:
    """Each note at the nearest place around its point where it hides no model, line or other text."""
    from matplotlib.patheffects import withStroke
    from matplotlib.transforms import Bbox

    # The places of points on the page are known once the layout is.
    figure.draw_without_rendering()
    scale = figure.dpi / 72
    transform = axes.transData.transform
    steps = np.linspace(0.0, 1.0, 40)[:, np.newaxis]
    corners = transform(front)
    line = [a + steps * (b - a) for a, b in itertools.pairwise(corners)]
    taken = [text.get_window_extent() for text in texts]
    for around, radius in ((transform(models), 4 * scale), (np.concatenate([corners, *line]), scale)):
        taken += [Bbox.from_extents(*(at - radius), *(at + radius)) for at in around]
    halo = [withStroke(linewidth=2.5, foreground="white")]
    for point, note in zip(front, notes, strict=True):
        if not note:
            continue
        text = axes.annotate(
            note,
            point,
            xytext=(0, 0),
            textcoords="offset points",
            ha="left",
            va="bottom",
            fontsize=NOTE_SIZE,
            color=INK,
            path_effects=halo,
            zorder=4,
            arrowprops={"arrowstyle": "-", "color": MUTED, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 3},
        )
        box = text.get_window_extent()
        offset, place = _free_place(transform(point), box.width, box.height, axes.bbox, taken, scale)
        text.set_position(tuple(offset / scale))
        taken.append(place)


def _free_place(
    point: np.ndarray, width: float, height: float, room: Any, taken: Sequence[Any], scale: float
) -> tuple[np.ndarray, Any]:
    """The nearest place for a note: the offset of its lower left corner from its point, and its box.

    Where none is free, the one that overlaps others least.
    """
    from matplotlib.transforms import Bbox

    best: tuple[float, Any, Any] | None = None
    for distance, (right, up) in itertools.product(DISTANCES, DIRECTIONS):
        step = distance * scale / np.hypot(right, up) * np.array([right, up])
        corner = step - np.array([width * (1 - right) / 2, height * (1 - up) / 2])
        x, y = point + corner
        place = Bbox.from_bounds(x, y, width, height)
        overlap = sum(_shared(place, other) for other in taken)
        outside = width * height - _shared(place, room)
        cost = overlap + 10 * outside
        if best is None or cost < best[0]:
            best = cost, corner, place
        if cost < 1e-6:
            break
    assert best is not None
    return best[1], best[2]


def _shared(first: Any, second: Any) -> float:
    """The area that two boxes share."""
    width = min(first.x1, second.x1) - max(first.x0, second.x0)
    height = min(first.y1, second.y1) - max(first.y0, second.y0)
    return max(width, 0.0) * max(height, 0.0)


def _draw_search(
    axes: "Axes", trials: np.ndarray, objective: np.ndarray, lost: np.ndarray, better: Any
) -> None:
    axes.scatter(trials[~lost], objective[~lost], s=26, color=BLUE, linewidths=0, zorder=3, label="trial")
    # Failed trials change nothing; before the first result there is no best.
    first = int(np.argmin(lost))
    filled = objective[first:].copy()
    for position in np.flatnonzero(lost[first:]):
        filled[position] = filled[position - 1]
    axes.plot(
        trials[first:],
        better.accumulate(filled),
        color=INK,
        linewidth=1.4,
        drawstyle="steps-post",
        zorder=2.5,
        label="best so far",
    )
    axes.margins(y=0.1)


def _number_trials(axes: "Axes", count: int) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_xlim(0.4, count + max(0.6, 0.02 * count))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))
