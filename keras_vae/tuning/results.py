"""What a search found, read from its folder; nothing here trains or writes."""

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from keras_vae.errors import invalid
from keras_vae.runs.config import RunConfig, check_format, read_json
from keras_vae.tuning import goals
from keras_vae.tuning.pareto import pareto_front

SPEC, RECORD, MODEL = "search.json", "record.json", "model.keras"
COMPLETED, FAILED, RUNNING = "completed", "failed", "running"


@dataclass(frozen=True)
class Trial:
    """One set of values, and what came of it.

    Args:
        id: its number, as text.
        values: by the name of the argument.
        status: "completed", "failed" or "running".
        figures: means over the executions; empty until there are any.
        executions: for each, its "seed", "epochs", "fit_seconds", "evaluation_seconds", "figures", "config"
            and the "report" of `evaluation.evaluate`.
        reason: why it failed; "" where it did not.
        seconds: of the whole trial, tuner included.
        folder: of its files.
    """

    id: str
    values: dict[str, Any]
    status: str
    figures: dict[str, float] = field(default_factory=dict)
    executions: Sequence[Mapping[str, Any]] = ()
    reason: str = ""
    seconds: float | None = None
    folder: Path | None = None

    @property
    def collapsed(self) -> bool:
        """Whether no latent dimension is active."""
        return self.figures.get("active_units") == 0

    @property
    def config(self) -> RunConfig:
        """What its first execution was trained from.

        Raises:
            ValueError: for a trial that has not been finished once.
        """
        if not self.executions:
            raise invalid("trial", "a completed trial", f"trial {self.id}, {self.status} {self.reason}")
        return RunConfig.from_dict(self.executions[0]["config"])


