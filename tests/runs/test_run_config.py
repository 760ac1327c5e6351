import json

import pytest

from keras_vae import runs
from keras_vae.runs.config import FORMAT


def test_what_is_written_is_read_back():
    config = runs.RunConfig(
        dataset=runs.DatasetConfig("mnist", binarize="dynamic", image_size=[32, 24], data_dir="somewhere"),
        model=runs.ModelConfig("beta-vae", options={"beta": "linear:0:1:100", "hidden": [512, 256]}),
        training=runs.TrainingConfig(learning_rate=3e-4, clip_norm=1.0, patience=5),
        seed=11,
    )
    assert runs.RunConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_tuples_are_what_json_makes_of_them():
    assert runs.ModelConfig(options={"hidden": (8, 4)}) == runs.ModelConfig(options={"hidden": [8, 4]})


def test_what_is_left_out_takes_its_default():
    config = runs.RunConfig.from_dict({"dataset": {"name": "mnist"}, "training": {"epochs": 3}})
    assert config == runs.RunConfig(runs.DatasetConfig("mnist"), training=runs.TrainingConfig(epochs=3))


@pytest.mark.parametrize(
    ("training", "kept"),
    [
        ({}, "last"),
        ({"patience": 3}, "best"),
        ({"patience": 3, "keep": "last"}, "last"),
        ({"keep": "best"}, "best"),
    ],
)
def test_patience_keeps_the_best_model_unless_told_otherwise(training, kept):
    assert runs.TrainingConfig(**training).kept == kept


@pytest.mark.parametrize(
    ("values", "hint"),
    [
        ({"trainig": {}}, "Did you mean 'training'?"),
        ({"training": {"epcohs": 3}}, "Did you mean 'epochs'?"),
        ({"model": {"latent": 3}}, "Did you mean 'latent_size'?"),
        ({"dataset": {"binarise": "dynamic"}}, "Did you mean 'binarize'?"),
        ({"training": {"keep": "bets"}}, "Did you mean 'best'?"),
    ],
)
def test_an_unknown_name_gives_the_nearest(values, hint):
    with pytest.raises(ValueError) as error:
        runs.RunConfig.from_dict(values)
    assert hint in str(error.value)


@pytest.mark.parametrize(
    ("section", "name", "value"),
    [
        ("training", "epochs", 0),
        ("training", "epochs", 2.5),
        ("training", "epochs", True),
        ("training", "batch_size", "128"),
        ("training", "learning_rate", 0),
        ("training", "learning_rate", float("inf")),
        ("training", "clip_norm", -1),
        ("training", "nan_guard", "yes"),
        ("training", "patience", 0),
        ("model", "latent_size", 0),
        ("model", "network", ""),
        ("model", "options", [1]),
        ("model", "options", {"beta": float("nan")}),
        ("model", "options", {"prior": object()}),
        ("dataset", "validation", 1.0),
        ("dataset", "validation", -1),
        ("dataset", "image_size", [3]),
        ("dataset", "image_size", 0),
        ("dataset", "max_examples", 0),
    ],
)
def test_a_bad_value_is_refused_by_name(section, name, value):
    with pytest.raises(ValueError, match="image_size" if name == "image_size" else f"argument `{name}`"):
        runs.RunConfig.from_dict({section: {name: value}})


@pytest.mark.parametrize("seed", [-1, 1.5, True, 2**31])
def test_a_bad_seed_is_refused(seed):
    with pytest.raises(ValueError, match="argument `seed`"):
        runs.RunConfig(seed=seed)


@pytest.mark.parametrize("values", [[], "config", {"training": 3}, {"versions": 3}])
def test_what_is_no_object_is_refused(values):
    with pytest.raises(ValueError, match="an object of names and values"):
        runs.RunConfig.from_dict(values)


def test_a_newer_format_says_so():
    with pytest.raises(ValueError, match="newer keras_vae"):
        runs.RunConfig.from_dict({"format": FORMAT + 1})


@pytest.mark.parametrize("found", [0, "one", None, True])
def test_an_unheard_of_format_is_refused(found):
    with pytest.raises(ValueError, match="format"):
        runs.RunConfig.from_dict({"format": found})


def test_files_that_cannot_be_read_are_one_line(tmp_path):
    (tmp_path / "torn.json").write_text('{"training": {"epo')
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    for name in ("missing.json", "torn.json", "binary.json"):
        with pytest.raises(ValueError) as error:
            runs.RunConfig.load(tmp_path / name)
        assert name in str(error.value) and "\n" not in str(error.value)
