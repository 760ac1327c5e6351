"""Pictures of images: what is shown is what was given, in the right place."""

import numpy as np
import pytest
import tensorflow as tf
from sklearn.datasets import load_digits

from keras_vae import plots

DIGITS = load_digits().images[:30] / 16.0
FLAT = DIGITS.reshape(30, 64)
COLOUR = np.stack([DIGITS, DIGITS[:, ::-1], 1.0 - DIGITS], axis=-1)
TABLE = DIGITS[:12].reshape(3, 4, 8, 8)


def shown(figure):
    """The pixels of every image of the figure's only axes."""
    (axes,) = figure.axes
    return [np.asarray(image.get_array()) for image in axes.images]


def centre(image):
    left, right, bottom, top = image.get_extent()
    return (left + right) / 2, (bottom + top) / 2


def assert_shows(figure, expected):
    pixels = shown(figure)
    assert len(pixels) == len(expected)
    for pixel, image in zip(pixels, expected, strict=True):
        # The pictures are held in float32.
        np.testing.assert_allclose(pixel, image, atol=1e-7)


def test_reconstructions_are_below_their_originals():
    x_hat = 0.5 * DIGITS
    figure = plots.reconstructions(DIGITS, x_hat, num=6)
    pairs = [image for pair in zip(DIGITS[:6], x_hat[:6], strict=True) for image in pair]
    assert_shows(figure, pairs)
    images = figure.axes[0].images
    for index, (original, copy) in enumerate(zip(images[::2], images[1::2], strict=True)):
        assert centre(original)[0] == centre(copy)[0]
        assert centre(original)[1] < centre(copy)[1]
        if index:
            assert centre(original)[0] > centre(images[2 * index - 2])[0]
    ticks = figure.axes[0].get_yticks()
    np.testing.assert_allclose(ticks, [centre(images[0])[1], centre(images[1])[1]])
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == ["original", "reconstruction"]
    # The vertical axis points down, so that the smaller number is above.
    bottom, top = figure.axes[0].get_ylim()
    assert bottom > top == 0


def test_reconstructions_begin_a_new_row_of_pairs_after_ten():
    figure = plots.reconstructions(DIGITS, DIGITS, num=25, title="After ten epochs")
    assert len(shown(figure)) == 50
    assert len(figure.axes[0].get_yticks()) == 6
    images = figure.axes[0].images
    assert centre(images[20])[0] == centre(images[0])[0]
    assert centre(images[20])[1] > centre(images[1])[1]
    assert figure.axes[0].get_title(loc="left") == "After ten epochs"


def test_reconstructions_show_what_there_is():
    assert len(shown(plots.reconstructions(DIGITS[:3], DIGITS[:3], num=10))) == 6


