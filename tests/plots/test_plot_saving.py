"""Figures to PNG, and the promises that hold for all of them."""

import inspect
import io
import os
import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from keras_vae import plots

IMAGES = np.random.default_rng(0).uniform(size=[12, 8, 8])
TABLE = IMAGES.reshape(3, 4, 8, 8)
DRAWN = {
    "image_grid": lambda: plots.image_grid(IMAGES, title="A title wider than the images " * 2),
    "kl_per_dimension": lambda: plots.kl_per_dimension(np.linspace(0, 1, 9)),
    "latent_map": lambda: plots.latent_map(IMAGES[:, 0], np.arange(12) % 3, title="Map"),
    "manifold": lambda: plots.manifold(TABLE, column_values=range(4), title="Plane"),
    "rate_distortion": lambda: plots.rate_distortion(
        range(12), 90.0 - np.arange(12), betas=np.geomspace(0.1, 10, 12), front=range(12), title="Search"
    ),
    "reconstructions": lambda: plots.reconstructions(IMAGES, IMAGES, title="Pairs"),
    "search_progress": lambda: plots.search_progress([3.0, np.nan, 2.0], title="Search"),
    "training_curves": lambda: plots.training_curves({"loss": [2, 1], "val_loss": [3, 2]}),
    "traversals": lambda: plots.traversals(TABLE, kl=[1, 2, 3], column_values=range(4)),
}
NOT_PICTURES = {"principal_components", "save", "to_png"}
ALL = pytest.mark.parametrize("name", DRAWN)


def pixels_of(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def test_every_public_picture_has_a_case():
    assert set(plots.__all__) - NOT_PICTURES == set(DRAWN)
    assert all(inspect.isfunction(getattr(plots, name)) for name in plots.__all__)


@ALL
def test_nothing_is_cut_off(name):
    pixels = pixels_of(plots.to_png(DRAWN[name]()))
    # A white margin all around: a title or label that was cut would reach the edge.
    for edge in (pixels[:8], pixels[-8:], pixels[:, :8], pixels[:, -8:]):
        assert np.all(edge == 255)
    assert pixels.min() < 128


@ALL
def test_pictures_do_not_depend_on_nor_change_the_users_settings(name):
    plain = plots.to_png(DRAWN[name](), dpi=60)
    with matplotlib.rc_context():
        matplotlib.rcParams.update(
            {
                "figure.facecolor": "black",
                "axes.facecolor": "black",
                "axes.grid": True,
                "grid.color": "red",
                "xtick.color": "red",
                "savefig.facecolor": "black",
                "image.cmap": "jet",
            }
        )
        before = dict(matplotlib.rcParams)
        styled = plots.to_png(DRAWN[name](), dpi=60)
        assert dict(matplotlib.rcParams) == before
    np.testing.assert_array_equal(pixels_of(styled), pixels_of(plain))


@ALL
def test_drawing_twice_gives_the_same_bytes(name):
    assert plots.to_png(DRAWN[name](), dpi=60) == plots.to_png(DRAWN[name](), dpi=60)


def test_import_needs_no_matplotlib_and_drawing_no_pyplot():
    # Keras itself imports both where it can, so their absence is what shows that we do not.
    code = (
        "import sys\n"
        "sys.modules['matplotlib'] = sys.modules['matplotlib.pyplot'] = None\n"
        "from keras_vae import plots\n"
        "del sys.modules['matplotlib']\n"
        "plots.to_png(plots.kl_per_dimension([1.0, 0.0]))\n"
        "plots.to_png(plots.training_curves({'loss': [1.0]}))\n"
    )
    environment = {**os.environ, "MPLBACKEND": "agg", "CUDA_VISIBLE_DEVICES": ""}
    environment.pop("DISPLAY", None)
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]


def figure_of(colour):
    figure = Figure(figsize=(2, 1))
    axes = figure.add_axes((0, 0, 1, 1), xticks=[], yticks=[])
    axes.set_facecolor(colour)
    return figure


def test_save_writes_the_png_and_makes_its_folder(tmp_path):
    path = plots.save(DRAWN["kl_per_dimension"](), tmp_path / "new" / "kl.png")
    assert path == tmp_path / "new" / "kl.png"
    assert path.read_bytes() == plots.to_png(DRAWN["kl_per_dimension"]())
    assert [file.name for file in path.parent.iterdir()] == ["kl.png"]


def test_dpi_scales_the_picture():
    small, large = (pixels_of(plots.to_png(figure_of("red"), dpi)).shape for dpi in (50, 100))
    np.testing.assert_allclose(large[:2], 2 * np.array(small[:2]), atol=2)


def test_save_replaces_whole_or_not_at_all(tmp_path, monkeypatch):
    path = plots.save(figure_of("red"), str(tmp_path / "a.png"))
    old = path.read_bytes()

    def full_disk(source, target):
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "replace", full_disk)
    with pytest.raises(OSError, match="No space left"):
        plots.save(figure_of("blue"), path)
    monkeypatch.undo()
    assert path.read_bytes() == old
    assert [file.name for file in tmp_path.iterdir()] == ["a.png"]
    plots.save(figure_of("blue"), path)
    assert path.read_bytes() != old


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX systems")
def test_a_saved_file_has_the_permissions_of_any_new_file(tmp_path):
    (tmp_path / "plain").write_bytes(b"")
    path = plots.save(figure_of("red"), tmp_path / "a.png")
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize(
    ("save", "argument"),
    [
        (lambda folder: plots.save(figure_of("red"), folder / "a.jpg"), "path"),
        (lambda folder: plots.save(figure_of("red"), folder / "a"), "path"),
        (lambda folder: plots.save("figure", folder / "a.png"), "figure"),
        (lambda folder: plots.save(figure_of("red"), folder / "a.png", dpi=0), "dpi"),
        (lambda folder: plots.save(figure_of("red"), folder / "a.png", dpi=float("nan")), "dpi"),
        (lambda folder: plots.save(figure_of("red"), folder / "a.png", dpi=True), "dpi"),
    ],
)
def test_bad_targets_are_refused_before_anything_is_written(tmp_path, save, argument):
    with pytest.raises(ValueError, match=f"argument `{argument}`"):
        save(tmp_path)
    assert not list(tmp_path.iterdir())
