import dataclasses
import json

import keras
import numpy as np
import pytest

from keras_vae import priors, runs
from keras_vae.runs import building
from keras_vae.runs.recorder import RunRecorder


def changed(config, section, **values):
    return dataclasses.replace(config, **{section: dataclasses.replace(getattr(config, section), **values)})


def weights(model):
    return [variable.numpy() for variable in model.trainable_variables]


def equal(ours, theirs):
    return all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


class Weights(keras.callbacks.Callback):
    """Keeps the weights at the end of every epoch, and stops the world in one."""

    def __init__(self, interrupt_in=None):
        super().__init__()
        self.of_epoch, self.interrupt_in = [], interrupt_in

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.interrupt_in:
            # As if some steps of the epoch had been taken.
            for variable in self.model.trainable_variables:
                variable.assign(variable + 1.0)
            raise KeyboardInterrupt

    def on_epoch_end(self, epoch, logs=None):
        self.of_epoch.append(weights(self.model))


def test_a_run_holds_what_it_takes_to_repeat_it(tiny, trained):
    values = json.loads((trained.folder / "config.json").read_text())
    assert values["format"] == 1
    assert {"keras", "tensorflow", "tensorflow-probability", "numpy", "python"} <= values["versions"].keys()
    assert runs.RunConfig.load(trained.folder / "config.json") == tiny


def test_the_history_has_every_epoch_and_its_seconds(trained):
    history = trained.history()
    assert history["epoch"] == [1, 2]
    names = {"loss", "reconstruction", "kl", "val_loss", "val_reconstruction", "val_kl"}
    assert names <= history.keys() and all(len(line) == 2 for line in history.values())
    assert all(seconds > 0 for seconds in history["seconds"])
    np.testing.assert_allclose(
        history["loss"], np.add(history["reconstruction"], history["kl"]), rtol=1e-5, atol=1e-4
    )


def test_the_same_config_gives_the_same_numbers(tiny, trained, tmp_path):
    again = runs.train(runs.RunConfig.load(trained.folder / "config.json"), tmp_path / "again")
    for name, line in trained.history().items():
        if name != "seconds":
            np.testing.assert_allclose(again.history()[name], line, rtol=1e-6, atol=1e-6)
    x = np.zeros((2, 8, 8, 1), "float32")
    np.testing.assert_allclose(
        again.load_model().reconstruct(x), trained.load_model().reconstruct(x), rtol=1e-6, atol=1e-6
    )


def test_another_seed_gives_other_weights_data_and_draws(tiny):
    made = []
    for seed in (3, 4):
        keras.utils.set_random_seed(seed)
        config = dataclasses.replace(tiny, seed=seed)
        made.append((weights(runs.build_model(config, (8, 8, 1))), next(iter(runs.load_data(config).train))))
    (first, x), (second, other_x) = made
    assert not equal(first, second) and not np.array_equal(x, other_x)


def test_an_interrupt_leaves_the_last_finished_epoch(tiny, tmp_path):
    seen = Weights(interrupt_in=2)
    config = changed(tiny, "training", epochs=5)
    with pytest.raises(KeyboardInterrupt):
        runs.train(config, tmp_path / "cut", callbacks=[seen])
    run = runs.Run.open(tmp_path / "cut")
    assert run.history()["epoch"] == [1, 2]
    model = run.load_model()
    assert equal(weights(model), seen.of_epoch[1])
    # Two steps an epoch, with the optimizer's state and the schedules' step of the same epoch.
    assert int(model.step.numpy()) == int(model.optimizer.iterations.numpy()) == 4
    assert not list((tmp_path / "cut").glob(".*"))


@pytest.mark.parametrize("save_every", [0.0, 1e9])
def test_a_model_is_written_often_or_held_until_the_end(tiny, tmp_path, save_every, monkeypatch):
    """A recorder writes the kept epoch, and leaves the model in memory as training left it."""
    monkeypatch.setattr("keras_vae.runs.recorder.SAVE_EVERY", save_every)
    model = runs.build_model(changed(tiny, "model", options={"hidden": [2]}), (8, 8, 1))
    model.optimizer.build(model.trainable_variables)
    recorder = RunRecorder(tmp_path, tiny)
    recorder.set_model(model)
    for epoch in range(3):
        recorder.on_epoch_begin(epoch)
        for variable in model.trainable_variables:
            variable.assign(np.full(variable.shape, epoch))
        recorder.on_epoch_end(epoch, {"loss": 1.0})
    for variable in model.trainable_variables:
        variable.assign(np.full(variable.shape, 9.0))
    written = recorder.run.load_model().trainable_variables[0].numpy()
    assert np.all(written == (2 if save_every == 0 else 0))
    recorder.close()
    recorder.close()
    assert np.all(recorder.run.load_model().trainable_variables[0].numpy() == 2)
    assert np.all(model.trainable_variables[0].numpy() == 9)


