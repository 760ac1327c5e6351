"""Maps of codes and bars of nats."""

import numpy as np
import pytest
from matplotlib.colors import to_hex
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from keras_vae import plots
from keras_vae.plots._style import MARKERS, PALETTE

DIGITS = load_digits()
Z = DIGITS.data[:400] / 16.0
LABELS = DIGITS.target[:400]


def points_of(axes):
    return np.concatenate([np.asarray(drawn.get_offsets()) for drawn in axes.collections])


def legend_of(figure):
    (legend,) = figure.legends
    return [text.get_text() for text in legend.get_texts()]


@pytest.mark.parametrize("num", [1, 2, 5])
@pytest.mark.parametrize("codes", [Z, Z[:6], Z[:, :5] + 1e3], ids=["tall", "wide", "far"])
def test_principal_components_are_those_of_scikit_learn(codes, num):
    projected, explained = plots.principal_components(codes, num)
    reference = PCA(num, svd_solver="full").fit(codes)
    np.testing.assert_allclose(explained, reference.explained_variance_ratio_, rtol=1e-8)
    # The sign of a component is free.
    expected = reference.transform(codes)
    np.testing.assert_allclose(np.abs(projected), np.abs(expected), atol=1e-8)
    signs = np.sign(np.sum(projected * expected, axis=0))
    np.testing.assert_allclose(projected, signs * expected, atol=1e-8)


def test_principal_components_have_a_fixed_sign():
    projected, _ = plots.principal_components(Z)
    components = np.linalg.lstsq(projected, Z - Z.mean(0), rcond=None)[0]
    largest = components[np.arange(2), np.abs(components).argmax(axis=1)]
    assert np.all(largest > 0)
    permuted, _ = plots.principal_components(Z[::-1])
    np.testing.assert_allclose(permuted[::-1], projected, atol=1e-8)


def test_codes_that_do_not_vary_explain_nothing():
    projected, explained = plots.principal_components(np.ones([5, 3]))
    np.testing.assert_array_equal(projected, np.zeros([5, 2]))
    np.testing.assert_array_equal(explained, np.zeros(2))


def test_two_dimensional_codes_are_drawn_as_they_are():
    figure = plots.latent_map(Z[:, 20:22])
    (axes,) = figure.axes
    np.testing.assert_array_equal(points_of(axes), Z[:, 20:22])
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("$z_0$", "$z_1$")
    assert axes.get_aspect() == 1.0
    assert not figure.legends


def test_more_dimensions_are_projected_and_the_axes_say_so():
    figure = plots.latent_map(Z)
    reference = PCA(2, svd_solver="full").fit(Z)
    np.testing.assert_allclose(np.abs(points_of(figure.axes[0])), np.abs(reference.transform(Z)), atol=1e-8)
    first, second = 100 * reference.explained_variance_ratio_
    assert figure.axes[0].get_xlabel() == f"PC 1 ({first:.1f} % of variance)"
    assert figure.axes[0].get_ylabel() == f"PC 2 ({second:.1f} % of variance)"


def test_the_callers_projection_keeps_its_explained_variance():
    figure = plots.latent_map(Z[:, 20:22], explained=[0.5, 0.125], title="Codes")
    assert figure.axes[0].get_xlabel() == "PC 1 (50.0 % of variance)"
    assert figure.axes[0].get_ylabel() == "PC 2 (12.5 % of variance)"
    assert figure.axes[0].get_title(loc="left") == "Codes"


def test_classes_have_a_colour_each_a_legend_and_a_name_in_the_cloud():
    figure = plots.latent_map(Z[:, 20:22], LABELS)
    (axes,) = figure.axes
    (drawn,) = axes.collections
    colours = [to_hex(colour) for colour in drawn.get_facecolors()]
    assert colours == [PALETTE[label] for label in LABELS]
    assert legend_of(figure) == [str(label) for label in range(10)]
    handles = figure.legends[0].legend_handles
    assert [to_hex(handle.get_color()) for handle in handles] == list(PALETTE)
    assert [text.get_text() for text in axes.texts] == [str(label) for label in range(10)]


