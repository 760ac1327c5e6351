"""Chiefs and workers as processes of their own, that minimise x² in trials of some tenths of a second.

The processes are forked from one that has imported what they need, since imports take longer than the trials.
"""

import contextlib
import json
import multiprocessing
import os
import signal
import socket
import time
from pathlib import Path

import keras_tuner
from keras_tuner.engine.base_tuner import BaseTuner

from keras_vae.tuning.distributed import Distribution, join, serve

# A busy machine is slow; what hangs, hangs for longer.
LONGEST = 60.0

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["tests.tuning.cluster"])


class Square(BaseTuner):
    """Logs when a trial starts and ends; it lasts for some time or until a file, its gate, exists.

    There is a gate for each trial of this process, the last one for all that follow.
    """

    run = 0

    def run_trial(self, trial, log, seconds, gates):
        self._log(log, trial, "start")
        gate = gates[min(self.run, len(gates) - 1)] if gates else None
        self.run += 1
        end = time.monotonic() + (LONGEST if gate else seconds)
        while time.monotonic() < end and not (gate and os.path.exists(gate)):
            time.sleep(0.02)
        self._log(log, trial, "end")
        x = trial.hyperparameters.get("x")
        if x is None or (x > 0 and trial.hyperparameters.get("fails")):
            raise ArithmeticError(f"{x} has no square")
        return x**2

    def _log(self, log, trial, what):
        # One write at the end of the file, so the lines of several processes do not mix.
        with open(log, "ab", buffering=0) as file:
            file.write(f"{self.tuner_id} {trial.trial_id} {what}\n".encode())


def tuner(folder, oracle="random", trials=6, fails=False):
    space = keras_tuner.HyperParameters()
    space.Fixed("fails", fails)
    if oracle == "grid":
        space.Choice("x", [float(x) for x in range(trials)])
        made = keras_tuner.oracles.GridSearchOracle(hyperparameters=space, objective=_objective())
    else:
        space.Float("x", 0.5, 1.0)
        made = keras_tuner.oracles.RandomSearchOracle(
            objective=_objective(), max_trials=trials, seed=7, hyperparameters=space
        )
    return Square(made, directory=str(folder), project_name="search")


def _objective():
    return keras_tuner.Objective("default_objective", "min")


def play(distribution, folder, log, seconds, gates, options):
    """One process's part."""
    output = os.open(f"{folder}/{distribution.tuner_id}.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    with distribution.environment():
        mine = tuner(folder, **options)
    if distribution.role == "chief":
        mine.save()
        serve(mine.oracle, distribution)
    else:
        with join(mine.oracle, distribution):
            mine.search(log=log, seconds=seconds, gates=gates)


class Cluster:
    """A search's folder and port, and the processes at work on it."""

    def __init__(self, folder, patience=4.0, heartbeat=0.3, **options):
        self.folder = Path(folder)
        self.port = free_port()
        self.times = {"patience": patience, "heartbeat": heartbeat, "connect_timeout": 30, "call_timeout": 40}
        self.options = options
        self.log = self.folder / "log"
        self.log.touch()
        self.processes = []

    def distribution(self, tuner_id, **times):
        role = "chief" if tuner_id == "chief" else "worker"
        return Distribution(role, "127.0.0.1", self.port, tuner_id, **{**self.times, **times})

    def start(self, tuner_id, seconds=0.2, gates=(), **times):
        arguments = (
            self.distribution(tuner_id, **times),
            str(self.folder),
            str(self.log),
            seconds,
            [str(self.folder / gate) for gate in gates],
            self.options,
        )
        process = _forks.Process(target=play, args=arguments, name=tuner_id)
        process.start()
        self.processes.append(process)
        return process

    def open(self, gate):
        (self.folder / gate).touch()

    def events(self, tuner_id=None, what=None):
        """(tuner id, trial id, "start" or "end") in their order."""
        lines = [tuple(line.split()) for line in self.log.read_text().splitlines()]
        return [e for e in lines if tuner_id in (None, e[0]) and what in (None, e[2])]

    def said(self, tuner_id):
        path = self.folder / f"{tuner_id}.txt"
        return path.read_text() if path.exists() else ""

    def trials(self):
        """What the chief's files say of each trial."""
        paths = sorted(self.folder.glob("search/trial_*/trial.json"))
        return [json.loads(path.read_text()) for path in paths]

    def stop_all(self):
        for process in self.processes:
            if process.is_alive():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)
            process.join()


def wait_until(condition, what, seconds=LONGEST):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds:g} s for: {what}"
        time.sleep(0.02)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
