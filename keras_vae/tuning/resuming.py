"""What KerasTuner's oracles forget or leave half done when their process is killed."""

import functools
from pathlib import Path

import keras_tuner
from keras_tuner.oracles import GridSearchOracle
from keras_tuner.src.engine.stateful import Stateful
from keras_tuner.src.engine.trial import Trial, TrialStatus
from keras_tuner.src.tuners.gridsearch import LinkedList

from keras_vae.runs import files


def save_whole(oracle: keras_tuner.Oracle) -> None:
    """Makes `oracle` write each of its files whole or not at all, from now on.

    KerasTuner writes over them, so a process that is killed or a disk that is full leaves half a file, from
    which no search resumes.
    """

    def save() -> None:
        files.write(Path(oracle._get_oracle_fname()), lambda draft: Stateful.save(oracle, str(draft)))

    def save_trial(trial: Trial) -> None:
        folder = Path(oracle._get_trial_dir(trial.trial_id))
        files.write(folder / "trial.json", lambda draft: trial.save(str(draft)))

    oracle.save, oracle._save_trial = save, save_trial


def mend(oracle: keras_tuner.Oracle) -> None:
    """Makes a whole of what `oracle` read from files that were written at different moments.

    Afterwards every trial has ended or waits to be run again, once. On an oracle that was never saved or was
    saved at rest this changes nothing, but for a grid search: KerasTuner saves none of its state, so without
    this a grid search that is resumed stops at once or fails.
    """
    # A new trial's file is written before the oracle's: nobody has got a trial that only the former knows.
    for trial_id in set(oracle.trials) - set(oracle.start_order):
        del oracle.trials[trial_id]
    waiting = [*oracle._retry_queue, *(trial.trial_id for trial in oracle.ongoing_trials.values())]
    oracle._retry_queue, oracle.ongoing_trials = [], {}
    for trial_id in dict.fromkeys(waiting):
        # So is the file of a trial that ended.
        if oracle.trials[trial_id].status in (TrialStatus.RUNNING, TrialStatus.INVALID):
            oracle._retry_queue.append(trial_id)
        elif trial_id not in oracle.end_order:
            oracle.end_order.append(trial_id)
    if isinstance(oracle, GridSearchOracle) and oracle.trials:
        _restore_grid(oracle)


def _restore_grid(oracle: GridSearchOracle) -> None:
    def compare(one: str, other: str) -> int:
        values = (oracle.trials[trial_id].hyperparameters.values for trial_id in (one, other))
        return oracle._compare(*values)

    oracle._ordered_ids = LinkedList()
    for trial_id in sorted(oracle.trials, key=functools.cmp_to_key(compare)):
        oracle._ordered_ids.insert(trial_id)
    # The first trial is followed before it has ended, the others after; one note too many does no harm.
    oracle._populate_next = [oracle.start_order[0], *oracle.end_order]
