"""One version of a served model and the state it is in."""

import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import tensorflow as tf

from keras_vae.serving.server.loaded_model import LoadedModel, Signature
from keras_vae.serving.server.runners import Runner
from keras_vae.serving.wire.status import Code, State, VersionStatus


class Version:
    """A version from its discovery to its end.

    It is unloaded when nobody uses it any more, so a request ends on the version it began on.

    Args:
        name: the model's name.
        number: the version's number.
        folder: where its SavedModel lies.

    Attributes:
        loaded: the SavedModel, while it is loaded.
        runners: what runs each signature, by its name.
    """

    def __init__(self, name: str, number: int, folder: Path):
        self.name, self.number, self.folder = name, number, folder
        self.loaded: LoadedModel | None = None
        self.runners: Mapping[str, Runner] = {}
        self._state, self._code, self._message = State.START, Code.OK, ""
        self._users = 0
        self._lock = threading.Lock()

    @property
    def status(self) -> VersionStatus:
        with self._lock:
            return VersionStatus(self.number, self._state, self._code, self._message)

    @property
    def available(self) -> bool:
        return self._state is State.AVAILABLE

    def load(
        self, make_runner: Callable[[str, Signature], Runner], warm: Callable[[Path, LoadedModel], object]
    ) -> bool:
        """Loads and warms it; whatever goes wrong is kept as its status.

        Returns:
            Whether it can serve.
        """
        self._state = State.LOADING
        try:
            loaded = LoadedModel(self.folder)
            warm(self.folder, loaded)
            self.runners = {
                key: make_runner(self.name, signature) for key, signature in loaded.signatures.items()
            }
        except Exception as error:  # a foreign file can fail in any way, and the server must live on
            self._fail(error)
            return False
        self.loaded = loaded
        with self._lock:
            self._state = State.AVAILABLE
        return True

    def _fail(self, error: Exception) -> None:
        with self._lock:
            self._state, self._code = State.END, code_of(error)
            self._message = f"{type(error).__name__}: {' '.join(str(error).split())}"

    def acquire(self) -> bool:
        """Begins a use, where it is available; `release` ends it."""
        with self._lock:
            self._users += self.available
            return self.available

    def release(self) -> None:
        with self._lock:
            self._users -= 1
            ends = self._state is State.UNLOADING and not self._users
        if ends:
            self._end()

    def unload(self) -> None:
        """Lets nobody in any more; the last one out unloads it."""
        with self._lock:
            if self._state is not State.AVAILABLE:
                return
            self._state = State.UNLOADING
            ends = not self._users
        if ends:
            self._end()

    def _end(self) -> None:
        runners, self.runners, self.loaded = self.runners, {}, None
        for runner in runners.values():
            runner.close()
        with self._lock:
            self._state = State.END


def code_of(error: BaseException) -> Code:
    """The status code of what TensorFlow, the system or a parser raised.

    >>> code_of(tf.errors.InvalidArgumentError(None, None, "no image")).name, code_of(KeyError("x")).name
    ('INVALID_ARGUMENT', 'UNKNOWN')
    """
    if isinstance(error, tf.errors.OpError):
        return Code(error.error_code)
    if isinstance(error, FileNotFoundError):
        return Code.NOT_FOUND
    return Code.INVALID_ARGUMENT if isinstance(error, ValueError) else Code.UNKNOWN
