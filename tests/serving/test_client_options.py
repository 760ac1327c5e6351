"""Addresses, certificates, compression and retries: what concerns one transport, or none."""

import subprocess
import sys

import grpc
import httpx
import numpy as np
import pytest

from keras_vae.serving import TLS, Client, Retries, ServerUnreachable, ServingError
from keras_vae.serving.client.options import parse_url
from keras_vae.serving.client.rest import RestTransport
from keras_vae.serving.wire.status import Code, RequestError
from tests.serving.fake_server import FakeServer

X = np.ones((2, 3), np.float32)


def rest_client(handler, url="http://models.test", compress=False, **options):
    client = Client(url, "m", retries=Retries(attempts=2, sleep=lambda seconds: None), **options)
    client._transport = RestTransport(parse_url(url), TLS(), {}, compress, httpx.MockTransport(handler))
    return client


# As TensorFlow Serving's documentation shows half_plus_two, and an initializer as newer SavedModels have.
HALF_PLUS_TWO = """{
"model_spec": {"name": "half_plus_two", "signature_name": "", "version": "123"},
"metadata": {"signature_def": {"signature_def": {
  "__saved_model_init_op": {"inputs": {}, "outputs": {"__saved_model_init_op": {"dtype": "DT_INVALID",
    "tensor_shape": {"dim": [], "unknown_rank": true}, "name": "NoOp"}}, "method_name": "", "defaults": {}},
  "serving_default": {
    "inputs": {"x": {"dtype": "DT_FLOAT", "tensor_shape": {"dim": [{"size": "-1", "name": ""},
      {"size": "1", "name": ""}], "unknown_rank": false}, "name": "x:0"}},
    "outputs": {"y": {"dtype": "DT_FLOAT", "tensor_shape": {"dim": [{"size": "-1", "name": ""},
      {"size": "1", "name": ""}], "unknown_rank": false}, "name": "y:0"}},
    "method_name": "tensorflow/serving/predict"}}}}
}"""


def test_tensorflow_servings_own_metadata_are_read():
    client = rest_client(lambda request: httpx.Response(200, content=HALF_PLUS_TWO))
    metadata = client.metadata("half_plus_two")
    assert metadata.version == 123 and metadata.signatures.keys() == {"serving_default"}
    assert metadata.signatures["serving_default"].inputs["x"].shape.as_list() == [None, 1]


def test_a_path_before_the_api_is_kept():
    """As behind a proxy that serves several."""
    fake, asked = FakeServer(), []

    def handle(request):
        asked.append(str(request.url))
        return fake.handle(httpx.Request("GET", "http://models.test/v1/models/m_encoder"))

    rest_client(handle, "http://models.test/team/a/").status("m encoder/1")
    assert asked == ["http://models.test/team/a/v1/models/m%20encoder%2F1"]


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        (httpx.Response(200, content=b"<html>"), Code.INTERNAL, "not TensorFlow Serving's"),
        (httpx.Response(200, content=b"{}"), Code.INTERNAL, "not TensorFlow Serving's"),
        (
            httpx.Response(502, content=b"<html>bad gateway"),
            Code.UNAVAILABLE,
            "HTTP 502 Bad Gateway: <html>bad",
        ),
        (httpx.Response(401), Code.UNAUTHENTICATED, "HTTP 401 Unauthorized"),
        (httpx.Response(404, json=["error"]), Code.NOT_FOUND, 'HTTP 404 Not Found: ["error"]'),
    ],
)
def test_answers_of_others_than_tensorflow_serving(answer, code, words):
    client = rest_client(lambda request: answer)
    for ask in (client.metadata, client.status):
        with pytest.raises(ServingError) as caught:
            ask("m")
        assert caught.value.code == code and words in caught.value.message


