"""What runs the requests to one signature, behind one interface: each alone here, joined in `batching`."""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Protocol

import numpy as np

from keras_vae.serving.server.loaded_model import Arrays

Results = dict[str, np.ndarray]
Run = Callable[[Arrays], Results]


class Runner(Protocol):
    """What runs the requests to one signature."""

    def run(self, inputs: Arrays, timeout: float | None = None) -> Results:
        """Runs a request and waits for it, `TimeoutError` after as many seconds of waiting in line."""

    def submit(self, inputs: Arrays) -> Future:
        """Runs a request elsewhere; the future holds its results, and is cancelled to withdraw it."""

    def close(self) -> None:
        """Ends the threads; nothing may be under way."""


class Direct:
    """Runs each request on its own, many at a time.

    Args:
        run: runs the signature.
        executor: the threads of submitted requests.
    """

    def __init__(self, run: Run, executor: Executor):
        self._run, self._executor = run, executor

    def run(self, inputs: Arrays, timeout: float | None = None) -> Results:
        return self._run(inputs)

    def submit(self, inputs: Arrays) -> Future:
        return self._executor.submit(self._run, inputs)

    def close(self) -> None:
        """The executor belongs to whoever made it."""
