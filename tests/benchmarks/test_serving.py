"""The benchmark of serving runs in small, and notices what it is there to notice."""

import contextlib
import re
import threading

import numpy as np
import pytest
import tensorflow as tf

import keras_vae.serving
from benchmarks import serving
from keras_vae.serving.server import Batching, Server


class Decoder(tf.Module):
    """In the decoder's place: quick to write, and its versions differ."""

    def __init__(self, factor):
        super().__init__()
        self.factor = tf.Variable(factor)

    @tf.function(input_signature=[tf.TensorSpec([None, serving.LATENT], tf.float32, "z")], autograph=False)
    def decode(self, z):
        return {"mean": self.factor * z}


@pytest.fixture
def small(monkeypatch):
    def export(folder, hidden, seed=0):
        decoder = Decoder(1.0 + seed)
        signatures = {"serving_default": decoder.decode}
        tf.saved_model.save(decoder, str(folder / serving.DECODER / "1"), signatures=signatures)
        return 1.25

    monkeypatch.setattr(serving, "export", export)


@pytest.fixture
def in_process(monkeypatch):
    """Servers without a process of their own; gives the options they were started with."""
    started = []

    @contextlib.contextmanager
    def server_process(folder, *options):
        started.append(options)
        batching = None if "--no-batching" in options else Batching()
        with Server(folder / serving.DECODER, 0, 0, batching=batching) as server:
            rest, grpc = f"{server.host}:{server.rest_port}", f"{server.host}:{server.grpc_port}"
            yield {"http": f"http://{rest}", "grpc": f"grpc://{grpc}"}

    monkeypatch.setattr(serving, "server_process", server_process)
    return started


def test_latency_and_throughput_are_printed(small, in_process, capsys):
    parts = ["--only", "export", "latency", "throughput"]
    serving.main([*parts, "--rounds", "3", "--clients", "4", "--requests", "40"])
    printed = capsys.readouterr().out
    assert printed.startswith("export: 1.2 s")
    for name in ("core", "core, unbatched", "gRPC", "REST"):
        assert re.search(rf"^latency, {name}: median [\d.]+ ms, 99 % [\d.]+ ms, [\d.]+ times", printed, re.M)
    assert re.search(r"^latency, bare: .* 1.00 times bare$", printed, re.M)
    for place, bound in (("core", ""), ("gRPC", r", echo \d+"), ("REST", "")):
        rates = rf"batched \d+, unbatched \d+{bound} req"
        assert re.search(rf"^throughput, {place}, 4 clients: {rates}", printed, re.M)
    assert in_process == [(), ("--batching",), ("--no-batching",)]


def test_a_switch_of_versions_fails_no_request(small, capsys):
    """With a server in a process of its own, as it is measured."""
    serving.main(["--only", "switch", "--switch-requests", "60", "--switch-clients", "2"])
    total, first, second, failures = map(
        int, re.findall(r"\d+", _without_versions(capsys.readouterr().out))[:4]
    )
    assert failures == 0 and total == first + second >= 60
    assert first >= 30 and second >= 1


def _without_versions(printed):
    return re.sub(r"version \d", "version", printed)


def test_wrong_answers_and_failures_are_counted(small, in_process, monkeypatch, capsys):
    asked, lock = [], threading.Lock()

    @contextlib.contextmanager
    def client(url):
        def decode(z):
            with lock:
                asked.append(z)
                number = len(asked)
            if number == 3:
                raise RuntimeError("no answer")
            return z * (7.0 if number == 5 else 1.0 if number < 30 else 2.0)

        yield decode

    monkeypatch.setattr(serving, "client", client)
    serving.main(["--only", "switch", "--switch-requests", "60", "--switch-clients", "2"])
    printed = capsys.readouterr().out
    assert "2 failures" in printed
    assert "1 times RuntimeError: no answer" in printed and "1 times of neither version" in printed


def test_an_export_is_the_models(tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(keras_vae.serving, "export", lambda model, folder: written.append((model, folder)))
    assert serving.export(tmp_path, [4]) >= 0
    ((model, folder),) = written
    assert folder == tmp_path / "mnist"
    assert (model.data_shape, model.latent_shape) == (serving.EVENT, (serving.LATENT,))


def test_requests_per_second_asks_as_often_as_told():
    asked, lock = [], threading.Lock()

    def call(z):
        with lock:
            asked.append(z)

    assert serving.per_second(call, clients=3, requests=10) > 0
    assert len(asked) == 10
    assert len({z.tobytes() for z in asked}) == 3


def test_a_failure_is_raised():
    def fail(z):
        raise RuntimeError("no answer")

    with pytest.raises(RuntimeError, match="no answer"):
        serving.per_second(fail, clients=2, requests=4)


def test_medians_are_compared(capsys):
    values = {"bare": np.array([1e-3, 2e-3, 3e-3]), "core": np.array([2e-3, 3e-3, 9e-3])}
    serving.print_latency(values)
    assert "latency, core: median 3.00 ms, 99 % 8.88 ms, 1.50 times bare (target" in capsys.readouterr().out
