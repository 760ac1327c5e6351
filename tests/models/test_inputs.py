"""The kinds of data that `fit`, `evaluate` and their like take."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_vae.models import resident

from .cases import data, sgd, trainable, vae

X = data(24)
Y = np.arange(24) % 3
BATCH = 12


class Batches(keras.utils.PyDataset):
    """x, or (x, y), by batches."""

    def __init__(self, *arrays):
        super().__init__()
        self.arrays = arrays

    def __len__(self):
        return len(X) // BATCH

    def __getitem__(self, index):
        rows = slice(index * BATCH, (index + 1) * BATCH)
        batch = tuple(array[rows] for array in self.arrays)
        return batch if len(batch) > 1 else batch[0]


def generator():
    while True:
        for start in range(0, len(X), BATCH):
            yield X[start : start + BATCH], Y[start : start + BATCH]


def dataset(*arrays):
    return tf.data.Dataset.from_tensor_slices(arrays if len(arrays) > 1 else arrays[0]).batch(BATCH)


ARRAY = {"batch_size": BATCH}
INPUTS = {
    "array": lambda: ((X,), ARRAY),
    "array and labels": lambda: ((X, Y), ARRAY),
    "tensor": lambda: ((tf.constant(X),), ARRAY),
    "float64 array": lambda: ((X.astype("float64"),), ARRAY),
    "dataset": lambda: ((dataset(X),), {}),
    "dataset with labels": lambda: ((dataset(X, Y),), {}),
    "dataset with weights": lambda: ((dataset(X, Y, np.ones(24, "float32")),), {}),
    "dataset of float64": lambda: ((dataset(X.astype("float64")),), {}),
    "PyDataset": lambda: ((Batches(X, Y),), {}),
    "PyDataset without labels": lambda: ((Batches(X),), {}),
    "generator": lambda: ((generator(),), {"steps_per_epoch": 2}),
    "generator that ends": lambda: (((batch for batch in itertools.islice(generator(), 2)),), {}),
}


def compiled(**options):
    keras.utils.set_random_seed(7)
    model = vae()
    model.compile(optimizer=sgd(), **{"run_eagerly": True, **options})
    return model


def fit(model, *arguments, **kwargs):
    return model.fit(*arguments, **{"shuffle": False, "verbose": 0, **kwargs}).history


def named(table):
    return pytest.mark.parametrize("make", table.values(), ids=table)


@pytest.fixture(scope="module")
def expected():
    model = compiled()
    return fit(model, X, **ARRAY), trainable(model)


@named(INPUTS)
def test_every_kind_of_data_trains_alike(make, expected):
    arguments, options = make()
    model = compiled()
    history = fit(model, *arguments, **options)
    assert history == {name: pytest.approx(values, rel=1e-5) for name, values in expected[0].items()}
    np.testing.assert_allclose(trainable(model), expected[1], atol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "float64", "uint8", "int64", "bool"])
def test_every_type_of_number_trains_alike(dtype):
    whole = (X > 0).astype("float32")
    first = fit(compiled(), whole, **ARRAY)
    second = fit(compiled(), whole.astype(dtype), **ARRAY)
    assert first == second


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float64", "bool"])
def test_estimates_take_every_type_of_number(dtype):
    model = compiled()
    whole = (X > 0).astype("float32")
    seed = tf.constant([1, 2])
    expected = model.elbo(whole, seed=seed), model.reconstruct(whole)
    x = whole.astype(dtype)
    np.testing.assert_allclose(model.elbo(x, seed=seed), expected[0], rtol=1e-6)
    np.testing.assert_allclose(model.reconstruct(x), expected[1], rtol=1e-6)
    np.testing.assert_allclose(model.predict(x, verbose=0), expected[1], rtol=1e-5)


WRONG = {
    "shape": (X[:, :-1], r"shape \[batch\]"),
    "NaN": (np.full_like(X, np.nan), "NaN or infinity"),
    "dtype": (X.astype(str), "numbers"),
}


@named(WRONG)
@pytest.mark.parametrize("kind", [Batches, lambda x: ((x,) for _ in range(2))])
def test_the_first_of_other_batches_is_checked_before_training(kind, make):
    x, message = make
    model = compiled()
    for call in (model.fit, model.evaluate, model.predict):
        with pytest.raises(ValueError, match=rf"argument `x`.*{message}"):
            call(kind(x), verbose=0)
    with pytest.raises(ValueError, match=rf"argument `validation_data`.*{message}"):
        model.fit(X, validation_data=kind(x), verbose=0)
    assert int(model.step) == 0


def test_a_generator_must_give_tuples_and_something():
    model = compiled()
    with pytest.raises(ValueError, match=r"a generator of tuples.*one of ndarray"):
        model.fit((x for x in [X]), verbose=0)
    with pytest.raises(ValueError, match="gives nothing, or is used up"):
        model.fit((x for x in []), verbose=0)


def test_no_batch_of_a_generator_is_lost():
    model = compiled()
    expected = model.predict(X, verbose=0)
    batches = ((X[start : start + BATCH],) for start in range(0, len(X), BATCH))
    np.testing.assert_array_equal(model.predict(batches, verbose=0), expected)
    kl = model.evaluate(X, verbose=0, return_dict=True)["kl"]
    found = model.evaluate(((X[i : i + BATCH],) for i in (0, BATCH)), verbose=0, return_dict=True)
    assert found["kl"] == pytest.approx(kl, rel=1e-6)
    held_out = ((X[i : i + BATCH],) for i in (0, BATCH))
    history = fit(model, X, **ARRAY, validation_data=held_out, epochs=1)
    assert history["val_kl"][0] == pytest.approx(
        model.evaluate(X, verbose=0, return_dict=True)["kl"], rel=1e-5
    )


HELD_OUT = data(10, seed=1)
VALIDATION = {
    "array": lambda: HELD_OUT,
    "tuple of x": lambda: (HELD_OUT,),
    "array and labels": lambda: (HELD_OUT, np.zeros(10)),
    "with weights": lambda: (HELD_OUT, np.zeros(10), np.ones(10, "float32")),
    "dataset": lambda: tf.data.Dataset.from_tensor_slices(HELD_OUT).batch(BATCH),
}


@named(VALIDATION)
def test_every_kind_of_validation_data(make):
    model = compiled()
    history = fit(model, X, **ARRAY, validation_data=make(), epochs=2)
    for name in ("loss", "reconstruction", "kl"):
        assert np.isfinite(history[f"val_{name}"]).all()
        assert len(history[f"val_{name}"]) == 2
    # The exact KL has no draws in it, so it can be computed again.
    expected = model.evaluate(HELD_OUT, verbose=0, return_dict=True)["kl"]
    assert history["val_kl"][-1] == pytest.approx(expected, rel=1e-5)


def test_validation_split_is_the_end_of_the_data():
    model, other = compiled(), compiled()
    history = fit(model, X, Y, **ARRAY, validation_split=0.25)
    expected = fit(other, X[:18], Y[:18], **ARRAY, validation_data=(X[18:], Y[18:]))
    assert history == expected


def test_validation_frequency_and_steps():
    model = compiled()
    history = fit(model, X, **ARRAY, epochs=4, validation_data=HELD_OUT, validation_freq=2)
    assert len(history["kl"]) == 4
    assert len(history["val_kl"]) == 2
    history = fit(model, X, **ARRAY, validation_data=X, validation_steps=1)
    expected = model.evaluate(X[:BATCH], verbose=0, return_dict=True)["kl"]
    assert history["val_kl"] == [pytest.approx(expected, rel=1e-5)]


def test_initial_epoch():
    model = compiled()
    history = model.fit(X, **ARRAY, initial_epoch=2, epochs=5, verbose=0)
    assert history.epoch == [2, 3, 4]
    assert int(model.step) == 6


@pytest.mark.parametrize(
    "options", [{}, {"run_eagerly": False, "jit_compile": False}], ids=["eager", "plain"]
)
def test_training_on_a_single_batch(options):
    model, other = compiled(**options), compiled()
    logs = model.train_on_batch(X[:8], return_dict=True)
    assert set(logs) == {"loss", "reconstruction", "kl"}
    expected = fit(other, X[:8], **ARRAY)
    assert logs["loss"] == pytest.approx(expected["loss"][0], rel=1e-5)
    np.testing.assert_allclose(trainable(model), trainable(other), atol=1e-6)


def test_other_calls_of_a_single_batch():
    model = compiled()
    tested = model.test_on_batch(X[:8], return_dict=True)
    assert tested["kl"] == pytest.approx(model.evaluate(X[:8], verbose=0, return_dict=True)["kl"], rel=1e-5)
    np.testing.assert_allclose(model.predict_on_batch(X[:8]), model.reconstruct(X[:8]), rtol=1e-6)
    before = trainable(model)
    model.train_on_batch(X[:8], Y[:8], sample_weight=np.zeros(8, "float32"))
    np.testing.assert_array_equal(trainable(model), before)
    labels, factors = Y[:8] * 0, {0: 0.0}
    model.train_on_batch(X[:8], labels, class_weight=factors)
    np.testing.assert_array_equal(trainable(model), before)


def test_large_arrays_leave_the_device(monkeypatch):
    monkeypatch.setattr(resident, "RESIDENT_BYTES", X.nbytes - 1)
    assert compiled(run_eagerly=False)._resident(X, None, None, BATCH, False) is None
    monkeypatch.setattr(resident, "RESIDENT_BYTES", X.nbytes)
    assert compiled(run_eagerly=False)._resident(X, None, None, BATCH, False) is not None


@pytest.mark.parametrize("name", ["x", "validation_data"])
def test_data_sets_are_read_once_an_epoch_and_once_beforehand(name):
    passes = []

    def examples():
        passes.append(len(passes))
        yield from X

    spec = tf.TensorSpec([6], tf.float32)
    data = {name: tf.data.Dataset.from_generator(examples, output_signature=spec).batch(BATCH)}
    compiled().fit(**{"x": dataset(X), **data}, epochs=3, verbose=0)
    assert len(passes) == 4


def test_metrics_compare_x_with_its_reconstruction():
    model = compiled(metrics=["mse"], weighted_metrics=["mae"])
    weight = np.linspace(0, 1, 24, dtype="float32")
    result = model.evaluate(X, Y, sample_weight=weight, verbose=0, return_dict=True)
    error = np.array(X - model.reconstruct(X))
    assert result["mse"] == pytest.approx(np.mean(error**2), rel=1e-4)
    expected = np.average(np.abs(error).mean(axis=1), weights=weight)
    assert result["mae"] == pytest.approx(expected, rel=1e-4)
    assert "mse" in fit(model, X, **ARRAY)


def test_gradients_are_clipped_by_the_optimizer():
    model = compiled()
    model.compile(optimizer=keras.optimizers.SGD(1.0, global_clipnorm=0.01), run_eagerly=True)
    before = trainable(model)
    model.train_on_batch(X)
    assert np.linalg.norm(trainable(model) - before) == pytest.approx(0.01, rel=1e-3)


def test_frozen_encoder_stays():
    model = vae()
    model.encoder.trainable = False
    model.compile(optimizer=sgd(), run_eagerly=True)
    before = model.encoder.get_weights(), model.decoder.get_weights()
    fit(model, X, **ARRAY)
    for index, same in ((0, True), (1, False)):
        after = (model.encoder, model.decoder)[index].get_weights()
        kernels = [weight for weight in zip(before[index], after, strict=True) if weight[0].ndim == 2]
        assert all(np.array_equal(*pair) == same for pair in kernels)
