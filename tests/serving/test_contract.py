"""One suite of requests that TensorFlow Serving and the embedded server must answer alike.

`make test-serving` runs it; the part with TensorFlow Serving's own binary runs where that is on PATH.
"""

import base64
import json

import grpc
import httpx
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import json_format
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from keras_vae.serving import Client, ServingError
from keras_vae.serving.wire.status import Code, State
from tests.serving import contract

X = np.random.default_rng(0).normal(size=(5, *contract.EVENT)).astype("float32")
Z = np.random.default_rng(1).normal(size=(5, contract.LATENT)).astype("float32")


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    return contract.export(tmp_path_factory.mktemp("contract"))


@pytest.fixture(scope="module", params=contract.SERVERS)
def served(request, exported):
    with contract.SERVERS[request.param](exported.folder) as running:
        yield running


@pytest.fixture(scope="module")
def http(served):
    with httpx.Client(base_url=f"{served.rest}/v1", timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def stubs(served):
    with grpc.insecure_channel(served.grpc) as channel:
        yield (
            prediction_service_pb2_grpc.PredictionServiceStub(channel),
            model_service_pb2_grpc.ModelServiceStub(channel),
        )


@pytest.fixture(scope="module", params=["rest", "grpc"])
def client(request, served):
    url = served.rest if request.param == "rest" else f"grpc://{served.grpc}"
    with Client(url, "tiny") as client:
        yield client


def close(received, expected):
    """Another graph of the same operations: rounding may differ in the last digits."""
    np.testing.assert_allclose(received, expected, rtol=1e-5, atol=1e-5)


def predict(http, model, document, version=""):
    body = document if isinstance(document, str | bytes) else json.dumps(document)
    answer = http.post(f"/models/{model}{version}:predict", content=body)
    assert answer.headers["content-type"].startswith("application/json")
    return answer


# --- REST, by plain HTTP ---


def available(version):
    fine = {"error_code": "OK", "error_message": ""}
    return {"version": str(version), "state": "AVAILABLE", "status": fine}


@pytest.mark.parametrize(("path", "versions"), [("", [2, 1]), ("/versions/1", [1]), ("/versions/2", [2])])
def test_status_of_versions(http, path, versions):
    answer = http.get(f"/models/tiny_decoder{path}")
    assert answer.status_code == 200
    statuses = answer.json()["model_version_status"]
    assert sorted(statuses, key=lambda each: each["version"], reverse=True) == list(map(available, versions))


@pytest.mark.parametrize(("path", "version"), [("", 2), ("/versions/1", 1), ("/labels/stable", 1)])
def test_metadata_are_the_files_signatures(http, exported, path, version):
    answer = http.get(f"/models/tiny_decoder{path}/metadata")
    assert answer.status_code == 200
    document = answer.json()
    assert document["model_spec"]["name"] == "tiny_decoder"
    assert document["model_spec"]["version"] == str(version)
    shown = document["metadata"]["signature_def"]["signature_def"]
    definitions = exported.signature_defs("tiny_decoder", version)
    assert shown.keys() == definitions.keys() >= {"serving_default", "sample", "interpolate"}
    for name, definition in definitions.items():
        assert json_format.ParseDict(shown[name], meta_graph_pb2.SignatureDef()) == definition


@pytest.mark.parametrize("version", ["", "/versions/1", "/versions/2", "/labels/stable", "/labels/canary"])
@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("key", ["instances", "inputs"])
def test_predictions_in_rows_and_in_columns(http, exported, version, named, key):
    values = Z.tolist()
    if named:
        values = {"z": values} if key == "inputs" else [{"z": row} for row in values]
    answer = predict(http, "tiny_decoder", {key: values}, version)
    assert answer.status_code == 200
    document = answer.json()
    assert list(document) == ["outputs" if key == "inputs" else "predictions"]
    model = exported.models[1 if version.endswith(("1", "stable")) else 2]
    close(next(iter(document.values())), model.decode(Z).mean())


def test_several_outputs_have_names(http, exported):
    q = exported.models[2].encode(X)
    rows = predict(http, "tiny_encoder", {"instances": X.tolist()}).json()["predictions"]
    columns = predict(http, "tiny_encoder", {"inputs": {"x": X.tolist()}}).json()["outputs"]
    for name, expected in (("mean", q.mean()), ("stddev", q.stddev())):
        close(columns[name], expected)
        close([row[name] for row in rows], expected)
        assert columns.keys() == rows[0].keys() == {"mean", "stddev"}


def test_draws_are_the_models(http, exported):
    asked = {"signature_name": "sample", "inputs": {"seed": [3, 4], "count": 6}}
    drawn = predict(http, "tiny_decoder", asked).json()["outputs"]
    close(drawn, exported.models[2].sample(6, seed=tf.constant([3, 4])))
    assert predict(http, "tiny_decoder", asked).json()["outputs"] == drawn


def test_text_and_bytes(http):
    data = bytes(range(32, 128))
    packed = {"b64": base64.b64encode(data).decode()}
    for document in ({"instances": [packed, "π"]}, {"instances": [{"text": packed}, {"text": "π"}]}):
        rows = predict(http, "echo", document).json()["predictions"]
        assert [row["text"] for row in rows] == [data.decode(), "π"]
        assert [base64.b64decode(row["text_bytes"]["b64"]) for row in rows] == [data, "π".encode()]
        assert [row["length"] for row in rows] == [len(data), 2]
    columns = predict(http, "echo", {"inputs": [packed]}).json()["outputs"]
    assert columns == {"text": [data.decode()], "text_bytes": [packed], "length": [len(data)]}


def test_numbers_of_every_kind(http):
    body = """{"signature_name": "numbers", "inputs": {
        "x": [[0.1, 1e-45], [16777215, -0.0], [NaN, 3.4e38], [Infinity, -Infinity]],
        "n": [9007199254740993, -9223372036854775808, 0, 9223372036854775807],
        "b": [true, false, true, false]}}"""
    answer = predict(http, "echo", body)
    assert answer.status_code == 200
    outputs = answer.json()["outputs"]
    sent = json.loads(body)["inputs"]
    np.testing.assert_array_equal(np.float32(outputs["x"]), np.float32(sent["x"]))
    assert outputs["n"] == sent["n"] and outputs["b"] == sent["b"]
    # Whole floats keep their point, so that readers take them for floats.
    assert "16777215.0" in answer.text or "1.6777215e+07" in answer.text


GOOD = {"instances": Z.tolist()}
REFUSALS = [
    ("unknown model", "nothing", "", GOOD, 404, "Servable not found for request: Latest(nothing)"),
    ("unknown version", "tiny_decoder", "/versions/9", GOOD, 404, "Servable not found for request: Specific"),
    ("unknown label", "tiny_decoder", "/labels/old", GOOD, 400, "Unrecognized servable version label: old"),
    ("no JSON", "tiny_decoder", "", "{", 400, "JSON Parse error"),
    ("nothing", "tiny_decoder", "", "", 400, "JSON Parse error"),
    ("a list", "tiny_decoder", "", "[1]", 400, "object"),
    ("neither key", "tiny_decoder", "", {}, 400, "'inputs' or 'instances'"),
    ("both keys", "tiny_decoder", "", {**GOOD, "inputs": Z.tolist()}, 400, "only one of"),
    ("no rows", "tiny_decoder", "", {"instances": []}, 400, "No values in 'instances'"),
    ("unknown signature", "tiny_decoder", "", {**GOOD, "signature_name": "x"}, 400, "not found in signature"),
    ("signature of no text", "tiny_decoder", "", {**GOOD, "signature_name": 3}, 400, "must be a string"),
    ("missing input", "tiny_decoder", "", {"inputs": {"x": []}}, 400, "Missing named input: z"),
    ("unknown input", "tiny_decoder", "", {"instances": [{"x": [1, 2]}]}, 400, "x"),
    ("names missing", "echo", "", {"inputs": [1], "signature_name": "numbers"}, 400, "multiple"),
    ("text for a float", "tiny_decoder", "", {"instances": [["a", "b"]]}, 400, "not of expected type: float"),
    ("null for a float", "tiny_decoder", "", {"instances": [[None, 1]]}, 400, "not of expected type: float"),
    ("truth for a float", "tiny_decoder", "", {"instances": [[True, 1]]}, 400, "not of expected type: float"),
    ("unequal rows", "tiny_decoder", "", {"instances": [[1, 2], [1]]}, 400, "'instances' list"),
    ("too large", "tiny_decoder", "", {"instances": [[1e39, 0]]}, 400, "without loss of precision"),
    ("too exact", "tiny_decoder", "", {"instances": [[16777217, 0]]}, 400, "without loss of precision"),
    ("wrong size", "tiny_decoder", "", {"instances": [[1, 2, 3]]}, 400, ""),
    ("wrong base64", "echo", "", {"instances": [{"b64": "%"}]}, 400, "base64"),
    ("a scalar in rows", "echo", "", {"instances": [1.0], "signature_name": "total"}, 400, "no shape info"),
    ("float for an integer", "tiny_decoder", "",
     {"signature_name": "sample", "inputs": {"seed": [0.5, 1], "count": 1}}, 400, "expected type: int32"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("model", "version", "document", "status", "words"),
    [case[1:] for case in REFUSALS],
    ids=[case[0] for case in REFUSALS],
)
def test_refusals(http, model, version, document, status, words):
    answer = predict(http, model, document, version)
    assert answer.status_code == status
    assert list(answer.json()) == ["error"]
    assert words in answer.json()["error"]


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/models/nothing", 404, "Could not find any versions of model nothing"),
        ("/models/tiny_decoder/versions/9", 404, "Could not find version 9 of model tiny_decoder"),
        ("/models/nothing/metadata", 404, "Servable not found for request: Latest(nothing)"),
        ("/models/tiny_decoder/labels/old/metadata", 400, "Unrecognized servable version label: old"),
        ("/models/tiny_decoder/versions/x", 400, "Malformed request: GET /v1/models/tiny_decoder/versions/x"),
        ("/models/tiny_decoder:predict", 400, "Malformed request: GET /v1/models/tiny_decoder:predict"),
        ("/models/", 400, "Malformed request: GET /v1/models/"),
    ],
)
def test_refusals_of_looks(http, path, status, words):
    answer = http.get(path)
    assert answer.status_code == status
    assert list(answer.json()) == ["error"] and words in answer.json()["error"]


