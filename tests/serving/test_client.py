"""The client asks what it is told to, and gives what was answered, over REST and over gRPC alike."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest
import tensorflow as tf

from keras_vae.serving import TLS, Client, Retries, ServerUnreachable, ServingError
from keras_vae.serving.client.batches import split
from keras_vae.serving.client.metadata import SignatureSpecs
from keras_vae.serving.client.options import parse_url
from keras_vae.serving.client.rest import RestTransport
from keras_vae.serving.wire.status import Code, State, VersionStatus
from tests.serving.fake_server import FakeServer, Z

X = np.random.default_rng(0).normal(size=(10, 3)).astype("float32")
URL = "http://models.test:8501"


@pytest.fixture
def fake():
    return FakeServer()


@pytest.fixture(params=["rest", "grpc"])
def connect(request, fake):
    """Makes clients of the fake server; waits between tries take no time."""
    clients = []

    def over_rest(**options):
        client = Client(URL, "m", **_patient(options))
        wire = httpx.MockTransport(fake.handle)
        given = options.get("headers", {}), options.get("compress", False)
        client._transport = RestTransport(parse_url(URL), TLS(), *given, wire=wire)
        clients.append(client)
        return client

    def over_grpc(**options):
        clients.append(Client(f"grpc://localhost:{port}", "m", **_patient(options)))
        return clients[-1]

    server, port = fake.start_grpc() if request.param == "grpc" else (None, None)
    yield over_rest if request.param == "rest" else over_grpc
    for client in clients:
        client.close()
    if server is not None:
        server.stop(None).wait()


def _patient(options):
    return {"retries": Retries(sleep=lambda seconds: None), **options}


@pytest.fixture
def client(connect):
    return connect()


def equal(received, expected):
    np.testing.assert_array_equal(received, np.asarray(expected), strict=True)


def test_the_models_words(client, fake):
    """Each asks its servable's signature, and float32 goes through exactly."""
    encoded = client.encode(X)
    assert encoded.keys() == {"mean", "stddev"}
    equal(encoded["mean"], X[:, :2])
    z = encoded["mean"]
    equal(client.sample_posterior(X, seed=(5, 0)), X[:, :2] + 5)
    equal(client.decode(z), np.stack([*z.T, z.sum(1)], 1))
    equal(client.sample(4, seed=(1, 2)), np.random.default_rng([1, 2]).random((4, 3), np.float32))
    equal(client.interpolate(z[0], z[1], 5), np.linspace(z[0], z[1], 5, dtype=np.float32))
    equal(client.reconstruct(X), X / 2)
    equal(client.log_likelihood(X, num_samples=4, seed=1), -X.sum(1) * 4)
    equal(client.anomaly_score(X, num_samples=8, seed=1), X.sum(1) * 8)
    asked = [(r.servable, r.signature) for r in fake.heard if r.kind == "predict"]
    assert asked == [
        ("m_encoder", "serving_default"),
        ("m_encoder", "sample"),
        ("m_decoder", "serving_default"),
        ("m_decoder", "sample"),
        ("m_decoder", "interpolate"),
        ("m_model", "reconstruct"),
        ("m_model", "log_likelihood"),
        ("m_model", "anomaly_score"),
    ]


