"""One result on every path: resident data or not, compiled or not, however many steps an execution has."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_vae import datasets
from keras_vae.models import resident

from .cases import data, sgd, trainable, vae

X = data(70)
Y = np.arange(70) % 3
WEIGHT = np.linspace(0.0, 2.0, 70).astype("float32")
BATCH = 32  # leaves a last batch of 6


def batches(*arrays, size=BATCH):
    return tf.data.Dataset.from_tensor_slices(arrays if len(arrays) > 1 else arrays[0]).batch(size)


def build(**options):
    keras.utils.set_random_seed(7)
    model = vae()
    model.compile(optimizer=sgd(), **options)
    return model


def train(*arguments, epochs=2, options=None, **kwargs):
    model = build(**(options or {}))
    kwargs = {"batch_size": BATCH, "shuffle": False, "verbose": 0, **kwargs}
    if isinstance(arguments[0], tf.data.Dataset):
        del kwargs["batch_size"]
    history = model.fit(*arguments, epochs=epochs, **kwargs)
    return model, history.history


def assert_agree(first, second):
    (model, history), (other, other_history) = first, second
    assert history.keys() == other_history.keys()
    for name, values in history.items():
        np.testing.assert_allclose(values, other_history[name], rtol=1e-4, err_msg=name)
    np.testing.assert_allclose(trainable(model), trainable(other), atol=1e-4)
    assert int(model.step) == int(other.step)


@pytest.fixture(scope="module")
def eager():
    return train(X, Y, options={"run_eagerly": True}, sample_weight=WEIGHT)


@pytest.fixture
def no_resident_data(monkeypatch):
    monkeypatch.setattr(resident, "RESIDENT_BYTES", 0)


def test_resident_arrays_with_a_partial_batch(eager):
    assert int(eager[0].step) == 6
    trained = train(X, Y, sample_weight=WEIGHT)
    assert_agree(trained, eager)


def test_compiled_dataset(eager):
    assert_agree(train(batches(X, Y, WEIGHT)), eager)


PLAIN = {"jit_compile": False}


def test_arrays_too_large_to_be_resident(eager, no_resident_data):
    assert_agree(train(X, Y, sample_weight=WEIGHT, options=PLAIN), eager)


@pytest.mark.parametrize("steps", [1, 2])
def test_chosen_steps_per_execution(eager, steps):
    options = {**PLAIN, "steps_per_execution": steps}
    assert_agree(train(batches(X, Y, WEIGHT), options=options), eager)


def test_dataset_of_unknown_length(eager):
    endless = batches(X, Y, WEIGHT).filter(lambda x, y, weight: True)
    assert int(endless.cardinality()) == tf.data.UNKNOWN_CARDINALITY
    assert_agree(train(endless, options=PLAIN), eager)


def test_data_sets_of_this_library_are_the_same_kept_on_the_device_or_not():
    """Order, draws of the binarisation and their change from epoch to epoch."""
    stored = np.random.default_rng(0).integers(0, 256, size=(44, 6)).astype("uint8")
    transform = datasets.Transform(draw="dynamic")

    def marked(shuffle, fresh=True):
        return datasets.Resident(stored, None, transform, 22, shuffle, seed=5, fresh=fresh).to_dataset()

    def run(**options):
        held_out = marked(shuffle=False, fresh=False)
        return train(marked(shuffle=True), validation_data=held_out, options=options)

    eager = run(run_eagerly=True)
    assert_agree(run(), eager)
    assert_agree(run(**PLAIN), eager)


def test_fewer_examples_than_a_batch():
    assert_agree(train(X[:7]), train(X[:7], options={"run_eagerly": True}))


@pytest.mark.parametrize("steps", [1, "auto"])
def test_steps_per_epoch_continue_through_the_data(steps):
    repeated = batches(X, Y, WEIGHT).repeat()
    options = {"steps_per_epoch": 2, "epochs": 3}
    eager = train(repeated, options={"run_eagerly": True}, **options)
    plain = train(repeated, options={**PLAIN, "steps_per_execution": steps}, **options)
    assert int(plain[0].step) == 6
    assert_agree(plain, eager)


def test_steps_of_evaluation():
    model = build(jit_compile=False)
    expected = model.evaluate(X[:64], verbose=0, return_dict=True)["kl"]
    assert model.evaluate(batches(X), steps=2, verbose=0, return_dict=True)["kl"] == pytest.approx(expected)


class Validated(keras.callbacks.Callback):
    """Notes the last batch of every execution of training and validation."""

    per_execution = True

    def __init__(self):
        super().__init__()
        self.trained, self.tested = [], []

    def on_train_batch_end(self, batch, logs=None):
        self.trained.append(batch)

    def on_test_batch_end(self, batch, logs=None):
        self.tested.append(batch)


@pytest.mark.filterwarnings("error:Your input ran out of data")
@pytest.mark.parametrize(
    ("steps", "validation_steps"),
    [(2, 2), (64, None), (1, None), (4, 3)],
)
def test_steps_of_training_and_of_validation(steps, validation_steps):
    """Whatever the two numbers have in common, as many batches are trained and validated on as asked for."""
    model, notes = build(jit_compile=False), Validated()
    held_out = batches(X, size=10)
    counts = {"steps_per_epoch": steps, "validation_steps": validation_steps}
    options = {"validation_data": held_out, "callbacks": [notes], "verbose": 0}
    history = model.fit(batches(X, size=10).repeat(), **counts, **options).history
    assert int(model.step) == steps
    assert notes.trained[-1] == steps - 1
    seen = X[: 10 * (validation_steps or 7)]
    expected = np.mean(model.encode(seen).kl_divergence(model.prior()))
    assert history["val_kl"] == [pytest.approx(expected, rel=1e-5)]


def test_python_data_sets():
    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 3

        def __getitem__(self, index):
            return X[index * BATCH : (index + 1) * BATCH]

    plain = build(jit_compile=False)
    plain.fit(Batches(), epochs=2, shuffle=False, verbose=0)
    assert int(plain.step) == 6
    eager, _ = train(X, options={"run_eagerly": True})
    np.testing.assert_allclose(trainable(plain), trainable(eager), atol=1e-4)


def test_evaluation_is_the_same_on_every_path():
    results = []
    for options, arguments in (
        ({"run_eagerly": True}, {"x": X, "batch_size": 35}),
        ({"jit_compile": False}, {"x": X, "batch_size": 35}),
        ({"jit_compile": False}, {"x": batches(X, size=35)}),
        ({}, {"x": X, "batch_size": 35}),
    ):
        results.append(build(**options).evaluate(**arguments, verbose=0, return_dict=True))
    for result in results[1:]:
        assert result == pytest.approx(results[0], rel=1e-5)


def test_prediction_is_the_reconstruction():
    model = build(jit_compile=False)
    expected = model.reconstruct(X)
    for result in (model.predict(X, verbose=0), model.predict(batches(X, Y), verbose=0)):
        assert isinstance(result, np.ndarray)
        np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.predict_on_batch(X[:5]), expected[:5], rtol=1e-5, atol=1e-6)


def orders(model, count, epochs, shuffle):
    """The examples' order in each epoch of a resident fit, read off the data set that Keras is given."""
    adapter = model._resident(data(count), None, None, BATCH, shuffle)
    result = []
    for _ in range(epochs):
        adapter.on_epoch_begin()
        rows = []
        for execution in adapter.get_tf_dataset():
            rows.extend(np.ravel(execution.indices[: int(execution.count)]))
            if execution.has_tail:
                rows.extend(execution.tail.numpy())
        result.append(rows)
        model.step.assign_add(adapter.num_batches)
    return result


@pytest.mark.parametrize("count", [1, 31, 32, 33, 64, 70])
def test_an_epoch_visits_every_example_once(count):
    for shuffle in (False, True):
        for order in orders(build(), count, epochs=2, shuffle=shuffle):
            assert sorted(order) == list(range(count))
            assert shuffle or order == list(range(count))


def test_shuffles_differ_by_epoch_and_are_reproduced_from_the_seed():
    first, second = orders(build(), 70, epochs=2, shuffle=True)
    assert first != second
    assert orders(build(), 70, epochs=2, shuffle=True) == [first, second]


def test_more_batches_than_an_execution_holds():
    """130 batches and a tail need three executions of 64."""
    adapter = build()._resident(data(521), None, None, 4, False)
    assert adapter.num_batches == 131
    adapter._steps = 64
    executions = list(adapter.get_tf_dataset())
    assert [int(execution.count) for execution in executions] == [64, 64, 2]
    assert [bool(execution.has_tail) for execution in executions] == [False, False, True]
    assert [int(execution.first) for execution in executions] == [0, 64, 128]
