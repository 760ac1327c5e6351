"""Joined requests get the answers they would get alone, and none suffers for its neighbours."""

import threading
from concurrent.futures import CancelledError, ThreadPoolExecutor

import numpy as np
import pytest

from keras_vae.serving.server.batching import Batcher, Batching
from keras_vae.serving.server.runners import Direct

WAIT = 60  # seconds after which a test that hangs fails


class Recorder:
    """Doubles x row by row, once it is let; keeps the sizes of the runs."""

    def __init__(self):
        self.gate, self.begun, self.rows = threading.Event(), threading.Event(), []

    def __call__(self, inputs):
        self.begun.set()
        assert self.gate.wait(WAIT)
        x = inputs["x"]
        self.rows.append(len(x))
        if np.any(x == 13):
            raise ValueError("13 is not served")
        return {"y": 2 * x, "total": x.reshape(len(x), -1).sum(1)}


@pytest.fixture
def batcher_of():
    made = []

    def make(run, batching=None, **options):
        made.append(Batcher(run, batching or Batching(timeout=0), **options))
        return made[-1]

    yield make
    for batcher in made:
        batcher.close()


def rows(*values):
    return {"x": np.array(values, np.float32)[:, None]}


def queued(batcher, run, *requests):
    """What was submitted while a first request kept the batcher busy, which is then let go."""
    first = batcher.submit(rows(0))
    assert run.begun.wait(WAIT)
    futures = [batcher.submit(request) for request in requests]
    return first, futures


def test_what_arrives_during_a_run_is_joined_in_the_next(batcher_of):
    run, told = Recorder(), []
    batcher = batcher_of(run, observe=lambda *counts: told.append(counts))
    first, futures = queued(batcher, run, rows(1), rows(2, 3), rows(4))
    run.gate.set()
    assert first.result(WAIT)["y"].tolist() == [[0]]
    assert [future.result(WAIT)["y"].ravel().tolist() for future in futures] == [[2], [4, 6], [8]]
    assert [future.result(WAIT)["total"].tolist() for future in futures] == [[1], [2, 3], [4]]
    assert run.rows == [1, 4]
    assert told == [(1, 1), (3, 4)]


def test_a_request_that_fails_leaves_its_neighbours_alone(batcher_of):
    run = Recorder()
    batcher = batcher_of(run)
    _, (good, bad, other) = queued(batcher, run, rows(1), rows(13), rows(2))
    run.gate.set()
    assert good.result(WAIT)["y"].tolist() == [[2]]
    assert other.result(WAIT)["y"].tolist() == [[4]]
    with pytest.raises(ValueError, match="13 is not served"):
        bad.result(WAIT)


def test_a_withdrawn_request_is_not_run(batcher_of):
    run = Recorder()
    batcher = batcher_of(run)
    _, (kept, dropped) = queued(batcher, run, rows(1), rows(2, 3, 4))
    assert dropped.cancel()
    run.gate.set()
    assert kept.result(WAIT)["y"].tolist() == [[2]]
    with pytest.raises(CancelledError):
        dropped.result(WAIT)
    assert run.rows == [1, 1]


def test_a_batch_is_no_larger_than_allowed_and_a_larger_request_runs_alone(batcher_of):
    run = Recorder()
    batcher = batcher_of(run, Batching(3, timeout=0))
    _, futures = queued(batcher, run, rows(1, 2), rows(3, 4), rows(5), rows(*range(6, 11)))
    run.gate.set()
    assert [future.result(WAIT)["total"].tolist() for future in futures] == [
        [1, 2],
        [3, 4],
        [5],
        [6, 7, 8, 9, 10],
    ]
    assert sorted(run.rows) == [1, 2, 3, 5]


def test_only_rows_of_the_same_shape_are_joined(batcher_of):
    run = Recorder()
    batcher = batcher_of(run)
    wide = {"x": np.ones([1, 2], np.float32)}
    _, futures = queued(batcher, run, rows(1), wide, rows(2), wide)
    run.gate.set()
    assert [future.result(WAIT)["y"].shape[1] for future in futures] == [1, 2, 1, 2]
    assert run.rows == [1, 2, 2]