def test_float32_of_every_kind_arrives_as_it_left(client):
    bits = np.random.default_rng(1).integers(0, 2**32, 3000, dtype=np.uint32)
    bits[:2] = 0x15AE43FD, 0x7F7FFFFF
    values = bits.view(np.float32)
    values = values[np.isfinite(values)][: len(values) // 6 * 3].reshape(-1, 3)
    equal(client.encode(values)["mean"], values[:, :2])


def test_an_integer_seed_is_the_models(client, fake):
    """Both halves of 64 bits, as `LatentVariableModel.sample` reads them."""
    client.sample(1, seed=2**32 + 7)
    client.sample(1, seed=-1)
    assert [r.inputs["seed"].tolist() for r in fake.heard if r.kind == "predict"] == [[7, 1], [-1, -1]]


def test_without_a_seed_draws_differ(client):
    assert not np.array_equal(client.sample(4), client.sample(4))


def test_bytes_and_text(client):
    out = client.predict("strings", {"s": [b"\x00\xff\x00", "π", b""]})
    assert out["s_bytes"].tolist() == [b"\x00\xff\x00", "π".encode(), b""]
    equal(out["length"], np.array([3, 2, 0]))


def test_encoded_images_have_names_of_their_own(client):
    client.model = "images"
    assert client.reconstruct([b"a\x00", b"b\xff"]).tolist() == [b"b\xff", b"a\x00"]
    equal(client.classify([b"", b"abc"]), np.array([[0, 0], [3, 0]], np.float32))


def test_what_a_model_does_not_give_is_said(client, fake):
    client.model = "labelled"
    with pytest.raises(ValueError, match="argument `signature`"):
        client.interpolate(X[0], X[1], 3)
    logits = ({"z": Z}, {"logits": Z}, lambda z: {"logits": z})
    fake.servables = {"labelled_decoder": {"serving_default": logits}}
    with pytest.raises(ValueError, match=r"one that gives mean. Received: logits\. Ask for these by predict"):
        client.decode(X[:, :2])


def test_status_and_metadata(client):
    failed = VersionStatus(6, State.END, Code.INTERNAL, "no space left")
    assert client.status("m_encoder") == [VersionStatus(7, State.AVAILABLE), failed]
    metadata = client.metadata("m_encoder")
    assert (metadata.servable, metadata.version) == ("m_encoder", 7)
    specs = metadata.signatures["sample"]
    assert {name: (spec.shape.as_list(), spec.dtype.name) for name, spec in specs.inputs.items()} == {
        "x": ([None, 3], "float32"),
        "seed": ([2], "int32"),
    }
    assert specs.outputs["z"].shape.as_list() == [None, 2]


def test_metadata_are_asked_once_for_each_version(client, fake):
    for version in (None, None, 3, 3, "stable", "stable"):
        client.predict("m_encoder", {"x": X}, version=version)
    asked = [(r.kind, r.version) for r in fake.heard]
    assert asked == [
        (kind, version) for version in (None, 3, "stable") for kind in ("metadata", "predict", "predict")
    ]


def test_the_clients_version_is_the_default(connect, fake):
    client = connect(version="canary")
    client.encode(X)
    client.status("m_encoder", version=2)
    client.status("m_encoder")
    asked = [(r.kind, r.version) for r in fake.heard]
    # What a label stands for is asked anew: it may have moved.
    assert asked == [
        ("metadata", "canary"),
        ("predict", "canary"),
        ("status", 2),
        ("metadata", "canary"),
        ("status", 7),
    ]


def test_what_no_longer_fits_is_held_against_the_newest_version(client, fake):
    client.predict("m_encoder", X, signature=None)
    identity = ({"x": Z}, {"mean": Z}, lambda x: {"mean": x})
    fake.servables = {"m_encoder": {"serving_default": identity}}
    equal(client.encode(X[:, :2])["mean"], X[:, :2])
    # A version with a number is what it was.
    client.predict("m_encoder", X[:, :2], version=3)
    with pytest.raises(ValueError, match="argument `x`"):
        client.predict("m_encoder", X, version=3)
    assert fake.kinds() == ["metadata", "predict", "metadata", "predict", "metadata", "predict"]


@pytest.mark.parametrize("batch_size", [1, 4, 5, 10, 11])
def test_large_arrays_go_in_parts_and_come_back_whole(connect, fake, batch_size):
    client = connect(batch_size=batch_size)
    equal(client.decode(X[:, :2]), np.stack([*X.T[:2], X[:, :2].sum(1)], 1))
    rows = [len(r.inputs["z"]) for r in fake.heard if r.kind == "predict"]
    assert max(rows) <= batch_size and sum(rows) == len(X) and len(rows) == -(-len(X) // batch_size)


def test_parts_have_seeds_of_their_own(connect, fake):
    client = connect(batch_size=4)
    client.sample_posterior(X, seed=(1, 2))
    client.sample(10, seed=(1, 2))
    heard = [r for r in fake.heard if r.kind == "predict"]
    assert [int(r.inputs["count"]) for r in heard[3:]] == [4, 4, 2]
    for requests in (heard[:3], heard[3:]):
        seeds = [tuple(r.inputs["seed"].tolist()) for r in requests]
        assert len(set(seeds)) == 3 and seeds[0] == (1, 2)
    # The same seed gives the same parts.
    equal(client.sample(10, seed=(1, 2)), client.sample(10, seed=(1, 2)))


def test_conditions_of_rows_that_are_made_go_together():
    specs = SignatureSpecs(
        {"steps": tf.TensorSpec([], tf.int32), "y": tf.TensorSpec([None], tf.int32)},
        {"mean": tf.TensorSpec([None, 2], tf.float32)},
    )
    inputs = {"steps": np.int32(6), "y": np.arange(6, dtype="int32")}
    assert split(inputs, specs, 4) == [inputs]


@pytest.mark.parametrize("y", [3, np.zeros(2, "int32")])
def test_conditions_that_fit_no_rows_are_refused(connect, y):
    with pytest.raises(ValueError, match="argument `y`"):
        connect().sample(8, 0, y=y)


def test_conditions_go_with_their_rows(connect):
    client = connect(batch_size=2)
    client.model = "labelled"
    equal(client.sample(5, 0, y=np.arange(5, dtype="int32")), np.arange(5, dtype="float32"))
    equal(client.sample(5, 0, y=np.array([3], "int32")), np.full(5, 3, "float32"))


def test_what_is_not_made_row_by_row_cannot_be_split(connect):
    with pytest.raises(ValueError, match=r"`batch_size`.*total of shape \(\) for 4 rows"):
        connect(batch_size=4).predict("total", X)
    assert connect().predict("total", X)["total"] == pytest.approx(X.sum(), rel=1e-6)


def test_no_rows_are_no_error(connect):
    equal(connect(batch_size=4).reconstruct(X[:0]), X[:0])


@pytest.mark.parametrize(
    ("signature", "inputs", "words"),
    [
        ("nothing", {"x": X}, "`signature`. Expected: one of 'sample', 'serving_default'"),
        ("serving_default", {}, "`inputs`. Expected: 'x'. Received: no inputs"),
        ("serving_default", {"x": X, "y": X}, "Expected: 'x'. Received: 'x', 'y'"),
        ("sample", X, "`inputs`. Expected: a dictionary with 'seed', 'x'"),
        ("serving_default", X[0], "`x`. Expected: shape (None, 3), where None is any size. "
         "Received: shape (3,). Add a batch dimension."),
        ("serving_default", X[:, :2], "Received: shape (10, 2)."),
        ("serving_default", [[1, 2, 3], [4, 5]], "lists of unequal lengths"),
        ("serving_default", np.full((2, 3), np.nan), "finite numbers of float32. Received: nan at [0, 0]"),
        ("serving_default", [[0, 0, 1e39]], "Received: 1e+39 at [0, 2]"),
        ("serving_default", [["a", "b", "c"]], "`x`. Expected: numbers"),
        ("serving_default", X + 1j, "`x`. Expected: numbers"),
        ("sample", {"x": X, "seed": [0.0, 1.0]}, "integers (int32). Received: dtype float64"),
        ("sample", {"x": X, "seed": [0, 2**31]}, "integers of int32"),
        ("sample", {"x": X, "seed": [True, False]}, "Received: dtype bool"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_not_sent(client, fake, signature, inputs, words):
    with pytest.raises(ValueError) as caught:
        client.predict("m_encoder", inputs, signature)
    assert words in str(caught.value)
    assert "predict" not in fake.kinds()


def test_integers_and_double_precision_become_float32(client, fake):
    client.encode([[1, 2, 3]])
    client.encode(X.astype(np.float64))
    client.encode(np.ones((1, 3), bool))
    assert all(r.inputs["x"].dtype == np.float32 for r in fake.heard if r.kind == "predict")


def test_strings_are_strings(client):
    with pytest.raises(ValueError, match=r"`s`\. Expected: text or bytes\. Received: a int"):
        client.predict("strings", [1])


@pytest.mark.parametrize("code", [code for code in Code if code != Code.OK])
def test_a_refusal_is_told_in_the_servers_words(client, fake, code):
    client.encode(X)
    fake.failures = [(code, 'Say "no"\nto this.')] * 9
    with pytest.raises(ServingError) as caught:
        client.predict("m_encoder", X, version=3)
    error = caught.value
    # Over REST several codes share one status.
    assert error.code.http == code.http and error.message == 'Say "no"\nto this.'
    assert (error.model, error.version, error.url) == ("m_encoder", 3, client.url)
    assert "m_encoder, version 3, at " in str(error) and error.message in str(error)
    assert not isinstance(error, ServerUnreachable)
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.code, copy.version) == (str(error), error.code, 3)


def test_what_is_not_served_is_not_found(client):
    with pytest.raises(ServingError, match="NOT_FOUND: Servable not found for request") as caught:
        client.status("nothing")
    assert caught.value.code == Code.NOT_FOUND


@pytest.mark.parametrize("code", [Code.UNAVAILABLE, Code.RESOURCE_EXHAUSTED])
def test_what_may_pass_is_tried_again(connect, fake, code):
    waits = []
    client = connect(retries=Retries(attempts=4, sleep=waits.append))
    client.metadata("m_encoder")
    fake.failures = [(code, "busy")] * 3
    fake.heard.clear()
    equal(client.predict("m_encoder", X)["mean"], X[:, :2])
    assert fake.kinds() == ["predict"] * 4 and len(waits) == 3


@pytest.mark.parametrize(
    "code", [Code.INVALID_ARGUMENT, Code.NOT_FOUND, Code.DEADLINE_EXCEEDED, Code.INTERNAL]
)
def test_what_will_not_pass_is_not(connect, fake, code):
    client = connect()
    client.encode(X)
    fake.failures, before = [(code, "no")] * 9, len(fake.heard)
    with pytest.raises(ServingError):
        client.encode(X)
    assert len(fake.heard) == before + 1


def test_headers_go_with_every_request(connect, fake):
    client = connect(headers={"Authorization": "Bearer abc"})
    client.encode(X)
    client.status("m_encoder")
    assert [r.headers["authorization"] for r in fake.heard] == ["Bearer abc"] * 3


def test_large_requests_may_be_compressed(connect, fake):
    client = connect(compress=True)
    large = np.zeros((5000, 3), np.float32)
    equal(client.reconstruct(large), large)
    equal(client.reconstruct(X), X / 2)
    encodings = [r.headers.get("content-encoding") for r in fake.heard if r.kind == "predict"]
    if client.url == URL:
        assert encodings == ["gzip", None]


def test_one_client_serves_many_threads(client):
    def ask(number):
        x = np.full((2, 3), number, np.float32)
        return np.array_equal(client.reconstruct(x), x / 2)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(64)))


def test_a_client_is_a_context(connect):
    with connect() as client:
        client.encode(X)
    with pytest.raises((RuntimeError, ValueError)):
        client.encode(X)


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_no_server_is_told_with_the_address(scheme):
    waits = []
    # Nobody listens on port 1.
    retries = Retries(attempts=3, sleep=waits.append)
    client = Client(f"{scheme}://localhost:1", "m", timeout=20, retries=retries)
    words = f"{scheme}://localhost:1: UNAVAILABLE: No connection: .*Is a server running"
    with client, pytest.raises(ServerUnreachable, match=words) as error:
        client.encode(X)
    assert error.value.code == Code.UNAVAILABLE and len(waits) == 2
