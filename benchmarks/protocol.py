"""What the controller and its workers say to each other: one JSON object a line, both ways.

| request               | answer                                                           |
|-----------------------|------------------------------------------------------------------|
| `start`, `job`        | `versions`, `device`, `parameters`, `seconds` (import and build) |
| `warmup`, `epochs`    | `steps`, `seconds`, `call_seconds`, `epoch_seconds`, `losses`    |
| `measure`, `epochs`   | the same                                                         |
| `stop`                | nothing, the worker ends                                         |

A request that cannot be done is answered with `error`, one of `ERRORS`, and `message`.
This module needs the standard library only, so that every interpreter can import it.
"""

import dataclasses
import json
import time
from collections.abc import Mapping
from typing import IO, Any, Protocol

MISSING = "not installed"
UNSUPPORTED = "not supported"
FAILED = "failed"
ERRORS = (MISSING, UNSUPPORTED, FAILED)

Message = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Job:
    """What is trained; the same for every contender.

    Args:
        model: a name of `benchmarks.train_speed.MODELS`.
        network: a name of `benchmarks.train_speed.NETWORKS`.
        hidden: units of the encoder's dense hidden layers; the decoder mirrors them.
        latent_size: latent dimensions.
        batch_size: examples per step; the last step of an epoch takes what is left.
        learning_rate: of Adam.
        data: path of an `.npy` file, float32 [N, H, W, C] in [0, 1].
        seed: for the initial weights, the order of the examples and the latent noise.
        threads: CPUs to use, or None for all.
        filters: channels of the encoder's convolutions, each of which halves the image, before the dense
            layers; the decoder mirrors them. Empty for a network without convolutions.
    """

    model: str
    network: str
    hidden: tuple[int, ...]
    latent_size: int
    batch_size: int
    learning_rate: float
    data: str
    seed: int = 0
    threads: int | None = None
    filters: tuple[int, ...] = ()

    def to_json(self) -> Message:
        """Returns a dictionary that `from_json` reads."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Job":
        """Returns the job that `to_json` wrote."""
        return cls(**{**values, "hidden": tuple(values["hidden"]), "filters": tuple(values["filters"])})


class EpochClock:
    """Takes the time and the mean loss of every epoch, wherever the training loop lives."""

    def __init__(self) -> None:
        self.begins: list[float] = []
        self.ends: list[float] = []
        self.losses: list[float] = []

    def begin(self) -> None:
        """Call it just before an epoch's first step."""
        self.begins.append(time.perf_counter())

    def end(self, loss: float) -> None:
        """Call it after an epoch's last step.

        Args:
            loss: the epoch's mean loss in nats. A Python float: what a device still has to
                compute must be done before the clock stops.
        """
        self.ends.append(time.perf_counter())
        self.losses.append(float(loss))

    @property
    def seconds(self) -> float:
        """From the beginning of the first epoch to the end of the last."""
        return self.ends[-1] - self.begins[0]

    @property
    def epoch_seconds(self) -> list[float]:
        """The time of each epoch."""
        return [end - begin for begin, end in zip(self.begins, self.ends, strict=True)]


class Trainer(Protocol):
    """What a contender's module returns: a model in training."""

    parameters: int
    device: str

    def train(self, epochs: int, clock: EpochClock) -> int:
        """Trains on, tells the clock of each epoch and returns the optimizer's steps taken."""


def write(stream: IO[str], message: Message) -> None:
    """Writes one message and flushes."""
    stream.write(json.dumps(message) + "\n")
    stream.flush()


def read(stream: IO[str]) -> Message | None:
    """Reads one message, blocking without use of CPU; None at the end of the stream."""
    line = stream.readline()
    return json.loads(line) if line else None