@pytest.mark.parametrize("verb", ["classify", "regress"])
def test_classify_and_regress_need_signatures_of_their_own(http, verb):
    answer = http.post(f"/models/tiny_decoder:{verb}", json={"examples": [{"z": [0.0, 1.0]}]})
    assert answer.status_code == 400 and "method_name" in answer.json()["error"]


# --- gRPC, by the generated stubs ---


def prediction(model, inputs, signature="", version=None, label=None, outputs=()):
    request = predict_pb2.PredictRequest(output_filter=outputs)
    request.model_spec.name, request.model_spec.signature_name = model, signature
    if version is not None:
        request.model_spec.version.value = version
    if label is not None:
        request.model_spec.version_label = label
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return request


@pytest.mark.parametrize(
    ("asked", "version"), [({}, 2), ({"version": 1}, 1), ({"version": 2}, 2), ({"label": "stable"}, 1)]
)
def test_predictions_by_grpc(stubs, exported, asked, version):
    answer = stubs[0].Predict(prediction("tiny_decoder", {"z": Z}, **asked))
    close(tf.make_ndarray(answer.outputs["mean"]), exported.models[version].decode(Z).mean())
    assert answer.model_spec.name == "tiny_decoder"
    assert answer.model_spec.version.value == version
    assert answer.model_spec.signature_name == "serving_default"


