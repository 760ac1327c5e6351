"""Thousands of malformed requests: none is answered by a server error, and the server lives on."""

import asyncio
import base64
import copy
import gzip
import json
import random
import socket
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import predict_pb2

from keras_vae.serving.server import Limits, Server
from tests.serving import affine

REQUESTS = 10_000
AT_ONCE = 25
LIMITS = Limits(max_rows=64, max_body=20_000, timeout=60)
IMAGE = {"b64": base64.b64encode(affine.png(7)).decode()}
BODIES = [
    {"instances": [[1.5, 2, 3], [4, 5, -6e-3]]},
    {"instances": [{"x": [1, 2, 3]}], "signature_name": "serving_default"},
    {"inputs": {"x": [[1, 2, 3]]}},
    {"signature_name": "sample", "inputs": {"seed": [0, 1], "count": 2}},
    {"signature_name": "brightness", "instances": [IMAGE, IMAGE]},
    {"examples": [{"x": 1.0}]},
]
VALUES = [
    None,
    True,
    0,
    -1,
    2**31,
    10**400,
    1e308,
    float("nan"),
    float("-inf"),
    "",
    "x",
    "\ud800",
    "\x00",
    [],
    [[]],
    [[[]]],
    {},
    {"b64": ""},
    {"b64": "!"},
    {"b64": 1},
    {"b64": "AAAA"},
    {"x": [1, 2, 3]},
    "serving_default",
    "__saved_model_init_op",
]
PATHS = ["/v1/models/line:predict", "/v1/models/line/versions/1:predict", "/v1/models/line:classify"]
PIECES = [
    "/v1",
    "/models",
    "/line",
    "/versions",
    "/1",
    ":predict",
    "/metadata",
    "/labels",
    "/",
    "%",
    "%00",
    ":",
]
PIECES += ["?", "#", "..", "%zz", "%ff", "é", "9" * 30, "\n", " ", "/monitoring/prometheus/metrics"]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "line"
    affine.save(folder, 1, 2.0)
    with Server(folder, 0, 0, limits=LIMITS, poll_interval=0) as running:
        yield running


def _nodes(value, path=()):
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from _nodes(item, (*path, key))


def _misshapen(draw):
    """A valid body in which one value is another."""
    body = copy.deepcopy(draw.choice(BODIES))
    *path, last = draw.choice(list(_nodes(body))[1:])
    place = body
    for key in path:
        place = place[key]
    if draw.random() < 0.2:
        del place[last]
    else:
        place[last] = copy.deepcopy(draw.choice(VALUES))
    return json.dumps(body).encode()


def _mangled(draw):
    """A valid body of which bytes are lost, doubled, changed."""
    body = bytearray(json.dumps(draw.choice(BODIES)).encode())
    for _ in range(draw.randint(1, 4)):
        begin = draw.randrange(len(body) + 1)
        end = min(len(body), begin + draw.randint(0, 5))
        body[begin:end] = draw.choice(
            [b"", body[begin:end] * 2, draw.randbytes(draw.randint(1, 3)), b"[", b'"']
        )
    return bytes(body)


def _request(draw):
    """Method, path, headers and body."""
    make = draw.choice([_misshapen, _misshapen, _mangled, lambda draw: draw.randbytes(draw.randint(0, 40))])
    method, path, headers, body = "POST", draw.choice(PATHS), {}, make(draw)
    kind = draw.random()
    if kind < 0.2:
        method = draw.choice(["GET", "POST", "PUT", "HEAD", "OPTIONS", "TRACE", "X"])
        path = "".join(draw.choices(PIECES, k=draw.randint(1, 8)))
    elif kind < 0.3:
        packed = gzip.compress(body)
        headers["content-encoding"] = "gzip"
        body = draw.choice([packed, packed[: draw.randrange(len(packed))], body, packed * 2])
    elif kind < 0.33:
        headers["content-length"] = draw.choice(["-1", "x", "9" * 30, "9" * 5000, "٣"])
    elif kind < 0.35:
        body = body * 2000
    return method, path, headers, body


async def _ask(app, method, path, headers, body):
    """Status and body of the answer, by the application itself."""
    sent = []
    to_come = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive():
        return to_come.pop() if to_come else await asyncio.get_running_loop().create_future()

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    await app(scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent)


async def _good(app):
    status, body = await _ask(app, "POST", PATHS[0], {}, b'{"inputs": [[1, 2, 3]]}')
    return status == 200 and json.loads(body)["outputs"]["y"] == affine.line([[1, 2, 3]], 2).tolist()


def test_no_malformed_request_makes_the_server_fail(server):
    draw = random.Random(0)
    requests = [_request(draw) for _ in range(REQUESTS)]
    statuses = dict[int, int]()

    async def run():
        app = server.app
        assert await _good(app)
        for begin in range(0, REQUESTS, AT_ONCE):
            batch = requests[begin : begin + AT_ONCE]
            answers = await asyncio.gather(*(_ask(app, *request) for request in batch))
            for request, (status, body) in zip(batch, answers, strict=True):
                statuses[status] = statuses.get(status, 0) + 1
                assert status < 500, (request, body)
                if status >= 400 and request[1] != "/monitoring/prometheus/metrics":
                    assert list(json.loads(body)) == ["error"], (request, body)
        assert await _good(app)

    asyncio.run(run())
    # Every kind of answer came, so the requests were no heap of the same mistake.
    assert statuses.keys() == {200, 400, 404, 413}
    assert min(statuses.values()) > 50
    assert server.predictor.in_flight == 0