@pytest.mark.parametrize(
    ("error", "code", "tries"),
    [
        (httpx.ReadTimeout("slow"), Code.DEADLINE_EXCEEDED, 1),
        (httpx.RemoteProtocolError("Server disconnected"), Code.UNAVAILABLE, 2),
        (httpx.DecodingError("no gzip"), Code.INTERNAL, 1),
        (httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed"), Code.UNAVAILABLE, 1),
    ],
)
def test_failures_on_the_way(error, code, tries):
    asked = []

    def fail(request):
        asked.append(request)
        raise error

    with pytest.raises(ServingError) as caught:
        rest_client(fail).status("m")
    assert caught.value.code == code and len(asked) == tries
    assert ("TLS(ca=" in str(caught.value)) == ("CERTIFICATE" in str(error))


def test_a_server_that_takes_no_compression_is_sent_none():
    fake = FakeServer()
    fake.takes_gzip = False
    client = rest_client(fake.handle, compress=True)
    large = np.zeros((5000, 3), np.float32)
    for _ in range(2):
        assert np.array_equal(client.reconstruct(large), large)
    assert fake.kinds() == ["metadata", "gzip", "predict", "predict"]


def test_a_bad_request_says_nothing_of_compression():
    fake = FakeServer()
    client = rest_client(fake.handle, compress=True)
    large = np.zeros((5000, 3), np.float32)
    client.metadata("m_model")
    client.reconstruct(X)
    fake.failures = [(Code.INVALID_ARGUMENT, "no")] * 2
    with pytest.raises(ServingError):
        client.reconstruct(large)
    client.reconstruct(large)
    assert [r.headers.get("content-encoding") for r in fake.heard if r.kind == "predict"][-1] == "gzip"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("localhost:8501", "an address such as"),
        ("localhost", "an address such as"),
        ("", "an address such as"),
        (8501, "an address such as"),
        ("htp://localhost", "Did you mean 'http'?"),
        ("http://", "an address such as"),
        ("http://localhost:port", "an address such as"),
        ("http://localhost?x=1", "an address such as"),
        ("grpc://localhost", "TF Serving's port is 8500"),
        ("grpc://localhost:8500/v1", "no path"),
        ("http://me:secret@localhost:8501", "without user and password"),
        ("grpc://me@localhost:8500", "without user and password"),
    ],
)
def test_addresses_that_are_none(url, words):
    with pytest.raises(ValueError) as caught:
        Client(url, "m")
    assert "argument `url`" in str(caught.value) and words in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "package"), [("http://localhost:8501", "httpx"), ("grpc://localhost:8500", "grpc")]
)
def test_without_the_extra_the_client_says_what_to_install(url, package, monkeypatch):
    monkeypatch.delitem(
        sys.modules, f"keras_vae.serving.client.{url[:4].replace('http', 'rest')}", raising=False
    )
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf"{package} is not installed.*keras-vae\[serving\]"):
        Client(url, "m")


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"model": ""}, "model"),
        ({"version": -1}, "version"),
        ({"version": True}, "version"),
        ({"version": "3"}, "version"),
        ({"batch_size": 0}, "batch_size"),
        ({"batch_size": 1.5}, "batch_size"),
        ({"timeout": 0}, "timeout"),
        ({"version": 2**63}, "version"),
        ({"headers": {"Authorization": "Bearer x\n"}}, "headers"),
        ({"headers": {"Authorization": b"Bearer x"}}, "headers"),
        ({"tls": TLS()}, "tls"),
    ],
)
def test_bad_options(options, name):
    with pytest.raises(ValueError, match=f"argument `{name}`"):
        Client("http://localhost:8501", **options)