def test_only_the_outputs_asked_for(stubs):
    answer = stubs[0].Predict(prediction("tiny_encoder", {"x": X}, outputs=["stddev"]))
    assert list(answer.outputs) == ["stddev"]


def test_text_by_grpc(stubs):
    answer = stubs[0].Predict(prediction("echo", {"text": np.array([b"\x00\xff", b"a"], object)}))
    assert tf.make_ndarray(answer.outputs["text"]).tolist() == [b"\x00\xff", b"a"]
    assert tf.make_ndarray(answer.outputs["length"]).tolist() == [2, 1]


def test_metadata_by_grpc(stubs, exported):
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "tiny_model"
    answer = stubs[0].GetModelMetadata(request)
    definitions = get_model_metadata_pb2.SignatureDefMap()
    assert answer.metadata["signature_def"].Unpack(definitions)
    assert dict(definitions.signature_def) == exported.signature_defs("tiny_model", 2)
    assert answer.model_spec.version.value == 2


def test_status_by_grpc(stubs):
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "tiny_decoder"
    answer = stubs[1].GetModelStatus(request)
    assert {(each.version, each.state) for each in answer.model_version_status} == {(1, 30), (2, 30)}


@pytest.mark.parametrize(
    ("request_", "code", "words"),
    [
        (prediction("nothing", {"z": Z}), "NOT_FOUND", "Servable not found for request: Latest(nothing)"),
        (prediction("tiny_decoder", {"z": Z}, version=9), "NOT_FOUND", "Servable not found"),
        (
            prediction("tiny_decoder", {"z": Z}, label="old"),
            "INVALID_ARGUMENT",
            "Unrecognized servable version",
        ),
        (
            prediction("tiny_decoder", {"z": Z}, "x"),
            "FAILED_PRECONDITION",
            'Serving signature key "x" not found',
        ),
        (prediction("tiny_decoder", {"x": Z}), "INVALID_ARGUMENT", "z"),
        (prediction("tiny_decoder", {"z": X}), "INVALID_ARGUMENT", ""),
        (prediction("tiny_decoder", {"z": Z.astype("float64")}), "INVALID_ARGUMENT", ""),
        (prediction("tiny_decoder", {"z": Z}, outputs=["x"]), "INVALID_ARGUMENT", "x"),
        (predict_pb2.PredictRequest(), "INVALID_ARGUMENT", "Missing ModelSpec"),
    ],
    ids=["model", "version", "label", "signature", "name", "shape", "dtype", "output", "nothing"],
)
def test_refusals_by_grpc(stubs, request_, code, words):
    with pytest.raises(grpc.RpcError) as caught:
        stubs[0].Predict(request_)
    assert caught.value.code().name == code and words in caught.value.details()


