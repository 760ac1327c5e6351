"""A run folder: what was trained, how, and what came of it."""

import difflib
import math
import os
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_vae.errors import invalid
from keras_vae.runs import files
from keras_vae.runs.config import FORMAT, RunConfig, check_format, read_json

if TYPE_CHECKING:
    from keras_vae import LatentVariableModel

CONFIG, HISTORY, MODEL, METRICS = "config.json", "history.json", "model.keras", "metrics.json"
PICTURES, TENSORBOARD = "pictures", "tensorboard"
# Begins the name of a folder that holds the run which another is about to replace.
FORMER = ".former-"


class Run:
    """A folder with everything about one training.

        config.json     what to reproduce it from, a `RunConfig`
        history.json    metrics and seconds of each epoch, rewritten whole after every epoch
        model.keras     the model
        metrics.json    what `runs.evaluate` found
        pictures/       what `runs.draw_pictures` drew
        tensorboard/    logs, where they were asked for

    Every file is replaced whole, so that whoever looks, whenever training was stopped, reads the files of the
    last finished epoch. Make one with `create` or `runs.train`, read one with `open`.

    Attributes:
        folder: the `Path` of the folder.
        config: the `RunConfig`.

    Example:

    >>> import tempfile
    >>> from keras_vae.runs import Run, RunConfig
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run = Run.create(f"{folder}/first", RunConfig(seed=7))
    ...     Run.open(run.folder).config.seed
    7
    """

    def __init__(self, folder: str | os.PathLike, config: RunConfig):
        self.folder, self.config = Path(folder), config

    @classmethod
    def create(cls, folder: str | os.PathLike, config: RunConfig, overwrite: bool = False) -> "Run":
        """Makes the folder and its `config.json`.

        Args:
            folder: a path that does not exist, or an empty folder.
            config: what the run is made from.
            overwrite: replaces a run that is there; its files are removed, and nothing else.

        Raises:
            ValueError: if there is something in the folder; with `overwrite`, something that is no run.
        """
        check_free(folder, overwrite)
        run = cls(folder, config)
        run.clear()
        run.write_config()
        return run

    @classmethod
    def open(cls, folder: str | os.PathLike) -> "Run":
        """Reads the run in a folder.

        Raises:
            ValueError: if there is no such folder, it holds no run, or its config cannot be read.
        """
        path = Path(folder)
        if not path.is_dir():
            raise invalid("run", "an existing run folder", str(path), _nearest(path))
        if not (path / CONFIG).is_file():
            hint = "Train one with `keras-vae train --output FOLDER`."
            raise invalid("run", f"a run folder, which holds a {CONFIG}", str(path), hint)
        return cls(path, RunConfig.load(path / CONFIG))

    @property
    def model_path(self) -> Path:
        return self.folder / MODEL

    @property
    def history_path(self) -> Path:
        return self.folder / HISTORY

    @property
    def pictures(self) -> Path:
        """The folder of the pictures."""
        return self.folder / PICTURES

    @property
    def tensorboard(self) -> Path:
        """The folder of the logs for TensorBoard."""
        return self.folder / TENSORBOARD

    def history(self) -> dict[str, list[float]]:
        """The metrics of every finished epoch by name, with "epoch", from 1, and "seconds"; NaN where a
        metric was not finite."""
        values = self._read(HISTORY, "Training ended before its first epoch did; train again.")
        lines = values.get("epochs")
        if not isinstance(lines, Mapping):
            raise invalid("run", f"the metrics by name in {HISTORY}", str(self.folder))
        return {name: [math.nan if v is None else v for v in line] for name, line in lines.items()}

    def write_history(self, lines: Mapping[str, list[float]]) -> None:
        """Replaces the history; see `history`."""
        files.write_json(self.history_path, {"format": FORMAT, "epochs": lines})

    def metrics(self) -> dict[str, Any]:
        """What the last `runs.evaluate` found."""
        return self._read(METRICS, f"Make it with `keras-vae evaluate {self.folder}`.")

    def write_metrics(self, values: Mapping[str, Any]) -> None:
        """Replaces the metrics."""
        files.write_json(self.folder / METRICS, {"format": FORMAT, **values})

    def check_writable(self) -> None:
        """Raises the `OSError` of a folder that takes no metrics, before they are computed."""
        path = self.folder / METRICS
        if path.is_dir():
            raise IsADirectoryError(f"{path} is a folder; there is to be a file.")
        probe = self.folder / f"{files.DRAFT}{uuid.uuid4().hex}"
        probe.touch()
        probe.unlink()

    def write_config(self) -> None:
        """Makes the folder, and writes the config."""
        self.folder.mkdir(parents=True, exist_ok=True)
        files.write_json(self.folder / CONFIG, self.config.to_dict())

    def load_model(self) -> "LatentVariableModel":
        """The trained model.

        Raises:
            ValueError: if training ended before there was one, or the file cannot be read.
        """
        self.check_model()
        # Registers with Keras every class that a model file may name.
        import keras_vae.models  # noqa: F401

        import keras  # isort: skip

        try:
            return keras.saving.load_model(self.model_path)
        except Exception as error:  # whatever a damaged archive makes of Keras
            reason = " ".join(str(error).split())
            # Keras does not run such code either, and says so at the end of a long message.
            hint = "Code in a Lambda layer is not run from a file." if "`Lambda` layer" in reason else ""
            raise invalid("run", f"a readable {MODEL}", f"{self.model_path} ({reason})", hint) from error

    def check_model(self) -> None:
        """Raises the `ValueError` for a run whose training ended before there was a model."""
        if not self.model_path.is_file():
            raise self._incomplete(MODEL, f"Train again with `{self.repeat_command()}`.")

    def repeat_command(self) -> str:
        """The command that trains this run once more, in its place."""
        return f"keras-vae train --config {self.folder / CONFIG} --output {self.folder} --overwrite"

    def save_model(self, model: "LatentVariableModel") -> None:
        """Replaces the model."""
        files.write(self.model_path, model.save)

    def _read(self, name: str, hint: str) -> dict[str, Any]:
        path = self.folder / name
        if not path.is_file():
            raise self._incomplete(name, hint)
        values = read_json(path, "run")
        if not isinstance(values, dict):
            raise invalid("run", f"an object in {name}", values)
        check_format("run", values)
        return {key: value for key, value in values.items() if key != "format"}

    def _incomplete(self, missing: str, hint: str) -> ValueError:
        return invalid("run", f"a run with a {missing}", f"{self.folder}, which has none", hint)

    def clear(self) -> None:
        """Removes the files of a run, and no others."""
        if not self.folder.is_dir():
            return
        for path in [*self._files(), *self.folder.glob(f"{files.DRAFT}*")]:
            path.unlink(missing_ok=True)
        shutil.rmtree(self.tensorboard, ignore_errors=True)

    def set_aside(self) -> "SetAside | None":
        """Moves the files of the run that there is into a folder within its own; None where there is none."""
        present = [path for path in [*self._files(), self.tensorboard] if path.exists()]
        if not present:
            return None
        aside = self.folder / f"{FORMER}{uuid.uuid4().hex}"
        for path in present:
            _move(path, aside / path.relative_to(self.folder))
        return SetAside(self, aside)

    def _files(self) -> list[Path]:
        named = (self.folder / name for name in (CONFIG, HISTORY, MODEL, METRICS))
        return [*named, *self.pictures.glob("*.png")]

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r})"


