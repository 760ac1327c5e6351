"""The time that training took, over interruptions."""

import time
from pathlib import Path

import keras


class Clock(keras.callbacks.Callback):
    """Adds up the minutes of training, in a file over interruptions if `path` is given."""

    per_execution = True

    def __init__(self, path: Path | None):
        super().__init__()
        self.path = path
        self.minutes = float(path.read_text()) if path is not None and path.exists() else 0.0

    def on_epoch_begin(self, epoch, logs=None):
        self._begin = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        self.minutes += (time.monotonic() - self._begin) / 60
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text(f"{self.minutes}\n")
