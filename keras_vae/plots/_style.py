"""The look of every figure, set on its artists: the user's rcParams are neither read nor changed.

(The font family is the exception; matplotlib's default has every glyph used here.)
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#1f2933"
MUTED = "#616e7c"
GRID = "#e4e7eb"
QUIET = "#cbd2d9"
BLUE = "#3f90da"
ORANGE = "#bd1f01"

# Petroff (2021), "Accessible Color Sequences for Data Visualization": ten colours that stay apart
# under the common colour vision deficiencies and in lightness.
PALETTE = (
    "#3f90da",
    "#ffa90e",
    "#bd1f01",
    "#94a4a2",
    "#832db6",
    "#a96b59",
    "#e76300",
    "#b9ac70",
    "#717581",
    "#92dadd",
)
MARKERS = ("o", "^", "s")

TITLE_SIZE = 11
LABEL_SIZE = 10
TICK_SIZE = 9


def new_figure(width: float, height: float) -> "Figure":
    """A white figure of `width` by `height` inches whose layout leaves room for every label."""
    from matplotlib.figure import Figure

    return Figure(
        figsize=(width, height), dpi=100, facecolor="white", edgecolor="white", layout="constrained"
    )


def chart(axes: "Axes", xlabel: str, ylabel: str, title: str | None = None) -> None:
    """The light style of a chart: two spines, a faint grid behind the data, quiet ticks."""
    axes.set_facecolor("white")
    axes.set_axisbelow(True)
    axes.grid(visible=True, color=GRID, linewidth=0.8, linestyle="-")
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(QUIET)
        spine.set_linewidth(0.8)
    axes.tick_params(length=0, labelsize=TICK_SIZE, labelcolor=MUTED, pad=4)
    axes.set_xlabel(xlabel, fontsize=LABEL_SIZE, color=INK)
    axes.set_ylabel(ylabel, fontsize=LABEL_SIZE, color=INK)
    set_title(axes, title)


def bare(axes: "Axes", title: str | None = None) -> None:
    """The style of a picture: no spines, grid or ticks; only the labels that it is given."""
    axes.set_facecolor("white")
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.tick_params(length=0, labelsize=TICK_SIZE, labelcolor=INK, pad=4)
    set_title(axes, title)


def set_title(axes: "Axes", title: str | None) -> None:
    """Puts `title` above the axes, flush with their left side."""
    if title:
        axes.set_title(title, loc="left", fontsize=TITLE_SIZE, color=INK, weight="normal", pad=8)


def name_ticks(axis: object, positions: Sequence[float], labels: Sequence[str]) -> None:
    """Writes `labels` at `positions` of an `axes.xaxis` or `axes.yaxis`."""
    axis.set_ticks(list(positions), labels=list(labels))  # type: ignore[attr-defined]