@pytest.mark.parametrize("port, requests", [("rest_port", 300), ("grpc_port", 100)])
def test_no_noise_on_a_socket_makes_the_server_fail(server, port, requests):
    draw = random.Random(1)
    for _ in range(requests):
        method, path, _, body = _request(draw)
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        noise = bytearray(
            draw.choice([head + body, draw.randbytes(60), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + body])
        )
        for _ in range(draw.randint(0, 3)):
            noise[draw.randrange(len(noise))] = draw.randrange(256)
        with socket.create_connection((server.host, getattr(server, port)), timeout=60) as connection:
            try:
                connection.sendall(noise)
                connection.shutdown(socket.SHUT_WR)
                answer = b"".join(iter(lambda: connection.recv(65536), b""))
            except TimeoutError:
                raise
            except OSError:  # the server hung up
                continue
            assert not answer.startswith(b"HTTP/1.1 5"), (noise, answer)
    assert asyncio.run(_good(server.app))


GRPC_REQUESTS = 4_000
TENSORS = {
    "serving_default": {"x": np.ones([2, 3], np.float32)},
    "sample": {"seed": np.array([0, 1], np.int32), "count": np.int32(2)},
    "brightness": {"image_bytes": np.array([affine.png(7)], object)},
}
NUMBERS = [-(2**63), -1, 0, 1, 2, 3, 65, 2**31, 2**62, 2**63 - 1]


def _tensor_spoilt(draw, tensor):
    """One field of a `TensorProto` is another."""
    kind = draw.randrange(9)
    sizes = tensor.tensor_shape
    if kind == 0:
        tensor.dtype = draw.choice([*types_pb2.DataType.values(), -1, 77, 2**31 - 1])
    elif kind == 1:
        for dimension in sizes.dim[: draw.randint(1, 2)]:
            dimension.size = draw.choice(NUMBERS)
    elif kind == 2:
        sizes.dim.add(size=draw.choice(NUMBERS))
    elif kind == 3:
        sizes.unknown_rank = True
    elif kind == 4:
        tensor.tensor_content = draw.choice([tensor.tensor_content[:-1], draw.randbytes(draw.randint(0, 40))])
    elif kind == 5:
        tensor.float_val.extend(draw.choice([[1.0], [float("nan")] * 6, [1e38] * 7]))
    elif kind == 6:
        tensor.int_val.extend([draw.choice([-1, 0, 2**31 - 1])] * draw.randint(1, 3))
    elif kind == 7:
        tensor.string_val.extend([draw.randbytes(draw.randint(0, 9))] * draw.randint(1, 3))
    else:
        tensor.ClearField(draw.choice(["dtype", "tensor_shape", "tensor_content"]))


def _message_spoilt(draw):
    """A request that the protocol allows and the server should not, or not always."""
    name = draw.choice(list(TENSORS))
    message = predict_pb2.PredictRequest()
    message.model_spec.name, message.model_spec.signature_name = "line", name
    for key, value in TENSORS[name].items():
        message.inputs[key].CopyFrom(tf.make_tensor_proto(value))
    key = draw.choice(list(TENSORS[name]))
    for _ in range(draw.randint(1, 2)):
        kind = draw.random()
        if kind < 0.6:
            _tensor_spoilt(draw, message.inputs[key])
        elif kind < 0.7:
            message.model_spec.version.value = draw.choice(NUMBERS)
        elif kind < 0.75:
            message.model_spec.version_label = draw.choice(["", "stable", "\x00", "é" * 9])
        elif kind < 0.8:
            message.model_spec.signature_name = draw.choice(["", "sample", "__saved_model_init_op", "\x00"])
        elif kind < 0.85:
            message.model_spec.name = draw.choice(["", "other", "../line", "\x00"])
        elif kind < 0.9:
            message.output_filter.append(draw.choice(["", "y", "x", "y", "no"]))
        elif kind < 0.95:
            message.inputs[draw.choice(["", "x", "seed", "no"])].CopyFrom(message.inputs[key])
        elif key in message.inputs:
            del message.inputs[key]
    return message.SerializeToString()


def _bytes_spoilt(draw):
    """A request of which bytes are lost, doubled, changed."""
    contents = bytearray(_message_spoilt(draw))
    for _ in range(draw.randint(1, 4)):
        begin = draw.randrange(len(contents) + 1)
        end = min(len(contents), begin + draw.randint(0, 5))
        contents[begin:end] = draw.choice([b"", contents[begin:end] * 2, draw.randbytes(draw.randint(1, 3))])
    return bytes(contents)


def _is_message(contents):
    try:
        predict_pb2.PredictRequest.FromString(contents)
    except DecodeError:
        return False
    return True


def test_no_malformed_message_makes_the_server_fail(server):
    """Errors of the server's own are INTERNAL or UNKNOWN; gRPC itself says INTERNAL of what is no message."""
    draw = random.Random(2)
    sent = [
        draw.choice([_message_spoilt, _message_spoilt, _bytes_spoilt])(draw) for _ in range(GRPC_REQUESTS)
    ]
    with grpc.insecure_channel(f"{server.host}:{server.grpc_port}") as channel:
        predict = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")

        def code(contents):
            try:
                predict_pb2.PredictResponse.FromString(predict(contents, timeout=60))
            except grpc.RpcError as error:
                return error.code().name, error.details()
            return "OK", ""

        with ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(code, sent))
        for contents, (name, words) in zip(sent, answers, strict=True):
            allowed = name not in ("INTERNAL", "UNKNOWN", "DEADLINE_EXCEEDED", "UNAVAILABLE")
            assert allowed or (name == "INTERNAL" and not _is_message(contents)), (contents, name, words)
    counts = Counter(name for name, _ in answers)
    assert counts.keys() >= {"OK", "INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION", "INTERNAL"}, counts
    assert min(counts.values()) > 10, counts
    assert server.predictor.in_flight == 0
    assert asyncio.run(_good(server.app))