def test_a_class_far_from_the_others_is_named_at_its_median():
    centres = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    offsets = np.array([[-0.5, 0.0], [0.0, 0.1], [0.5, 0.3]])
    points = (centres[:, np.newaxis] + offsets).reshape(9, 2)
    (axes,) = plots.latent_map(points, np.repeat([0, 1, 2], 3)).axes
    np.testing.assert_allclose([text.get_position() for text in axes.texts], centres + offsets[1], atol=1e-12)


def test_names_that_would_lie_on_each_other_are_moved_apart():
    points = np.concatenate([np.zeros([4, 2]), [[10.0, 10.0]]])
    (axes,) = plots.latent_map(points, [0, 1, 2, 3, 4], names="abcde").axes
    heights = sorted(text.get_position()[1] for text in axes.texts)
    assert np.all(np.diff(heights[:4]) > 0.3)


def test_names_come_from_a_sequence_or_a_mapping():
    by_index = plots.latent_map(Z[:3, :2], [2, 0, 2], names=["cat", "dog", "owl"])
    assert legend_of(by_index) == ["cat", "owl"]
    by_label = plots.latent_map(Z[:3, :2], ["b", "a", "b"], names={"a": "cat", "b": "dog"})
    assert legend_of(by_label) == ["cat", "dog"]
    without = plots.latent_map(Z[:3, :2], np.array(["b", "a", "b"], object))
    assert legend_of(without) == ["a", "b"]


@pytest.mark.parametrize("labels", [[0.0, 1.0, 1.0], [False, True, True], [b"0", b"1", b"1"]])
def test_whole_floats_booleans_and_bytes_are_classes(labels):
    figure = plots.latent_map(Z[:3, :2], labels)
    assert len(figure.axes) == 1
    assert len(legend_of(figure)) == 2