def test_padding_reaches_an_allowed_size_and_no_answer(batcher_of):
    run = Recorder()
    run.gate.set()
    batcher = batcher_of(run, Batching(8, timeout=0, allowed_batch_sizes=(1, 4, 8)))
    assert batcher.run(rows(1, 2, 3))["y"].ravel().tolist() == [2, 4, 6]
    assert batcher.run(rows(5))["y"].tolist() == [[10]]
    assert batcher.run(rows(*range(9)))["y"].ravel().tolist() == [2 * value for value in range(9)]
    assert run.rows == [4, 1, 9]


def test_results_that_are_not_row_by_row_are_not_split(batcher_of):
    run = Recorder()

    def unique(inputs):
        run(inputs)
        return {"y": np.unique(inputs["x"])}

    batcher = batcher_of(unique)
    _, futures = queued(batcher, run, rows(1, 1), rows(2, 2))
    run.gate.set()
    assert [future.result(WAIT)["y"].tolist() for future in futures] == [[1], [2]]


def test_inputs_of_unequal_rows_reach_nobody_else(batcher_of):
    run = Recorder()
    batcher = batcher_of(run)
    uneven = {"x": np.ones([2, 1], np.float32), "c": np.ones([1, 1], np.float32)}
    even = {"x": np.ones([1, 1], np.float32), "c": np.ones([1, 1], np.float32)}
    _, futures = queued(batcher, run, uneven, even, even)
    run.gate.set()
    assert [len(future.result(WAIT)["y"]) for future in futures] == [2, 1, 1]
    assert run.rows == [1, 2, 2]


def test_who_waits_in_line_may_lose_patience(batcher_of):
    run = Recorder()
    batcher = batcher_of(run)
    first, _ = queued(batcher, run)
    with pytest.raises(TimeoutError):
        batcher.run(rows(1), timeout=0.01)
    run.gate.set()
    first.result(WAIT)
    assert batcher.run(rows(2))["y"].tolist() == [[4]]
    assert run.rows == [1, 1]


def test_a_lone_request_never_waits_for_company(batcher_of):
    """With a time-out of an hour, this would not end."""
    run = Recorder()
    run.gate.set()
    batcher = batcher_of(run, Batching(timeout=3600))
    for value in range(3):
        assert batcher.run(rows(value))["y"].tolist() == [[2 * value]]
        assert batcher.submit(rows(value)).result(WAIT)["y"].tolist() == [[2 * value]]


def test_many_callers_get_their_own_answers(batcher_of):
    run = Recorder()
    run.gate.set()
    batcher = batcher_of(run, Batching(8, timeout=0.001))

    def ask(seed):
        x = np.random.default_rng(seed).normal(size=(1 + seed % 3, 2)).astype(np.float32)
        call = batcher.run if seed % 2 else lambda inputs: batcher.submit(inputs).result(WAIT)
        return np.array_equal(call({"x": x})["y"], 2 * x)

    with ThreadPoolExecutor(16) as clients:
        assert all(clients.map(ask, range(400)))
    assert max(run.rows) <= 8
    assert sum(run.rows) == sum(1 + seed % 3 for seed in range(400))


def test_direct_runs_each_alone():
    run = Recorder()
    run.gate.set()
    with ThreadPoolExecutor(2) as executor:
        direct = Direct(run, executor)
        futures = [direct.submit(rows(value)) for value in range(3)]
        assert [future.result(WAIT)["total"].tolist() for future in futures] == [[0], [1], [2]]
        assert direct.run(rows(1, 2))["total"].tolist() == [1, 2]
    assert sorted(run.rows) == [1, 1, 1, 2]


@pytest.mark.parametrize(
    "name, options",
    [
        ("max_batch_size", {"max_batch_size": 0}),
        ("timeout", {"timeout": -1}),
        ("timeout", {"timeout": float("nan")}),
        ("allowed_batch_sizes", {"allowed_batch_sizes": (8, 4)}),
        ("allowed_batch_sizes", {"max_batch_size": 8, "allowed_batch_sizes": (4, 16)}),
        ("allowed_batch_sizes", {"max_batch_size": 8, "allowed_batch_sizes": (0, 8)}),
    ],
)
def test_options_out_of_range_are_refused(name, options):
    with pytest.raises(ValueError, match=f"argument `{name}`"):
        Batching(**options)
