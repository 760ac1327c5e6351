"""Chiefs and workers as real processes on loopback: whoever is killed, every trial is run and none is lost.

What a search must find is known: each trial's score is the square of its x.
"""

import collections
import os
import signal
import time

import pytest

from tests.tuning.cluster import Cluster, wait_until


@pytest.fixture
def cluster(tmp_path):
    made = []

    def make(**options):
        made.append(Cluster(tmp_path, **options))
        return made[-1]

    yield make
    for each in made:
        each.stop_all()


def finish(cluster, *processes):
    for process in processes:
        process.join(60)
        assert process.exitcode == 0, f"{process.name}: {cluster.said(process.name)}"


def assert_all_complete(cluster, count):
    trials = cluster.trials()
    assert [trial["status"] for trial in trials] == ["COMPLETED"] * count
    for trial in trials:
        assert trial["score"] == trial["hyperparameters"]["values"]["x"] ** 2
        # Reported once: a second report at the same step would be a second value there.
        (observation,) = trial["metrics"]["metrics"]["default_objective"]["observations"]
        assert observation["value"] == [trial["score"]]
    values = {trial["hyperparameters"]["values"]["x"] for trial in trials}
    assert len(values) == count


def test_chief_and_two_workers_share_the_trials(cluster):
    search = cluster(trials=8)
    chief, *workers = (search.start(name) for name in ("chief", "a", "b"))
    wait_until(lambda: len(search.events(what="end")) == 8, "8 trials")
    last = time.monotonic()
    finish(search, chief, *workers)
    # KerasTuner's own chief looks every 20 seconds.
    assert time.monotonic() - last < 10
    assert_all_complete(search, 8)
    assert {who for who, _, _ in search.events()} == {"a", "b"}
    runs = collections.Counter(trial for _, trial, what in search.events() if what == "end")
    assert set(runs.values()) == {1}


def test_a_worker_killed_in_a_trial_loses_nothing(cluster):
    search = cluster(trials=5, patience=2.0)
    chief, victim = search.start("chief"), search.start("a", gates=["never"])
    wait_until(lambda: search.events("a", "start"), "a trial of the victim")
    other = search.start("b", seconds=0.1)
    # The other one runs out of new trials before the victim dies, and must not have gone home.
    wait_until(lambda: len(search.events("b", "end")) == 4, "the other trials")
    os.kill(victim.pid, signal.SIGKILL)
    finish(search, chief, other)
    assert_all_complete(search, 5)
    ((_, lost, _),) = search.events("a")
    assert search.events("b")[-1] == ("b", lost, "end")
    runs = collections.Counter(trial for _, trial, what in search.events() if what == "start")
    assert runs.pop(lost) == 2
    assert set(runs.values()) == {1}
    (line,) = [line for line in search.said("chief").splitlines() if "no sign of life" in line]
    assert "worker a" in line
    assert lost in line


def test_a_worker_started_again_gets_its_trial_back(cluster):
    # A patience that does not run out: the trial comes back by the worker's id alone.
    search = cluster(trials=2, patience=50.0)
    chief, victim = search.start("chief"), search.start("a", gates=["never"])
    wait_until(lambda: search.events("a", "start"), "a trial of the victim")
    os.kill(victim.pid, signal.SIGKILL)
    victim.join()
    again = search.start("a", seconds=0.1)
    finish(search, chief, again)
    assert_all_complete(search, 2)
    first, second = search.trials()
    names = [(trial, what) for _, trial, what in search.events()]
    first, second = first["trial_id"], second["trial_id"]
    assert names == [(first, "start"), (first, "start"), (first, "end"), (second, "start"), (second, "end")]


def test_a_chief_killed_and_started_again_takes_its_workers_back(cluster):
    search = cluster(trials=4, patience=20.0)
    chief = search.start("chief")
    a, b = search.start("a", gates=["go-a"]), search.start("b", gates=["go-b"])
    wait_until(lambda: len(search.events(what="start")) == 2, "two trials")
    os.kill(chief.pid, signal.SIGKILL)
    chief.join()
    # One trial ends while there is no chief to tell, the other after it is back.
    search.open("go-a")
    wait_until(lambda: "does not answer" in search.said("a"), "a worker that misses the chief")
    os.kill(b.pid, signal.SIGSTOP)
    chief, c = search.start("chief"), search.start("c")
    # The other trials are over before the second worker is heard of, and its own has not been given away.
    wait_until(lambda: len(search.events(what="end")) == 3, "the other trials")
    os.kill(b.pid, signal.SIGCONT)
    wait_until(lambda: "worker b is still at trial" in search.said("chief"), "a worker that is back")
    search.open("go-b")
    finish(search, chief, a, b, c)
    assert_all_complete(search, 4)
    runs = collections.Counter((trial, what) for _, trial, what in search.events())
    assert len(runs) == 8
    assert set(runs.values()) == {1}


def test_chief_and_worker_killed_together_resume(cluster):
    search = cluster(oracle="grid", trials=3, patience=1.5)
    chief, a = search.start("chief"), search.start("a", gates=["go"])
    wait_until(lambda: search.events("a", "start"), "a trial")
    for process in (chief, a):
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    chief, b = search.start("chief"), search.start("b", seconds=0.1)
    finish(search, chief, b)
    assert_all_complete(search, 3)
    assert "nobody came back for trial" in search.said("chief")
    # A search that is over ends at once, and so do the workers that ask.
    ended = len(search.events())
    chief, c = search.start("chief"), search.start("c")
    finish(search, chief, c)
    assert len(search.events()) == ended


def test_a_late_result_of_a_trial_given_away_counts_once(cluster):
    search = cluster(trials=3, patience=1.5)
    chief, late = search.start("chief"), search.start("a", gates=["go", "go-on"])
    wait_until(lambda: search.events("a", "start"), "a trial")
    os.kill(late.pid, signal.SIGSTOP)
    wait_until(lambda: "no sign of life" in search.said("chief"), "a worker taken for dead")
    other = search.start("b", gates=["go-b"])
    ((_, lost, _),) = search.events("a")
    wait_until(lambda: ("b", lost, "start") in search.events(), "the trial at the other worker")
    # Now both run it. The first to end is the one that was late; then the other delivers the same trial.
    search.open("go")
    os.kill(late.pid, signal.SIGCONT)
    wait_until(lambda: len(search.events("a", "start")) == 2, "a new trial of the late worker")
    search.open("go-b")
    wait_until(lambda: "the first result counts" in search.said("chief"), "the same trial again")
    search.open("go-on")
    finish(search, chief, late, other)
    assert_all_complete(search, 3)


def test_failures_are_recorded_with_their_reason_and_end_the_search(cluster):
    search = cluster(trials=6, fails=True)
    chief, a = search.start("chief"), search.start("a", seconds=0.1)
    for process in (chief, a):
        process.join(60)
        assert process.exitcode == 1
    assert len(search.events(what="start")) == 3
    assert "RuntimeError: Number of consecutive failures exceeded the limit of 3" in search.said("chief")
    assert "The search has ended on the chief" in search.said("a")
    trials = search.trials()
    assert [trial["status"] for trial in trials[:2]] == ["FAILED", "FAILED"]
    assert "ArithmeticError" in trials[0]["message"]
