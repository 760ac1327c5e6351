"""A chief and its workers in one process, where each moment can be chosen."""

import contextlib
import threading
import time
from concurrent import futures

import grpc
import keras_tuner
import pytest
from keras_tuner.src import protos
from keras_tuner.src.distribute.oracle_chief import OracleServicer
from keras_tuner.src.distribute.oracle_client import OracleClient
from keras_tuner.src.engine.trial import Trial

from keras_vae.tuning.chief import Chief, serve
from keras_vae.tuning.distributed import Distribution, join
from keras_vae.tuning.wire import Call
from tests.tuning.cluster import free_port, wait_until

PATIENCE, HEARTBEAT = 10.0, 0.2


def make_oracle(folder, kind=keras_tuner.oracles.RandomSearchOracle, trials=3, **arguments):
    space = keras_tuner.HyperParameters()
    space.Float("x", 0.0, 1.0)
    oracle = kind(
        objective=keras_tuner.Objective("loss", "min"),
        max_trials=trials,
        seed=3,
        hyperparameters=space,
        **arguments,
    )
    oracle.verbose = 0
    oracle._set_project_dir(str(folder), "search")
    return oracle


@pytest.fixture
def oracle(tmp_path):
    return make_oracle(tmp_path)


@pytest.fixture
def port():
    return free_port()


def distribution(port, tuner_id="a", **times):
    times = {"patience": PATIENCE, "heartbeat": HEARTBEAT, "connect_timeout": 20, "call_timeout": 20, **times}
    return Distribution("chief" if tuner_id == "chief" else "worker", "127.0.0.1", port, tuner_id, **times)


class Serving(threading.Thread):
    """A chief in a thread, and what it raised."""

    def __init__(self, oracle, port, **times):
        super().__init__(daemon=True)
        self.oracle, self.distribution, self.error = oracle, distribution(port, "chief", **times), None
        self.start()

    def run(self):
        try:
            serve(self.oracle, self.distribution)
        except Exception as error:
            self.error = error

    def end(self):
        self.join(30)
        assert not self.is_alive()


def client(port, tuner_id="a"):
    with distribution(port, tuner_id).environment():
        return OracleClient(None)


@contextlib.contextmanager
def joined(port, tuner_id="a", **times):
    mine = client(port, tuner_id)
    with join(mine, distribution(port, tuner_id, **times)) as session:
        yield mine, session


def run(worker, trial, loss=0.5):
    worker.update_trial(trial.trial_id, {"loss": loss})
    trial.status = "COMPLETED"
    worker.end_trial(trial)


def test_clients_calls_do_what_the_oracle_does(oracle, port):
    chief = Serving(oracle, port)
    with joined(port, "b") as (_, idle), joined(port) as (worker, session):
        assert [each.name for each in worker.get_space().space] == ["x"]
        trial = worker.create_trial("a")
        assert session.trial_id == trial.trial_id
        assert trial.hyperparameters.values == oracle.trials[trial.trial_id].hyperparameters.values
        # A trial under way is the same however often it is asked for.
        assert worker.create_trial("a").trial_id == trial.trial_id
        run(worker, trial, 0.25)
        assert session.trial_id is None
        found = worker.get_trial(trial.trial_id)
        assert (found.score, found.status) == (0.25, "COMPLETED")
        run(worker, worker.create_trial("a"), 0.125)
        assert [best.score for best in worker.get_best_trials(2)] == [0.125, 0.25]
        with pytest.raises(ValueError, match=r"Objective value missing.*'loss'"):
            worker.update_trial(worker.create_trial("a").trial_id, {"accuracy": 1.0})
        assert not session.is_over
        run(worker, worker.create_trial("a"))
        assert session.is_over
        assert worker.create_trial("a").status == "STOPPED"
        # One that asks for nothing, because it computes, hears it too.
        wait_until(lambda: idle.is_over, "the answer to a sign of life")
    chief.end()
    assert chief.error is None


def test_nobody_goes_home_while_a_trial_may_come_back(oracle, port):
    chief = Serving(oracle, port)
    with joined(port, "b") as (other, _):
        with joined(port, "a") as (worker, _):
            lost = worker.create_trial("a").trial_id
            worker.update_trial(lost, {"loss": 0.25})
            for _ in range(2):
                run(other, other.create_trial("b"))
            start = time.monotonic()
            assert other.create_trial("b").status == "IDLE"
            # KerasTuner asks again at once, so the answer takes its time.
            assert time.monotonic() - start >= HEARTBEAT
        # Its worker has left in the middle.
        trial = other.create_trial("b")
        assert trial.trial_id == lost
        # What it had reported is not the next one's.
        assert not other.get_trial(lost).metrics.exists("loss")
        run(other, trial)
        assert oracle.trials[lost].score == 0.5
        assert other.create_trial("b").status == "STOPPED"
    chief.end()


