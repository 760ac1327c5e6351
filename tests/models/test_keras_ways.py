"""What any Keras model can do, and layers, policies and objectives that a user may bring."""

import copy
import pickle

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_vae import models, objectives
from keras_vae.layers.independent import IndependentNormal

from .cases import data, decoder, encoder, sgd, vae

X = data(12)
FIT = {"batch_size": 6, "shuffle": False, "verbose": 0}


def compiled(model=None, **options):
    model = vae() if model is None else model
    model.compile(**{"optimizer": sgd(), "run_eagerly": True, **options})
    return model


@pytest.fixture(scope="module")
def trained():
    model = compiled()
    model.fit(X, **FIT)
    return model


def test_summary_counts_every_weight_once(trained):
    lines = []
    trained.summary(print_fn=lines.append, expand_nested=True)
    # 6*5+5 + 5*4+4 and 2*5+5 + 5*12+12.
    assert "146 (" in "".join(lines)
    assert sum(np.size(v) for v in trained.trainable_variables) == 146


@pytest.mark.parametrize(
    "make", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))], ids=["deepcopy", "pickle"]
)
def test_copies_compute_the_same_and_stand_alone(trained, make):
    before = np.array(trained.reconstruct(X))
    again = make(trained)
    np.testing.assert_array_equal(again.reconstruct(X), before)
    compiled(again).fit(X, **FIT)
    np.testing.assert_array_equal(trained.reconstruct(X), before)


def test_part_of_a_larger_model(trained):
    inputs = keras.Input((6,))
    model = keras.Model(inputs, trained(inputs))
    assert model.predict(X, verbose=0).shape == (12, 6)


def test_batch_normalization_and_dropout_know_training_from_use():
    layers = [
        keras.layers.Dense(5),
        keras.layers.BatchNormalization(),
        keras.layers.Dropout(0.5),
        keras.layers.Dense(4),
    ]
    body = keras.Sequential([keras.Input((6,)), *layers, IndependentNormal(2)])
    model = compiled(models.VAE(body, decoder(), seed=3))

    def moving():
        return np.array(layers[1].moving_mean)

    start = moving()
    model.fit(X, **FIT)
    after = moving()
    assert not np.array_equal(after, start)
    model.evaluate(X, verbose=0)
    model.elbo(X)
    np.testing.assert_array_equal(model.reconstruct(X), model.reconstruct(X))
    np.testing.assert_array_equal(moving(), after)
    assert not np.array_equal(model.encode(X, training=True).mean(), model.encode(X, training=True).mean())


def test_compiled_metrics_are_saved(tmp_path):
    model = compiled(metrics=["mse", keras.metrics.MeanAbsoluteError(name="mae")])
    expected = model.evaluate(X, verbose=0, return_dict=True)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    result = loaded.evaluate(X, verbose=0, return_dict=True)
    assert result.keys() == expected.keys()
    for name in ("mse", "mae"):
        assert result[name] == pytest.approx(expected[name], rel=1e-6)


def test_half_precision_is_saved(tmp_path):
    keras.config.set_dtype_policy("mixed_float16")
    model = compiled()
    model.fit(X, **FIT)
    model.save(tmp_path / "model.keras")
    keras.config.set_dtype_policy("float32")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(loaded.optimizer, keras.optimizers.LossScaleOptimizer)
    assert not isinstance(loaded.optimizer.inner_optimizer, keras.optimizers.LossScaleOptimizer)
    assert loaded.dtype_policy.name == "mixed_float16"
    assert int(loaded.optimizer.iterations) == int(model.optimizer.iterations)
    np.testing.assert_array_equal(loaded.reconstruct(X), model.reconstruct(X))


def test_bfloat16():
    keras.config.set_dtype_policy("mixed_bfloat16")
    assert np.isfinite(compiled().fit(X, **FIT).history["loss"][0])


def test_latents_and_data_of_any_shape():
    def flat(inputs, size, distribution):
        return keras.Sequential(
            [keras.Input(inputs), keras.layers.Flatten(), keras.layers.Dense(size), distribution]
        )

    model = models.VAE(
        flat((4, 4, 1), 12, IndependentNormal((3, 2))),
        flat((3, 2), 32, IndependentNormal((4, 4, 1))),
        num_samples=2,
    )
    x = np.random.default_rng(0).normal(size=(8, 4, 4, 1)).astype("float32")
    history = compiled(model).fit(x, **FIT).history
    np.testing.assert_allclose(history["loss"], np.add(history["reconstruction"], history["kl"]), rtol=1e-5)
    assert (model.data_shape, model.latent_shape) == ((4, 4, 1), (3, 2))
    assert model.elbo(x).shape == (8,)
    assert model.sample(3).shape == (3, 4, 4, 1)
    assert model.reconstruct(x).shape == x.shape
    assert model.decode(np.zeros([2, 5, 3, 2])).batch_shape == (2, 5)


def test_load_weights_of_another_model(trained, tmp_path):
    trained.save_weights(tmp_path / "model.weights.h5")
    other = vae()
    assert not np.array_equal(other.reconstruct(X), trained.reconstruct(X))
    other.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(other.reconstruct(X), trained.reconstruct(X))
    assert int(other.step) == int(trained.step)


def test_weights_bring_the_optimizer_back(trained, tmp_path):
    trained.save_weights(tmp_path / "model.weights.h5")
    other = compiled()
    other.load_weights(tmp_path / "model.weights.h5")
    assert int(other.optimizer.iterations) == int(trained.optimizer.iterations)


def test_fully_frozen_model_is_left_as_it_is():
    model = vae()
    model.trainable = False
    before = model.decoder.get_weights()[0]
    assert np.isfinite(compiled(model).fit(X, **FIT).history["loss"][0])
    np.testing.assert_array_equal(model.decoder.get_weights()[0], before)


class Undeclared(objectives.ELBO):
    """Returns a part it has not declared."""

    def parts(self, terms):
        return {**super().parts(terms), "extra": terms.log_px[0]}


class Missing(objectives.ELBO):
    """Does not return a part it has declared."""

    def parts(self, terms):
        return {"reconstruction": super().parts(terms)["reconstruction"]}


class Scalar(objectives.ELBO):
    """Reduces its parts itself."""

    def parts(self, terms):
        return {name: tf.reduce_mean(part) for name, part in super().parts(terms).items()}


@pytest.mark.parametrize(
    ("kind", "word"), [(Undeclared, "extra"), (Missing, "kl"), (Scalar, "reconstruction")]
)
def test_objectives_that_break_their_word_are_told(kind, word):
    with pytest.raises(ValueError, match=word):
        models.LatentVariableModel(encoder(), decoder(), objective=kind())
