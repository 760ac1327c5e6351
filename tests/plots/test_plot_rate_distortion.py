"""The rate-distortion plane and the course of a search."""

import itertools

import numpy as np
import pytest
from matplotlib.colors import LogNorm, to_hex

from keras_vae import plots
from keras_vae.plots._style import BLUE, ORANGE
from keras_vae.plots.rate_distortion import LARGEST, MOST_NOTES, SMALLEST

RATES = np.array([1.0, 5.0, 6.0, 12.0, 0.01])
DISTORTIONS = np.array([90.0, 70.0, 75.0, 60.0, 98.0])
BETAS = np.array([4.0, 1.0, 2.0, 0.25, 8.0])
SIZES = np.array([2, 4, 8, 32, 16])
ACTIVE = np.array([1, 3, 3, 9, 0])
COLLAPSED = np.array([False, False, False, False, True])
FRONT = np.array([4, 0, 1, 3])


def draw(**arguments):
    return plots.rate_distortion(RATES, DISTORTIONS, **arguments)


def everything(**arguments):
    return draw(
        **{
            "betas": BETAS,
            "latent_sizes": SIZES,
            "front": FRONT,
            "collapsed": COLLAPSED,
            "active_units": ACTIVE,
            **arguments,
        }
    )


def legends_of(figure):
    return [[text.get_text() for text in legend.get_texts()] for legend in figure.legends]


def notes_of(axes):
    """All texts of the axes but those of the lines of equal ELBO."""
    return [text for text in axes.texts if not text.get_text().startswith("ELBO")]


def test_models_are_points_of_rate_and_distortion():
    (axes,) = draw(title="Search").axes
    (drawn,) = axes.collections
    np.testing.assert_array_equal(drawn.get_offsets(), np.stack([RATES, DISTORTIONS], axis=1))
    assert {to_hex(colour) for colour in drawn.get_facecolors()} == {BLUE}
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("rate: KL (nats)", "distortion: −E[log p(x|z)] (nats)")
    assert axes.get_title(loc="left") == "Search"
    assert axes.get_title(loc="right") == ""
    assert not axes.figure.legends
    assert not notes_of(axes)