def test_two_workers_at_one_trial_do_not_mix_their_figures(oracle, port):
    chief = Serving(oracle, port, patience=1.0)
    with joined(port, "late") as (late, session):
        trial = late.create_trial("late")
        # It falls silent, as a suspended process does.
        session._has_left.set()
        wait_until(lambda: trial.trial_id in oracle._retry_queue, "the trial to be taken away")
        session._has_left.clear()
        with joined(port, "b") as (other, _):
            same = other.create_trial("b")
            assert same.trial_id == trial.trial_id
            late.update_trial(trial.trial_id, {"loss": 0.75})
            assert not other.get_trial(trial.trial_id).metrics.exists("loss")
            assert late.get_trial(trial.trial_id).metrics.exists("loss")
            other.update_trial(trial.trial_id, {"loss": 0.25})
            # A failure of the one it was taken from does not end it.
            failed = late.get_trial(trial.trial_id)
            failed.status = "FAILED"
            late.end_trial(failed)
            assert oracle.trials[trial.trial_id].status == "RUNNING"
            late.update_trial(trial.trial_id, {"loss": 0.75})
            same.status = "COMPLETED"
            other.end_trial(same)
            assert oracle.trials[trial.trial_id].score == 0.25
            # What comes after is taken without complaint, and not used.
            run(late, trial, 0.0)
            assert oracle.trials[trial.trial_id].score == 0.25
            assert oracle.end_order == [trial.trial_id]
            for _ in range(2):
                run(other, other.create_trial("b"))
    chief.end()


def test_an_id_of_a_live_worker_is_refused_and_free_again_after_it(oracle, port):
    chief = Serving(oracle, port)
    with joined(port) as (first, _):
        start = time.monotonic()
        taken = r"argument `tuner_id`.*is the id of a worker that runs at"
        with pytest.raises(ValueError, match=taken), joined(port):
            pass
        # Three heartbeats and two seconds, in which the first would have been missed.
        assert 2.6 <= time.monotonic() - start < 15
        run(first, first.create_trial("a"))
    with joined(port) as (second, _):
        for _ in range(2):
            run(second, second.create_trial("a"))
    chief.end()


