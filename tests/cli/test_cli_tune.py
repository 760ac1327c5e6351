"""`keras-vae tune`."""

import json

import keras
import pytest

from keras_vae import tuning

TINY = ["--dataset", "digits", "--binarize", "threshold", "--max-examples", "96", "--validation", "32"]
TINY += ["--option", "hidden=[8]", "--batch-size", "32", "--epochs", "1", "--num-samples", "2"]
SPACE = ["--space", "latent_size=1:3", "--space", "beta=0.5:4:log"]


@pytest.fixture(scope="module")
def searched(command, without_xla, tmp_path_factory):
    folder = tmp_path_factory.mktemp("searches") / "tiny"
    with without_xla():
        done = command(
            "tune", *TINY, *SPACE, "--objective", "rate-distortion", "--max-trials", 2, "--output", folder
        )
    assert done.exit_code == 0, done.output
    return folder, done.stdout


def test_tune_tells_and_keeps_what_it_found(searched):
    folder, shown = searched
    found = tuning.Search.open(folder)
    assert len(found.completed) == 2
    assert found.spec["config"]["model"]["options"] == {"hidden": [8]}
    assert found.spec["data"]["held_out"] == [32, 8, 8, 1]
    assert found.table() in shown
    assert (folder / "table.txt").read_text() == found.table() + "\n"
    front = json.loads((folder / "front.json").read_text())
    assert [one["trial"] for one in front] == [trial.id for trial in found.front()]
    assert front[0]["rate"] == found.front()[0].figures["rate"]
    for picture in ("progress", "rate_distortion"):
        assert (folder / "pictures" / f"{picture}.png").read_bytes()[1:4] == b"PNG"
    assert type(keras.saving.load_model(folder / "best.keras")).__name__ == "BetaVAE"


def test_the_same_command_goes_on_and_another_is_refused(command, searched):
    folder, _ = searched
    options = [*TINY, *SPACE, "--output", folder]
    done = command("tune", *options, "--objective", "rate-distortion", "--max-trials", 3)
    assert done.exit_code == 0, done.output
    assert done.stdout.count("Trial ") == 1
    done = command("tune", *options, "--objective", "elbo", "--max-trials", 3)
    assert done.exit_code == 2
    assert "the folder of a search with objective rate-distortion" in done.stderr


def test_retrain_makes_a_run_of_the_best(command, tmp_path):
    folder = tmp_path / "s"
    done = command("tune", *TINY, *SPACE, "--max-trials", 1, "--retrain", "--output", folder)
    assert done.exit_code == 0, done.output
    best = tuning.Search.open(folder).best()
    config = json.loads((folder / "best" / "config.json").read_text())
    assert config["model"]["latent_size"] == best.values["latent_size"]
    assert config["model"]["options"]["beta"] == best.values["beta"]
    assert (folder / "best" / "metrics.json").is_file()


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["--objective", "val_loss"], "the smallest beta always wins"),
        (["--space", "beta=4:1"], "low bound below"),
        (["--space", "beta"], "NAME=LOW:HIGH"),
        (["--space", "bata=1:4"], "Did you mean 'beta'"),
        (["--tuner", "bayes"], "Did you mean 'bayesian'"),
        (["--port", "1234"], "--role"),
        (["--role", "worker", "--port", "1234"], "--address"),
        (["--role", "boss", "--port", "1234", "--address", "127.0.0.1"], "role"),
        (["--dataset", "digist"], "digits"),
    ],
)
def test_mistakes_end_in_one_line_and_write_nothing(command, tmp_path, typed, words):
    done = command("tune", *TINY, *typed, "--output", tmp_path / "s")
    assert done.exit_code == 2
    assert done.stderr.startswith("Error: ") and done.stderr.count("\n") == 1
    assert words in done.stderr
    assert not (tmp_path / "s").exists()
