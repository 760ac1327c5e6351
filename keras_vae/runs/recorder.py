"""The callback that keeps a run folder up to date."""

import math
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_vae.runs.config import RunConfig
from keras_vae.runs.run import Run, SetAside, check_free

# Seconds between two writes of the model; what shorter epochs leave waits in memory. The first epoch's is
# written at once.
SAVE_EVERY = 10.0


class RunRecorder(keras.callbacks.Callback):
    """Makes the run folder when training begins and writes history and model at the end of each epoch.

    The folder is made no earlier, so that a model or data that do not fit leave nothing behind. A run that it
    replaces waits beside until there is a model. Call `close` when `fit` is over, however it ended: it writes
    the model of the last finished epoch where that was still held in memory; without any, it puts the former
    run back, and leaves nothing behind where no step was made.

    Args:
        folder, config, overwrite: see `Run.create`.
    """

    def __init__(self, folder: Any, config: RunConfig, overwrite: bool = False):
        super().__init__()
        self.folder, self.config, self.overwrite = folder, config, overwrite
        self.run: Run | None = None
        self._former: SetAside | None = None
        self._made: list[Path] = []
        self._step = 0
        self._best = math.inf
        self._lines: dict[str, list[float]] = {}
        self._held: list[np.ndarray] | None = None
        self._saved_at = -math.inf
        self._began = 0.0

    def set_model(self, model: keras.Model) -> None:
        # The first that Keras calls once it has accepted the data; other callbacks, which come later in the
        # list, already write into the folder here.
        super().set_model(model)
        if self.run is not None:
            return  # `fit` begins again without XLA
        check_free(self.folder, self.overwrite)
        self.run = Run(self.folder, self.config)
        self._made = [path for path in (self.run.folder, *self.run.folder.parents) if not path.exists()]
        self._step = int(model.step)
        self._former = self.run.set_aside()
        self.run.write_config()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._began = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        assert self.run is not None
        figures = {name: float(value) for name, value in (logs or {}).items()}
        seconds = round(time.perf_counter() - self._began, 4)
        for name, value in {"epoch": epoch + 1, "seconds": seconds, **figures}.items():
            self._lines.setdefault(name, []).append(value)
        self.run.write_history(self._lines)
        if not self._is_wanted(figures):
            return
        if time.monotonic() - self._saved_at >= SAVE_EVERY:
            self._write()
        else:
            self._held = [variable.numpy() for variable in self._variables()]

    def close(self) -> None:
        """Writes the model that is held in memory, if any; see above for a run without a model."""
        if self.run is None:
            return
        if self._held is None:
            if self._saved_at == -math.inf:
                self._undo()
            return
        variables = self._variables()
        present = [variable.numpy() for variable in variables]
        try:
            _assign(variables, self._held)
            self._write()
        finally:
            _assign(variables, present)

    def _undo(self) -> None:
        assert self.run is not None
        if self._former is not None:
            self._former.put_back()
        elif int(self.model.step) == self._step:
            self.run.clear()
            for folder in self._made:
                with suppress(OSError):  # somebody else's files are in it
                    folder.rmdir()

    def _is_wanted(self, figures: dict[str, float]) -> bool:
        if self.config.training.kept == "last":
            return True
        # The first epoch's is kept whatever its loss, so that there is a model.
        better = figures.get("val_loss", math.inf) < self._best or self._best == math.inf
        if better:
            self._best = min(self._best, figures.get("val_loss", math.inf))
        return better

    def _write(self) -> None:
        assert self.run is not None
        self.run.save_model(self.model)
        self._saved_at, self._held = time.monotonic(), None
        if self._former is not None:
            self._former.remove()
            self._former = None

    def _variables(self) -> list[Any]:
        optimizers = (self.model.optimizer, getattr(self.model, "critic_optimizer", None))
        return [*self.model.variables, *(v for o in optimizers if o is not None for v in o.variables)]


def _assign(variables: list[Any], values: list[np.ndarray]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
