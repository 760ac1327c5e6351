"""Thousands of malformed requests: none is answered by a server error, and the server lives on."""

import asyncio
import base64
import copy
import gzip
import json
import random
import socket

import pytest

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