def test_patience_ends_training_and_keeps_the_best_epoch(tiny, tmp_path):
    seen = Weights()
    # So long strides that the loss soon goes up.
    config = changed(tiny, "training", patience=1, learning_rate=0.1, epochs=100)
    run = runs.train(config, tmp_path / "best", callbacks=[seen])
    losses = run.history()["val_loss"]
    best = int(np.argmin(losses))
    assert len(losses) < 100 and best == len(losses) - 2
    assert equal(weights(run.load_model()), seen.of_epoch[best])


def test_the_best_model_needs_validation_examples(tiny, tmp_path):
    config = changed(changed(tiny, "training", patience=1), "dataset", validation=0)
    with pytest.raises(ValueError, match="validation"):
        runs.train(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_without_validation_examples_the_last_model_is_kept_and_logs_are_written(tiny, tmp_path):
    config = changed(changed(tiny, "dataset", validation=0), "training", tensorboard=True, epochs=1)
    run = runs.train(config, tmp_path / "run")
    assert "val_loss" not in run.history() and run.model_path.is_file()
    assert list(run.tensorboard.rglob("events.out.tfevents.*"))


def test_tensorboard_shows_pictures_and_latents_of_held_out_examples(tiny, tmp_path):
    run = runs.train(changed(tiny, "training", tensorboard=True, epochs=1), tmp_path / "run")
    assert list((run.tensorboard / "images").glob("events.out.tfevents.*"))
    assert len((run.tensorboard / "latents.tsv").read_text().splitlines()) == 16


@pytest.mark.parametrize(
    ("section", "values", "hint"),
    [
        ("model", {"name": "bata-vae"}, "Did you mean 'beta-vae'?"),
        ("model", {"network": "cnov"}, "Did you mean 'conv'?"),
        ("model", {"likelihood": "bernouli"}, "Did you mean 'bernoulli'?"),
        ("model", {"posterior": "nromal"}, "Did you mean 'normal'?"),
        ("model", {"options": {"hiden": [8]}}, "Did you mean 'hidden'?"),
        ("model", {"likelihood": "normal-fixed", "likelihood_options": {"sclae": 1}}, "sclae"),
        ("training", {"optimizer": "sdg"}, "Did you mean 'sgd'?"),
        ("dataset", {"name": "digit"}, "Did you mean 'digits'?"),
        ("dataset", {"binarize": "dinamic"}, "Did you mean 'dynamic'?"),
        # Bytes for a likelihood of numbers in [0, 1].
        ("dataset", {"scale": "bytes", "binarize": None}, r"numbers in \[0, 1\]"),
    ],
)
def test_a_mistake_is_told_before_anything_is_written(tiny, tmp_path, section, values, hint):
    with pytest.raises(ValueError, match=hint.replace("?", r"\?")):
        runs.train(changed(tiny, section, **values), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_mistake_does_not_cost_the_run_that_was_to_be_replaced(tiny, tmp_path):
    runs.Run.create(tmp_path, tiny).write_metrics({"elbo": -1.0})
    with pytest.raises(ValueError, match="conv"):
        runs.train(changed(tiny, "model", network="cnov"), tmp_path, overwrite=True)
    assert runs.Run.open(tmp_path).metrics() == {"elbo": -1.0}


def test_a_taken_folder_is_told_before_data_are_read(tiny, tmp_path):
    runs.Run.create(tmp_path, tiny)
    with pytest.raises(ValueError, match="--overwrite"):
        runs.train(changed(tiny, "dataset", name="no-such-data"), tmp_path)


def test_a_loss_that_is_not_a_number_ends_training(tiny, tmp_path):
    config = changed(tiny, "training", optimizer="sgd", learning_rate=1e30, epochs=50, nan_guard=True)
    with pytest.raises(FloatingPointError, match="lower the learning rate") as error:
        runs.train(config, tmp_path / "run")
    assert "\n" not in str(error.value)
    run = runs.Run.open(tmp_path / "run")
    assert run.history()["epoch"] == [1] and np.all(np.isfinite(weights(run.load_model())[0]))


def test_training_options_reach_the_model(tiny):
    config = changed(tiny, "training", optimizer="rmsprop", learning_rate=0.02, clip_norm=0.5)
    config = changed(config, "model", name="beta-vae", options={"hidden": [4], "beta": "linear:0:1:10"})
    model = runs.build_model(config, (8, 8, 1))
    assert isinstance(model.optimizer, keras.optimizers.RMSprop)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.02) and model.optimizer.clipnorm == 0.5
    assert float(model.beta.numpy()) == 0.0


def test_every_model_of_the_library_has_a_name():
    from keras_vae import models

    kinds = {kind for name in models.__all__ if isinstance(kind := getattr(models, name), type)}
    assert set(runs.model_names().values()) == kinds - {models.LatentVariableModel}
    assert runs.model_names()["beta-vae"] is models.BetaVAE and runs.model_names()["vae"] is models.VAE


@pytest.mark.parametrize(
    ("likelihood", "support"), [("bernoulli", "unit"), ("normal", "unit"), ("discretized-logistic", "bytes")]
)
def test_data_are_scaled_as_the_likelihood_needs(tiny, likelihood, support):
    config = changed(changed(tiny, "model", likelihood=likelihood), "dataset", binarize=None)
    assert runs.load_data(config).support == support


def test_a_prior_by_name():
    def prior(name):
        model = runs.ModelConfig(latent_size=3, options={"hidden": [4], "prior": name})
        return building.build_model(runs.RunConfig(model=model), (4, 4, 1)).prior

    assert isinstance(prior("normal-mixture"), priors.NormalMixture)
    assert prior("normal-mixture").event_shape == (3,)
    assert isinstance(prior("standard-normal"), priors.StandardNormal)
    with pytest.raises(ValueError, match="Did you mean 'normal-mixture'"):
        prior("normal-mixtures")


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def former(tiny, tmp_path):
    """A finished run, and what its folder holds."""
    folder = tmp_path / "former"
    runs.train(changed(tiny, "training", epochs=1), folder)
    (folder / "pictures").mkdir()
    (folder / "pictures" / "samples.png").write_bytes(b"png")
    return folder, contents(folder)


def test_a_run_comes_back_if_the_one_to_replace_it_does_not_finish_an_epoch(tiny, former):
    folder, before = former
    with pytest.raises(KeyboardInterrupt):
        runs.train(tiny, folder, overwrite=True, callbacks=[Weights(interrupt_in=0)])
    assert contents(folder) == before
    # It fails when training has begun, before its first step.
    wrong = dataclasses.replace(
        tiny, model=runs.ModelConfig("beta-tcvae", options={"hidden": [4], "dataset_size": 10})
    )
    with pytest.raises(ValueError, match="dataset_size"):
        runs.train(wrong, folder, overwrite=True)
    assert contents(folder) == before
    with pytest.raises(KeyboardInterrupt):
        runs.train(tiny, folder, overwrite=True, callbacks=[Weights(interrupt_in=1)])
    assert len(runs.Run.open(folder).history()["epoch"]) == 1
    assert not list(folder.glob(".former-*")) and not list(folder.glob("pictures/*"))


def test_a_mistake_found_late_leaves_no_folder(tiny, tmp_path):
    class Fails(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            raise RuntimeError("no logs today")

    with pytest.raises(RuntimeError, match="no logs today"):
        runs.train(tiny, tmp_path / "new" / "run", callbacks=[Fails()])
    assert not list(tmp_path.iterdir())


def test_training_that_begins_again_keeps_its_run(tiny, tmp_path):
    """As where XLA refuses a model, and `fit` is called once more without."""
    config = changed(tiny, "training", epochs=1)
    splits = runs.load_data(config)
    model = building.build_model(config, splits.image_shape)
    recorder = RunRecorder(tmp_path / "run", config)
    for _ in range(2):
        model.fit(splits.train, callbacks=[recorder], verbose=0)
    recorder.close()
    assert runs.Run.open(tmp_path / "run").load_model() is not None


def test_classes_are_counted_in_all_parts(tiny, tmp_path):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 255, (40, 8, 8), dtype=np.uint8)
    y = np.arange(40) % 3
    np.savez(tmp_path / "d.npz", x_train=x, y_train=y, x_test=x[:8], y_test=np.arange(8) % 4)
    config = dataclasses.replace(
        tiny,
        dataset=runs.DatasetConfig(str(tmp_path / "d.npz")),
        model=runs.ModelConfig("conditional-vae", latent_size=2, options={"hidden": [4]}),
    )
    run = runs.train(changed(config, "training", epochs=1), tmp_path / "run")
    assert run.load_model().condition.num_classes == 4
    runs.evaluate(run, num_samples=2)


@pytest.mark.parametrize("name", ["latent_size", "network", "likelihood", "posterior", "input_shape"])
def test_options_that_the_config_has_a_place_for_are_refused(tiny, tmp_path, name):
    with pytest.raises(ValueError, match=rf"argument `option`.*{name}"):
        runs.train(changed(tiny, "model", options={name: 3}), tmp_path / "run")


@pytest.mark.parametrize(
    ("options", "message"),
    [({"network_options": 5}, "network_options"), ({"objective": "elbo"}, "VAE.create.*objective")],
)
def test_options_that_no_command_can_write_are_refused(tiny, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        runs.train(changed(tiny, "model", options=options), tmp_path / "run")
