"""A server starts, switches versions under load, drains and stops; no request is lost on the way."""

import importlib
import json
import socket
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor

import grpc
import httpx
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2, prediction_service_pb2_grpc

from keras_vae.serving.server import Batching, Limits, Server
from keras_vae.serving.wire.status import RequestError
from tests.serving import affine

WAIT = 60  # seconds after which a test that hangs fails
X = [[1.0, 2.0, 3.0]]


@pytest.fixture
def home(tmp_path):
    affine.save(tmp_path / "line", 1, 1.0)
    return tmp_path / "line"


def url(server):
    return f"http://{server.host}:{server.rest_port}/v1/models/line:predict"


def over_rest(server, client):
    answer = client.post(url(server), json={"inputs": X}, timeout=WAIT)
    assert answer.status_code == 200, answer.text
    return answer.json()["outputs"]["y"]


def message():
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "line"
    request.inputs["x"].CopyFrom(tf.make_tensor_proto(np.array(X, np.float32)))
    return request


def stub(channel):
    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


class Held:
    """A runner whose requests end when the test says so."""

    def __init__(self):
        self.futures, self.come = [], threading.Semaphore(0)

    def submit(self, inputs):
        self.futures.append(Future())
        self.come.release()
        return self.futures[-1]

    def close(self):
        pass

    def wait(self):
        assert self.come.acquire(timeout=WAIT)
        return self.futures[-1]


def hold(server, monkeypatch):
    """Puts a `Held` in the place of what runs the model."""
    version = server.predictor.versions.acquire("line")
    version.release()
    held = Held()
    monkeypatch.setattr(version, "runners", {**version.runners, "serving_default": held})
    return held


RESULT = {"y": np.array([[7.0]], np.float32)}


def test_no_request_fails_while_versions_switch(home):
    """Clients of both transports ask without pause; every answer is one of a version that was served."""
    with (
        Server(home, 0, 0, poll_interval=0) as server,
        grpc.insecure_channel(f"{server.host}:{server.grpc_port}") as channel,
    ):
        ended, counts, seen = threading.Event(), [0] * 8, set()

        def ask(index):
            with httpx.Client() as client:
                while not ended.is_set():
                    if index % 2:
                        y = over_rest(server, client)
                    else:
                        outputs = stub(channel).Predict(message(), timeout=WAIT).outputs
                        y = tf.make_ndarray(outputs["y"]).tolist()
                    seen.add(y[0][0] - 1)
                    counts[index] += 1

        with ThreadPoolExecutor(len(counts)) as clients:
            asking = [clients.submit(ask, index) for index in range(len(counts))]
            try:
                for version in (2, 3, 4):
                    _until(lambda: min(counts) > 0 or any(each.done() for each in asking))
                    counts[:] = [0] * len(counts)
                    affine.save(home, version, version)
                    server.predictor.versions.poll()
                _until(lambda: 4.0 in seen)
            finally:
                ended.set()
            for each in asking:
                each.result(WAIT)
        assert {1.0, 4.0} <= seen <= {1.0, 2.0, 3.0, 4.0}
        states = [status.state.name for status in server.predictor.versions.status("line")]
        assert states == ["AVAILABLE", "END", "END", "END"]


def _until(condition):
    end = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < end
        threading.Event().wait(0.001)


def test_new_versions_are_found_without_being_told(home):
    with Server(home, 0, None, poll_interval=0.01) as server, httpx.Client() as client:
        assert over_rest(server, client) == affine.line(X, 1).tolist()
        affine.save(home, 2, 2.0)
        _until(lambda: over_rest(server, client) == affine.line(X, 2).tolist())


def test_stopping_lets_requests_under_way_finish(home, monkeypatch):
    server = Server(home, 0, 0, poll_interval=0).start()
    held = hold(server, monkeypatch)
    with grpc.insecure_channel(f"{server.host}:{server.grpc_port}") as channel, ThreadPoolExecutor(2) as pool:
        rest = pool.submit(httpx.post, url(server), json={"inputs": X}, timeout=WAIT)
        held.wait()
        call = stub(channel).Predict.future(message(), timeout=WAIT)
        held.wait()
        stopping = pool.submit(server.stop)
        port = server.rest_port
        _until(lambda: _refused(server.host, port))
        assert not rest.done() and not call.done() and not stopping.done()
        for future in held.futures:
            future.set_result(RESULT)
        assert rest.result(WAIT).json() == {"outputs": [[7.0]]}
        assert tf.make_ndarray(call.result(WAIT).outputs["y"]).tolist() == [[7.0]]
        stopping.result(WAIT)
    assert _refused(server.host, server.grpc_port)
    with pytest.raises(RequestError, match="Servable not found"):
        server.predictor.predict("line", {"x": np.array(X, np.float32)})


def _refused(host, port):
    try:
        socket.create_connection((host, port), timeout=WAIT).close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:
        pass  # it was still let in, by a socket that closed right then
    return False