def test_more_classes_than_colours_differ_in_their_markers():
    labels = np.arange(400) % 25
    figure = plots.latent_map(Z[:, 20:22], labels)
    (axes,) = figure.axes
    assert len(axes.collections) == 3
    assert sum(len(drawn.get_offsets()) for drawn in axes.collections) == 400
    handles = figure.legends[0].legend_handles
    looks = [(handle.get_marker(), to_hex(handle.get_color())) for handle in handles]
    assert looks == [(MARKERS[index // 10], PALETTE[index % 10]) for index in range(25)]
    # A cloud full of names would hide the points.
    assert not axes.texts


@pytest.mark.parametrize("labels", [Z.mean(axis=1), np.arange(400)], ids=["fractional", "many"])
def test_a_continuous_factor_gets_a_colour_bar(labels):
    figure = plots.latent_map(Z[:, 20:22], labels)
    assert len(figure.axes) == 2
    np.testing.assert_array_equal(figure.axes[0].collections[0].get_array(), labels)
    assert figure.axes[1].get_ylim() == (labels.min(), labels.max())
    assert not figure.legends


@pytest.mark.parametrize("points", [np.zeros([1, 2]), np.zeros([5, 2]), np.zeros([5, 4])])
def test_degenerate_clouds_can_be_drawn(points):
    assert plots.to_png(plots.latent_map(points, np.arange(len(points))))[1:4] == b"PNG"


def bars_of(figure):
    return figure.axes[0].patches


def test_kl_bars_are_sorted_and_the_active_ones_coloured():
    kl = np.array([0.004, 2.5, -0.001, 0.7, 0.02])
    figure = plots.kl_per_dimension(kl)
    (axes,) = figure.axes
    assert [bar.get_height() for bar in bars_of(figure)] == [2.5, 0.7, 0.02, 0.004, -0.001]
    names = [label.get_text() for label in axes.get_xticklabels()]
    assert names == ["1", "3", "4", "0", "2"]
    centres = [bar.get_x() + bar.get_width() / 2 for bar in bars_of(figure)]
    np.testing.assert_allclose(centres, axes.get_xticks())
    colours = [to_hex(bar.get_facecolor()) for bar in bars_of(figure)]
    assert colours == ["#3f90da"] * 3 + ["#cbd2d9"] * 2
    assert axes.get_ylabel() == "KL (nats)"
    assert axes.get_title(loc="left") == "3 of 5 dimensions active, 3.22 nats in all"


def test_the_threshold_is_drawn_and_decides():
    figure = plots.kl_per_dimension([0.2, 0.5, 1.0], threshold=0.5, title="KL")
    (line,) = figure.axes[0].lines
    assert list(line.get_ydata()) == [0.5, 0.5]
    colours = [to_hex(bar.get_facecolor()) for bar in bars_of(figure)]
    assert colours == ["#3f90da", "#cbd2d9", "#cbd2d9"]
    assert legend_of(figure)[-1] == "threshold 0.5 nats"
    assert figure.axes[0].get_title(loc="left") == "KL"


def test_many_bars_have_no_numbers():
    figure = plots.kl_per_dimension(np.linspace(0, 1, 128))
    assert len(bars_of(figure)) == 128
    assert len(figure.axes[0].get_xticks()) == 0


ERRORS = [
    (lambda: plots.latent_map(Z[0]), "z", r"\[64\]"),
    (lambda: plots.latent_map(Z[:, :1]), "z", "D >= 2"),
    (lambda: plots.latent_map(Z[:0]), "z", r"\[0, 64\]"),
    (lambda: plots.latent_map(Z * np.nan), "z", "NaN"),
    (lambda: plots.latent_map("z"), "z", "codes of shape"),
    (lambda: plots.latent_map(Z[:1]), "z", "at least 2 codes"),
    (lambda: plots.latent_map(Z, LABELS[:-1]), "labels", r"\[400\]"),
    (lambda: plots.latent_map(Z, np.eye(10)[LABELS]), "labels", "argmax"),
    (lambda: plots.latent_map(Z, np.full(400, np.nan)), "labels", "finite"),
    (lambda: plots.latent_map(Z, np.arange(400) * 1j), "labels", "numbers or strings"),
    (lambda: plots.latent_map(Z, [f"{i}" for i in range(400)]), "labels", "400 classes"),
    (lambda: plots.latent_map(Z, LABELS, names=["a", "b"]), "names", "label 2"),
    (lambda: plots.latent_map(Z, LABELS - 1, names=["a"] * 10), "names", "label -1"),
    (lambda: plots.latent_map(Z, LABELS, names={0: "a"}), "names", "label 1"),
    (lambda: plots.latent_map(Z, explained=[0.5, 0.1]), "explained", "more than 2"),
    (lambda: plots.latent_map(Z[:, :2], explained=[0.5]), "explained", "two fractions"),
    (lambda: plots.latent_map(Z[:, :2], explained=[50, 10]), "explained", "two fractions"),
    (lambda: plots.latent_map(Z[:, :2], explained=[-0.1, 1]), "explained", "two fractions"),
    (lambda: plots.principal_components(Z, 65), "z", "65"),
    (lambda: plots.principal_components(Z, 0), "num", ">= 1"),
    (lambda: plots.kl_per_dimension(Z), "kl", "averaged over the data"),
    (lambda: plots.kl_per_dimension([]), "kl", r"\[0\]"),
    (lambda: plots.kl_per_dimension([1.0, np.inf]), "kl", "finite"),
    (lambda: plots.kl_per_dimension([1.0], threshold=-1), "threshold", ">= 0"),
    (lambda: plots.kl_per_dimension([1.0], threshold=np.nan), "threshold", ">= 0"),
    (lambda: plots.kl_per_dimension([1.0], threshold="x"), "threshold", ">= 0"),
]


@pytest.mark.parametrize(("draw", "argument", "message"), ERRORS)
def test_bad_codes_are_refused(draw, argument, message):
    with pytest.raises(ValueError, match=f"argument `{argument}`") as error:
        draw()
    assert error.match(message)