class Search:
    """A finished or running search, to read. Make one with `tuning.search`, open one with `Search.open`.

    Attributes:
        folder: the `Path` of its folder.
        spec: what is searched, and how: "objective", "tuner", "space", "config", ....
        trials: every `Trial`, in order.
    """

    def __init__(self, folder: Path, spec: dict[str, Any], trials: list[Trial]):
        self.folder, self.spec, self.trials = folder, spec, trials
        self.goal = goals.get(spec["objective"])

    @classmethod
    def open(cls, folder: str | os.PathLike) -> "Search":
        """Reads the folder of a search; writes nothing, so it may be running, or be read-only.

        Raises:
            ValueError: if the folder holds no search, or its files cannot be read.
        """
        path = Path(folder)
        if not (path / SPEC).is_file():
            hint = "Make one with `keras-vae tune --output FOLDER`."
            raise invalid("search", f"the folder of a search, which holds a {SPEC}", str(path), hint)
        spec = read_json(path / SPEC, "search")
        check_format("search", spec)
        trials = [_trial(one) for one in sorted(path.glob("trial_*")) if (one / "trial.json").is_file()]
        return cls(path, spec, trials)

    @property
    def completed(self) -> list[Trial]:
        return [trial for trial in self.trials if trial.status == COMPLETED]

    def best(self) -> Trial:
        """The completed trial with the best figure.

        Raises:
            ValueError: where no trial was completed.
        """
        if not self.completed:
            reasons = sorted({trial.reason for trial in self.trials if trial.reason})
            raise invalid("search", "a search with a completed trial", f"{self.folder}: {'; '.join(reasons)}")
        sign = 1.0 if self.goal.direction == "max" else -1.0
        return max(self.completed, key=lambda trial: sign * trial.figures[self.goal.metric])

    def front(self) -> list[Trial]:
        """The completed trials that no other beats in both rate and distortion, by rising rate."""
        known = [trial for trial in self.completed if "rate" in trial.figures]
        chosen = pareto_front(*([trial.figures[name] for trial in known] for name in ("rate", "distortion")))
        return [known[i] for i in chosen]

    def load_model(self, trial: Trial | None = None) -> Any:
        """The trained model of a trial, the best one's by default.

        Raises:
            ValueError: where there is none.
        """
        import keras

        chosen = self.best() if trial is None else trial
        path = None if chosen.folder is None else chosen.folder / MODEL
        if path is None or not path.is_file():
            raise invalid("trial", "a trial with a model", f"trial {chosen.id}, {chosen.status}")
        return keras.saving.load_model(path)

    def save_model(self, path: str | os.PathLike, trial: Trial | None = None) -> Path:
        """Copies the file of a trial's model, the best one's by default."""
        chosen = self.best() if trial is None else trial
        self.load_model(chosen)
        return Path(shutil.copyfile(chosen.folder / MODEL, path))  # type: ignore[operator]

    def table(self) -> str:
        """Every trial in a line: values, figures, and why it failed where it did; the front is starred."""
        names = list(dict.fromkeys(name for trial in self.trials for name in trial.values))
        metric = self.goal.metric
        columns = [*dict.fromkeys(["rate", "distortion", "val_elbo", "val_log_likelihood", metric])]
        best = [self.best()] if self.completed else []
        starred = {trial.id for trial in (self.front() if self.goal.is_front else best)}
        rows = [["trial", *names, *columns, "active", "epochs", "seconds", ""]]
        for trial in self.trials:
            active = trial.figures.get("active_units")
            rows.append(
                [
                    trial.id + ("*" if trial.id in starred else ""),
                    *(_short(trial.values.get(name, "-")) for name in names),
                    *(_short(trial.figures.get(name, "-")) for name in columns),
                    "-" if active is None else f"{active:g}" + (" collapsed" if trial.collapsed else ""),
                    ",".join(str(one["epochs"]) for one in trial.executions) or "-",
                    _short(trial.seconds),
                    "" if trial.status == COMPLETED else f"{trial.status} {trial.reason}".strip(),
                ]
            )
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(cell.rjust(w) for cell, w in zip(row[:-1], widths, strict=False)) for row in rows]
        return "\n".join(f"{line}  {row[-1]}".rstrip() for line, row in zip(lines, rows, strict=True))

    def overhead(self) -> float:
        """The share of the time of completed trials that was not spent in `fit`, in [0, 1].

        Raises:
            ValueError: where no trial was completed.
        """
        timed = [trial for trial in self.completed if trial.seconds]
        if not timed:
            raise invalid("search", "a search with a completed trial", str(self.folder))
        fit = sum(one["fit_seconds"] for trial in timed for one in trial.executions)
        return 1.0 - fit / sum(trial.seconds for trial in timed)  # type: ignore[misc]

    def __repr__(self) -> str:
        return f"Search({str(self.folder)!r}, {len(self.completed)} of {len(self.trials)} trials completed)"


def _trial(folder: Path) -> Trial:
    state = read_json(folder / "trial.json", "search")
    record = read_json(folder / RECORD, "search") if (folder / RECORD).is_file() else {}
    status = {"COMPLETED": COMPLETED, "RUNNING": RUNNING}.get(state["status"], FAILED)
    executions = record.get("executions", []) if status == COMPLETED else []
    names = list(dict.fromkeys(name for one in executions for name in one["figures"]))
    means = {name: float(np.mean([one["figures"][name] for one in executions])) for name in names}
    values = {
        name: value
        for name, value in state["hyperparameters"]["values"].items()
        if not name.startswith("tuner/")
    }
    reason = "" if status != FAILED else record.get("reason") or reason_of(state.get("message"))
    return Trial(state["trial_id"], values, status, means, executions, reason, record.get("seconds"), folder)


def reason_of(message: str | None) -> str:
    """The last line of a traceback, without the class of the error."""
    lines = [line for line in (message or "").strip().splitlines() if line and not line.startswith(" ")]
    return lines[-1].partition(": ")[2] or lines[-1] if lines else "unknown"


def _short(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
