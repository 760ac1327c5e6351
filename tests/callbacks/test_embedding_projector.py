"""EmbeddingProjector: the files, as TensorBoard's own plugin serves them."""

import json
from urllib.parse import urlencode

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorboard.plugins import base_plugin
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig
from tensorboard.plugins.projector.projector_plugin import ProjectorPlugin
from werkzeug.test import Client

from keras_vae.callbacks import EmbeddingProjector, embedding_projector
from keras_vae.callbacks.embedding_projector import sprite, thumbnails

from .networks import data, image_vae, vae

IMAGES = np.random.default_rng(0).random((11, 6, 4, 1)).astype("float32")
LABELS = [f"label {i % 3}" for i in range(11)]


def train(projector, model=None, x=IMAGES, epochs=2):
    model = model or image_vae()
    model.compile(run_eagerly=True)
    model.fit(x, epochs=epochs, verbose=0, callbacks=[projector])
    return model


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    log_dir = tmp_path_factory.mktemp("logs")
    return train(EmbeddingProjector(log_dir, IMAGES, LABELS)), log_dir


@pytest.fixture
def serve(trained):
    """GET from the plugin as the browser does."""
    plugin = ProjectorPlugin(base_plugin.TBContext(logdir=str(trained[1])))
    apps = plugin.get_plugin_apps()

    def get(route, **query):
        response = Client(apps[route]).get(f"{route}?{urlencode(query)}")
        assert response.status_code == 200, response.get_data()
        return response.get_data()

    return get


def test_the_plugin_finds_the_run(serve):
    assert json.loads(serve("/runs")) == ["."]
    embedding = json.loads(serve("/info", run="."))["embeddings"][0]
    assert embedding["tensorShape"] == [11, 3]
    assert embedding["sprite"]["singleImageDim"] == [4, 6]  # width, height


def test_the_plugin_serves_the_posterior_means(serve, trained):
    served = np.frombuffer(serve("/tensor", run=".", name="latents"), "float32").reshape(11, 3)
    np.testing.assert_allclose(served, trained[0].encode(IMAGES).mean(), rtol=1e-6)


def test_the_plugin_serves_the_labels_without_a_header(serve):
    served = serve("/metadata", run=".", name="latents", num_rows=11).decode().splitlines()
    assert served == LABELS


def test_the_plugin_serves_the_thumbnails(serve):
    image = tf.io.decode_png(serve("/sprite_image", run=".", name="latents")).numpy()
    assert image.shape == (3 * 6, 4 * 4, 1)  # 3 rows of 4 for 11
    for index in range(11):
        row, column = divmod(index, 4)
        tile = image[6 * row : 6 * row + 6, 4 * column : 4 * column + 4]
        np.testing.assert_allclose(tile, np.round(255 * IMAGES[index]))
    assert (image[12:, 12:] == 255).all()


def test_the_config_parses(trained):
    config = text_format.Parse((trained[1] / "projector_config.pbtxt").read_text(), ProjectorConfig())
    assert config.embeddings[0].tensor_path == "latents.tsv"
    assert {path.name for path in trained[1].iterdir()} == {
        "latents.tsv",
        "metadata.tsv",
        "sprite.png",
        "projector_config.pbtxt",
    }


def test_several_labels_have_a_header(tmp_path):
    labels = {"digit": np.arange(11), "by": ["a\tb", "", *"cdefghijk"]}
    train(EmbeddingProjector(tmp_path, IMAGES, labels), epochs=1)
    lines = (tmp_path / "metadata.tsv").read_text().split("\n")
    assert lines[:3] == ["digit\tby", "0\ta b", "1\t-"]
    assert len(lines) == 11 + 2 and lines[-1] == ""


def test_data_that_are_no_images_and_no_labels(tmp_path):
    x = data(9)
    model = train(EmbeddingProjector(tmp_path, x), vae(), x)
    assert {path.name for path in tmp_path.iterdir()} == {"latents.tsv", "projector_config.pbtxt"}
    latents = np.loadtxt(tmp_path / "latents.tsv")
    np.testing.assert_allclose(latents, model.encode(x).mean(), rtol=1e-6)


def test_images_may_be_left_out(tmp_path):
    train(EmbeddingProjector(tmp_path, IMAGES, images=False), epochs=1)
    assert not (tmp_path / "sprite.png").exists()


def test_every_and_the_end(tmp_path, monkeypatch):
    written = []
    plain = embedding_projector._write

    def write(path, content):
        written.append(path.name)
        plain(path, content)

    monkeypatch.setattr(embedding_projector, "_write", write)
    model = train(EmbeddingProjector(tmp_path, IMAGES, images=False, every=2), epochs=5)
    assert written.count("latents.tsv") == 3  # after epochs 2 and 4, and at the end
    np.testing.assert_allclose(np.loadtxt(tmp_path / "latents.tsv"), model.encode(IMAGES).mean(), rtol=1e-6)
    written.clear()
    train(EmbeddingProjector(tmp_path, IMAGES, images=False, every=2), epochs=4)
    assert written.count("latents.tsv") == 2


def test_large_sprites_are_thinned_out(monkeypatch):
    monkeypatch.setattr(embedding_projector, "_MAX_SPRITE_SIDE", 12)
    small = thumbnails(image_vae(), IMAGES)
    assert small.shape == (11, 3, 2, 1)
    assert max(sprite(small).shape) <= 12
    np.testing.assert_allclose(small, np.round(255 * IMAGES[:, ::2, ::2]))


def test_colours():
    images = np.random.default_rng(1).integers(0, 256, (4, 2, 3, 3)).astype("uint8")
    table = sprite(images)
    assert table.shape == (4, 6, 3)
    np.testing.assert_array_equal(table[2:, 3:], images[3])


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"labels": LABELS[:5]}, "11 labels, as many as examples"),
        ({"labels": {"digit": np.zeros((11, 2))}}, "digit of shape"),
        ({"x": np.zeros(0)}, "one or more examples"),
        ({"every": True}, "`every`"),
    ],
)
def test_errors_of_arguments(tmp_path, arguments, match):
    with pytest.raises(ValueError, match=match):
        EmbeddingProjector(tmp_path, **{"x": IMAGES, **arguments})


def test_errors_before_training(tmp_path):
    with pytest.raises(ValueError, match=r"shape \[batch\] \+ \(4,\)"):
        train(EmbeddingProjector(tmp_path / "new", IMAGES), vae(), data())
    assert not (tmp_path / "new").exists()
