"""What a process may be told about its part, and what it finds out before it starts."""

import os
import socket
import time

import pytest

from keras_vae.tuning.distributed import Distribution

IP, PORT, TUNER = "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT", "KERASTUNER_TUNER_ID"


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"role": "boss"}, "role"),
        ({"address": ""}, "address"),
        ({"address": "http://host"}, "address"),
        ({"address": "host:8000"}, "address"),
        ({"address": None}, "address"),
        ({"port": 0}, "port"),
        ({"port": 65536}, "port"),
        ({"port": "8000"}, "port"),
        ({"port": True}, "port"),
        ({"tuner_id": ""}, "tuner_id"),
        ({"tuner_id": "a/b"}, "tuner_id"),
        ({"tuner_id": "chief"}, "tuner_id"),
        ({"role": "chief"}, "tuner_id"),
        ({"connect_timeout": 0}, "connect_timeout"),
        ({"call_timeout": float("inf")}, "call_timeout"),
        ({"heartbeat": -1}, "heartbeat"),
        ({"patience": 5, "heartbeat": 3}, "patience"),
    ],
)
def test_wrong_arguments_are_named(changes, named):
    right = {"role": "worker", "address": "localhost", "port": 8000, "tuner_id": "a"}
    Distribution(**right)
    with pytest.raises(ValueError, match=f"argument `{named}`"):
        Distribution(**{**right, **changes})


def test_environment_is_read_as_kerastuner_reads_it():
    chief = Distribution.from_environment({IP: "10.0.0.1", PORT: "8000", TUNER: "the-chief"})
    assert chief == Distribution("chief", "10.0.0.1", 8000, "the-chief")
    worker = Distribution.from_environment({IP: "[::1]", PORT: "8000", TUNER: "tuner7"})
    assert worker == Distribution("worker", "::1", 8000, "tuner7")
    assert Distribution.from_environment({TUNER: "tuner7"}) is None


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({IP: "10.0.0.1", TUNER: "a"}, PORT),
        ({IP: "10.0.0.1", PORT: "8000"}, TUNER),
        ({PORT: "8000", TUNER: "a"}, IP),
        ({IP: "", PORT: "8000", TUNER: "a"}, IP),
        ({IP: "10.0.0.1", PORT: "eight", TUNER: "a"}, PORT),
        ({IP: "10.0.0.1", PORT: "-8", TUNER: "a"}, PORT),
        ({IP: "10.0.0.1", PORT: "80000", TUNER: "a"}, "port"),
    ],
)
def test_a_partial_or_wrong_environment_is_refused(environ, named):
    with pytest.raises(ValueError, match=f"argument `{named}`"):
        Distribution.from_environment(environ)


def test_environment_is_set_and_put_back(monkeypatch):
    monkeypatch.setenv(IP, "10.9.9.9")
    monkeypatch.delenv(PORT, raising=False)
    monkeypatch.delenv(TUNER, raising=False)
    worker = Distribution("worker", "::1", 8000, "a")
    with worker.environment():
        assert [os.environ[name] for name in (IP, PORT, TUNER)] == ["[::1]", "8000", "a"]
        assert Distribution.from_environment() == worker
    assert os.environ[IP] == "10.9.9.9"
    assert PORT not in os.environ
    assert TUNER not in os.environ


def test_a_chief_finds_out_that_its_port_is_taken():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        chief = Distribution("chief", "127.0.0.1", other.getsockname()[1], "chief")
        with pytest.raises(ValueError, match=r"argument `port`.*in use.*another port"):
            chief.check()
    chief.check()
    # 192.0.2.0/24 is for documentation (RFC 5737): no machine has it.
    with pytest.raises(ValueError, match=r"192\.0\.2\.1"):
        Distribution("chief", "192.0.2.1", chief.port, "chief").check()


def test_a_worker_finds_out_that_there_is_no_chief():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        worker = Distribution("worker", "127.0.0.1", port, "a", connect_timeout=0.7)
        start = time.monotonic()
        with pytest.raises(ConnectionError, match=f"127.0.0.1:{port} did not answer for 0.7 seconds"):
            worker.check()
        assert 0.7 <= time.monotonic() - start < 10
