"""Cards state what is in the folder, the model and the run, and nothing else."""

import json
import re
import subprocess

import numpy as np
import pytest

from keras_vae import VAE, evaluation, models, runs
from keras_vae.serving import servables
from keras_vae.serving.deployment import model_card

SHAPE = (4, 3, 1)


@pytest.fixture(scope="module")
def vae():
    return VAE.create(SHAPE, 2, hidden=(4,), num_classes=3, seed=0)


@pytest.fixture(scope="module")
def report():
    """What an evaluation of six examples finds."""
    return evaluation.Report(
        num_examples=6,
        event_size=12,
        latent_size=2,
        num_samples=5,
        elbo_samples=1,
        seed=0,
        reconstruction=evaluation.Statistic(8.25, 0.5),
        active_units=(1,),
        active_threshold=0.01,
        kl_per_dimension=(0.125, 1.5),
        elbo=evaluation.Statistic(-9.875, 0.25),
        kl=evaluation.Statistic(1.625, 0.125),
        kl_is_exact=True,
        log_likelihood=evaluation.Statistic(-9.5, 0.25),
        monte_carlo_error=0.01,
        effective_samples=4.5,
        bits_per_dim=evaluation.Statistic(1.142, 0.03),
    )


@pytest.fixture(scope="module")
def run(report, tmp_path_factory):
    """A run as training and evaluation leave it, but for the model."""
    config = runs.RunConfig(
        dataset=runs.DatasetConfig("digits", max_examples=80, data_dir="/home/somebody"),
        training=runs.TrainingConfig(epochs=5),
        seed=3,
        versions={"keras": "3.0.0"},
    )
    run = runs.Run.create(tmp_path_factory.mktemp("runs") / "tiny", config)
    run.write_history({"epoch": [1, 2], "seconds": [0.5, 0.4], "loss": [9.0, 7.25]})
    run.write_metrics({"split": "test", **report.to_dict()})
    return run


@pytest.fixture(scope="module")
def version(vae, tmp_path_factory):
    """An exported encoder and its folder."""
    servable = servables.encoder(vae)
    folder = tmp_path_factory.mktemp("saved_models") / "1"
    servable.save(str(folder))
    (folder / "assets.extra").mkdir()
    (folder / "assets.extra" / "more").write_bytes(b"x")
    return servable, folder


@pytest.fixture(scope="module")
def written(vae, version, run):
    servable, folder = version
    path = model_card.write(folder, "tiny_encoder", vae, servable, run)
    return json.loads(path.read_text()), path.with_name("README.md").read_text(), folder


def test_model_and_signatures_are_as_they_are(written, vae):
    card, *_ = written
    assert (card["name"], card["servable"], card["model"]["class"]) == ("tiny_encoder", "encoder", "VAE")
    assert card["model"]["data_shape"] == list(SHAPE)
    assert card["model"]["latent_shape"] == [2]
    assert card["model"]["condition"]["num_classes"] == 3
    assert card["model"]["likelihood"] == "IndependentBernoulli"
    assert card["model"]["parameters"] == sum(np.size(weight) for weight in vae.trainable_weights)
    inputs = card["signatures"]["sample"]["inputs"]
    assert {name: (spec["dtype"], spec["shape"]) for name, spec in inputs.items()} == {
        "x": ("float32", [None, *SHAPE]),
        "seed": ("int32", [2]),
        "y": ("int32", [None]),
    }
    assert inputs["y"]["meaning"] == "condition: class numbers 0 to 2"
    assert card["signatures"]["serving_default"]["outputs"]["mean"]["meaning"] == "mean of q(z|x)"


def test_every_row_of_a_table_has_its_cells(written):
    tables = re.findall(r"(?:^\|.*\|\n)+", written[1], re.MULTILINE)
    assert len(tables) >= 5
    for table in tables:
        # Bars of q(z|x) do not end a cell.
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}) == 1
    assert r"mean of q(z\|x)" in written[1]


def test_the_config_makes_the_model_again(written, vae):
    again = VAE.from_config(written[0]["model"]["config"])
    assert [weight.shape for weight in again.trainable_weights] == [
        weight.shape for weight in vae.trainable_weights
    ]


def test_checksums_are_those_of_the_systems_tool(written):
    card, text, folder = written
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert card["sha256"].keys() == files - {"assets.extra/model_card.json", "assets.extra/README.md"}
    assert "variables/variables.index" in card["sha256"] and "saved_model.pb" in card["sha256"]
    sums = re.search(r"```\n([0-9a-f]{64}  .*?)```", text, re.DOTALL)[1]
    checked = subprocess.run(["sha256sum", "--check", "--strict"], input=sums, text=True, cwd=folder)
    assert checked.returncode == 0


def test_training_is_the_runs(written):
    card, text, _ = written
    assert card["training"]["dataset"]["name"] == "digits"
    assert card["training"]["last_epoch"] == {"loss": 7.25}
    assert card["training"]["packages"] == {"keras": "3.0.0"}
    assert "/home/somebody" not in json.dumps(card) + text
    limits = "\n".join(card["limits"])
    for said in (
        "Trained on digits",
        "first 80 examples",
        "after 2 of 5 epochs",
        "6 examples of the test split",
    ):
        assert said in limits
        assert said in text


def test_the_figures_are_the_reports(written, report):
    card, text, _ = written
    figures = {name: value for name, value in card["evaluation"].items() if name != "split"}
    assert evaluation.Report.from_dict(figures) == report
    assert str(report) in text


def test_without_a_run_the_card_says_that_nothing_is_known(vae, version, tmp_path):
    card = model_card.card(tmp_path, "tiny_encoder", vae, version[0], None)
    assert card["training"] is None and card["evaluation"] is None
    assert "Nothing is recorded about the data that the model was trained on." in card["limits"]
    assert "No evaluation is recorded." in card["limits"]


def test_a_run_without_figures_yet_has_a_card(vae, version, tmp_path):
    run = runs.Run.create(tmp_path / "run", runs.RunConfig())
    path = model_card.write(tmp_path, "tiny_encoder", vae, version[0], run)
    card = json.loads(path.read_text())
    assert (card["training"]["epochs"], card["training"]["last_epoch"], card["evaluation"]) == (0, {}, None)


def test_only_the_date_changes(written, vae, version, run):
    card, text, folder = written
    again = json.loads(model_card.write(folder, "tiny_encoder", vae, version[0], run).read_text())
    undated = [{key: value for key, value in each.items() if key != "created"} for each in (card, again)]
    assert json.dumps(undated[0]) == json.dumps(undated[1])
    later = (folder / "assets.extra" / "README.md").read_text()
    assert text.replace(card["created"], "") == later.replace(again["created"], "")


@pytest.mark.parametrize("part", ["encoder", "decoder", "whole"])
def test_every_argument_and_every_result_has_a_meaning(part):
    model = models.SemiSupervisedVAE.create(SHAPE, 2, num_classes=3, hidden=(4,))
    described = model_card._signatures(getattr(servables, part)(model), model)
    for sides in described.values():
        for values in (*sides["inputs"].values(), *sides["outputs"].values()):
            assert values["meaning"] and "parameter of" not in values["meaning"]


def test_what_is_no_run_is_refused(vae, version, tmp_path):
    with pytest.raises(ValueError, match="argument `run`"):
        model_card.write(tmp_path, "tiny", vae, version[0], run="runs/tiny")
    assert not list(tmp_path.iterdir())