def test_image_grid_is_filled_row_by_row():
    figure = plots.image_grid(DIGITS[:7], cols=4)
    assert_shows(figure, DIGITS[:7])
    places = [centre(image) for image in figure.axes[0].images]
    columns, rows = sorted({x for x, _ in places}), sorted({y for _, y in places})
    assert places == [(columns[index % 4], rows[index // 4]) for index in range(7)]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, (5, 6)),
        ({"rows": 3}, (3, 10)),
        ({"cols": 4}, (8, 4)),
        ({"rows": 2, "cols": 5}, (2, 5)),
    ],
)
def test_image_grid_finds_its_rows_and_columns(given, expected):
    figure = plots.image_grid(DIGITS, **given)
    places = [centre(image) for image in figure.axes[0].images]
    assert (len({y for _, y in places}), len({x for x, _ in places})) == expected
    assert len(places) == min(30, expected[0] * expected[1])


def test_tiles_do_not_overlap_and_keep_their_aspect():
    wide = np.repeat(DIGITS, 3, axis=2)
    extents = np.array([i.get_extent() for i in plots.image_grid(wide).axes[0].images])
    left, right, bottom, top = extents.T
    np.testing.assert_allclose((right - left) / (bottom - top), 3.0)
    for first in range(30):
        for second in range(first):
            apart_x = left[first] >= right[second] or left[second] >= right[first]
            apart_y = top[first] >= bottom[second] or top[second] >= bottom[first]
            assert apart_x or apart_y


@pytest.mark.parametrize(
    "images",
    [
        COLOUR,
        np.float16(COLOUR),
        np.uint8(np.round(255 * COLOUR)),
        tf.constant(COLOUR, tf.bfloat16),
        tf.constant(COLOUR, tf.float32),
        COLOUR.tolist(),
    ],
    ids=["float64", "float16", "uint8", "bfloat16", "tensor", "list"],
)
def test_every_dtype_shows_the_same_colours(images):
    for pixel, image in zip(shown(plots.image_grid(images)), COLOUR, strict=True):
        assert pixel.shape == (8, 8, 3)
        # bfloat16 and uint8 keep eight bits.
        np.testing.assert_allclose(pixel, image, atol=1 / 255)


def test_every_layout_of_grey_images_is_the_same_picture():
    for images in (DIGITS, DIGITS[..., np.newaxis]):
        assert_shows(plots.image_grid(images), DIGITS)
    for shape in ((8, 8), (8, 8, 1), [8, 8]):
        assert_shows(plots.image_grid(FLAT, image_shape=shape), DIGITS)
    assert_shows(plots.image_grid(COLOUR.reshape(30, -1), image_shape=(8, 8, 3)), COLOUR)
    assert_shows(plots.image_grid(DIGITS > 0.5), (DIGITS > 0.5).astype(float))


def test_values_are_clipped_and_the_grey_scale_is_fixed():
    figure = plots.image_grid(np.array([[[-0.5, 0.25], [0.5, 1.5]]]))
    np.testing.assert_array_equal(shown(figure)[0], [[0.0, 0.25], [0.5, 1.0]])
    # Without fixed limits a dark image would be stretched to look bright.
    assert figure.axes[0].images[0].get_clim() == (0.0, 1.0)


def test_traversals_have_a_row_per_dimension():
    figure = plots.traversals(
        TABLE, labels=[7, 3, "slant"], kl=[2.0, 0.5, 0.004], column_values=[-1.5, -0.001, 0.5, 2]
    )
    assert_shows(figure, TABLE.reshape(12, 8, 8))
    axes = figure.axes[0]
    places = [centre(image) for image in axes.images]
    np.testing.assert_allclose([y for _, y in places[::4]], axes.get_yticks())
    np.testing.assert_allclose([x for x, _ in places[:4]], axes.get_xticks())
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "$z_{7}$  2.00 nats",
        "$z_{3}$  0.50 nats",
        "slant  0.00 nats",
    ]
    minus = "\N{MINUS SIGN}"
    columns = [label.get_text() for label in axes.get_xticklabels()]
    assert columns == [f"{minus}1.5", "0", "0.5", "2"]


def test_traversals_take_flat_and_colour_images_and_count_rows_without_labels():
    flat = plots.traversals(TABLE.reshape(3, 4, 64), image_shape=(8, 8))
    assert_shows(flat, TABLE.reshape(12, 8, 8))
    assert [t.get_text() for t in flat.axes[0].get_yticklabels()] == [
        "$z_{0}$",
        "$z_{1}$",
        "$z_{2}$",
    ]
    colour = COLOUR[:12].reshape(3, 4, 8, 8, 3)
    assert_shows(plots.traversals(colour), COLOUR[:12])


def test_manifold_is_one_mosaic_with_latent_values_at_the_tiles_centres():
    figure = plots.manifold(TABLE, column_values=[-1, 0, 1, 2], row_values=[3, 0, -3])
    (mosaic,) = shown(figure)
    assert mosaic.shape == (24, 32)
    for row in range(3):
        for col in range(4):
            tile = mosaic[8 * row : 8 * row + 8, 8 * col : 8 * col + 8]
            np.testing.assert_allclose(tile, TABLE[row, col], atol=1e-7)
    axes = figure.axes[0]
    # Pixel i covers [i - 1/2, i + 1/2], so the centre of the first tile of eight is at 3.5.
    assert axes.get_xticks().tolist() == [3.5, 11.5, 19.5, 27.5]
    assert axes.get_yticks().tolist() == [3.5, 11.5, 19.5]
    minus = "\N{MINUS SIGN}"
    assert [label.get_text() for label in axes.get_yticklabels()] == ["3", "0", f"{minus}3"]
    assert axes.get_ylim()[0] > axes.get_ylim()[1]


@pytest.mark.parametrize("count", [1, 2, 3, 7, 11, 13, 20, 21])
def test_manifold_numbers_few_tiles_at_even_distances(count):
    images = np.zeros([2, count, 4, 4])
    axes = plots.manifold(images, column_values=np.arange(count)).axes[0]
    tiles = [int(label.get_text()) for label in axes.get_xticklabels()]
    assert tiles[0] == 0
    assert len(tiles) <= 7
    assert len(tiles) >= min(count, 3)
    assert len(set(np.diff(tiles))) <= 1
    assert axes.get_xticks().tolist() == [4 * tile + 1.5 for tile in tiles]


