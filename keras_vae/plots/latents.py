"""Latent codes: where the examples lie, and how many nats each dimension carries."""

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_vae.checks import check_count
from keras_vae.errors import invalid
from keras_vae.plots._arrays import describe, numeric
from keras_vae.plots._style import (
    BLUE,
    INK,
    LABEL_SIZE,
    MARKERS,
    MUTED,
    ORANGE,
    PALETTE,
    QUIET,
    TICK_SIZE,
    chart,
    new_figure,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_CLASSES = len(PALETTE) * len(MARKERS)
MOST_NAMES_IN_THE_CLOUD = 20
MOST_NUMBERED_BARS = 40
# Inches: the side of a map, and a letter and a line of its names.
MAP_INCHES = 4.4
NAME_WIDTH = 0.085
NAME_HEIGHT = 0.16


def principal_components(z: Any, num: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Projects codes on their first principal components, by singular value decomposition.

    Args:
        z: codes [N, D], at least two.
        num: number of components, at most min(N, D).

    Returns:
        The centred projection [N, num], and the fraction of the total variance that each component
        explains [num], all zero where nothing varies. Signs are fixed: the largest entry of each
        component is positive.

    Raises:
        ValueError: if `z` is not of that shape or not finite, or `num` too large.

    Example:

    >>> z = np.array([[0.0, 0.0, 0.0], [3.0, 0.0, 0.0], [0.0, 1.0, 0.0], [3.0, 1.0, 0.0]])
    >>> projected, explained = principal_components(z)
    >>> explained.round(3)
    array([0.9, 0.1])
    """
    codes = numeric("z", z, 2, "codes of shape [N, D]")
    num = check_count("num", num)
    if num > min(codes.shape) or len(codes) < 2:
        raise invalid("z", f"at least 2 codes and {num} of N and D", describe(codes))
    centred = codes - codes.mean(axis=0)
    _, spread, components = np.linalg.svd(centred, full_matrices=False)
    largest = np.abs(components[:num]).argmax(axis=1)
    signs = np.sign(components[np.arange(num), largest])
    variance = spread**2
    total = variance.sum()
    explained = variance[:num] / total if total > 0 else np.zeros(num)
    return centred @ (components[:num] * signs[:, np.newaxis]).T, explained


def latent_map(
    z: Any,
    labels: Any = None,
    names: Sequence[str] | Mapping[Any, str] | None = None,
    explained: Sequence[float] | None = None,
    title: str | None = None,
) -> "Figure":
    """Codes as points in the plane, coloured by class or by a continuous factor.

    Codes of more than two dimensions are projected on their first two principal components, and the
    axes say how much of the variance these explain. Points are drawn in the order given, so shuffle
    sorted data or the last class covers the others. Both axes have the same scale.

    Args:
        z: codes [N, D] with D >= 2; means of q(z|x) show the structure, samples its overlap too.
        labels: [N] or None. Integers, booleans or strings are classes, with colours, a legend and
            their names in the cloud; more than 30 numeric classes, or fractional numbers, are
            a continuous factor, with a colour bar.
        names: what the classes are called: a sequence indexed by the label or a mapping from it.
        explained: fraction of the variance that each of two dimensions explains, [2], where `z` was
            projected by the caller.
        title: text above, or None.

    Returns:
        `Figure` with the map, and a second axes for the colour bar where there is one.

    Raises:
        ValueError: if `z` is not [N, D >= 2], empty or not finite; `labels` not [N]; a label has no
            name; or `explained` is given with D > 2 or is not two fractions.

    Example:

    >>> figure = latent_map(np.eye(4), labels=[0, 1, 1, 0], names=["cat", "dog"])
    >>> figure.axes[0].get_xlabel()
    'PC 1 (33.3 % of variance)'
    >>> [text.get_text() for text in figure.legends[0].get_texts()]
    ['cat', 'dog']
    """
    points, xlabel, ylabel = _plane(z, explained)
    classes = None if labels is None else _checked_labels(labels, len(points))
    figure = new_figure(6.4 if classes is not None else 5.4, 5.2)
    axes = figure.add_subplot()
    chart(axes, xlabel, ylabel, title)
    axes.set_aspect("equal", adjustable="datalim")
    if classes is None:
        _scatter(axes, points, len(points), color=BLUE)
    elif _is_continuous(classes):
        _colour_by_value(figure, axes, points, classes)
    else:
        _colour_by_class(figure, axes, points, classes, names)
    return figure


def kl_per_dimension(kl: Any, threshold: float = 0.01, title: str | None = None) -> "Figure":
    """Nats that each latent dimension carries, largest first, the active ones coloured.

    Many bars at zero mean that the posterior has collapsed there onto the prior. This counts a
    dimension by its KL; the "active units" of Burda et al. (2016) count it by the variance of its
    posterior mean over the data, which is another number.

    Args:
        kl: KL of each dimension in nats, averaged over the data, [D]. A sampled KL may be negative.
        threshold: nats above which a dimension counts as active.
        title: text above; None says how many are active and the total in nats.

    Returns:
        `Figure` with one axes: one bar per dimension, labelled by its index up to 40 of them, and a
        dashed line at the threshold.

    Raises:
        ValueError: if `kl` is not [D], empty or not finite, or `threshold` is not a number >= 0.

    Example:

    >>> figure = kl_per_dimension([0.001, 2.5, 0.7])
    >>> [float(bar.get_height()) for bar in figure.axes[0].patches]
    [2.5, 0.7, 0.001]
    """
    nats = numeric("kl", kl, 1, "one KL per latent dimension, averaged over the data, of shape [D]")
    if not isinstance(threshold, (int, float)) or not 0.0 <= threshold < np.inf:
        raise invalid("threshold", "a finite number of nats >= 0", threshold)
    order = np.argsort(-nats, kind="stable")
    active = nats[order] > threshold
    count, size = int(active.sum()), len(nats)

    figure = new_figure(float(np.clip(1.6 + 0.22 * size, 4.6, 10.0)), 3.4)
    axes = figure.add_subplot()
    summary = f"{count} of {size} dimensions active, {nats.sum():.2f} nats in all"
    chart(axes, "latent dimension, largest KL first", "KL (nats)", summary if title is None else title)
    axes.grid(visible=False, axis="x")
    axes.bar(range(size), nats[order], width=0.8, color=np.where(active, BLUE, QUIET))
    axes.axhline(threshold, color=ORANGE, linewidth=1.0, linestyle=(0, (4, 3)))
    axes.set_xlim(-0.6, size - 0.4)
    _number_bars(axes, order)
    _explain_bars(figure, threshold)
    return figure


def _plane(z: Any, explained: Sequence[float] | None) -> tuple[np.ndarray, str, str]:
    """The points [N, 2] to draw and the names of their axes."""
    points = numeric("z", z, 2, "codes of shape [N, D] with D >= 2")
    if points.shape[1] < 2:
        raise invalid("z", "codes of shape [N, D] with D >= 2", describe(z))
    if explained is not None:
        if points.shape[1] > 2:
            hint = "Codes of more dimensions are projected here."
            raise invalid("explained", "None where `z` has more than 2 dimensions", explained, hint)
        fractions = numeric("explained", explained, 1, "two fractions of the variance")
        if len(fractions) != 2 or np.any(fractions < 0) or fractions.sum() > 1 + 1e-6:
            raise invalid("explained", "two fractions of the variance, in [0, 1]", explained)
    elif points.shape[1] > 2:
        points, fractions = principal_components(points)
    else:
        return points, "$z_0$", "$z_1$"
    xlabel, ylabel = (
        f"PC {index} ({100 * fraction:.1f} % of variance)"
        for index, fraction in enumerate(fractions, start=1)
    )
    return points, xlabel, ylabel


def _checked_labels(labels: Any, count: int) -> np.ndarray:
    array = np.asarray(labels)
    if array.ndim != 1 or len(array) != count:
        hint = "One-hot labels: pass `labels.argmax(axis=1)`." if array.ndim == 2 else ""
        raise invalid("labels", f"one label per code, shape [{count}]", describe(array), hint)
    if array.dtype.kind == "f" and not np.all(np.isfinite(array)):
        raise invalid("labels", "finite labels", describe(array))
    if array.dtype.kind == "S":
        array = np.char.decode(array)
    if array.dtype.kind == "O":
        array = np.array([str(label) for label in array])
    if array.dtype.kind not in "fiubU":
        raise invalid("labels", "numbers or strings", describe(array))
    whole_numbers = array.dtype.kind == "f" and np.all(array == np.round(array))
    return array.astype(np.int64) if whole_numbers else array


def _is_continuous(labels: np.ndarray) -> bool:
    if labels.dtype.kind == "f":
        return True
    many = len(np.unique(labels)) > MOST_CLASSES
    if many and labels.dtype.kind == "U":
        count = len(np.unique(labels))
        raise invalid("labels", f"at most {MOST_CLASSES} classes of strings", f"{count} classes")
    return many


def _scatter(axes: "Axes", points: np.ndarray, count: int, **style: Any) -> Any:
    """Points whose size and opacity fall with the `count` of all, to keep dense clouds readable."""
    size = float(np.clip(3e4 / count, 4.0, 32.0))
    alpha = float(np.clip(1.4e3 / count, 0.4, 0.85))
    # As one picture inside vector formats: fifty thousand points are no file to open.
    return axes.scatter(
        points[:, 0], points[:, 1], s=size, alpha=alpha, linewidths=0, rasterized=True, **style
    )


def _colour_by_value(figure: "Figure", axes: "Axes", points: np.ndarray, labels: np.ndarray) -> None:
    drawn = _scatter(axes, points, len(points), c=labels.astype(np.float64), cmap="viridis")
    bar = figure.colorbar(drawn, ax=axes, shrink=0.8, aspect=28, pad=0.02)
    if bar.solids is not None:
        bar.solids.set_alpha(1.0)
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0, labelsize=TICK_SIZE, labelcolor=MUTED)
    bar.set_label("label", fontsize=LABEL_SIZE, color=INK)


def _colour_by_class(
    figure: "Figure",
    axes: "Axes",
    points: np.ndarray,
    labels: np.ndarray,
    names: Sequence[str] | Mapping[Any, str] | None,
) -> None:
    from matplotlib.lines import Line2D

    values, index = np.unique(labels, return_inverse=True)
    called = [_name(value, names) for value in values.tolist()]
    colours = np.array(PALETTE)[index % len(PALETTE)]
    shapes = index // len(PALETTE)
    for shape in np.unique(shapes):
        _scatter(
            axes,
            points[shapes == shape],
            len(points),
            c=colours[shapes == shape],
            marker=MARKERS[shape],
        )
    handles = [
        Line2D(
            [],
            [],
            linestyle="",
            marker=MARKERS[position // len(PALETTE)],
            color=PALETTE[position % len(PALETTE)],
            markersize=7,
            markeredgewidth=0,
            label=name,
        )
        for position, name in enumerate(called)
    ]
    figure.legend(
        handles=handles,
        loc="outside right center",
        frameon=False,
        fontsize=TICK_SIZE,
        labelcolor=INK,
        handletextpad=0.2,
        ncols=1 + (len(called) - 1) // 20,
    )
    if 1 < len(called) <= MOST_NAMES_IN_THE_CLOUD:
        _write_names(axes, points, index, called)


def _write_names(axes: "Axes", points: np.ndarray, index: np.ndarray, names: list[str]) -> None:
    """Names at the classes' medians: no one has to match colours with a legend."""
    from matplotlib.patheffects import withStroke

    medians = [np.median(points[index == position], axis=0) for position in range(len(names))]
    inch = float(np.ptp(points, axis=0).max()) / MAP_INCHES
    halo = [withStroke(linewidth=3.0, foreground="white")]
    for (x, y), name in zip(_apart(np.array(medians), names, inch), names, strict=True):
        axes.text(
            x,
            y,
            name,
            ha="center",
            va="center",
            fontsize=TICK_SIZE,
            weight="bold",
            color=INK,
            path_effects=halo,
        )


def _apart(centres: np.ndarray, names: Sequence[str], inch: float) -> np.ndarray:
    """Moves names that would overlap away from each other, up and down, little by little."""
    widths = inch * NAME_WIDTH * np.array([len(name) + 1 for name in names])
    height = inch * NAME_HEIGHT
    result = centres.copy()
    for _ in range(100):
        for first, second in itertools.combinations(np.argsort(result[:, 1], kind="stable"), 2):
            across = abs(result[first, 0] - result[second, 0])
            missing = height - (result[second, 1] - result[first, 1])
            if across < (widths[first] + widths[second]) / 2 and 0 < missing <= height:
                result[first, 1] -= missing / 2
                result[second, 1] += missing / 2
    return result


def _name(value: Any, names: Sequence[str] | Mapping[Any, str] | None) -> str:
    if names is None:
        return str(value)
    if isinstance(names, Mapping):
        known = value in names
    else:
        known = isinstance(value, int) and 0 <= value < len(names)
    if not known:
        raise invalid("names", f"a name for the label {value!r}", names)
    return str(names[value])


def _number_bars(axes: "Axes", order: np.ndarray) -> None:
    if len(order) > MOST_NUMBERED_BARS:
        axes.set_xticks([])
        return
    axes.set_xticks(range(len(order)), labels=[str(dimension) for dimension in order])


def _explain_bars(figure: "Figure", threshold: float) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles = [
        Patch(color=BLUE, label="active"),
        Patch(color=QUIET, label="inactive"),
        Line2D([], [], color=ORANGE, linewidth=1.0, linestyle=(0, (4, 3))),
    ]
    handles[-1].set_label(f"threshold {threshold:g} nats")
    figure.legend(
        handles=handles,
        loc="outside upper right",
        ncols=3,
        frameon=False,
        fontsize=TICK_SIZE,
        labelcolor=INK,
        columnspacing=1.2,
    )
