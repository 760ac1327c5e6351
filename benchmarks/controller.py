"""Starts the workers and lets them train in turns, one at a time."""

import contextlib
import dataclasses
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks import machine, protocol
from benchmarks.protocol import Job, Message
from benchmarks.results import whole_epochs

ROOT = Path(__file__).resolve().parent.parent
LOG_LINES = 15
STOP_SECONDS = 20

Say = Callable[[str], None]


class WorkerError(Exception):
    """A contender that cannot take part; `kind` is one of `protocol.ERRORS`."""

    def __init__(self, contender: str, kind: str, message: str) -> None:
        super().__init__(message)
        self.contender = contender
        self.kind = kind


def _tail(text: str) -> str:
    return "\n".join(text.splitlines()[-LOG_LINES:])


class Worker:
    """A contender's process, which waits on its standard input between requests.

    Args:
        name: of the contender.
        python: the interpreter that has the contender's packages.
        environment: of the process.
        folder: where its standard error is kept.
    """

    def __init__(self, name: str, python: str, environment: Mapping[str, str], folder: Path) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [python, "-m", "benchmarks.worker", name],
                cwd=ROOT,
                env=dict(environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def ask(self, command: str, **values: Any) -> Message:
        """Sends a request and waits for the answer.

        Raises:
            WorkerError: when the worker says so or has ended.
        """
        assert self.process.stdin is not None and self.process.stdout is not None
        try:
            protocol.write(self.process.stdin, {"command": command, **values})
            answer = protocol.read(self.process.stdout)
        except (BrokenPipeError, ValueError):
            answer = None
        if answer is None:
            raise WorkerError(self.name, protocol.FAILED, f"The process ended.\n{self._log_tail()}")
        if "error" in answer:
            raise WorkerError(self.name, answer["error"], answer["message"])
        return answer

    def _log_tail(self) -> str:
        return _tail(self.log.read_text(encoding="utf-8", errors="replace"))

    def close(self) -> None:
        """Ends the process, by request and if need be by force."""
        with contextlib.suppress(OSError, ValueError):
            assert self.process.stdin is not None
            protocol.write(self.process.stdin, {"command": "stop"})
            self.process.stdin.close()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


@dataclasses.dataclass(frozen=True)
class Measurement:
    """One contender's turn.

    Args:
        steps: optimizer steps taken.
        seconds: from the beginning of the first epoch to the end of the last.
        call_seconds: of the whole training call, with what it prepares and cleans up.
        loss: mean loss of the last epoch.
        usage: who used the CPU meanwhile, or None where it cannot be known.
    """

    steps: int
    seconds: float
    call_seconds: float
    loss: float
    usage: machine.Usage | None

    @property
    def speed(self) -> float:
        """Steps per second."""
        return self.steps / self.seconds


@dataclasses.dataclass(frozen=True)
class Round:
    """One turn of every contender.

    Args:
        number: counts from 1.
        attempts: how often it was run; the quietest attempt is kept.
        measurements: by contender.
    """

    number: int
    attempts: int
    measurements: dict[str, Measurement]

    @property
    def foreign(self) -> float:
        """Largest foreign share of a turn, 0 to 1."""
        return max((u.foreign for u in self.usages), default=0.0)

    @property
    def idle(self) -> float:
        """Most CPU an idle worker used, as a share of one CPU."""
        return max((u.idle for u in self.usages), default=0.0)

    @property
    def usages(self) -> list[machine.Usage]:
        """Of all turns that could be watched."""
        return [m.usage for m in self.measurements.values() if m.usage is not None]

    @property
    def speeds(self) -> dict[str, float]:
        """Steps per second by contender."""
        return {name: m.speed for name, m in self.measurements.items()}


@dataclasses.dataclass(frozen=True)
class Limits:
    """When a round counts as disturbed, and how often it is then repeated.

    Args:
        foreign: largest foreign share of the machine, 0 to 1.
        idle: most CPU an idle worker may use, as a share of one CPU.
        repeats: further attempts per round.
    """

    foreign: float = 0.05
    idle: float = 0.02
    repeats: int = 2


@dataclasses.dataclass(frozen=True)
class Warmed:
    """A contender that is ready: its worker, what it said at the start and in the warm-up."""

    worker: Worker
    start: Message
    warmup: Message
    epochs: int

    @property
    def compile_seconds(self) -> float:
        """What the first epoch cost more than the last of the warm-up."""
        return self.warmup["epoch_seconds"][0] - self.warmup["epoch_seconds"][-1]


def environment(base: Mapping[str, str], folder: Path, job: Job, device: str) -> dict[str, str]:
    """Returns the workers' environment.

    Args:
        base: the controller's own.
        folder: for compiler caches, new for every run so that compile times are comparable.
        job: its `threads` sizes the thread pools.
        device: "cpu" hides accelerators, "auto" does not.
    """
    threads = (
        {}
        if job.threads is None
        else {
            name: str(job.threads)
            for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
        }
    )
    hidden = {"CUDA_VISIBLE_DEVICES": ""} if device == "cpu" else {}
    return {
        "TF_CPP_MIN_LOG_LEVEL": "2",
        **base,
        "KERAS_BACKEND": "tensorflow",
        "TORCHINDUCTOR_CACHE_DIR": str(folder / "inductor"),
        **threads,
        **hidden,
    }


@contextlib.contextmanager
def workspace() -> Iterator[Path]:
    """A folder for the data, the logs and the caches of one run."""
    with tempfile.TemporaryDirectory(prefix="train_speed_") as folder:
        yield Path(folder)


def write_images(kind: str, count: int, seed: int, file: Path) -> None:
    """Writes the images in a process of its own.

    Raises:
        SystemExit: with that process' last lines, when it fails.
    """
    command = [sys.executable, "-m", "benchmarks.data", kind, str(count), str(seed), str(file)]
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ, "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, cwd=ROOT, env=quiet, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"The data {kind!r} could not be made.\n{_tail(done.stderr)}")


def warm(worker: Worker, job: Job, epochs: int, seconds: float) -> Warmed:
    """Builds and warms a worker up, and finds how many epochs fill a measurement."""
    start = worker.ask("start", job=job.to_json())
    warmup = worker.ask("warmup", epochs=epochs)
    return Warmed(worker, start, warmup, whole_epochs(seconds, warmup["epoch_seconds"][-1]))


def measure(name: str, contenders: Mapping[str, Warmed]) -> Measurement:
    """Lets one contender train while the others wait."""
    idle = [w.worker.process.pid for other, w in contenders.items() if other != name]
    before = machine.snapshot()
    answer = contenders[name].worker.ask("measure", epochs=contenders[name].epochs)
    after = machine.snapshot()
    used = machine.usage(before, after, os.getpid(), idle) if before and after else None
    return Measurement(
        steps=answer["steps"],
        seconds=answer["seconds"],
        call_seconds=answer["call_seconds"],
        loss=answer["losses"][-1],
        usage=used,
    )


def run_round(number: int, contenders: Mapping[str, Warmed], limits: Limits, say: Say) -> Round:
    """Runs a round, again while it is disturbed and repeats are left, and keeps the quietest."""
    tries: list[Round] = []
    while len(tries) <= limits.repeats:
        turns = {name: measure(name, contenders) for name in contenders}
        tries.append(Round(number, len(tries) + 1, turns))
        if tries[-1].foreign <= limits.foreign:
            break
        say(disturbance(tries[-1], again=len(tries) <= limits.repeats))
    quietest = min(tries, key=lambda one: one.foreign)
    return dataclasses.replace(quietest, attempts=len(tries))


def disturbance(disturbed: Round, again: bool) -> str:
    """Returns the warning line of a round during which somebody else was busy."""
    name, worst = max(
        ((n, m.usage) for n, m in disturbed.measurements.items() if m.usage is not None),
        key=lambda item: item[1].foreign,
    )
    culprits = ", ".join(f"{who} {100 * share:.0f} %" for who, share in worst.culprits)
    return (
        f"WARNING round {disturbed.number}: other processes used {100 * worst.foreign:.1f} % of "
        f"the machine during {name} (load {worst.load:.2f}"
        f"{'; ' + culprits if culprits else ''}); "
        f"{'the round is repeated' if again else 'no repeat is left, the quietest is kept'}"
    )
