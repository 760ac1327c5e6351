"""Searches cut short at any moment go on as if they had not been."""

import itertools
import json

import keras_tuner
import pytest
from keras_tuner.engine.base_tuner import BaseTuner

from keras_vae.tuning import resuming

COMBINATIONS = set(itertools.product((1.0, 2.0), ("p", "q", "r")))


class Tuner(BaseTuner):
    """Is interrupted in the trial after `most`."""

    most = 100
    run = 0

    def run_trial(self, trial):
        if self.run == self.most:
            raise KeyboardInterrupt
        self.run += 1
        return trial.hyperparameters.get("x")


def grid(folder):
    space = keras_tuner.HyperParameters()
    space.Choice("x", [1.0, 2.0])
    space.Choice("name", ["p", "q", "r"])
    oracle = keras_tuner.oracles.GridSearchOracle(
        objective=keras_tuner.Objective("default_objective", "min"), hyperparameters=space
    )
    tuner = Tuner(oracle, directory=str(folder), project_name="grid")
    oracle.verbose = 0
    resuming.save_whole(oracle)
    resuming.mend(oracle)
    return tuner


@pytest.mark.parametrize("most", [1, 2, 3])
def test_a_grid_is_searched_whole_however_often_it_is_cut_short(tmp_path, most):
    # KerasTuner saves nothing of a grid search but its trials.
    cuts, is_over = 0, False
    while not is_over and cuts < 10:
        tuner = grid(tmp_path)
        tuner.most = most
        try:
            tuner.search()
            is_over = True
        except KeyboardInterrupt:
            cuts += 1
    assert cuts == (len(COMBINATIONS) - 1) // most
    trials = tuner.oracle.trials.values()
    assert len(trials) == len(COMBINATIONS)
    assert {tuple(trial.hyperparameters.values.values()) for trial in trials} == COMBINATIONS
    assert {trial.status for trial in trials} == {"COMPLETED"}


def random_search(folder):
    space = keras_tuner.HyperParameters()
    space.Float("x", 0.0, 1.0)
    oracle = keras_tuner.oracles.RandomSearchOracle(
        objective=keras_tuner.Objective("loss", "min"), max_trials=5, seed=3, hyperparameters=space
    )
    oracle._set_project_dir(str(folder), "random")
    oracle.verbose = 0
    resuming.save_whole(oracle)
    return oracle


def end(oracle, trial):
    oracle.update_trial(trial.trial_id, {"loss": trial.hyperparameters.get("x")})
    trial.status = "COMPLETED"
    oracle.end_trial(trial)


def test_files_of_different_moments_make_one_search(tmp_path):
    oracle = random_search(tmp_path)
    first, second = oracle.create_trial("a"), oracle.create_trial("b")
    before = (tmp_path / "random/oracle.json").read_text()
    end(oracle, first)
    third = oracle.create_trial("a")
    # Killed between the trials' files, where the first has ended and the third begun, and the oracle's.
    (tmp_path / "random/oracle.json").write_text(before)
    again = random_search(tmp_path)
    again.reload()
    assert sorted(again._retry_queue) == [first.trial_id, second.trial_id]
    resuming.mend(again)
    assert again._retry_queue == [second.trial_id]
    assert again.end_order == [first.trial_id]
    assert again.create_trial("c").trial_id == second.trial_id
    # Nobody had got the third, so it is made again, with the same values.
    repeated = again.create_trial("d")
    assert repeated.trial_id == third.trial_id
    assert repeated.hyperparameters.values == third.hyperparameters.values


def test_mending_a_search_at_rest_changes_nothing(tmp_path):
    oracle = random_search(tmp_path)
    for _ in range(3):
        end(oracle, oracle.create_trial("a"))
    state = json.dumps(oracle.get_state())
    resuming.mend(oracle)
    assert json.dumps(oracle.get_state()) == state


def test_files_are_replaced_and_never_written_over(tmp_path):
    oracle = random_search(tmp_path)
    trial = oracle.create_trial("a")
    paths = [tmp_path / "random/oracle.json", tmp_path / "random/trial_0/trial.json"]
    before = [path.read_text() for path in paths]
    with paths[0].open() as first, paths[1].open() as second:
        end(oracle, trial)
        # Whoever holds the old file reads it whole, as does whoever finds it after a crash.
        assert [first.read(), second.read()] == before
    for path, old in zip(paths, before, strict=True):
        assert json.loads(path.read_text()) != json.loads(old)
    assert sorted(each.name for each in paths[0].parent.iterdir()) == ["oracle.json", "trial_0"]
