"""NaNGuard: each kind of fault is named, and the state restored is the last good one, to the bit."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_vae import models, objectives
from keras_vae.callbacks import NaNGuard

from .networks import SIZE, data, state, vae

X = data(24)
FIT = {"batch_size": 8, "verbose": 0, "shuffle": False}  # three batches an epoch
GRAPH = {"run_eagerly": False}  # some steps run eagerly are faster than a trace


class Epochs(keras.callbacks.Callback):
    """Keeps the state at the end of each epoch, and does something at the beginning of one."""

    def __init__(self, at=None, action=None):
        super().__init__()
        self.at, self.action, self.states = at, action, []

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.at:
            self.action(self.model)

    def on_epoch_end(self, epoch, logs=None):
        self.states.append(state(self.model))


def poison(name):
    """Sets one number of a weight to NaN."""

    def action(model):
        weight = next(weight for weight in model.weights if weight.path == name)
        value = np.array(weight)
        value.flat[0] = np.nan
        weight.assign(value)

    return action


def compiled(optimizer=None, model=None, **kwargs):
    model = model or vae()
    model.compile(
        optimizer or keras.optimizers.Adam(0.01), **{"run_eagerly": True, "jit_compile": False, **kwargs}
    )
    return model


def guarded(model, x=X, callbacks=(), epochs=3, **kwargs):
    """Trains until the guard stops it, which must warn once."""
    guard = NaNGuard()
    with pytest.warns(RuntimeWarning, match="^Training stopped") as caught:
        history = model.fit(x, epochs=epochs, callbacks=[*callbacks, guard], **{**FIT, **kwargs})
    stopped = [str(each.message) for each in caught if "Training stopped" in str(each.message)]
    assert stopped == [guard.diagnosis] and "\n" not in guard.diagnosis
    return guard.diagnosis, history


def batches(x):
    return tf.data.Dataset.from_tensor_slices(x).batch(8)


def assert_equal(states, others):
    assert len(states) == len(others)
    for one, other in zip(states, others, strict=True):
        np.testing.assert_array_equal(one, other)


def test_training_is_the_same_with_a_guard():
    plain, watched = compiled(**GRAPH), compiled(**GRAPH)
    for weight, other in zip(watched.weights, plain.weights, strict=True):
        weight.assign(other)
    guard = NaNGuard()
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        watched.fit(X, epochs=2, callbacks=[guard], **FIT)
    plain.fit(X, epochs=2, **FIT)
    assert guard.diagnosis is None
    for one, other in zip(state(watched), state(plain), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("name", "mode"), [("encoder/hidden/kernel", GRAPH), ("decoder/mean/bias", {"run_eagerly": True})]
)
def test_a_weight_that_became_nan(name, mode):
    model = compiled(**mode)
    epochs = Epochs(at=2, action=poison(name))
    diagnosis, history = guarded(model, callbacks=[epochs], epochs=5)
    assert "stopped in epoch 3: the loss became nan in training step 7, batch 1 of the epoch." in diagnosis
    assert f"Cause: {name} was not finite before that step." in diagnosis
    assert diagnosis.endswith("those of the end of epoch 2.")
    assert len(history.epoch) == 3
    # Compared with the second epoch's end: the third was recorded after it was restored.
    assert_equal(state(model), epochs.states[1])
    assert int(model.step) == int(model.optimizer.iterations) == 6
    assert np.isfinite(model.elbo(X)).all()


def test_a_weight_that_is_nan_from_the_beginning():
    model = compiled()
    poison("encoder/code/kernel")(model)
    before = state(model)[: len(model.weights)]
    diagnosis, history = guarded(model)
    assert "it began with values that are not finite. Cause: they are in encoder/code/kernel." in diagnosis
    assert len(history.epoch) == 1
    assert_equal(state(model)[: len(before)], before)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_row_of_the_data(value):
    """Arrays are checked before training; of a data set only the first batch is."""
    x = X.copy()
    x[21, 2] = value  # row 5 of the third batch
    model = compiled(**GRAPH)
    before = state(model)[: len(model.weights)]
    diagnosis, _ = guarded(model, batches(x), batch_size=None)
    assert (
        "in training step 3, batch 3 of the epoch. Cause: input row 5 of that batch is not finite"
        in diagnosis
    )
    assert diagnosis.endswith("those of the beginning of training.")
    assert_equal(state(model)[: len(before)], before)


@pytest.mark.parametrize("optimizer", [keras.optimizers.SGD, keras.optimizers.Adam])
def test_a_learning_rate_far_too_high(optimizer):
    model = compiled(optimizer(1e18))
    before = state(model)[: len(model.weights)]
    diagnosis, _ = guarded(model)
    assert "Cause: not finite there: reconstruction" in diagnosis
    assert "weights had grown to" in diagnosis and "lower the learning rate" in diagnosis
    assert_equal(state(model)[: len(before)], before)


@keras.saving.register_keras_serializable(package="tests")
class Root(keras.layers.Layer):
    """The identity, whose gradient is NaN."""

    def call(self, x):
        return x + tf.sqrt(tf.zeros_like(x) * x)


def test_a_gradient():
    diagnosis, _ = guarded(compiled(model=vae(body=[Root()])))
    assert "in training step 2, batch 2 of the epoch" in diagnosis
    names = "encoder/hidden/kernel, encoder/hidden/bias"
    assert f"Cause: the gradient of {names} was not finite in the step before." in diagnosis


def test_a_gradient_in_the_last_step_of_an_epoch():
    """No loss tells of it any more."""
    model = compiled(keras.optimizers.SGD(0.1), model=vae(body=[Root()]))
    before = state(model)
    diagnosis, history = guarded(model, X[:8])
    assert "the last update made weights that are not finite" in diagnosis
    assert "encoder/hidden/kernel" in diagnosis
    assert len(history.epoch) == 1
    assert_equal(state(model), before)


def test_the_row_whose_likelihood_is_not_finite():
    x = X.copy()
    x[21] = 1e30  # finite, but not its square
    model = compiled()
    diagnosis, _ = guarded(model, x)
    assert "in training step 3, batch 3 of the epoch" in diagnosis
    assert "log p(x|z) first in row 5 of that batch" in diagnosis


@keras.saving.register_keras_serializable(package="tests")
class Infinite(objectives.ELBO):
    """The negative ELBO and a part that is infinite from the third step on."""

    part_names = ("reconstruction", "kl", "wild")

    def parts(self, terms):
        wild = tf.where(tf.convert_to_tensor(terms.step) < 2, 0.0, np.inf)
        parts = super().parts(terms)
        return {**parts, "wild": wild + tf.zeros_like(parts["kl"])}


def test_a_part_of_the_loss_is_named():
    model = vae(model=models.LatentVariableModel, objective=Infinite())
    diagnosis, _ = guarded(compiled(model=model))
    assert "the loss became inf in training step 3, batch 3" in diagnosis
    assert "Cause: not finite there: wild." in diagnosis


class Overflow(keras.regularizers.Regularizer):
    def __call__(self, x):
        return tf.reduce_sum(tf.abs(x)) * np.inf


def test_a_regularizer_is_named():
    body = [keras.layers.Dense(6, kernel_regularizer=Overflow())]
    diagnosis, _ = guarded(compiled(model=vae(body=body)))
    assert "not finite there: regularization" in diagnosis


def test_a_model_that_was_trained_without_a_guard_before():
    model = compiled(**GRAPH)
    model.fit(X, epochs=1, **FIT)
    diagnosis, _ = guarded(model, callbacks=[Epochs(at=1, action=poison("decoder/mean/kernel"))])
    assert "in training step 7, batch 1 of the epoch. Cause: decoder/mean/kernel" in diagnosis


def test_one_model_guarded_again():
    """The second training knows nothing of the first, and goes well."""
    model = compiled(**GRAPH)
    guarded(model, callbacks=[Epochs(at=1, action=poison("decoder/mean/kernel"))])
    functions = dict(model._untracked.functions)
    guard = NaNGuard()
    model.fit(X, epochs=1, callbacks=[guard], **FIT)
    assert guard.diagnosis is None
    assert model._untracked.functions == functions  # nothing was traced again
    diagnosis, _ = guarded(model, callbacks=[Epochs(at=1, action=poison("decoder/mean/bias"))])
    assert "decoder/mean/bias was not finite" in diagnosis
    model.compile("sgd", run_eagerly=True)
    diagnosis, _ = guarded(model, callbacks=[Epochs(at=0, action=poison("encoder/code/bias"))])
    assert "encoder/code/bias was not finite" in diagnosis


def test_learning_rate_is_restored():
    model = compiled()

    def spoil(model):
        model.optimizer.learning_rate = 7.0
        poison("decoder/mean/bias")(model)

    guarded(model, callbacks=[Epochs(at=1, action=spoil)])
    assert float(model.optimizer.learning_rate) == pytest.approx(0.01)


def test_validation_sees_the_restored_weights():
    epochs = Epochs(at=1, action=poison("decoder/mean/bias"))
    _, history = guarded(compiled(), callbacks=[epochs], validation_data=X[:8])
    assert np.isnan(history.history["loss"][1])
    assert np.isfinite(history.history["val_loss"]).all()


def test_compiled_by_xla_with_many_steps_per_execution():
    """The default path: one call of the guard an epoch, and the fault is told to the step all the same."""
    model = compiled(keras.optimizers.SGD(1e18), jit_compile="auto", **GRAPH)
    assert model.jit_compile
    calls = []

    class Calls(keras.callbacks.Callback):
        per_execution = True

        def on_train_batch_end(self, batch, logs=None):
            calls.append(batch)

    before = state(model)[: len(model.weights)]
    diagnosis, _ = guarded(model, callbacks=[Calls()])
    assert len(calls) == 1
    assert "batch 2 of the epoch" in diagnosis and "weights had grown to" in diagnosis
    assert_equal(state(model)[: len(before)], before)
    # Good weights of a later epoch: XLA updates in place, and must leave what was kept alone.
    model.optimizer.learning_rate = 1e-3
    epochs = Epochs(at=2, action=poison("decoder/mean/bias"))
    guarded(model, callbacks=[epochs], epochs=4)
    assert_equal(state(model), epochs.states[1])
    assert any(not np.array_equal(a, b) for a, b in zip(epochs.states[0], epochs.states[1], strict=True))


def test_under_a_distribution_strategy():
    """Without a look into the steps: still stopped and restored."""
    epochs = Epochs(at=1, action=poison("decoder/mean/bias"))
    with tf.distribute.OneDeviceStrategy("CPU:0").scope():
        model = compiled(**GRAPH)
        diagnosis, _ = guarded(model, batches(X), callbacks=[epochs], batch_size=None)
    assert "the loss became nan. Cause: not seen within the step" in diagnosis
    assert_equal(state(model), epochs.states[0])


def test_any_keras_model():
    model = keras.Sequential([keras.Input((SIZE,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(1e30), "mse")
    before = [np.array(weight) for weight in model.weights]
    diagnosis, _ = guarded(model, X, y=np.zeros((len(X), 1)))
    assert "the loss became" in diagnosis
    assert_equal([np.array(weight) for weight in model.weights], before)


def test_a_guarded_model_is_saved_and_loaded(tmp_path):
    model = compiled(**GRAPH)
    names = [variable.path for variable in model.variables]
    model.fit(X, epochs=1, callbacks=[NaNGuard()], **FIT)
    assert [variable.path for variable in model.variables if "optimizer" not in variable.path][
        : len(names)
    ] == names
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.reconstruct(X), model.reconstruct(X))
    assert_equal(state(loaded), state(model))
    guard = NaNGuard()
    loaded.fit(X, epochs=1, callbacks=[guard], **FIT)
    assert guard.diagnosis is None
