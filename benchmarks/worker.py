"""The process that trains one contender: `python -m benchmarks.worker NAME`.

The controller starts it. It answers the requests of `benchmarks.protocol` on standard input and
output. What libraries print goes to standard error, so that it cannot mix with the answers.
"""

import importlib
import importlib.metadata
import importlib.util
import math
import os
import sys
import time
import traceback
from collections.abc import Callable
from typing import IO

from benchmarks import protocol
from benchmarks.contenders import CONTENDERS, Contender
from benchmarks.protocol import EpochClock, Job, Message, Trainer


class CannotStart(Exception):
    """A reason to leave a contender out that is not a failure."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def missing_packages(contender: Contender) -> list[str]:
    """Returns the import names this interpreter does not find, without importing anything."""
    return [name for name in contender.distributions if importlib.util.find_spec(name) is None]


def versions(contender: Contender) -> dict[str, str]:
    """Returns the version of each package, of a checkout its `__version__`."""
    return {name: _version(name, dist) for name, dist in contender.distributions.items()}


def _version(name: str, distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return str(getattr(importlib.import_module(name), "__version__", "checkout"))


def use_cpus(count: int | None) -> None:
    """Keeps this process, and every thread pool sized after it, to the first `count` CPUs."""
    if count is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])


def load(contender: Contender, job: Job) -> Trainer:
    """Imports the contender and builds its model; nothing is trained yet."""
    missing = missing_packages(contender)
    if missing:
        raise CannotStart(protocol.MISSING, f"{', '.join(missing)} not found by {sys.executable}")
    use_cpus(job.threads)
    module = importlib.import_module(contender.module)
    if job.model not in module.MODELS:
        raise CannotStart(protocol.UNSUPPORTED, f"model {job.model!r}")
    if job.network not in module.NETWORKS:
        raise CannotStart(protocol.UNSUPPORTED, f"network {job.network!r}")
    import numpy as np

    return module.MODELS[job.model](job, np.load(job.data))


class Session:
    """Answers requests; one method a command."""

    def __init__(self, contender: Contender, load: Callable[[Contender, Job], Trainer] = load):
        self.contender = contender
        self.load = load
        self.trainer: Trainer | None = None
        self.commands: dict[str, Callable[[Message], Message]] = {
            "start": self.start,
            "warmup": self.train,
            "measure": self.train,
        }

    def start(self, request: Message) -> Message:
        """Builds the trainer."""
        begin = time.perf_counter()
        self.trainer = self.load(self.contender, Job.from_json(request["job"]))
        return {
            "versions": versions(self.contender),
            "device": self.trainer.device,
            "parameters": self.trainer.parameters,
            "seconds": time.perf_counter() - begin,
        }

    def train(self, request: Message) -> Message:
        """Trains for whole epochs and reports."""
        if self.trainer is None:
            raise RuntimeError("The command `start` must come first.")
        clock = EpochClock()
        begin = time.perf_counter()
        steps = self.trainer.train(request["epochs"], clock)
        call_seconds = time.perf_counter() - begin
        if not all(math.isfinite(loss) for loss in clock.losses):
            raise ArithmeticError(f"The loss is not finite: {clock.losses}.")
        return {
            "steps": int(steps),
            "seconds": clock.seconds,
            "call_seconds": call_seconds,
            "epoch_seconds": clock.epoch_seconds,
            "losses": clock.losses,
        }

    def answer(self, request: Message) -> Message:
        """Returns the answer to one request; exceptions become an error message."""
        try:
            return self.commands[request["command"]](request)
        except CannotStart as error:
            return {"error": error.kind, "message": str(error)}
        except Exception:
            return {"error": protocol.FAILED, "message": traceback.format_exc()}


def serve(session: Session, requests: IO[str], answers: IO[str]) -> None:
    """Answers until `stop` or the end of the requests."""
    while (request := protocol.read(requests)) and request["command"] != "stop":
        protocol.write(answers, session.answer(request))


def take_stdout() -> IO[str]:
    """Returns the real standard output and points file descriptor 1 to standard error."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


if __name__ == "__main__":
    serve(Session(CONTENDERS[sys.argv[1]]), sys.stdin, take_stdout())