def test_a_request_that_takes_too_long_is_told_so(home, monkeypatch):
    with Server(home, 0, 0, limits=Limits(timeout=0.1), poll_interval=0) as server:
        held = hold(server, monkeypatch)
        answer = httpx.post(url(server), json={"inputs": X}, timeout=WAIT)
        assert answer.status_code == 504 and "longer" in answer.json()["error"]
        address = f"{server.host}:{server.grpc_port}"
        with grpc.insecure_channel(address) as channel, pytest.raises(grpc.RpcError) as raised:
            stub(channel).Predict(message(), timeout=WAIT)
        assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert "than the server allows" in raised.value.details()
        assert all(future.cancelled() for future in held.futures) and len(held.futures) == 2
        monkeypatch.undo()
        prediction = server.predictor.predict("line", {"x": np.array(X, np.float32)})
        np.testing.assert_array_equal(prediction.outputs["y"], affine.line(X, 1))


def test_a_request_whose_sender_has_gone_is_withdrawn(home, monkeypatch):
    with Server(home, 0, 0, poll_interval=0) as server:
        held = hold(server, monkeypatch)
        body = json.dumps({"inputs": X}).encode()
        head = f"POST /v1/models/line:predict HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        with socket.create_connection((server.host, server.rest_port)) as connection:
            connection.sendall(head.encode() + body)
            future = held.wait()
        _until(future.cancelled)
        with grpc.insecure_channel(f"{server.host}:{server.grpc_port}") as channel:
            call = stub(channel).Predict.future(message(), timeout=WAIT)
            future = held.wait()
            call.cancel()
            _until(future.cancelled)
        _until(lambda: server.predictor.in_flight == 0)


def test_requests_of_many_clients_are_joined_and_answered_right(home):
    with Server(home, 0, None, batching=Batching(16), poll_interval=0) as server:

        def ask(seed):
            x = np.random.default_rng(seed).normal(size=(1 + seed % 2, 3)).astype(np.float32)
            prediction = server.predictor.predict("line", {"x": x}, outputs=["y"])
            return (
                prediction.version,
                prediction.outputs.keys(),
                np.abs(prediction.outputs["y"] - x - 1).max(),
            )

        with ThreadPoolExecutor(8) as clients:
            for version, names, error in clients.map(ask, range(200)):
                # One rounding of float32 at magnitudes below 8.
                assert version == 1 and names == {"y"} and error < 1e-6


@pytest.mark.parametrize(
    "signature, warm_up, state",
    [("serving_default", True, "AVAILABLE"), ("nope", True, "END"), ("nope", False, "AVAILABLE")],
)
def test_warm_up_requests_are_run_before_a_version_serves(home, signature, warm_up, state):
    record = prediction_log_pb2.PredictionLog()
    record.predict_log.request.CopyFrom(message())
    record.predict_log.request.model_spec.signature_name = signature
    extra = home / "1" / "assets.extra"
    extra.mkdir()
    with tf.io.TFRecordWriter(str(extra / "tf_serving_warmup_requests")) as file:
        file.write(record.SerializeToString())
    with Server(home, 0, None, warm_up=warm_up, poll_interval=0) as server:
        (status,) = server.predictor.versions.status("line")
    assert status.state.name == state
    assert ("nope" in status.message) == (state == "END")


def test_a_taken_port_is_said_at_once(home):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for ports in ((port, None), (None, port)):
            with pytest.raises(OSError, match=f"127.0.0.1:{port} cannot be taken"):
                Server(home, *ports).start()


def test_listening_to_other_machines_is_warned_of(home, caplog):
    with Server(home, 0, None, host="0.0.0.0", poll_interval=0):
        assert "other machines" in caplog.text
    caplog.clear()
    with Server(home, 0, None, poll_interval=0):
        assert "other machines" not in caplog.text


def test_what_cannot_be_served_is_refused(home, tmp_path):
    affine.save(tmp_path / "again" / "line", 1, 1.0)
    for folders in ([], tmp_path / "nothing", tmp_path, [home, tmp_path / "again" / "line"]):
        with pytest.raises(ValueError, match="argument `folders`"):
            Server(folders, 0, 0)
    with pytest.raises(ValueError, match="argument `rest_port`"):
        Server(home, None, None)
    with pytest.raises(ValueError, match="argument `drain_timeout`"):
        Server(home, 0, 0, drain_timeout=-1)
    for name in ("timeout", "max_rows", "max_draws", "max_in_flight", "max_body"):
        with pytest.raises(ValueError, match=f"argument `{name}`"):
            Limits(**{name: 0})


def test_a_limit_beyond_what_grpc_takes_is_no_mistake(home):
    with Server(home, None, 0, limits=Limits(max_body=2**40), poll_interval=0) as server:
        assert server.grpc_port


def test_a_server_starts_once(home):
    with Server(home, 0, None, poll_interval=0) as server, pytest.raises(RuntimeError, match="starts once"):
        server.start()
    with pytest.raises(RuntimeError, match="starts once"):
        server.start()


def test_without_the_extra_it_is_said_what_to_install(monkeypatch):
    for name in list(sys.modules):
        if name.startswith("keras_vae.serving.server"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(ImportError, match=r"uvicorn is not installed.*keras-vae\[serving\]"):
        importlib.import_module("keras_vae.serving.server")