class SetAside:
    """The files of a run that another is to replace, out of its way.

    Args:
        run: whose folder it is.
        folder: where they are.
    """

    def __init__(self, run: Run, folder: Path):
        self._run, self._folder = run, folder

    def remove(self) -> None:
        """The other run is there: removes the files, and those that a killed process left so before."""
        for folder in self._run.folder.glob(f"{FORMER}*"):
            shutil.rmtree(folder, ignore_errors=True)

    def put_back(self) -> None:
        """The other run did not come about: puts the files in the place of what there is of it."""
        self._run.clear()
        for path in sorted(self._folder.rglob("*")):
            if path.is_file():
                _move(path, self._run.folder / path.relative_to(self._folder))
        shutil.rmtree(self._folder, ignore_errors=True)


def _move(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    source.rename(target)


def check_free(folder: str | os.PathLike, overwrite: bool = False) -> None:
    """Raises the `ValueError` that `Run.create` would, and touches nothing."""
    path = Path(folder)
    if path.exists() and not path.is_dir():
        raise invalid("output", "a folder", f"the file {path}")
    if not path.exists() or not any(path.iterdir()):
        return
    is_run = _holds_run(path)
    if is_run and not overwrite:
        hint = "Choose another name, or pass --overwrite to replace the run."
        raise invalid("output", "a new or an empty folder", f"{path}, which holds a run", hint)
    if not is_run:
        hint = "Choose another name."
        raise invalid("output", "a new or an empty folder", f"{path}, which holds other files", hint)


def _holds_run(path: Path) -> bool:
    """Whether the folder's config is one of ours, so that nobody else's files are ever replaced."""
    try:
        values = read_json(path / CONFIG, "run")
    except ValueError:
        return False
    return isinstance(values, dict) and {"format", "dataset", "model", "training"} <= values.keys()


def _nearest(path: Path) -> str:
    """The run beside it whose name is the nearest, as a hint."""
    if not path.parent.is_dir():
        return ""
    names = [other.name for other in path.parent.iterdir() if (other / CONFIG).is_file()]
    near = difflib.get_close_matches(path.name, names, n=1, cutoff=0.5)
    return f"Did you mean {str(path.parent / near[0])!r}?" if near else ""
