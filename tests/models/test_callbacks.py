"""Keras' callbacks and one's own, under executions of many batches and without."""

import csv

import keras
import numpy as np
import pytest

from keras_vae.models import resident

from .cases import data, sgd, trainable, vae

X, HELD_OUT = data(24), data(10, seed=1)
FIT = {"batch_size": 4, "shuffle": False, "verbose": 0}  # six batches an epoch


def compiled(**options):
    keras.utils.set_random_seed(7)
    model = vae()
    model.compile(optimizer=sgd(), **{"jit_compile": False, **options})
    return model


class Counter(keras.callbacks.Callback):
    """Counts batches, and keeps each one's loss."""

    def __init__(self):
        super().__init__()
        self.begun, self.ended, self.losses = [], [], []

    def on_train_batch_begin(self, batch, logs=None):
        self.begun.append(batch)

    def on_train_batch_end(self, batch, logs=None):
        self.ended.append(batch)
        self.losses.append(float(logs["loss"]))


class TestCounter(keras.callbacks.Callback):
    """Counts the batches of evaluations."""

    __test__ = False

    def __init__(self):
        super().__init__()
        self.ended = []

    def on_test_batch_end(self, batch, logs=None):
        self.ended.append(batch)


class PerExecution(Counter):
    """The same, content with every execution."""

    per_execution = True


def test_a_callback_that_follows_batches_gets_every_one():
    counter = Counter()
    compiled().fit(X, epochs=2, callbacks=[counter], **FIT)
    assert counter.begun == counter.ended == [*range(6)] * 2
    assert len(set(counter.losses)) == 12


def test_lambda_callbacks_get_every_batch():
    batches = []
    callback = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: batches.append(batch))
    compiled().fit(X, callbacks=[callback], **FIT)
    assert batches == [*range(6)]


@pytest.mark.parametrize("within_fit", [False, True])
def test_a_callback_that_follows_test_batches_gets_every_one(within_fit):
    counter = TestCounter()
    if within_fit:
        compiled().fit(X, validation_data=X, callbacks=[counter], **FIT)
    else:
        compiled().evaluate(X, batch_size=4, verbose=0, callbacks=[counter])
    assert counter.ended == [*range(6)]


def test_subclass_of_a_known_callback_that_follows_batches(tmp_path):
    batches = []

    class Checkpoint(keras.callbacks.ModelCheckpoint):
        def on_train_batch_end(self, batch, logs=None):
            super().on_train_batch_end(batch, logs)
            batches.append(batch)

    compiled().fit(X, callbacks=[Checkpoint(tmp_path / "model.keras")], **FIT)
    assert batches == [*range(6)]


def test_other_callbacks_run_once_an_execution():
    counter = PerExecution()
    model = compiled()
    model.fit(X, epochs=2, callbacks=[counter, keras.callbacks.EarlyStopping("loss")], **FIT)
    assert len(counter.ended) == 2
    assert model.steps_per_execution == 1


def test_chosen_steps_per_execution_are_kept():
    counter = Counter()
    compiled(steps_per_execution=3).fit(X, callbacks=[counter], **FIT)
    assert counter.ended == [2, 5]


def test_batches_do_not_change_the_result():
    plain, followed = compiled(), compiled()
    history = plain.fit(X, epochs=2, **FIT).history
    assert followed.fit(X, epochs=2, callbacks=[Counter()], **FIT).history == {
        name: pytest.approx(values, rel=1e-6) for name, values in history.items()
    }
    np.testing.assert_allclose(trainable(followed), trainable(plain), atol=1e-6)


def test_early_stopping_restores_the_best_weights():
    model = compiled()
    model.compile(optimizer=keras.optimizers.SGD(5.0), jit_compile=False)  # diverges
    stop = keras.callbacks.EarlyStopping(
        "val_loss", patience=1, restore_best_weights=True, start_from_epoch=0
    )
    history = model.fit(X, epochs=20, validation_data=HELD_OUT, callbacks=[stop], **FIT).history
    assert len(history["loss"]) < 20


def test_stops_on_nan():
    model = compiled()
    model.compile(optimizer=keras.optimizers.SGD(1e18), jit_compile=False)
    history = model.fit(X, epochs=9, callbacks=[keras.callbacks.TerminateOnNaN()], **FIT).history
    assert len(history["loss"]) < 9


