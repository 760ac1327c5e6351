"""Requests to one signature, joined into one run of it while the one before is under way."""

import bisect
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np

from keras_vae.checks import check_count
from keras_vae.errors import invalid
from keras_vae.serving.server.loaded_model import Arrays
from keras_vae.serving.server.runners import Results, Run


@dataclass(frozen=True)
class Batching:
    """How requests are joined.

    Args:
        max_batch_size: rows of a joined run at most; a larger request runs alone.
        timeout: seconds after a run to wait for as many requests as it joined. A request that comes later, or
            after one that ran alone, does not wait.
        allowed_batch_sizes: ascending sizes up to which a run is padded, for accelerators that compile a
            program for each; by default none is padded, because an exported signature takes any batch size
            without retracing. The last must be `max_batch_size`, as in TensorFlow Serving.

    Raises:
        ValueError: if one is out of range.
    """

    max_batch_size: int = 64
    timeout: float = 0.002
    allowed_batch_sizes: Sequence[int] = ()

    def __post_init__(self) -> None:
        check_count("max_batch_size", self.max_batch_size)
        if not self.timeout >= 0:
            raise invalid("timeout", "seconds >= 0", self.timeout)
        sizes = list(self.allowed_batch_sizes)
        if sizes and (sizes[0] < 1 or sizes != sorted(set(sizes)) or sizes[-1] != self.max_batch_size):
            raise invalid("allowed_batch_sizes", f"ascending sizes that end in {self.max_batch_size}", sizes)

    def padded(self, rows: int) -> int:
        """The number of rows to run for a number of rows asked.

        >>> Batching(8, allowed_batch_sizes=(2, 8)).padded(3)
        8
        """
        sizes = self.allowed_batch_sizes
        return sizes[bisect.bisect_left(sizes, rows)] if sizes and 0 < rows <= sizes[-1] else rows


@dataclass(eq=False)
class _Request:
    inputs: Arrays
    future: Future = field(default_factory=Future)

    def __post_init__(self) -> None:
        shapes = [array.shape for array in self.inputs.values()]
        self.rows = shapes[0][0]
        self.key = {name: array.shape[1:] for name, array in self.inputs.items()}
        # Inputs that disagree in their rows cannot be joined; TensorFlow shall say what it thinks of them.
        self.even = all(shape[0] == self.rows for shape in shapes)


class Batcher:
    """Runs one request or many joined at a time, in the order of their arrival.

    A request that finds the signature idle is run at once, in the caller's own thread where it waits. What
    arrives meanwhile is joined along the first axis and run next: the busier, the larger the batches. Where
    the joined run fails, each of its requests is run on its own, so that none suffers for another's values.

    Args:
        run: runs the signature, whose inputs and outputs all have a free first axis.
        batching: how to join.
        observe: told the requests and the rows of each run, for metrics.
    """

    def __init__(self, run: Run, batching: Batching, observe: Callable[[int, int], None] | None = None):
        self._run, self._batching, self._observe = run, batching, observe
        self._queue: deque[_Request] = deque()
        self._changed = threading.Condition()
        self._busy = self._closed = False
        # How many requests are worth waiting for: as many as came together the last time.
        self._company = self._wake_at = 1
        self._ended = -math.inf
        self._worker: threading.Thread | None = None

    def run(self, inputs: Arrays, timeout: float | None = None) -> Results:
        with self._changed:
            idle = not self._busy and not self._queue
            self._busy = self._busy or idle
        request = _Request(inputs)
        if idle:
            request.future.set_running_or_notify_cancel()
            self._run_and_release([request])
            return request.future.result()
        self._enqueue(request)
        try:
            return request.future.result(timeout)
        except TimeoutError:
            request.future.cancel()
            raise

    def submit(self, inputs: Arrays) -> Future:
        request = _Request(inputs)
        self._enqueue(request)
        return request.future

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _enqueue(self, request: _Request) -> None:
        with self._changed:
            if self._worker is None:
                self._worker = threading.Thread(target=self._work, name="batching", daemon=True)
                self._worker.start()
            self._queue.append(request)
            if not self._busy and len(self._queue) >= self._wake_at:
                self._changed.notify()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or (self._queue and not self._busy))
                if not self._queue:
                    return
                self._wait_for_company()
                batch = self._take()
                self._busy = bool(batch)
            if batch:
                self._run_and_release(batch)

    def _wait_for_company(self) -> None:
        """Gives the callers of the last run a moment after it to come back with their next request."""
        left = self._ended + self._batching.timeout - time.monotonic()
        if left > 0 and len(self._queue) < self._company:
            self._wake_at = self._company
            self._changed.wait_for(lambda: len(self._queue) >= self._company or self._closed, left)
            self._wake_at = 1

    def _take(self) -> list[_Request]:
        """The first request and those that can join it; withdrawn ones are dropped."""
        batch: list[_Request] = []
        left: deque[_Request] = deque()
        rows = 0
        for request in self._queue:
            fits = not batch or (
                request.even
                and batch[0].even
                and request.key == batch[0].key
                and rows + request.rows <= self._batching.max_batch_size
            )
            if not fits:
                left.append(request)
            elif request.future.set_running_or_notify_cancel():
                batch.append(request)
                rows += request.rows
        self._queue = left
        return batch

    def _run_and_release(self, batch: list[_Request]) -> None:
        try:
            self._execute(batch)
        finally:
            with self._changed:
                self._busy = False
                self._company, self._ended = len(batch), time.monotonic()
                if self._queue:
                    self._changed.notify()

    def _execute(self, batch: list[_Request]) -> None:
        results: list[Results] | None = None
        if len(batch) > 1 or self._batching.allowed_batch_sizes:
            try:
                results = self._joined(batch)
            except Exception:
                # One of them is to blame; each gets its own answer below.
                results = None
        if results is not None:
            for request, result in zip(batch, results, strict=True):
                request.future.set_result(result)
            return
        for request in batch:
            try:
                result = self._run(request.inputs)
            except BaseException as error:
                request.future.set_exception(error)
            else:
                self._tell(1, request.rows)
                request.future.set_result(result)

    def _joined(self, batch: list[_Request]) -> list[Results] | None:
        """The results of each request, or nothing where a result is not row by row after all."""
        if not batch[0].even:
            return None
        rows = sum(request.rows for request in batch)
        padding = self._batching.padded(rows) - rows
        inputs = {
            name: _join([request.inputs[name] for request in batch], padding) for name in batch[0].inputs
        }
        results = self._run(inputs)
        if any(result.shape[0] != rows + padding for result in results.values()):
            return None
        self._tell(len(batch), rows)
        ends = np.cumsum([request.rows for request in batch]).tolist()
        return [
            {name: result[end - request.rows : end] for name, result in results.items()}
            for request, end in zip(batch, ends, strict=True)
        ]

    def _tell(self, requests: int, rows: int) -> None:
        if self._observe is not None:
            self._observe(requests, rows)


def _join(arrays: list[np.ndarray], padding: int) -> np.ndarray:
    """Arrays one after another, then the last row as often again: real values raise no error of their own."""
    if padding:
        arrays = [*arrays, np.repeat(arrays[-1][-1:], padding, axis=0)]
    return np.concatenate(arrays) if len(arrays) > 1 else arrays[0]