def test_a_chief_that_stays_away_is_an_error_after_the_time_out(oracle, port):
    server = grpc.server(futures.ThreadPoolExecutor(1))
    protos.get_service_grpc().add_OracleServicer_to_server(Chief(oracle, distribution(port, "chief")), server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    with joined(port, call_timeout=1.0) as (worker, _):
        trial = worker.create_trial("a")
        server.stop(None).wait()
        start = time.monotonic()
        with pytest.raises(ConnectionError, match=f"127.0.0.1:{port} did not answer for 1 seconds"):
            worker.end_trial(trial)
        assert 1.0 <= time.monotonic() - start < 15
    with pytest.raises(ConnectionError, match="has left the search"):
        worker.get_space()


def test_an_unreachable_chief_is_an_error_within_the_time_out(port):
    start = time.monotonic()
    message = f"127.0.0.1:{port} did not answer for 0.5 seconds"
    with pytest.raises(ConnectionError, match=message), joined(port, connect_timeout=0.5):
        pass
    assert 0.5 <= time.monotonic() - start < 15


def test_kerastuners_own_chief_and_client_are_told_apart(oracle, port):
    server = grpc.server(futures.ThreadPoolExecutor(1))
    protos.get_service_grpc().add_OracleServicer_to_server(OracleServicer(oracle), server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    with pytest.raises(RuntimeError, match="a chief of KerasTuner's own"), joined(port):
        pass
    server.stop(None).wait()
    chief = Serving(oracle, port)
    with pytest.raises(grpc.RpcError) as caught:
        client(port).create_trial("a")
    assert caught.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert not oracle.trials
    with joined(port) as (worker, _):
        for _ in range(3):
            run(worker, worker.create_trial("a"))
    chief.end()


def test_a_heartbeat_too_slow_for_the_chief_is_refused(oracle, port):
    chief = distribution(port, "chief", patience=2.0)
    server = grpc.server(futures.ThreadPoolExecutor(1))
    protos.get_service_grpc().add_OracleServicer_to_server(Chief(oracle, chief), server)
    server.add_insecure_port(chief.target)
    server.start()
    message = r"heartbeat of 1\.5 s is too slow.*after 2 s"
    with pytest.raises(ValueError, match=message), joined(port, heartbeat=1.5):
        pass
    server.stop(None).wait()


class FullDisk(keras_tuner.oracles.RandomSearchOracle):
    def populate_space(self, trial_id):
        raise OSError(28, "No space left on device")


def test_what_breaks_the_oracle_ends_the_search_everywhere(tmp_path, port):
    chief = Serving(make_oracle(tmp_path, FullDisk), port)
    with joined(port, "b") as (idle, session):
        message = r"ended on the chief.*No space left on device"
        with joined(port) as (worker, _), pytest.raises(RuntimeError, match=message):
            worker.create_trial("a")
        # The other one hears it with its next sign of life.
        wait_until(lambda: session._failure is not None, "the news")
        with pytest.raises(RuntimeError, match="No space left on device"):
            idle.create_trial("b")
    chief.end()
    assert isinstance(chief.error, OSError)


def test_wrong_sides_are_refused(oracle, port):
    with pytest.raises(ValueError, match="the role 'chief' to serve"):
        serve(oracle, distribution(port))
    with pytest.raises(ValueError, match="argument `oracle`"):
        serve(client(port), distribution(port, "chief"))
    with pytest.raises(ValueError, match="gives it a folder"):
        serve(keras_tuner.oracles.RandomSearchOracle(), distribution(port, "chief"))
    with pytest.raises(ValueError, match="the role 'worker' to join"):
        join(client(port), distribution(port, "chief")).__enter__()
    with pytest.raises(ValueError, match="argument `client`"):
        join(oracle, distribution(port)).__enter__()
    running = Serving(oracle, port)
    with joined(port) as (worker, _):
        with pytest.raises(ValueError, match="argument `port`"):
            serve(oracle, distribution(port, "chief"))
        for _ in range(3):
            run(worker, worker.create_trial("a"))
    running.end()


def test_who_is_missed_when(oracle, port, capsys):
    """The chief's rounds at chosen times."""
    chief = Chief(oracle, distribution(port, "chief"))
    now = time.monotonic()
    call = Call("a", "host:1:x", HEARTBEAT)

    def rounds(until):
        nonlocal now
        while now < until:
            now += 0.2
            chief.look_round(now)

    rounds(now + 1)
    assert capsys.readouterr().err.count("0 of 3 trials are over; waits for workers at 127.0.0.1") == 1
    chief.meet(call)
    lost = chief._next_trial("a").trial_id
    met = now = time.monotonic()
    rounds(met + PATIENCE - 0.5)
    assert "a" in oracle.ongoing_trials
    # The chief's own machine sleeps for an hour: that is no silence of the worker's.
    now += 3600
    assert not chief.look_round(now)
    assert "a" in oracle.ongoing_trials
    rounds(now + 1)
    assert oracle.ongoing_trials == {}
    assert oracle._retry_queue == [lost]
    rounds(now + 5)
    said = capsys.readouterr().err
    assert said.count(f"its trial {lost} goes to the next") == 1
    assert said.count("waits for workers") == 1
    # It was only late, and nobody has taken the trial.
    chief.meet(Call("a", "host:1:x", HEARTBEAT, trial_id=lost))
    assert oracle.ongoing_trials["a"].trial_id == lost
    assert oracle._retry_queue == []


def test_how_long_the_chief_of_a_search_that_is_over_stays(oracle, port, tmp_path):
    def seconds_until_the_end(chief):
        start = now = time.monotonic()
        while not chief.look_round(now):
            now += 0.1
        return now - start

    chief = Chief(oracle, distribution(port, "chief"))
    chief.meet(Call("a", "host:1:x", HEARTBEAT))
    for _ in range(3):
        assert not chief.is_over
        trial = chief._next_trial("a")
        oracle.update_trial(trial.trial_id, {"loss": 0.5})
        ended = Trial.from_proto(trial.to_proto())
        ended.status = "COMPLETED"
        chief._end_trial(ended, "a")
    # The worker dies before it can be told: it is missed after three heartbeats and a second.
    assert 3 * HEARTBEAT + 0.9 <= seconds_until_the_end(chief) <= 3 * HEARTBEAT + 1.3
    # A chief that was started again stays until workers have had the time to come back and hear of the end.
    again = make_oracle(tmp_path)
    again.reload()
    assert 2 * HEARTBEAT + 1.9 <= seconds_until_the_end(Chief(again, distribution(port, "chief"))) <= 3