def test_checkpoints_csv_and_tensorboard(tmp_path):
    model = compiled()
    checkpoint, best = tmp_path / "{epoch}.keras", tmp_path / "best.weights.h5"
    callbacks = [
        keras.callbacks.ModelCheckpoint(checkpoint),
        keras.callbacks.ModelCheckpoint(best, save_best_only=True, save_weights_only=True),
        keras.callbacks.CSVLogger(tmp_path / "log.csv"),
        keras.callbacks.TensorBoard(tmp_path / "board"),
    ]
    assert not resident._needs_batches(callbacks)
    history = model.fit(X, epochs=2, validation_data=HELD_OUT, callbacks=callbacks, **FIT).history
    rows = list(csv.DictReader((tmp_path / "log.csv").open()))
    for name, values in history.items():
        np.testing.assert_allclose([float(row[name]) for row in rows], values, rtol=1e-6)
    loaded = keras.saving.load_model(tmp_path / "2.keras")
    np.testing.assert_array_equal(loaded.reconstruct(X), model.reconstruct(X))
    assert int(keras.saving.load_model(tmp_path / "1.keras").step) == 6
    assert list((tmp_path / "board").rglob("events*"))
    other = vae()
    other.load_weights(best)
    epoch = 1 + np.argmin(history["val_loss"])
    expected = keras.saving.load_model(tmp_path / f"{epoch}.keras").reconstruct(X)
    np.testing.assert_array_equal(other.reconstruct(X), expected)


def test_checkpoints_within_an_epoch(tmp_path):
    checkpoint = keras.callbacks.ModelCheckpoint(tmp_path / "model.keras", save_freq=4)
    assert resident._needs_batches([checkpoint])
    compiled().fit(X, callbacks=[checkpoint], **FIT)
    assert int(keras.saving.load_model(tmp_path / "model.keras").step) == 4


def test_learning_rate_schedules():
    model = compiled()
    rates = []
    callbacks = [
        keras.callbacks.LearningRateScheduler(lambda epoch: 0.1 / (epoch + 1)),
        keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: rates.append(float(model.optimizer.learning_rate))
        ),
    ]
    model.fit(X, epochs=3, callbacks=callbacks, **FIT)
    np.testing.assert_allclose(rates, [0.1, 0.05, 0.1 / 3], rtol=1e-6)
    decay = keras.optimizers.schedules.PiecewiseConstantDecay([5], [0.1, 0.0])
    model.compile(optimizer=keras.optimizers.SGD(decay), run_eagerly=True)
    model.fit(X, epochs=1, **FIT)
    before = trainable(model)
    model.fit(X, epochs=1, **FIT)
    np.testing.assert_array_equal(trainable(model), before)


def test_backup_resumes_where_training_broke_off(tmp_path):
    class Breakdown(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise RuntimeError("power cut")

    plain = compiled()
    plain.fit(X, epochs=4, **FIT)
    broken, resumed = compiled(), compiled()
    with pytest.raises(RuntimeError, match="power cut"):
        callbacks = [keras.callbacks.BackupAndRestore(tmp_path / "backup"), Breakdown()]
        broken.fit(X, epochs=4, callbacks=callbacks, **FIT)
    backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
    history = resumed.fit(X, epochs=4, callbacks=[backup], **FIT)
    assert history.epoch == [2, 3]
    assert int(resumed.step) == 24
    np.testing.assert_allclose(trainable(resumed), trainable(plain), atol=1e-6)


class EvaluatesOther(keras.callbacks.Callback):
    """Evaluates other data at the end of every epoch."""

    def __init__(self, x):
        super().__init__()
        self.x, self.kl = x, []

    def on_epoch_end(self, epoch, logs=None):
        self.kl.append(self.model.evaluate(self.x, verbose=0, return_dict=True)["kl"])


@pytest.mark.parametrize("options", [{}, {"jit_compile": True}], ids=["plain", "resident"])
def test_evaluating_other_data_within_fit_does_not_disturb_validation(options):
    model = compiled(**options)
    x = 10.0 * HELD_OUT
    other, kl = EvaluatesOther(x), []
    keep = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: kl.append(model.encode(HELD_OUT).kl_divergence(model.prior()))
    )
    fit = {**FIT, "validation_batch_size": len(x)}  # one program for both evaluations
    history = model.fit(X, epochs=2, validation_data=HELD_OUT, callbacks=[other, keep], **fit).history
    np.testing.assert_allclose(history["val_kl"], np.mean(kl, axis=1), rtol=1e-4)
    expected = np.mean(model.encode(x).kl_divergence(model.prior()))
    assert other.kl[-1] == pytest.approx(expected, rel=1e-4)


def test_an_interrupted_fit_leaves_nothing_behind():
    class Breakdown(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise KeyboardInterrupt

    model = compiled()
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, epochs=2, validation_data=HELD_OUT, callbacks=[Breakdown(), Counter()], **FIT)
    assert model.steps_per_execution == 1
    other = 10.0 * X[:5]
    history = model.fit(X, validation_data=other, **FIT).history
    expected = np.mean(model.encode(other).kl_divergence(model.prior()))
    assert history["val_kl"] == [pytest.approx(expected, rel=1e-4)]
