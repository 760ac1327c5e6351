"""From training to export, as a user types it."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

from keras_vae import runs


def test_train_records_evaluates_and_draws(trained):
    folder, shown = trained
    run = runs.Run.open(folder)
    assert run.history()["epoch"] == [1] and run.metrics()["num_samples"] == 3
    assert len(list(run.pictures.glob("*.png"))) == 6
    for word in ("ELBO", "reconstruction", "KL", "log-likelihood", "active units", str(folder)):
        assert word in shown


def test_options_go_into_the_config(trained):
    config = runs.Run.open(trained[0]).config
    assert config.dataset.binarize == "threshold" and config.dataset.validation == 16
    assert config.model.options == {"hidden": [8]} and config.model.latent_size == 2
    assert config.training.epochs == 1 and config.training.batch_size == 48


def test_the_config_of_a_run_repeats_it(command, trained, tmp_path):
    folder, _ = trained
    again = tmp_path / "again"
    repeat = ["train", "--config", folder / "config.json", "--no-evaluate", "--verbose", "0"]
    assert command(*repeat, "--output", again).exit_code == 0
    first, second = (runs.Run.open(path).history() for path in (folder, again))
    for name in first.keys() - {"seconds"}:
        np.testing.assert_allclose(second[name], first[name], rtol=1e-6, atol=1e-6)
    assert not (again / "metrics.json").exists() and not (again / "pictures").exists()


def test_evaluate_prints_the_table_and_writes_it(command, trained):
    folder, _ = trained
    done = command("evaluate", folder, "--num-samples", "4", "--split", "validation", "--batch-size", "8")
    assert done.exit_code == 0, done.output
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["split"] == "validation" and metrics["num_samples"] == 4
    assert f"{metrics['elbo']['mean']:.3f}" in done.stdout and str(folder / "metrics.json") in done.stdout


def test_sample_follows_its_seed(command, trained, tmp_path):
    folder, _ = trained
    drawn = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        path = tmp_path / f"{name}.npy"
        done = command("sample", folder, "--num", "5", "--seed", seed, "--output", path, "--draw")
        assert done.exit_code == 0 and done.stdout.strip() == str(path)
        drawn.append(np.load(path))
    assert drawn[0].shape == (5, 8, 8, 1) and set(np.unique(drawn[0])) == {0.0, 1.0}
    assert np.array_equal(drawn[0], drawn[1]) and not np.array_equal(drawn[0], drawn[2])


def test_sample_draws_a_picture_into_the_run_by_default(command, trained):
    folder, _ = trained
    (folder / "pictures" / "samples.png").unlink()
    assert command("sample", folder, "--num", "4").exit_code == 0
    assert (folder / "pictures" / "samples.png").read_bytes()[1:4] == b"PNG"


def test_export_writes_the_next_version(command, trained, tmp_path, monkeypatch):
    folder, _ = trained
    monkeypatch.chdir(tmp_path)
    for version in ("1", "2"):
        done = command("export", folder)
        assert done.exit_code == 0, done.output
        for part in ("encoder", "decoder", "model"):
            path = f"saved_models/tiny_{part}/{version}"
            assert path in done.stdout and tf.saved_model.contains_saved_model(path)


def test_export_takes_image_files_as_the_model_was_trained_on_them(command, trained, tmp_path):
    """The run's data are digits, black or white by a threshold."""
    folder, _ = trained
    options = ["--images", "encoded", "--anomaly-score", "reconstruction"]
    assert command("export", folder, "--output", tmp_path / "net", *options).exit_code == 0
    encoder = tf.saved_model.load(tmp_path / "net_encoder" / "1").signatures["serving_default"]
    model = runs.Run.open(folder).load_model()
    pixels = np.random.default_rng(0).integers(0, 256, size=(3, *model.data_shape), dtype=np.uint8)
    files = tf.stack([tf.io.encode_png(image) for image in pixels])
    expected = model.encode(np.float32(pixels > 127.5)).mean()
    np.testing.assert_allclose(encoder(x=files)["mean"], expected, rtol=1e-5, atol=1e-5)


def test_the_demo_does_it_all(command, tmp_path):
    arguments = ["demo", "--output", tmp_path / "demo", "--export-to", tmp_path / "saved" / "digits"]
    done = command(*arguments, "--epochs", "1", "--num-samples", "2")
    assert done.exit_code == 0, done.output
    run = runs.Run.open(tmp_path / "demo")
    assert run.metrics()["num_examples"] == 360
    assert len(list(run.pictures.glob("*.png"))) == 6
    for part in ("encoder", "decoder", "model"):
        path = tmp_path / "saved" / f"digits_{part}" / "1"
        assert tf.saved_model.contains_saved_model(str(path)) and str(path) in done.stdout
    again = command(*arguments)
    assert again.exit_code == 2 and "--overwrite" in again.stderr


@pytest.fixture
def would_train(command, monkeypatch):
    """What `train` would train, and where."""

    def call(*arguments):
        taken = []

        def train(*given):
            taken.append(given)
            return runs.Run(".", given[0])

        monkeypatch.setattr("keras_vae.cli.steps.train", train)
        done = command("train", *arguments, "--no-evaluate")
        assert done.exit_code == 0, done.output
        return taken[0]

    return call


def test_typed_options_win_over_the_config(would_train, trained):
    before = runs.Run.open(trained[0]).config
    typed = ["--seed", "5", "--option", "dropout=0.25", "--learning-rate", "0.01"]
    after, *_ = would_train("--config", trained[0] / "config.json", *typed)
    assert after.seed == 5 and after.model.options == {"hidden": [8], "dropout": 0.25}
    assert after.training == dataclasses.replace(before.training, learning_rate=0.01)
    assert after.dataset == before.dataset


@pytest.mark.parametrize(
    ("arguments", "config"),
    [
        (["--beta", "4", "--model", "beta-vae"], {"options": {"beta": 4.0}, "name": "beta-vae"}),
        (["--beta", "linear:0:1:100"], {"options": {"beta": "linear:0:1:100"}}),
        (["--hidden", ""], {"options": {"hidden": []}}),
        (["--filters", "8, 16", "--network", "conv"], {"options": {"filters": [8, 16]}, "network": "conv"}),
        (
            ["--option", "kl=sampled", "--option", "num_samples=5"],
            {"options": {"kl": "sampled", "num_samples": 5}},
        ),
        (
            ["--likelihood", "normal-fixed", "--likelihood-option", "scale=0.1"],
            {"likelihood": "normal-fixed", "likelihood_options": {"scale": 0.1}},
        ),
    ],
)
def test_what_is_typed_becomes_the_config(would_train, arguments, config):
    made, folder, _, _ = would_train(*arguments)
    assert made == runs.RunConfig(model=runs.ModelConfig(**config))
    assert str(folder) == f"runs/digits-{config.get('name', 'vae')}"
