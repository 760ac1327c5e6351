"""KerasTuner's tuners, which keep what every trial found."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import keras_tuner

from keras_vae.runs import files
from keras_vae.tuning.distributed import Distribution, join, serve
from keras_vae.tuning.results import MODEL, RECORD, reason_of


class Recording:
    """Mixed into a tuner: a record and the best model of every trial, one line of progress, no early end.

    KerasTuner ends a search after three failures in a row; here a failed trial is recorded and skipped.
    """

    hypermodel: Any
    oracle: Any
    get_trial_dir: Callable[[str], str]
    distribution: Distribution | None = None
    say: Callable[[str], Any] = print
    _executions: list[dict[str, Any]]
    _began: float

    def search(self, *args: Any, **kwargs: Any) -> None:
        if self.distribution is None:
            super().search(*args, **kwargs)  # type: ignore[misc]
        elif self.distribution.role == "chief":
            self.save()  # type: ignore[attr-defined]
            serve(self.oracle, self.distribution)
        else:
            with join(self.oracle, self.distribution):
                super().search(*args, **kwargs)  # type: ignore[misc]

    def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> Any:
        self.hypermodel.execution = 0
        self._began, self._executions = time.monotonic(), []
        metric, sign = self.hypermodel.goal.metric, 1 if self.hypermodel.goal.direction == "max" else -1
        path = Path(self.get_trial_dir(trial.trial_id)) / MODEL

        def keep(model: keras.Model, found: dict[str, Any]) -> None:
            figures = [one["figures"][metric] for one in self._executions]
            if all(sign * found["figures"][metric] > sign * figure for figure in figures):
                files.write(path, model.save)
            self._executions.append(found)

        self.hypermodel.keep = keep
        try:
            return super().run_trial(trial, *args, **kwargs)  # type: ignore[misc]
        except OSError as error:
            # No fault of the trial: a full disk fails all. It is run again when the search goes on.
            raise keras_tuner.errors.FatalRuntimeError(str(error)) from error
        finally:
            self.hypermodel.keep = None

    def on_trial_end(self, trial: Any) -> None:
        failed = trial.status != "COMPLETED"
        reason = reason_of(trial.message) if failed else ""
        seconds = time.monotonic() - self._began
        record = {"executions": self._executions, "reason": reason, "seconds": seconds}
        files.write_json(Path(self.get_trial_dir(trial.trial_id)) / RECORD, record)
        super().on_trial_end(trial)  # type: ignore[misc]
        values = ", ".join(f"{name} {_short(value)}" for name, value in _values(trial).items())
        last = self._executions[-1]["figures"] if self._executions else {}
        figures = ", ".join(f"{name} {_short(value)}" for name, value in last.items() if name != "seconds")
        outcome = f"failed: {reason}" if failed else figures
        self.say(f"Trial {trial.trial_id} ({values}): {outcome}; {seconds:.0f} s")


def _values(trial: Any) -> dict[str, Any]:
    values = trial.hyperparameters.values
    return {name: value for name, value in values.items() if not name.startswith("tuner/")}


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


class Random(Recording, keras_tuner.RandomSearch):
    """Independent draws from the space."""


class Bayesian(Recording, keras_tuner.BayesianOptimization):
    """A Gaussian process proposes where the objective may be better."""


class Hyperband(Recording, keras_tuner.Hyperband):
    """Many trials of few epochs, the better half of which goes on."""


class Grid(Recording, keras_tuner.GridSearch):
    """Every combination."""


TUNERS: dict[str, type] = {"random": Random, "bayesian": Bayesian, "hyperband": Hyperband, "grid": Grid}
DEFAULT_TRIALS = {"random": 20, "bayesian": 20}
