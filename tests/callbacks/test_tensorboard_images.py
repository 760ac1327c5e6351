"""TensorBoardImages: the event files, read back."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_vae import layers, models, plots
from keras_vae.callbacks import CollapseReport, TensorBoardImages
from keras_vae.callbacks.tensorboard_images import to_unit
from keras_vae.models import resident

from .networks import data, image_vae, vae

IMAGES = (np.random.default_rng(0).random((20, 6, 4, 1)) > 0.5).astype("float32")


def events(log_dir):
    """`{(tag, step): image}` of all event files of the folder images."""
    found = {}
    for path in sorted((log_dir / "images").glob("events.*")):
        for record in tf.data.TFRecordDataset(str(path)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            for value in event.summary.value:
                assert value.metadata.plugin_data.plugin_name == "images"
                wide, high, png = value.tensor.string_val[:3]
                image = tf.io.decode_png(png).numpy()
                assert image.shape == (int(high), int(wide), 3)
                found[value.tag, event.step] = image
    return found


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    log_dir = tmp_path_factory.mktemp("logs")
    model = image_vae()
    model.compile(jit_compile=False)
    images = TensorBoardImages(log_dir, IMAGES, every=2, num=3)
    model.fit(IMAGES, epochs=5, verbose=0, callbacks=[images, keras.callbacks.TensorBoard(log_dir)])
    return model, images, log_dir


def test_steps_and_tags(trained):
    found = events(trained[2])
    names = ("reconstructions", "samples", "traversals")
    assert set(found) == {(name, step) for name in names for step in (0, 1, 3)}


def test_the_pictures_are_those_of_the_model(trained, tmp_path):
    model = trained[0]
    model.fit(IMAGES, epochs=1, verbose=0, callbacks=[TensorBoardImages(tmp_path, IMAGES, num=3)])
    found = events(tmp_path)
    expected = {
        "reconstructions": plots.reconstructions(IMAGES[:3], model.reconstruct(IMAGES[:3]), num=3),
        "samples": plots.image_grid(model.sample(9, seed=(0, 0), mean=True), cols=3),
    }
    for name, figure in expected.items():
        png = tf.io.decode_png(plots.to_png(figure, dpi=100), channels=3)
        np.testing.assert_array_equal(found[name, 0], png)


def test_traversals_move_one_dimension_a_row(trained, monkeypatch):
    model, images, _ = trained
    drawn = {}

    def keep(table, labels, kl, column_values):
        drawn.update(table=np.array(table), labels=labels, kl=kl, values=column_values)

    monkeypatch.setattr(plots, "traversals", keep)
    images.set_model(model)
    images._traversals()
    assert sorted(drawn["labels"]) == [0, 1, 2]
    assert (np.diff(drawn["kl"]) <= 0).all()
    assert drawn["values"].tolist() == [-3.0, 0.0, 3.0]
    z = model.encode(IMAGES[:1]).mean().numpy()
    z[0, drawn["labels"][1]] = 3.0
    np.testing.assert_allclose(drawn["table"][1, 2], model.decode(z).mean()[0], rtol=1e-5)


def test_it_does_not_ask_for_single_batches(tmp_path):
    assert not resident._follows_batches(TensorBoardImages(tmp_path, IMAGES))


def test_bytes_are_shown_between_black_and_white():
    model = image_vae(shape=(2, 2, 3), likelihood=layers.IndependentDiscretizedLogistic)
    shown = to_unit(model, np.array([0.0, 51.0, 255.0]))
    np.testing.assert_allclose(shown, [0.0, 0.2, 1.0], atol=1e-6)


def test_numbers_in_the_unit_interval_stay():
    np.testing.assert_array_equal(to_unit(image_vae(), np.array([0.0, 0.25, 1.0])), [0.0, 0.25, 1.0])
    np.testing.assert_array_equal(to_unit(vae(), np.array([-3.0, 0.25, 7.0])), [0.0, 0.25, 1.0])


def test_a_latent_that_is_no_vector_has_no_traversals(tmp_path):
    shape = (2, 2)
    encoder = keras.Sequential(
        [
            keras.Input((4, 4, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(8),
            layers.IndependentNormal(shape),
        ]
    )
    decoder = keras.Sequential(
        [
            keras.Input(shape),
            keras.layers.Flatten(),
            keras.layers.Dense(16),
            layers.IndependentBernoulli((4, 4, 1)),
        ]
    )
    model = models.VAE(encoder, decoder)
    model.compile(run_eagerly=True)
    model.fit(
        np.zeros((4, 4, 4, 1)),
        verbose=0,
        callbacks=[TensorBoardImages(tmp_path, np.zeros((4, 4, 4, 1)), num=2)],
    )
    assert {tag for tag, _ in events(tmp_path)} == {"reconstructions", "samples"}


def semi_supervised(shape=(6, 4, 1), **kwargs):
    model = models.SemiSupervisedVAE.create(shape, 2, num_classes=3, hidden=(4,), seed=1, **kwargs)
    model.compile(jit_compile=False)
    return model


def test_traversals_of_a_semi_supervised_model_are_of_the_class_that_it_finds(tmp_path, monkeypatch):
    model = semi_supervised()
    images = TensorBoardImages(tmp_path, IMAGES, num=3)
    model.fit(IMAGES, np.arange(20) % 3, epochs=2, verbose=0, callbacks=[images])
    assert ("traversals", 1) in events(tmp_path)
    drawn = {}

    def keep(table, labels, kl, column_values):
        drawn.update(table=np.array(table), first=labels[0])

    monkeypatch.setattr(plots, "traversals", keep)
    images._traversals()
    z = model.encode(IMAGES[:1]).mean().numpy()
    z[0, drawn["first"]] = -3.0
    likeliest = int(model.classify(IMAGES[:1]).numpy().argmax())
    expected = [model.decode(z, np.array([number])).mean()[0] for number in range(3)]
    np.testing.assert_allclose(drawn["table"][0, 0], expected[likeliest], rtol=1e-5)
    assert not np.allclose(expected[likeliest], expected[likeliest - 1], rtol=1e-3)


def test_a_model_of_codes_is_refused_where_they_would_be_drawn_and_counted_elsewhere(tmp_path):
    features = image_vae().encoder
    model = semi_supervised((3,), likelihood="normal", features=features)
    y = np.arange(20) % 3
    with pytest.raises(ValueError, match=r"argument `model`.*whose decoder gives codes"):
        model.fit(IMAGES, y, verbose=0, callbacks=[TensorBoardImages(tmp_path, IMAGES)])
    assert int(model.step) == 0
    report = CollapseReport(IMAGES)
    model.fit(IMAGES, y, verbose=0, callbacks=[report])
    assert report.history["epoch"] == [1]


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"x": np.zeros((3, 5))}, "images"),
        ({"x": np.zeros((3, 5, 5, 2))}, "images"),
        ({"x": np.zeros((0, 5, 5, 1))}, "one or more examples"),
        ({"every": 0}, "`every`"),
        ({"num": 1.5}, "`num`"),
    ],
)
def test_errors_of_arguments(tmp_path, arguments, match):
    with pytest.raises(ValueError, match=match):
        TensorBoardImages(tmp_path, **{"x": IMAGES, **arguments})


def test_errors_before_training(tmp_path):
    model = vae()
    model.compile(jit_compile=False)
    with pytest.raises(ValueError, match=r"shape \[batch\] \+ \(4,\)"):
        model.fit(data(), verbose=0, callbacks=[TensorBoardImages(tmp_path, IMAGES)])
