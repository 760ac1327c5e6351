"""Searches from data to a folder, and back."""

import errno
import json
import os
import stat

import keras
import numpy as np
import pytest

from keras_vae import evaluation, tuning
from keras_vae.runs import DatasetConfig, ModelConfig, RunConfig, TrainingConfig, files
from keras_vae.tuning import Search, VAEHyperModel, search
from keras_vae.tuning.data import Data

SHAPE = (4, 4, 1)
RNG = np.random.default_rng(0)
PATTERNS = RNG.integers(0, 2, (3, *SHAPE))
LABELS = RNG.integers(0, 3, 96)
# Three patterns with some pixels flipped.
X = np.abs(PATTERNS[LABELS] - (RNG.random((96, *SHAPE)) < 0.05)).astype("float32")
HELD_OUT, HELD_OUT_LABELS = X[64:], LABELS[64:]
CONFIG = RunConfig(
    model=ModelConfig("beta-vae", options={"hidden": [8]}),
    training=TrainingConfig(batch_size=16, learning_rate=0.01),
)
SPACE = {"latent_size": (1, 4), "beta": tuning.Float(0.25, 16.0, log=True)}


@pytest.fixture(scope="module", autouse=True)
def plain(without_xla):
    with without_xla():
        yield


def run(folder, **options) -> Search:
    options = {
        "validation_data": HELD_OUT,
        "config": CONFIG,
        "space": SPACE,
        "epochs": 3,
        "num_samples": 5,
        "say": lambda line: None,
        **options,
    }
    return search(folder, X[:64], **options)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Four trials, twice each, and what was said."""
    said: list[str] = []
    folder = tmp_path_factory.mktemp("searches") / "first"
    options = {"objective": "rate-distortion", "max_trials": 4, "executions_per_trial": 2, "seed": 3}
    return run(folder, **options, say=said.append), said


def test_every_trial_is_completed_recorded_and_told(finished):
    found, said = finished
    assert [trial.status for trial in found.trials] == ["completed"] * 4
    assert len({json.dumps(trial.values) for trial in found.trials}) == 4
    for trial, line in zip(found.trials, said, strict=True):
        assert [one["seed"] for one in trial.executions] == [3, 4]
        assert [one["epochs"] for one in trial.executions] == [3, 3]
        assert trial.config.model.latent_size == trial.values["latent_size"]
        assert trial.config.model.options["beta"] == trial.values["beta"]
        assert line.startswith(f"Trial {trial.id} (latent_size {trial.values['latent_size']}, beta ")
        for name in ("val_elbo", "rate", "distortion"):
            figures = [one["figures"][name] for one in trial.executions]
            assert trial.figures[name] == pytest.approx(np.mean(figures), abs=1e-9)
        report = trial.executions[0]["report"]
        assert report["kl"]["mean"] == trial.executions[0]["figures"]["rate"]


def test_the_kept_model_is_the_better_execution(finished):
    found, _ = finished
    trial = found.best()
    model = found.load_model(trial)
    figure = max(one["figures"]["val_elbo"] for one in trial.executions)
    report = evaluation.evaluate(model, HELD_OUT, num_samples=5, seed=3)
    assert report.elbo.mean == pytest.approx(figure, rel=1e-5)


def test_best_and_front_by_hand(finished):
    found, _ = finished
    elbos = {trial.id: trial.figures["val_elbo"] for trial in found.trials}
    assert found.best().id == max(elbos, key=elbos.get)
    points = {trial.id: (trial.figures["rate"], trial.figures["distortion"]) for trial in found.trials}
    undominated = {
        one
        for one, (rate, distortion) in points.items()
        if not any(r <= rate and d <= distortion and (r, d) != (rate, distortion) for r, d in points.values())
    }
    front = found.front()
    assert {trial.id for trial in front} == undominated
    rates = [trial.figures["rate"] for trial in front]
    distortions = [trial.figures["distortion"] for trial in front]
    assert rates == sorted(rates)
    assert distortions == sorted(distortions, reverse=True)


def test_the_table_has_all_and_stars_the_front(finished):
    found, _ = finished
    head, *lines = found.table().splitlines()
    assert head.split()[:6] == ["trial", "latent_size", "beta", "rate", "distortion", "val_elbo"]
    assert len(lines) == 4
    starred = {line.split()[0][:-1] for line in lines if line.split()[0].endswith("*")}
    assert starred == {trial.id for trial in found.front()}


def test_overhead_is_what_was_not_fit(finished):
    found, _ = finished
    fit = sum(one["fit_seconds"] for trial in found.trials for one in trial.executions)
    total = sum(trial.seconds for trial in found.trials)
    assert found.overhead() == pytest.approx(1 - fit / total)
    assert 0 < found.overhead() < 1


def test_pictures(finished, tmp_path):
    found, _ = finished
    drawn = tuning.draw_search(found, tmp_path)
    assert sorted(drawn) == ["progress", "rate_distortion"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in drawn.values())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_search_in_a_folder_that_cannot_be_written(tmp_path):
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    with pytest.raises(OSError, match="denied"):
        run(tmp_path / "s", max_trials=1)


def test_opening_writes_nothing(finished):
    found, _ = finished

    def state():
        return {path: path.stat().st_mtime_ns for path in found.folder.rglob("*")}

    before = state()
    opened = Search.open(found.folder)
    assert opened.table() == found.table()
    assert opened.best() == found.best()
    opened.load_model()
    assert state() == before


def test_a_finished_search_goes_on_without_training_anew(finished, tmp_path):
    found, _ = finished
    said: list[str] = []
    options = {"objective": "rate-distortion", "executions_per_trial": 2, "seed": 3, "say": said.append}
    folder = tmp_path / "more"
    run(folder, **options, max_trials=1)
    more = run(folder, **options, max_trials=2)
    assert [line.split()[1] for line in said] == ["0", "1"]
    # The same seed proposes the same values.
    assert [trial.values for trial in more.trials] == [trial.values for trial in found.trials[:2]]


@pytest.mark.parametrize(
    "other",
    [
        {"space": {"latent_size": (1, 5)}},
        {"objective": "log-likelihood"},
        {"tuner": "grid"},
        {"seed": 4},
        {"epochs": 2},
        {"validation_data": HELD_OUT[1:]},
        {"config": RunConfig(model=CONFIG.model)},
    ],
    ids=lambda other: next(iter(other)),
)
def test_the_folder_of_another_search_is_refused_and_kept(finished, other):
    found, _ = finished
    before = (found.folder / "search.json").read_text()
    options = {"objective": "rate-distortion", "max_trials": 4, "executions_per_trial": 2, "seed": 3, **other}
    with pytest.raises(ValueError, match="the folder of a search with"):
        run(found.folder, **options)
    assert (found.folder / "search.json").read_text() == before


def test_a_folder_that_a_search_is_writing_into_is_refused(tmp_path):
    folder, refusals = tmp_path / "s", []

    def search_again(line):
        with pytest.raises(ValueError, match=rf"held by process {os.getpid()} on .*Wait until") as refused:
            run(folder, max_trials=1)
        refusals.append(refused)

    run(folder, max_trials=1, say=search_again)
    assert len(refusals) == 1
    assert len(run(folder, max_trials=2).trials) == 2  # it is free again


def test_folders_of_other_things_are_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="which holds other files"):
        run(tmp_path, max_trials=1)
    with pytest.raises(ValueError, match="a folder"):
        run(tmp_path / "notes.txt", max_trials=1)
    with pytest.raises(ValueError, match=r"which holds a search\.json"):
        Search.open(tmp_path)


class Fragile(VAEHyperModel):
    """Fails for latents of one dimension."""

    def build(self, hp):
        model = super().build(hp)
        if model.latent_shape == (1,):
            bias = model.decoder.layers[-2].bias
            bias.assign(np.full(bias.shape, np.nan))
        return model


def test_failed_trials_are_recorded_and_skipped(tmp_path):
    space = {"latent_size": [1, 2], "learning_rate": [0.01, 0.02, 0.03, 0.04]}
    said: list[str] = []
    found = run(tmp_path / "s", space=space, tuner="grid", hypermodel=Fragile, epochs=1, say=said.append)
    assert len(found.trials) == 8
    for trial in found.trials:
        fails = trial.values["latent_size"] == 1
        assert trial.status == ("failed" if fails else "completed")
        assert ("not finite" in trial.reason) == fails
        assert fails == ("failed: Training stopped" in said[int(trial.id)])
    assert found.best().values["latent_size"] == 2
    assert found.table().count("failed Training stopped") == 4
    with pytest.raises(ValueError, match="a completed trial"):
        found.trials[0].config  # noqa: B018


def test_where_all_fail_the_reason_is_told(tmp_path):
    found = run(tmp_path / "s", space={"latent_size": [1, 2]}, tuner="grid", hypermodel=Hopeless, epochs=1)
    with pytest.raises(ValueError, match=r"completed trial.*no such device"):
        found.best()
    assert found.table().count("failed no such device") == 2


@pytest.mark.parametrize("tuner", ["random", "bayesian"])
def test_the_same_seed_proposes_the_same_values(tmp_path, tuner):
    def proposed(name, seed):
        found = run(tmp_path / name, tuner=tuner, seed=seed, hypermodel=Hopeless, max_trials=2)
        return [trial.values for trial in found.trials]

    first = proposed("a", 0)
    assert proposed("b", 0) == first
    assert proposed("c", 1) != first


class Hopeless(VAEHyperModel):
    """Fails always."""

    def fit(self, hp, model, *args, **kwargs):
        raise RuntimeError("no such device")


def test_grid_takes_every_combination(tmp_path):
    space = {"latent_size": [1, 3], "beta": [0.5, 2.0]}
    found = run(tmp_path / "s", space=space, tuner="grid", epochs=1)
    combinations = {(trial.values["latent_size"], trial.values["beta"]) for trial in found.trials}
    assert combinations == {(1, 0.5), (1, 2.0), (3, 0.5), (3, 2.0)}


class Interrupted(VAEHyperModel):
    """Is interrupted in its second trial, the first time."""

    wanted = True

    def fit(self, hp, model, *args, **kwargs):
        if hp.get("latent_size") == 2 and Interrupted.wanted:
            Interrupted.wanted = False
            raise KeyboardInterrupt
        return super().fit(hp, model, *args, **kwargs)


def test_an_interrupted_search_goes_on_where_it_was(tmp_path):
    said: list[str] = []
    options = {"space": {"latent_size": [1, 2, 3]}, "tuner": "grid", "epochs": 1, "hypermodel": Interrupted}
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "s", **options, say=said.append)
    found = Search.open(tmp_path / "s")
    assert [trial.status for trial in found.trials] == ["completed", "running"]
    found = run(tmp_path / "s", **options, say=said.append)
    assert [trial.status for trial in found.trials] == ["completed"] * 3
    assert sorted(trial.values["latent_size"] for trial in found.trials) == [1, 2, 3]
    assert len(said) == 3


def test_a_full_disk_ends_the_search_and_loses_nothing(tmp_path, monkeypatch):
    options = {"space": {"latent_size": [1, 2, 3]}, "tuner": "grid", "epochs": 1}
    write = files.write

    def full(path, writer):
        if path.name == "model.keras" and path.parent.name.endswith("1"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(path, writer)

    monkeypatch.setattr(files, "write", full)
    with pytest.raises(OSError, match="No space left"):
        run(tmp_path / "s", **options)
    assert [trial.status for trial in Search.open(tmp_path / "s").trials] == ["completed", "running"]
    monkeypatch.setattr(files, "write", write)
    found = run(tmp_path / "s", **options)
    assert [trial.status for trial in found.trials] == ["completed"] * 3
    assert sorted(trial.values["latent_size"] for trial in found.trials) == [1, 2, 3]


def test_hyperband_goes_on_with_the_better(tmp_path):
    found = run(tmp_path / "s", tuner="hyperband", epochs=4)
    epochs = [json.loads((trial.folder / "trial.json").read_text()) for trial in found.trials]
    values = [one["hyperparameters"]["values"] for one in epochs]
    first = [one for one in values if one["tuner/initial_epoch"] == 0]
    later = [one for one in values if one["tuner/initial_epoch"] > 0]
    assert later
    assert len(first) > len(later)
    assert all(trial.status == "completed" for trial in found.trials)
    with pytest.raises(ValueError, match="hyperband decides"):
        run(tmp_path / "t", tuner="hyperband", max_trials=3)


def test_bayesian(tmp_path):
    found = run(tmp_path / "s", tuner="bayesian", max_trials=4, epochs=1)
    assert len(found.completed) == 4


def test_linear_probe(tmp_path):
    found = search(
        tmp_path / "s",
        X[:64],
        LABELS[:64],
        validation_data=(HELD_OUT, HELD_OUT_LABELS),
        config=CONFIG,
        space={"latent_size": [1, 4]},
        objective="linear-probe",
        tuner="grid",
        epochs=2,
        num_samples=2,
        say=lambda line: None,
    )
    model = found.load_model(found.trials[1])
    expected = evaluation.linear_probe(model, X[:64], LABELS[:64], HELD_OUT, HELD_OUT_LABELS).mean
    assert found.trials[1].figures["val_probe_accuracy"] == pytest.approx(expected, abs=1e-6)
    with pytest.raises(ValueError, match="needs no labels"):
        run(tmp_path / "t", objective="linear-probe")


def test_anomalies_of_a_class_that_is_left_out(tmp_path):
    config = RunConfig(
        dataset=DatasetConfig("digits", binarize="threshold", max_examples=200),
        model=CONFIG.model,
        training=CONFIG.training,
    )
    options = {"config": config, "objective": "anomaly-auroc", "tuner": "grid", "epochs": 1, "num_samples": 2}
    options["space"] = {"latent_size": [1, 2]}
    found = search(tmp_path / "s", **options, anomaly_class=0, say=lambda line: None)
    assert all(0 <= trial.figures["val_anomaly_auroc"] <= 1 for trial in found.trials)
    with pytest.raises(ValueError, match="one of the classes"):
        search(tmp_path / "t", **options, anomaly_class=77)
    with pytest.raises(ValueError, match="1 for an anomaly and 0"):
        search(tmp_path / "t", **options)
    assert not (tmp_path / "t").exists()


def test_a_score_by_labels_is_refused_where_the_codes_may_have_seen_them(tmp_path):
    config = RunConfig(
        model=ModelConfig("conditional-vae", options={"hidden": [8]}), training=CONFIG.training
    )
    with pytest.raises(ValueError, match="may have seen the label"):
        search(
            tmp_path / "s",
            X[:64],
            LABELS[:64],
            validation_data=(HELD_OUT, HELD_OUT_LABELS),
            config=config,
            space={"latent_size": (1, 4)},
            objective="linear-probe",
        )


def test_conditional_models_are_compared_given_their_labels(tmp_path):
    config = RunConfig(
        model=ModelConfig("conditional-vae", options={"hidden": [8]}), training=CONFIG.training
    )
    found = search(
        tmp_path / "s",
        X[:64],
        LABELS[:64],
        validation_data=(HELD_OUT, HELD_OUT_LABELS),
        config=config,
        space={"latent_size": [1, 4]},
        tuner="grid",
        epochs=2,
        num_samples=2,
        say=lambda line: None,
    )
    trial = found.best()
    report = evaluation.evaluate(found.load_model(), HELD_OUT, num_samples=2, y=HELD_OUT_LABELS)
    assert trial.figures["val_elbo"] == pytest.approx(report.elbo.mean, rel=1e-5)


def test_deterministic_codes_are_refused_by_a_density(tmp_path):
    config = RunConfig(model=ModelConfig("autoencoder", options={"hidden": [8]}), training=CONFIG.training)
    with pytest.raises(ValueError, match="needs no density"):
        run(tmp_path / "s", config=config, space={"latent_size": (1, 4)})
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"tuner": "bayes"}, "Did you mean 'bayesian'"),
        ({"objective": "val_loss"}, "the smallest beta always wins"),
        ({"space": {"beta": (4.0, 1.0)}}, "low bound below"),
        ({"epochs": 0}, "epochs"),
        ({"max_trials": 0}, "max_trials"),
        ({"executions_per_trial": 0}, "executions_per_trial"),
        ({"validation_data": None}, "held-out examples"),
        ({"anomaly_class": 1}, "anomaly-auroc"),
        ({"space": {"filters": [[4], [8]]}}, "filters"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_mistakes_cost_nothing(tmp_path, arguments, words):
    with pytest.raises(ValueError, match=words):
        run(tmp_path / "s", **arguments)
    assert not (tmp_path / "s").exists()


def test_tensorboard_knows_the_hyperparameters(tmp_path):
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
    from tensorboard.plugins.hparams import plugin_data_pb2 as hparams

    run(tmp_path / "s", max_trials=1, epochs=1, tensorboard=True)
    found, scalars = [], set()
    for file in (tmp_path / "s" / "tensorboard").rglob("events*"):
        for event in EventFileLoader(str(file)).Load():
            for value in event.summary.value:
                scalars.add(value.tag)
                if value.metadata.plugin_data.plugin_name == "hparams":
                    found.append(hparams.HParamsPluginData.FromString(value.metadata.plugin_data.content))
    experiment = next(one.experiment for one in found if one.HasField("experiment"))
    assert [info.name for info in experiment.hparam_infos] == ["latent_size", "beta"]
    shown = {info.name.tag for info in experiment.metric_infos}
    assert shown <= scalars
    sessions = [one.session_start_info for one in found if one.HasField("session_start_info")]
    assert sorted(sessions[0].hparams) == ["beta", "latent_size"]


def test_callbacks_are_called_in_every_trial(tmp_path):
    run(tmp_path / "s", max_trials=2, epochs=2, callbacks=[Counter(tmp_path / "count")])
    assert (tmp_path / "count").read_text() == "...."


class Counter(keras.callbacks.Callback):
    """Writes a dot at the end of each epoch; tuners copy callbacks."""

    def __init__(self, path):
        super().__init__()
        self.path = path

    def on_epoch_end(self, epoch, logs=None):
        assert "val_elbo" in logs
        with open(self.path, "a") as file:
            file.write(".")


def test_a_trial_is_recorded_with_the_epochs_that_it_was_trained(finished):
    found, _ = finished
    assert {trial.config.training.epochs for trial in found.trials} == {3}


def test_other_training_data_or_labels_are_another_search(tmp_path):
    labelled = {"validation_data": (HELD_OUT, HELD_OUT_LABELS), "max_trials": 1}
    run(tmp_path / "s", y=LABELS[:64], **labelled)
    same = {"config": CONFIG, "space": SPACE, "epochs": 3, "num_samples": 5, "max_trials": 1}
    for x, y, held_out in (
        (1.0 - X[:64], LABELS[:64], HELD_OUT_LABELS),
        (X[:64], 2 - LABELS[:64], HELD_OUT_LABELS),
        (X[:64], LABELS[:64], 2 - HELD_OUT_LABELS),
    ):
        with pytest.raises(ValueError, match="the folder of a search with data"):
            search(tmp_path / "s", x, y, validation_data=(HELD_OUT, held_out), **same)


def test_a_config_with_a_pair_is_the_same_when_it_comes_back(tmp_path):
    pair = DatasetConfig("digits", image_size=(8, 8), max_examples=40)
    config = RunConfig(dataset=pair, model=CONFIG.model, training=CONFIG.training)
    options = {"config": config, "space": SPACE, "epochs": 1, "num_samples": 2, "say": lambda line: None}
    search(tmp_path / "s", **options, max_trials=1)
    assert len(search(tmp_path / "s", **options, max_trials=2).trials) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"objective": "linear-probe", "validation_data": (HELD_OUT, HELD_OUT_LABELS)}, "without labels"),
        (
            {"objective": "linear-probe", "y": np.zeros(64), "validation_data": (HELD_OUT, np.zeros(32))},
            "two classes or more",
        ),
        (
            {
                "objective": "linear-probe",
                "y": np.minimum(LABELS[:64], 1),
                "validation_data": (HELD_OUT, HELD_OUT_LABELS),
            },
            "`validation_data`.*class 2, which y lacks",
        ),
        ({"validation_data": np.full_like(HELD_OUT, np.nan)}, "`validation_data`.*NaN"),
        ({"validation_data": HELD_OUT + 1.0}, "`validation_data`.*support"),
    ],
)
def test_data_that_no_trial_could_be_judged_by_are_told_before_any_is_trained(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        run(tmp_path / "s", **options, max_trials=1)
    assert not (tmp_path / "s").exists()


def test_a_probe_learns_from_a_choice_of_sorted_labels():
    order = np.argsort(LABELS[:64], kind="stable")
    data = Data.of_arrays(X[:64][order], LABELS[:64][order], (HELD_OUT, HELD_OUT_LABELS), False)
    x, y = data.labelled(20, seed=1)
    assert len(np.unique(y)) == 3 and len(x) == 20
    np.testing.assert_array_equal(data.labelled(20, seed=1)[1], y)


def test_trainings_on_a_named_data_set_see_the_same_passes():
    config = RunConfig(dataset=DatasetConfig("digits", binarize="dynamic", max_examples=40))
    data = Data.of_config(config, 10, False)
    first, second = (list(data.training(16)["x"].as_numpy_iterator()) for _ in range(2))
    for ours, theirs in zip(first, second, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_overhead_of_a_search_without_a_completed_trial(finished, tmp_path):
    found, _ = finished
    with pytest.raises(ValueError, match="a completed trial"):
        Search(tmp_path, found.spec, []).overhead()


def test_a_searched_likelihood_refuses_data_for_its_own_trial_alone(tmp_path):
    options = {"space": {"likelihood": ["bernoulli", "normal"]}, "tuner": "grid", "epochs": 1}
    found = search(
        tmp_path / "s",
        3.0 * X[:64],
        validation_data=3.0 * HELD_OUT,
        config=CONFIG,
        num_samples=2,
        say=lambda line: None,
        **options,
    )
    assert {trial.values["likelihood"]: trial.status for trial in found.trials} == {
        "bernoulli": "failed",
        "normal": "completed",
    }