def test_colour_manifold_keeps_its_channels():
    (mosaic,) = shown(plots.manifold(COLOUR[:12].reshape(3, 4, 8, 8, 3)))
    np.testing.assert_allclose(mosaic[8:16, 16:24], COLOUR[6], atol=1e-7)


NAN = np.full([2, 8, 8], np.nan)
ERRORS = [
    (lambda: plots.image_grid(FLAT), "images", "image_shape"),
    (lambda: plots.image_grid(FLAT, image_shape=(8, 9)), "image_shape", "64 values"),
    (lambda: plots.image_grid(FLAT, image_shape=(64,)), "image_shape", "64 values"),
    (lambda: plots.image_grid(FLAT, image_shape=(8.0, 8.0)), "image_shape", "an integer"),
    (lambda: plots.image_grid(DIGITS[0, 0]), "images", r"shape \[8\]"),
    (lambda: plots.image_grid(np.zeros([2, 8, 8, 2])), "images", "1 or 3 channels"),
    (lambda: plots.image_grid(np.zeros([2, 2, 8, 8, 1])), "images", r"\[2, 2, 8, 8, 1\]"),
    (lambda: plots.image_grid(np.zeros([0, 8, 8])), "images", r"\[0, 8, 8\]"),
    (lambda: plots.image_grid(NAN), "images", "128 values that are NaN or inf"),
    (lambda: plots.image_grid(np.full([1, 2, 2], np.inf)), "images", "4 values"),
    (lambda: plots.image_grid(np.zeros([2, 8, 8], int)), "images", "uint8"),
    (lambda: plots.image_grid(np.zeros([2, 8, 8], complex)), "images", "complex"),
    (lambda: plots.image_grid("digits"), "images", "images of shape"),
    (lambda: plots.image_grid([[1.0], [1.0, 2.0]]), "images", "images of shape"),
    (lambda: plots.image_grid(DIGITS, rows=0), "rows", ">= 1"),
    (lambda: plots.image_grid(DIGITS, cols=2.5), "cols", ">= 1"),
    (lambda: plots.image_grid(DIGITS, cols=True), "cols", ">= 1"),
    (lambda: plots.reconstructions(DIGITS, DIGITS[:5]), "x_hat", r"\[30, 8, 8\]"),
    (lambda: plots.reconstructions(NAN, DIGITS[:2]), "x", "NaN"),
    (lambda: plots.reconstructions(DIGITS[:2], NAN), "x_hat", "NaN"),
    (lambda: plots.reconstructions(FLAT, FLAT), "x", "image_shape"),
    (lambda: plots.reconstructions(DIGITS, DIGITS, num=0), "num", ">= 1"),
    (lambda: plots.traversals(DIGITS[..., np.newaxis]), "images", "one row per latent"),
    (lambda: plots.traversals(FLAT), "images", "a table of images"),
    (lambda: plots.traversals(TABLE.reshape(3, 4, 64)), "images", "image_shape"),
    (lambda: plots.traversals(np.zeros([0, 4, 8, 8])), "images", r"\[0, 4, 8, 8\]"),
    (lambda: plots.traversals(TABLE * np.nan), "images", "NaN"),
    (lambda: plots.traversals(TABLE, labels=["a"]), "labels", "3 in all"),
    (lambda: plots.traversals(TABLE, labels="abc"), "labels", "3 in all"),
    (lambda: plots.traversals(TABLE, kl=[1.0]), "kl", r"\[3\]"),
    (lambda: plots.traversals(TABLE, kl=[1.0, np.nan, 0.0]), "kl", "finite"),
    (lambda: plots.traversals(TABLE, column_values=[1, 2, 3]), "column_values", r"\[4\]"),
    (lambda: plots.manifold(TABLE, row_values=[1, 2]), "row_values", r"\[3\]"),
    (lambda: plots.manifold(TABLE, column_values=[1, 2]), "column_values", r"\[4\]"),
    (lambda: plots.manifold(DIGITS[..., np.newaxis]), "images", "N, H, W, C"),
]


@pytest.mark.parametrize(("draw", "argument", "message"), ERRORS)
def test_bad_images_are_refused(draw, argument, message):
    with pytest.raises(ValueError, match=f"argument `{argument}`") as error:
        draw()
    assert error.match(message)