def test_bad_arguments_of_the_words():
    client = rest_client(FakeServer().handle)
    for ask, name in (
        (lambda: client.sample(0), "count"),
        (lambda: client.sample(1.0), "count"),
        (lambda: client.sample(1, seed=1.5), "seed"),
        (lambda: client.sample(1, seed=(1, 2, 3)), "seed"),
        (lambda: client.predict("", X), "servable"),
        (lambda: client.predict("m", X, version="7"), "version"),
        (lambda: Client("http://localhost:8501").encode(X), "model"),
    ):
        with pytest.raises(ValueError, match=f"argument `{name}`"):
            ask()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A self-signed certificate of localhost, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    files = folder / "server.pem", folder / "server.key"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ]
    subject = ["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    try:
        subprocess.run(
            [*command, *subject, "-out", files[0], "-keyout", files[1]], check=True, capture_output=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"openssl makes no certificate: {error}")
    return files


def test_grpc_by_tls_and_the_clients_own_certificate(certificate):
    pem, key = certificate
    pair = [(key.read_bytes(), pem.read_bytes())]
    credentials = grpc.ssl_server_credentials(pair, pem.read_bytes(), require_client_auth=True)
    server, port = FakeServer().start_grpc(credentials)
    try:
        url = f"grpcs://localhost:{port}"
        with Client(url, "m", tls=TLS(ca=pem, certificate=pem, key=key)) as client:
            assert np.array_equal(client.reconstruct(X), X / 2)
        # Without one of its own, the client is turned away.
        stranger = Client(url, "m", tls=TLS(ca=pem), retries=Retries(attempts=1))
        with stranger, pytest.raises(ServingError):
            stranger.reconstruct(X)
    finally:
        server.stop(None)


def test_https_by_tls(certificate):
    import http.server
    import ssl
    import threading

    pem, key = certificate

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(HALF_PLUS_TWO.encode())

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("localhost", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"https://localhost:{server.server_port}"
    try:
        with Client(url, tls=TLS(ca=pem)) as client:
            assert client.metadata("half_plus_two").version == 123
        with Client(url) as client, pytest.raises(ServerUnreachable, match=r"TLS\(ca="):
            client.metadata("half_plus_two")
    finally:
        server.shutdown()
        server.server_close()


def test_bad_certificates(certificate, tmp_path):
    pem, _ = certificate
    for arguments, name in (
        ({"ca": tmp_path / "none.pem"}, "ca"),
        ({"certificate": pem}, "key"),
        ({"key": pem}, "certificate"),
    ):
        with pytest.raises(ValueError, match=f"argument `{name}`"):
            TLS(**arguments)


class Clock:
    """Time that passes only by waiting."""

    def __init__(self):
        self.now, self.waits = 100.0, []

    def sleep(self, seconds):
        self.now += seconds
        self.waits.append(seconds)


def failing(times, error):
    """A call that fails so often, and then tells how much time was left each time."""
    left = []

    def call(remaining):
        left.append(remaining)
        if len(left) <= times:
            raise error
        return left

    return call


BUSY = RequestError(Code.UNAVAILABLE, "busy")


def test_waits_are_uniform_up_to_bounds_that_double():
    waits = []
    for seed in range(400):
        clock = Clock()
        retries = Retries(attempts=6, first=0.1, longest=1.0, seed=seed, sleep=clock.sleep, clock=lambda: 0.0)
        retries.run(failing(5, BUSY), timeout=60)
        waits.append(clock.waits)
    bounds = np.array([0.1, 0.2, 0.4, 0.8, 1.0])
    fractions = np.array(waits) / bounds
    assert fractions.min() >= 0 and fractions.max() <= 1
    # Standard error of a uniform's mean over 400 draws is 0.0144: five of them.
    np.testing.assert_allclose(fractions.mean(0), 0.5, atol=0.072)
    assert fractions.min() < 0.01 and fractions.max() > 0.99


def test_the_same_seed_waits_alike():
    clocks = Clock(), Clock()
    for clock in clocks:
        Retries(seed=3, sleep=clock.sleep).run(failing(3, BUSY), 60)
    assert clocks[0].waits == clocks[1].waits


def test_the_deadline_bounds_tries_and_waits_together():
    clock = Clock()
    retries = Retries(
        attempts=100, first=1.0, longest=1.0, seed=0, sleep=clock.sleep, clock=lambda: clock.now
    )
    call = failing(100, BUSY)
    with pytest.raises(RequestError, match="busy"):
        retries.run(call, timeout=5.0)
    assert 3.0 < sum(clock.waits) < 5.0
    clock = Clock()
    retries = Retries(attempts=4, seed=0, sleep=clock.sleep, clock=lambda: clock.now)
    left = retries.run(failing(3, BUSY), timeout=5.0)
    np.testing.assert_allclose(left, 5.0 - np.cumsum([0.0, *clock.waits]))


@pytest.mark.parametrize(("attempts", "failures", "waits"), [(1, 1, 0), (3, 9, 2), (3, 2, 2), (3, 0, 0)])
def test_tries_are_counted(attempts, failures, waits):
    clock = Clock()
    retries = Retries(attempts=attempts, sleep=clock.sleep)
    if failures >= attempts:
        with pytest.raises(RequestError):
            retries.run(failing(failures, BUSY), 60)
    else:
        assert len(retries.run(failing(failures, BUSY), 60)) == failures + 1
    assert len(clock.waits) == waits


def test_what_is_too_large_is_too_large_again():
    words = "Sent message larger than max (72000000 vs. 67108864)"
    clock = Clock()
    with pytest.raises(RequestError):
        Retries(sleep=clock.sleep).run(failing(9, RequestError(Code.RESOURCE_EXHAUSTED, words)), 60)
    assert not clock.waits


@pytest.mark.parametrize(
    "options", [{"attempts": 0}, {"attempts": True}, {"first": -1}, {"longest": float("nan")}]
)
def test_bad_retries(options):
    with pytest.raises(ValueError, match=f"argument `{next(iter(options))}`"):
        Retries(**options)
