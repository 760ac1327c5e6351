import json
import math

import keras
import pytest
import tensorflow as tf

from keras_vae.runs import Run, RunConfig, files
from keras_vae.runs.config import FORMAT


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def one_line(error):
    return "\n" not in str(error.value)


def test_a_run_is_read_back(tmp_path):
    config = RunConfig(seed=5)
    assert Run.create(tmp_path / "deep" / "run", config).config == config
    assert Run.open(tmp_path / "deep" / "run").config == config


def test_an_empty_folder_will_do(tmp_path):
    Run.create(tmp_path, RunConfig())


@pytest.mark.parametrize("overwrite", [False, True])
def test_other_files_are_never_touched(tmp_path, overwrite):
    (tmp_path / "config.json").write_text('{"editor": "theirs"}')
    (tmp_path / "thesis.tex").write_text("years of work")
    before = contents(tmp_path)
    with pytest.raises(ValueError, match="other files") as error:
        Run.create(tmp_path, RunConfig(), overwrite)
    assert contents(tmp_path) == before and one_line(error)


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(ValueError, match="the file"):
        Run.create(tmp_path / "run", RunConfig(), overwrite=True)


def test_a_run_is_replaced_only_when_asked(tmp_path):
    Run.create(tmp_path, RunConfig(seed=1))
    with pytest.raises(ValueError, match="--overwrite"):
        Run.create(tmp_path, RunConfig(seed=2))
    assert Run.open(tmp_path).config.seed == 1
    Run.create(tmp_path, RunConfig(seed=2), overwrite=True)
    assert Run.open(tmp_path).config.seed == 2


def test_replacing_removes_what_the_old_run_made_and_nothing_else(tmp_path):
    old = Run.create(tmp_path, RunConfig())
    old.write_history({"loss": [1.0]})
    old.write_metrics({"elbo": -1.0})
    old.model_path.write_bytes(b"old")
    old.pictures.mkdir()
    (old.pictures / "samples.png").write_bytes(b"old")
    (old.tensorboard / "train").mkdir(parents=True)
    (old.tensorboard / "train" / "events.out.tfevents.1").write_bytes(b"old")
    (tmp_path / "notes.txt").write_text("mine")
    Run.create(tmp_path, RunConfig(), overwrite=True)
    assert contents(tmp_path).keys() == {"config.json", "notes.txt"}


def test_a_missing_folder_gives_the_nearest_run(tmp_path):
    Run.create(tmp_path / "mnist-vae", RunConfig())
    (tmp_path / "mnist-var").mkdir()
    with pytest.raises(ValueError, match=r"Did you mean '.*mnist-vae'") as error:
        Run.open(tmp_path / "mnist-vea")
    assert one_line(error)
    with pytest.raises(ValueError, match="an existing run folder"):
        Run.open(tmp_path / "no" / "such")


def test_a_folder_without_a_config_is_no_run(tmp_path):
    with pytest.raises(ValueError, match=r"which holds a config\.json"):
        Run.open(tmp_path)


@pytest.mark.parametrize("text", ["{", "", "[1, 2]", '{"format": 99}', '{"modle": {}}'])
def test_a_damaged_config_is_one_line(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ValueError) as error:
        Run.open(tmp_path)
    assert one_line(error)


@pytest.mark.parametrize(
    ("read", "name"),
    [(Run.history, "history.json"), (Run.metrics, "metrics.json"), (Run.load_model, "model.keras")],
)
def test_an_incomplete_run_names_the_missing_file(tmp_path, read, name):
    run = Run.create(tmp_path, RunConfig())
    with pytest.raises(ValueError, match=name) as error:
        read(run)
    assert one_line(error)


@pytest.mark.parametrize("text", ["{", "[]", json.dumps({"format": FORMAT + 1, "epochs": {}}), "{}"])
def test_a_damaged_history_is_one_line(tmp_path, text):
    run = Run.create(tmp_path, RunConfig())
    (tmp_path / "history.json").write_text(text)
    with pytest.raises(ValueError) as error:
        run.history()
    assert one_line(error)


def test_a_damaged_model_is_one_line(tmp_path):
    run = Run.create(tmp_path, RunConfig())
    run.model_path.write_bytes(b"PK\x03\x04 torn")
    with pytest.raises(ValueError, match=r"a readable model\.keras") as error:
        run.load_model()
    assert one_line(error)


def test_code_in_a_model_file_is_refused_and_not_run(tmp_path):
    """A `Lambda` layer holds byte code, which loading would run: whoever sent the file would be obeyed."""
    run, trace = Run.create(tmp_path, RunConfig()), tmp_path / "trace"

    path = str(trace)
    harm = keras.layers.Lambda(lambda x: (open(path, "w").close(), x)[1], output_shape=(2,))
    keras.Sequential([keras.Input((2,)), harm]).save(run.model_path)
    trace.unlink(missing_ok=True)
    with pytest.raises(ValueError, match=r"a readable model\.keras.*Code in a Lambda layer") as error:
        run.load_model()
    assert one_line(error) and not trace.exists()
    # The file is good but for that: who turns the check off runs the code.
    keras.saving.load_model(run.model_path, safe_mode=False)(tf.zeros([1, 2]))
    assert trace.exists()


def test_the_history_keeps_what_is_not_finite_and_is_strict_json(tmp_path):
    run = Run.create(tmp_path, RunConfig())
    run.write_history({"loss": [1.5, math.nan, math.inf]})
    json.loads((tmp_path / "history.json").read_text(), parse_constant=pytest.fail)
    first, second, third = run.history()["loss"]
    assert first == 1.5 and math.isnan(second) and math.isnan(third)


def test_a_writer_that_fails_leaves_the_old_file(tmp_path):
    path = files.write(tmp_path / "model.keras", lambda draft: draft.write_text("whole"))

    def interrupted(draft):
        draft.write_text("ha")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        files.write(path, interrupted)
    assert contents(tmp_path) == {"model.keras": b"whole"}