# --- the client of this library ---


def test_the_clients_words_are_the_models(client, exported, without_xla):
    model, seed = exported.models[2], 5
    encoded = client.encode(X)
    close(encoded["mean"], model.encode(X).mean())
    close(encoded["stddev"], model.encode(X).stddev())
    close(client.decode(Z), model.decode(Z).mean())
    close(client.sample(7, seed), model.sample(7, seed=seed))
    close(client.reconstruct(X), model.reconstruct(X))
    pair = tf.constant([seed, 0])
    close(client.sample_posterior(X, seed=seed), model.encode(X).sample(seed=pair))
    with without_xla():
        expected = model.log_likelihood(X, num_samples=8, seed=seed)
    close(client.log_likelihood(X, num_samples=8, seed=seed), expected)
    line = np.linspace(Z[0], Z[1], 5, dtype=np.float32)
    close(client.interpolate(Z[0], Z[1], 5), model.decode(line).mean())
    score = client.anomaly_score(X, num_samples=8, seed=seed)
    assert score.shape == (len(X),) and np.isfinite(score).all()


def test_the_clients_versions(client, exported):
    for version, number in ((1, 1), ("stable", 1), ("canary", 2), (None, 2)):
        out = client.predict("tiny_decoder", Z, version=version)
        close(out["mean"], exported.models[number].decode(Z).mean())
    statuses = client.status("tiny_decoder")
    assert {(each.version, each.state, each.code) for each in statuses} == {
        (1, State.AVAILABLE, Code.OK),
        (2, State.AVAILABLE, Code.OK),
    }
    for version, number in (("stable", 1), ("canary", 2), (1, 1)):
        assert [each.version for each in client.status("tiny_decoder", version)] == [number]


def test_the_clients_parts_are_the_whole(client, served):
    with Client(client.url, "tiny", batch_size=2, compress=True) as parts:
        close(parts.reconstruct(X), client.reconstruct(X))
        assert parts.sample(5, seed=1).shape == (5, *contract.EVENT)
        many = np.tile(X, [2000, 1])
        parts.batch_size = 4000
        close(parts.reconstruct(many), np.tile(client.reconstruct(X), [2000, 1]))


def test_float32_and_bytes_through_the_client_are_exact(client):
    bits = np.random.default_rng(2).integers(0, 2**32, 400, dtype=np.uint32)
    values = bits.view(np.float32)
    # Numbers too small to be normal may be flushed to zero by the processor.
    values = values[np.isfinite(values) & (np.abs(values) > 1e-37)][:300].reshape(-1, 2)
    count = len(values)
    inputs = {"x": values, "n": np.arange(count) - 2**62, "b": np.arange(count) % 2 == 0}
    out = client.predict("echo", inputs, "numbers")
    for name, value in inputs.items():
        np.testing.assert_array_equal(out[name], value, strict=True)
    assert client.predict("echo", ["a\0", "π"])["text_bytes"].tolist() == [b"a\0", "π".encode()]


def test_the_client_tells_the_servers_words(client):
    with pytest.raises(ServingError, match=r"nothing at .*: NOT_FOUND: Servable not found") as caught:
        client.predict("nothing", {"z": Z})
    assert caught.value.code == Code.NOT_FOUND