@pytest.mark.parametrize("distortions", [DISTORTIONS, DISTORTIONS - 80.0, 1e-3 * DISTORTIONS])
def test_lines_of_equal_elbo(distortions):
    (axes,) = plots.rate_distortion(RATES, distortions).axes
    assert len(axes.lines) >= 3
    assert len(axes.texts) == len(axes.lines)
    for line, text in zip(axes.lines, axes.texts, strict=True):
        assert text.get_text() != "ELBO −0"
        elbo = float(text.get_text().removeprefix("ELBO ").replace("−", "-"))
        np.testing.assert_allclose(-np.add(*line.get_data()), elbo, atol=1e-9)
        # From side to side and no farther.
        (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
        x, y = line.get_data()
        assert np.isclose(x[0], left) or np.isclose(y[0], top)
        assert np.isclose(x[1], right) or np.isclose(y[1], bottom)
        assert x[0] > left - 1e-9 and x[1] < right + 1e-9 and y.max() < top + 1e-9 and y.min() > bottom - 1e-9
    assert all(line.get_zorder() < axes.collections[0].get_zorder() for line in axes.lines)


def test_all_models_are_inside_the_axes():
    (axes,) = draw().axes
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    assert left < RATES.min() and RATES.max() < right
    assert bottom < DISTORTIONS.min() and DISTORTIONS.max() < top


def test_colours_are_betas_on_a_logarithmic_scale():
    figure = draw(betas=BETAS)
    axes, bar = figure.axes
    (drawn,) = axes.collections
    np.testing.assert_array_equal(drawn.get_array(), BETAS)
    assert isinstance(drawn.norm, LogNorm)
    assert (drawn.norm.vmin, drawn.norm.vmax) == (0.25, 8.0)
    assert bar.get_ylabel() == "β"
    figure.draw_without_rendering()
    low, high = bar.get_ylim()
    names = [
        label.get_text()
        for tick, label in zip(bar.get_yticks(), bar.get_yticklabels(), strict=True)
        if low <= tick <= high
    ]
    assert names == ["0.5", "1", "2", "5"]


def test_collapsed_models_keep_the_scale_of_colours():
    axes = draw(betas=BETAS, collapsed=COLLAPSED).axes[0]
    plain, crossed = axes.collections
    assert (crossed.norm.vmin, crossed.norm.vmax) == (plain.norm.vmin, plain.norm.vmax) == (0.25, 8.0)
    np.testing.assert_array_equal(crossed.get_array(), [8.0])


def test_collapsed_models_have_a_marker_of_their_own():
    figure = draw(collapsed=COLLAPSED)
    plain, crossed = figure.axes[0].collections
    np.testing.assert_array_equal(crossed.get_offsets(), [[0.01, 98.0]])
    assert len(plain.get_offsets()) == 4
    assert len(crossed.get_paths()[0]) != len(plain.get_paths()[0])
    assert legends_of(figure) == [["collapsed"]]
    assert figure.legends[0].legend_handles[0].get_marker() == "X"
    assert not draw(collapsed=np.zeros(5, bool)).legends


def test_equal_factors_of_latent_size_are_equal_steps_of_area():
    figure = draw(latent_sizes=SIZES)
    areas = figure.axes[0].collections[0].get_sizes()
    steps = (LARGEST - SMALLEST) / 4  # from 2 to 32 there are four doublings
    np.testing.assert_allclose(areas, SMALLEST + steps * np.array([0, 1, 2, 4, 3]))
    assert legends_of(figure) == [["2", "4", "16", "32 latent"]]
    handles = figure.legends[0].legend_handles
    expected = SMALLEST + steps * np.array([0, 1, 3, 4])
    np.testing.assert_allclose([handle.get_markersize() ** 2 for handle in handles], expected)


def test_one_latent_size_is_one_area():
    figure = draw(latent_sizes=[7] * 5)
    assert len(set(figure.axes[0].collections[0].get_sizes())) == 1
    assert legends_of(figure) == [["7 latent"]]


def front_of(axes):
    (line,) = [line for line in axes.lines if line.get_label() == "front"]
    return line


def test_the_front_is_a_line_through_its_models_by_rate():
    for order in ([4, 0, 1, 3], [1, 3, 0, 4]):
        figure = draw(front=order)
        np.testing.assert_array_equal(front_of(figure.axes[0]).get_xdata(), [0.01, 1.0, 5.0, 12.0])
        np.testing.assert_array_equal(front_of(figure.axes[0]).get_ydata(), [98.0, 90.0, 70.0, 60.0])
        assert legends_of(figure) == [["front"]]
        assert not notes_of(figure.axes[0])


def test_each_model_of_the_front_has_a_note():
    axes = everything().axes[0]
    notes = notes_of(axes)
    assert [note.get_text() for note in notes] == [
        "β 8, 16 latent, 0 active",
        "β 4, 2 latent, 1 active",
        "β 1, 4 latent, 3 active",
        "β 0.25, 32 latent, 9 active",
    ]
    np.testing.assert_array_equal([note.xy for note in notes], np.stack([RATES, DISTORTIONS], 1)[FRONT])
    assert [note.get_text() for note in notes_of(draw(betas=BETAS, front=[1]).axes[0])] == ["β 1"]
    sizes = draw(latent_sizes=SIZES, front=[1]).axes[0]
    assert [note.get_text() for note in notes_of(sizes)] == ["4 latent"]
    units = draw(active_units=ACTIVE, front=[3]).axes[0]
    assert [note.get_text() for note in notes_of(units)] == ["9 active"]
    means = draw(active_units=ACTIVE + 1 / 3, front=[3]).axes[0]
    assert [note.get_text() for note in notes_of(means)] == ["9.33 active"]


def crowded(count):
    """A front that bends sharply, with models behind it."""
    rates = np.geomspace(0.2, 40.0, count)
    behind = np.random.default_rng(0).uniform(1.0, 6.0, size=count)
    figures = {
        "rates": np.concatenate([rates, rates + behind]),
        "distortions": np.concatenate([70 + 60 / (0.5 + rates), 70 + 60 / (0.5 + rates) + 4 * behind]),
    }
    return figures, np.arange(count)


def boxes(figure):
    figure.draw_without_rendering()
    axes = figure.axes[0]
    # Of the words alone: an annotation's box takes in its line too.
    return axes, [super(type(note), note).get_window_extent() for note in notes_of(axes)]


@pytest.mark.parametrize("count", [1, 5, MOST_NOTES, MOST_NOTES + 1, 25])
def test_notes_cover_neither_each_other_nor_models_nor_the_edge(count):
    figures, front = crowded(count)
    more = {"betas": np.full(2 * count, 0.125), "latent_sizes": np.full(2 * count, 16)}
    axes, found = boxes(plots.rate_distortion(**figures, **more, front=front))
    assert len(found) == count
    for first, second in itertools.combinations(found, 2):
        assert not first.overlaps(second)
    models = axes.transData.transform(np.stack(list(figures.values()), axis=1))
    for box in found:
        assert not any(box.contains(x, y) for x, y in models)
        assert axes.bbox.x0 <= box.x0 and box.x1 <= axes.bbox.x1
        assert axes.bbox.y0 <= box.y0 and box.y1 <= axes.bbox.y1


def test_a_long_front_is_numbered_and_told_in_a_list():
    figures, front = crowded(MOST_NOTES + 2)
    betas = np.arange(1.0, 2 * len(front) + 1)
    figure = plots.rate_distortion(**figures, front=front, betas=betas)
    assert [note.get_text() for note in notes_of(figure.axes[0])] == [f"{i}" for i in range(1, 13)]
    assert legends_of(figure)[-1] == [f"{i}:  β {i}" for i in range(1, 13)]
    # Nothing to tell: no numbers either.
    bare = plots.rate_distortion(**figures, front=front)
    assert not notes_of(bare.axes[0])
    assert legends_of(bare) == [["front"]]


def test_the_legend_is_one_line_above():
    figure = everything(title="Search")
    assert legends_of(figure) == [["front", "collapsed", "2", "4", "16", "32 latent"]]
    figure.draw_without_rendering()
    legend = figure.legends[0].get_window_extent()
    assert legend.y0 >= figure.axes[0].title.get_window_extent().y1
    assert legend.x0 >= 0 and legend.x1 <= figure.bbox.x1


def test_figures_that_are_not_finite_are_counted_and_not_drawn():
    rates = np.array([1.0, np.nan, 6.0, 12.0, 0.01])
    distortions = np.array([90.0, 70.0, np.inf, 60.0, 98.0])
    figure = plots.rate_distortion(
        rates, distortions, BETAS, SIZES, [0, 3], [False, True, False, False, True]
    )
    plain, crossed = figure.axes[0].collections
    np.testing.assert_array_equal(plain.get_offsets(), [[1.0, 90.0], [12.0, 60.0]])
    np.testing.assert_array_equal(crossed.get_offsets(), [[0.01, 98.0]])
    assert figure.axes[0].get_title(loc="right") == "2 of 5 not finite, not drawn"
    assert np.isfinite(figure.axes[0].axis()).all()
    assert plots.to_png(figure)[1:4] == b"PNG"


@pytest.mark.parametrize(
    ("rates", "distortions"),
    [([0.0], [0.0]), ([3.0], [-5.0]), ([2.0, 2.0], [5.0, 5.0]), ([1e-9, 1e6], [1, 1])],
)
def test_degenerate_planes_can_be_drawn(rates, distortions):
    count = len(rates)
    figure = plots.rate_distortion(
        rates, distortions, [1.0] * count, [4] * count, [0], [True] * count, [0] * count
    )
    assert plots.to_png(figure)[1:4] == b"PNG"


def lines_of(axes):
    return {line.get_label(): line for line in axes.lines}


def test_trials_and_the_best_so_far():
    figure = plots.search_progress([3.0, 4.0, 1.0, 2.0], name="-ELBO (nats)", title="Search")
    (axes,) = figure.axes
    np.testing.assert_array_equal(axes.collections[0].get_offsets(), [[1, 3], [2, 4], [3, 1], [4, 2]])
    best = lines_of(axes)["best so far"]
    np.testing.assert_array_equal(best.get_data(), [[1, 2, 3, 4], [3, 3, 1, 1]])
    assert best.get_drawstyle() == "steps-post"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("trial", "-ELBO (nats)")
    assert axes.get_title(loc="left") == "Search"
    assert legends_of(figure) == [["trial", "best so far"]]


def test_the_best_is_the_largest_where_more_is_better():
    (axes,) = plots.search_progress([0.5, 0.7, 0.6, 0.9], direction="max").axes
    np.testing.assert_array_equal(lines_of(axes)["best so far"].get_ydata(), [0.5, 0.7, 0.7, 0.9])


def test_failed_trials_are_crosses_on_the_axis_and_never_the_best():
    figure = plots.search_progress(
        [np.nan, 3.0, -9.0, np.inf, 2.0, -np.inf], failed=[False, False, True, False, False, False]
    )
    (axes,) = figure.axes
    np.testing.assert_array_equal(axes.collections[0].get_offsets(), [[2, 3], [5, 2]])
    np.testing.assert_array_equal(
        lines_of(axes)["best so far"].get_data(), [[2, 3, 4, 5, 6], [3, 3, 3, 2, 2]]
    )
    crosses = lines_of(axes)["failed, 4 of 6"]
    assert crosses.get_marker() == "X" and to_hex(crosses.get_color()) == ORANGE
    np.testing.assert_array_equal(crosses.get_data(), [[1, 3, 4, 6], [0, 0, 0, 0]])
    # On the axis, whatever the values.
    figure.draw_without_rendering()
    heights = crosses.get_transform().transform(np.transpose(crosses.get_data()))[:, 1]
    np.testing.assert_allclose(heights, axes.bbox.y0)
    assert axes.get_ylim()[0] > 1.0  # the value of a failed trial takes no room
    assert legends_of(figure) == [["trial", "best so far", "failed, 4 of 6"]]


@pytest.mark.parametrize(
    ("values", "failed"), [([np.nan, np.nan], None), ([1.0], [True]), ([1.0], None), ([2.0] * 300, None)]
)
def test_searches_of_any_length_can_be_drawn(values, failed):
    figure = plots.search_progress(values, failed)
    (axes,) = figure.axes
    left, right = axes.get_xlim()
    ticks = [tick for tick in axes.get_xticks() if left <= tick <= right]
    assert ticks and all(tick == int(tick) and 1 <= tick <= len(values) for tick in ticks)
    assert plots.to_png(figure)[1:4] == b"PNG"


def test_a_search_that_only_failed_has_only_crosses():
    (axes,) = plots.search_progress([1.0, np.nan], failed=[True, False]).axes
    assert list(lines_of(axes)) == ["failed, 2 of 2"]
    assert not axes.collections
    assert len(axes.get_yticks()) == 0


@pytest.mark.parametrize(
    ("figure", "argument", "message"),
    [
        (lambda: plots.rate_distortion([], []), "rates", "one number per model"),
        (lambda: plots.rate_distortion([[1.0]], [1.0]), "rates", "[1, 1]"),
        (lambda: plots.rate_distortion("a", [1.0]), "rates", "one number per model"),
        (lambda: plots.rate_distortion([1.0, 2.0], [1.0]), "distortions", "2 numbers, as many as rates"),
        (lambda: plots.rate_distortion([np.nan], [1.0]), "rates", "one model or more with finite"),
        (lambda: draw(betas=BETAS[:4]), "betas", "shape [5]"),
        (lambda: draw(betas=BETAS - 1), "betas", "numbers > 0"),
        (lambda: draw(betas=[1, 1, 1, 1, np.nan]), "betas", "all finite"),
        (lambda: draw(latent_sizes=SIZES - 2), "latent_sizes", ">= 1"),
        (lambda: draw(latent_sizes=SIZES + 0.5), "latent_sizes", "whole numbers"),
        (lambda: draw(latent_sizes=[2]), "latent_sizes", "shape [5]"),
        (lambda: draw(front=[]), "front", "different indices from 0 to 4"),
        (lambda: draw(front=[0, 5]), "front", "different indices from 0 to 4"),
        (lambda: draw(front=[-1]), "front", "different indices from 0 to 4"),
        (lambda: draw(front=[1, 1]), "front", "different indices from 0 to 4"),
        (lambda: draw(front=[0.0]), "front", "dtype float64"),
        (lambda: draw(front=COLLAPSED), "front", "dtype bool"),
        (lambda: plots.rate_distortion([1.0, np.nan], [1.0, 2.0], front=[1]), "front", "finite"),
        (lambda: draw(collapsed=[0, 0, 0, 0, 1]), "collapsed", "booleans, shape [5]"),
        (lambda: draw(collapsed=[True]), "collapsed", "booleans, shape [5]"),
        (lambda: draw(active_units=ACTIVE), "active_units", "None without a `front`"),
        (lambda: draw(active_units=ACTIVE - 1, front=[0]), "active_units", ">= 0"),
        (lambda: plots.search_progress([]), "values", "one number per trial"),
        (lambda: plots.search_progress(1.0), "values", "one number per trial"),
        (lambda: plots.search_progress(["a"]), "values", "one number per trial"),
        (lambda: plots.search_progress([1.0], failed=[0]), "failed", "booleans, shape [1]"),
        (lambda: plots.search_progress([1.0], failed=[True, False]), "failed", "booleans, shape [1]"),
        (lambda: plots.search_progress([1.0], direction="minimum"), "direction", "Did you mean 'min'?"),
    ],
)
def test_bad_figures_are_refused(figure, argument, message):
    with pytest.raises(ValueError) as error:
        figure()
    assert f"argument `{argument}`" in str(error.value)
    assert message in str(error.value)
