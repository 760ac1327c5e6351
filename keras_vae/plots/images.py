"""Images: reconstructions, samples, traversals and the manifold of a two-dimensional code."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_vae.checks import check_count
from keras_vae.errors import invalid
from keras_vae.plots._arrays import as_image_rows, as_images, describe, numeric, texts
from keras_vae.plots._style import INK, LABEL_SIZE, bare, name_ticks, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# In units of the width of one image.
GAP = 0.06
PAIR_GAP = 0.3
PAIRS_IN_A_ROW = 10
# Inches.
WIDEST = 10.0
LARGEST_TILE = 0.9
SMALLEST_TILE = 0.3
LABEL_WIDTH = 0.085


def reconstructions(
    x: Any,
    x_hat: Any,
    num: int = 10,
    image_shape: Sequence[int] | None = None,
    title: str | None = None,
) -> "Figure":
    """Originals above their reconstructions.

    Args:
        x: images [N, H, W, C], [N, H, W], or flat [N, D] with `image_shape`; floats in [0, 1],
            clipped where they are not, or uint8; 1 or 3 channels.
        x_hat: their reconstructions, of the same shape.
        num: how many pairs to show at most, from the first on; ten in a row.
        image_shape: (H, W) or (H, W, C) of flat images.
        title: text above, or None.

    Returns:
        `Figure` with one axes, whose `images` are the pairs in order: original, reconstruction, ...

    Raises:
        ValueError: if the two differ in shape, are no images, are empty or not finite.

    Example:

    >>> x = np.eye(8)[np.newaxis].repeat(3, axis=0)
    >>> len(reconstructions(x, 0.5 * x, num=2).axes[0].images)
    4
    """
    originals = as_images("x", x, image_shape)
    copies = as_images("x_hat", x_hat, image_shape)
    if originals.shape != copies.shape:
        raise invalid("x_hat", f"the shape of `x`, {list(np.shape(x))}", describe(x_hat))
    count = min(check_count("num", num), len(originals))
    cols = min(count, PAIRS_IN_A_ROW)
    blocks = -(-count // cols)
    height = originals.shape[1] / originals.shape[2]
    pair = 2 * height + GAP

    figure, axes = _canvas(cols, blocks * pair + (blocks - 1) * PAIR_GAP, _width_of("reconstruction"))
    centres: list[float] = []
    for index in range(count):
        left = (index % cols) * (1 + GAP)
        top = (index // cols) * (pair + PAIR_GAP)
        _draw(axes, originals[index], left, top)
        _draw(axes, copies[index], left, top + height + GAP)
        if index % cols == 0:
            centres += [top + height / 2, top + height + GAP + height / 2]
    _finish(figure, axes, cols, blocks * pair + (blocks - 1) * PAIR_GAP, title)
    name_ticks(axes.yaxis, centres, ["original", "reconstruction"] * blocks)
    return figure


def image_grid(
    images: Any,
    rows: int | None = None,
    cols: int | None = None,
    title: str | None = None,
    image_shape: Sequence[int] | None = None,
) -> "Figure":
    """Images in rows and columns, for samples or a look at a data set.

    Args:
        images: [N, H, W, C], [N, H, W], or flat [N, D] with `image_shape`; floats in [0, 1],
            clipped where they are not, or uint8; 1 or 3 channels.
        rows: number of rows, or None for as many as the images need.
        cols: number of columns, or None. With neither the grid is as square as it can be; with both
            the first `rows * cols` images are shown.
        title: text above, or None.
        image_shape: (H, W) or (H, W, C) of flat images.

    Returns:
        `Figure` with one axes, whose `images` are those shown, row by row.

    Raises:
        ValueError: if `images` are no images, empty or not finite, or `rows` or `cols` below 1.

    Example:

    >>> figure = image_grid(np.zeros([7, 8, 8, 3]), cols=4, title="Seven samples")
    >>> len(figure.axes[0].images)
    7
    """
    tiles = as_images("images", images, image_shape)
    rows, cols = _grid_shape(len(tiles), rows, cols)
    table = tiles[: rows * cols]
    figure, axes = _canvas(cols, _stack(rows, tiles.shape[1] / tiles.shape[2]))
    _draw_table(axes, table, cols)
    _finish(figure, axes, cols, _stack(rows, tiles.shape[1] / tiles.shape[2]), title)
    return figure


def traversals(
    images: Any,
    labels: Sequence[Any] | None = None,
    kl: Any = None,
    column_values: Any = None,
    image_shape: Sequence[int] | None = None,
    title: str | None = None,
) -> "Figure":
    """What each latent dimension does: one row per dimension, its value growing to the right.

    Args:
        images: decoded images [rows, cols, H, W, C], [rows, cols, H, W], or flat [rows, cols, D]
            with `image_shape`; floats in [0, 1], clipped where they are not, or uint8.
        labels: one per row: a string, shown as it is, or an int `i`, shown as z with index i. None
            counts the rows from 0. Pass the dimensions' indices when the rows are sorted.
        kl: KL of each row's dimension in nats, [rows], added to its label, or None.
        column_values: value of the dimension in each column, [cols], written below, or None.
        image_shape: (H, W) or (H, W, C) of flat images.
        title: text above, or None.

    Returns:
        `Figure` with one axes, whose `images` are the table row by row.

    Raises:
        ValueError: if `images` is no table of images, is empty or not finite, or the length of
            `labels`, `kl` or `column_values` differs from its number of rows or columns.

    Example:

    >>> figure = traversals(np.zeros([2, 5, 8, 8]), labels=[7, 3], kl=[2.1, 0.4])
    >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
    ['$z_{7}$  2.10 nats', '$z_{3}$  0.40 nats']
    """
    table = as_image_rows("images", images, image_shape)
    rows, cols, high, wide, channels = table.shape
    names = _row_names(range(rows) if labels is None else labels, kl, rows)
    height = high / wide

    figure, axes = _canvas(cols, _stack(rows, height), max(_width_of(name) for name in names))
    _draw_table(axes, table.reshape(rows * cols, high, wide, channels), cols)
    _finish(figure, axes, cols, _stack(rows, height), title)
    name_ticks(axes.yaxis, [row * (height + GAP) + height / 2 for row in range(rows)], names)
    if column_values is not None:
        values = _per("column_values", column_values, cols, "column")
        centres = [col * (1 + GAP) + 0.5 for col in range(cols)]
        name_ticks(axes.xaxis, centres, [_short(value) for value in values])
        axes.set_xlabel("value of the latent dimension", fontsize=LABEL_SIZE, color=INK)
    return figure


def manifold(
    images: Any,
    column_values: Any = None,
    row_values: Any = None,
    image_shape: Sequence[int] | None = None,
    title: str | None = None,
) -> "Figure":
    """The decoded plane of a two-dimensional code, images side by side without gaps.

    Args:
        images: decoded images [rows, cols, H, W, C], [rows, cols, H, W], or flat [rows, cols, D]
            with `image_shape`; floats in [0, 1], clipped where they are not, or uint8. The first
            row is drawn on top, so it belongs to the largest value of the second dimension.
        column_values: first latent dimension in each column, [cols], or None for no numbers.
        row_values: second latent dimension in each row, from the top, [rows], or None.
        image_shape: (H, W) or (H, W, C) of flat images.
        title: text above, or None.

    Returns:
        `Figure` with one axes that shows one image, the mosaic [rows * H, cols * W(, 3)].

    Raises:
        ValueError: if `images` is no table of images, is empty or not finite, or the length of
            `column_values` or `row_values` differs from its number of columns or rows.

    Example:

    >>> figure = manifold(np.zeros([4, 5, 8, 8]), column_values=np.linspace(-2, 2, 5))
    >>> figure.axes[0].images[0].get_array().shape
    (32, 40)

    Reference: Kingma & Welling (2014), *Auto-Encoding Variational Bayes*, figure 4; there the
    values are quantiles of the prior, `scipy.stats.norm.ppf(numpy.linspace(0.05, 0.95, cols))`.
    """
    table = as_image_rows("images", images, image_shape)
    rows, cols, high, wide, channels = table.shape
    mosaic = table.transpose(0, 2, 1, 3, 4).reshape(rows * high, cols * wide, channels)

    side = 6.0 / max(rows * high, cols * wide)
    figure = new_figure(cols * wide * side + 0.7, rows * high * side + 0.6 + 0.3 * bool(title))
    axes = figure.add_subplot()
    bare(axes, title)
    axes.imshow(_drawable(mosaic), cmap="gray", vmin=0.0, vmax=1.0, interpolation="auto")
    axes.set_xlabel("$z_0$", fontsize=LABEL_SIZE, color=INK)
    axes.set_ylabel("$z_1$", fontsize=LABEL_SIZE, color=INK)
    _number_tiles(axes.xaxis, "column_values", column_values, cols, wide, "column")
    _number_tiles(axes.yaxis, "row_values", row_values, rows, high, "row")
    return figure


def _canvas(cols: int, height: float, label_width: float = 0.0) -> tuple["Figure", "Axes"]:
    """The figure and axes for tiles: `cols` of them wide, `height` (in tile widths) high."""
    tile = float(np.clip(WIDEST / cols, SMALLEST_TILE, LARGEST_TILE))
    width = max(_stack(cols, 1.0) * tile + label_width + 0.1, 2.0)
    figure = new_figure(width, height * tile + 0.1)
    return figure, figure.add_subplot()


def _finish(figure: "Figure", axes: "Axes", cols: int, height: float, title: str | None) -> None:
    """Sets the limits that drawing moved, and makes room above for a title."""
    axes.set_aspect("equal", adjustable="box", anchor="NW")
    axes.set_xlim(0.0, _stack(cols, 1.0))
    axes.set_ylim(height, 0.0)
    bare(axes, title)
    if title:
        width, tall = figure.get_size_inches()
        figure.set_size_inches(width, tall + 0.3)


def _draw(axes: "Axes", image: np.ndarray, left: float, top: float) -> None:
    high, wide, _ = image.shape
    extent = (left, left + 1.0, top + high / wide, top)
    axes.imshow(_drawable(image), cmap="gray", vmin=0.0, vmax=1.0, extent=extent, interpolation="auto")


def _draw_table(axes: "Axes", images: np.ndarray, cols: int) -> None:
    height = images.shape[1] / images.shape[2]
    for index, image in enumerate(images):
        row, col = divmod(index, cols)
        _draw(axes, image, col * (1 + GAP), row * (height + GAP))


def _drawable(image: np.ndarray) -> np.ndarray:
    return image[..., 0] if image.shape[-1] == 1 else image


def _stack(count: int, size: float) -> float:
    """The length of `count` tiles of `size` with gaps between them."""
    return count * size + (count - 1) * GAP


def _grid_shape(count: int, rows: int | None, cols: int | None) -> tuple[int, int]:
    if rows is not None:
        rows = check_count("rows", rows)
    if cols is not None:
        cols = check_count("cols", cols)
    elif rows is not None:
        cols = -(-count // rows)
    else:
        cols = int(np.ceil(np.sqrt(count)))
    return rows or -(-count // cols), cols


def _row_names(labels: Sequence[Any], kl: Any, rows: int) -> list[str]:
    texts("labels", labels, rows, "row")
    names = [f"$z_{{{label}}}$" if isinstance(label, (int, np.integer)) else str(label) for label in labels]
    if kl is None:
        return names
    nats = _per("kl", kl, rows, "row")
    return [f"{name}  {value:.2f} nats" for name, value in zip(names, nats, strict=True)]


def _per(argument: str, value: Any, count: int, of: str) -> np.ndarray:
    expected = f"one number per {of}, shape [{count}]"
    array = numeric(argument, value, 1, expected)
    if len(array) != count:
        raise invalid(argument, expected, describe(array))
    return array


def _number_tiles(axis: Any, argument: str, values: Any, count: int, size: int, of: str) -> None:
    """Writes the latent values of at most seven tiles at the tiles' centres."""
    if values is None:
        return
    numbers = _per(argument, values, count, of)
    shown = range(0, count, _stride(count - 1))
    centres = [index * size + (size - 1) / 2 for index in shown]
    name_ticks(axis, centres, [_short(numbers[index]) for index in shown])


def _stride(last: int) -> int:
    """Tiles between numbers, so that these are few and evenly spaced, and reach the last tile
    where that is possible."""
    fewest = max(1, -(-last // 6))
    return next((step for step in range(fewest, last // 2 + 1) if last % step == 0), fewest)


def _short(value: float) -> str:
    """Two decimals at most, a true minus sign, and no negative zero."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text.replace("-", "\N{MINUS SIGN}")


def _width_of(label: str) -> float:
    """Inches that a row label takes, roughly; the layout measures it exactly."""
    return LABEL_WIDTH * len(label) + 0.1
