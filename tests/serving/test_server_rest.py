"""The REST API answers as TensorFlow Serving does, for good requests and for bad ones."""

import base64
import gzip
import json
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from keras_vae import VAE, serving
from keras_vae.serving.server import Limits, Server
from tests.serving import affine

SHAPE, LATENT = (4, 3, 1), 2
LIMITS = Limits(max_rows=64, max_body=20_000)


@pytest.fixture(scope="module")
def vae():
    return VAE.create(SHAPE, LATENT, hidden=(4,), likelihood="normal", seed=0)


@pytest.fixture(scope="module")
def server(vae, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    serving.export(vae, folder / "tiny")
    affine.save(folder / "line", 3, 2.0)
    affine.save(folder / "line", 4, 3.0)
    (folder / "line" / "5").mkdir()
    options = {"num_versions": 3, "labels": {"line": {"stable": 3}}, "limits": LIMITS}
    with Server([folder / "tiny", folder / "line"], 0, None, **options, poll_interval=0) as running:
        yield running


@pytest.fixture(scope="module")
def rest(server):
    with httpx.Client(base_url=f"http://{server.host}:{server.rest_port}") as client:
        yield client


def good(rest):
    """Whether the server still gives the right answer."""
    answer = rest.post("/v1/models/line:predict", json={"instances": [[1, 2, 3]]})
    return answer.status_code == 200 and answer.json() == {
        "predictions": [{"y": [4.0, 7.0, 10.0], "total": 6.0}]
    }


def test_reconstruction_is_that_of_the_model_in_memory(rest, vae):
    x = np.random.default_rng(0).random((3, *SHAPE), np.float32)
    answer = rest.post("/v1/models/tiny_model:predict", json={"instances": x.tolist()})
    np.testing.assert_allclose(answer.json()["predictions"], vae.reconstruct(x), rtol=1e-5, atol=1e-5)
    encoded = rest.post("/v1/models/tiny_encoder:predict", json={"inputs": {"x": x.tolist()}}).json()[
        "outputs"
    ]
    np.testing.assert_allclose(encoded["mean"], vae.encode(x).mean(), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(encoded["stddev"], vae.encode(x).stddev(), rtol=1e-5, atol=1e-5)


def test_draws_are_those_of_the_model_in_memory(rest, vae):
    body = {"signature_name": "sample", "inputs": {"seed": [1, 2], "count": 3}}
    answer = rest.post("/v1/models/tiny_decoder:predict", json=body)
    drawn = vae.sample(3, seed=np.array([1, 2], np.int32))
    np.testing.assert_allclose(answer.json()["outputs"], drawn, rtol=1e-5, atol=1e-5)


def test_rows_and_columns_are_answered_in_kind(rest):
    x = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]
    y = affine.line(x, 3).tolist()
    rows = rest.post("/v1/models/line:predict", json={"instances": [{"x": row} for row in x]})
    assert rows.json() == {"predictions": [{"y": y[0], "total": 6.0}, {"y": y[1], "total": 15.0}]}
    columns = rest.post("/v1/models/line:predict", json={"inputs": x})
    assert columns.json() == {"outputs": {"y": y, "total": [6.0, 15.0]}}
    assert columns.headers["content-type"] == "application/json"


@pytest.mark.parametrize("path, scale", [("versions/3", 2), ("versions/4", 3), ("labels/stable", 2), ("", 3)])
def test_versions_are_asked_by_number_and_label(rest, path, scale):
    model = f"/v1/models/line{'/' if path else ''}{path}:predict"
    assert rest.post(model, json={"inputs": [[1, 0, 0]]}).json()["outputs"]["y"][0][0] == scale + 1


def test_paths_do_not_care_for_case_and_names_may_be_quoted(rest):
    answer = rest.post("/V1/Models/lin%65:predict", json={"inputs": [[1, 0, 0]]})
    assert answer.status_code == 200


def test_the_status_has_the_form_of_the_api(rest):
    answer = rest.get("/v1/models/line")
    states = [(each["version"], each["state"]) for each in answer.json()["model_version_status"]]
    assert states == [("5", "END"), ("4", "AVAILABLE"), ("3", "AVAILABLE")]
    assert rest.get("/v1/models/line/versions/3").json() == {
        "model_version_status": [
            {"version": "3", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
        ]
    }
    broken = rest.get("/v1/models/line/versions/5").json()["model_version_status"][0]["status"]
    assert broken["error_code"] == "NOT_FOUND" and "saved_model.pb" in broken["error_message"]


def test_the_metadata_has_the_form_of_the_api(rest):
    answer = rest.get("/v1/models/line/labels/stable/metadata").json()
    assert answer["model_spec"] == {"name": "line", "signature_name": "", "version": "3"}
    line = answer["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert line["method_name"] == "tensorflow/serving/predict"
    assert line["inputs"]["x"]["dtype"] == "DT_FLOAT"
    shape = line["inputs"]["x"]["tensor_shape"]
    assert [dimension["size"] for dimension in shape["dim"]] == ["-1", "3"] and not shape["unknown_rank"]


def test_images_travel_in_base64(rest):
    images = [{"b64": base64.b64encode(affine.png(value)).decode()} for value in (7, 200)]
    body = {"signature_name": "brightness", "instances": images}
    assert rest.post("/v1/models/line:predict", json=body).json() == {"predictions": [7.0, 200.0]}


def test_nan_and_infinity_go_through(rest):
    answer = rest.post("/v1/models/line:predict", content='{"inputs": [[NaN, Infinity, 1]]}')
    assert answer.status_code == 200
    assert str(answer.json()["outputs"]["y"]) == "[[nan, inf, 4.0]]"


def test_bodies_may_be_gzip(rest):
    body = gzip.compress(b'{"inputs": [[1, 0, 0]]}')
    answer = rest.post("/v1/models/line:predict", content=body, headers={"Content-Encoding": "gzip"})
    assert answer.json()["outputs"]["y"] == [[4.0, 1.0, 1.0]]


PREDICT = "/v1/models/line:predict"
TRUNCATED = base64.b64encode(affine.png(7)[:-20]).decode()
BAD = {
    "wrong shape": (PREDICT, {"inputs": [[1, 2]]}, 400, "shape [1, 2]"),
    "wrong rank": (PREDICT, {"inputs": [1, 2, 3]}, 400, "shape [3]"),
    "scalar": (PREDICT, {"inputs": 1}, 400, "shape []"),
    "text for a number": (PREDICT, {"instances": [["a", "b", "c"]]}, 400, "not of expected type: float"),
    "float for an integer": (
        PREDICT,
        {"signature_name": "sample", "inputs": {"seed": [0.5, 1], "count": 1}},
        400,
        "not of expected type: int32",
    ),
    "ragged": (PREDICT, {"instances": [[1, 2, 3], [1]]}, 400, "size"),
    "no rows": (PREDICT, {"instances": []}, 400, "No values in 'instances'"),
    "unknown input": (PREDICT, {"inputs": {"x": [[1, 2, 3]], "w": 1}}, 400, "w"),
    "missing input": (PREDICT, {"signature_name": "sample", "inputs": {"count": 1}}, 400, "seed"),
    "both formats": (PREDICT, {"instances": [[1, 2, 3]], "inputs": [[1, 2, 3]]}, 400, "only one"),
    "neither format": (PREDICT, {}, 400, "Missing 'inputs' or 'instances'"),
    "no object": (PREDICT, [1], 400, "Is not object"),
    "unknown signature": (
        PREDICT,
        {"signature_name": "nope", "instances": [1]},
        400,
        'Serving signature name: "nope" not found in signature def',
    ),
    "signature is no text": (PREDICT, {"signature_name": 100}, 400, "must be a string"),
    "bad base64": (
        PREDICT,
        {"signature_name": "brightness", "instances": [{"b64": "?"}]},
        400,
        "base64",
    ),
    "truncated image": (
        PREDICT,
        {"signature_name": "brightness", "instances": [{"b64": TRUNCATED}]},
        400,
        "PNG",
    ),
    "negative count": (
        PREDICT,
        {"signature_name": "sample", "inputs": {"seed": [0, 1], "count": -1}},
        400,
        "-1",
    ),
    "immense count": (
        PREDICT,
        {"signature_name": "sample", "inputs": {"seed": [0, 1], "count": 2**31 - 1}},
        400,
        "at most 64",
    ),
    "too many rows": (PREDICT, {"instances": [[1, 2, 3]] * 65}, 400, "at most 64"),
    "unknown model": (
        "/v1/models/nope:predict",
        {"instances": [1]},
        404,
        "Servable not found for request: Latest(nope)",
    ),
    "unknown version": (
        "/v1/models/line/versions/9:predict",
        {"instances": [1]},
        404,
        "Servable not found for request: Specific(line, 9)",
    ),
    "version that failed": (
        "/v1/models/line/versions/5:predict",
        {"instances": [1]},
        404,
        "Specific(line, 5)",
    ),
    "unknown label": (
        "/v1/models/line/labels/x:predict",
        {"instances": [1]},
        400,
        "Unrecognized servable version label: x",
    ),
    "immense version": (
        f"/v1/models/line/versions/{2**63}:predict",
        {"instances": [1]},
        400,
        "Failed to convert version",
    ),
    "classify": (
        "/v1/models/line:classify",
        {"examples": [{"x": 1}]},
        400,
        "Expected classification signature method_name to be tensorflow/serving/classify. "
        "Was: tensorflow/serving/predict",
    ),
    "regress": ("/v1/models/line:regress", {"examples": [{}]}, 400, "tensorflow/serving/regress"),
    "classify without examples": ("/v1/models/line:classify", {"instances": [1]}, 400, "'examples'"),
    "unknown verb": ("/v1/models/line:explain", {}, 400, "Malformed request: POST /v1/models/line:explain"),
    "a query": ("/v1/models/line:predict?x=1", {"instances": [[1, 2, 3]]}, 400, "Malformed request"),
    "outside": ("/v2/models/line:predict", {}, 404, "Not found"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_request_is_told_why(rest, case):
    path, body, status, words = BAD[case]
    answer = rest.post(path, json=body)
    assert (answer.status_code, list(answer.json())) == (status, ["error"])
    assert words in answer.json()["error"]
    assert good(rest)


def test_a_truncated_image_fails_alone_among_those_of_other_clients(rest):
    images = [{"b64": base64.b64encode(affine.png(value)).decode()} for value in range(24)]
    images[::6] = [{"b64": TRUNCATED}] * 4

    def ask(image):
        return rest.post(PREDICT, json={"signature_name": "brightness", "instances": [image]})

    with ThreadPoolExecutor(8) as clients:
        answers = list(clients.map(ask, images))
    for value, answer in enumerate(answers):
        if value % 6:
            assert answer.json() == {"predictions": [float(value)]}
        else:
            assert answer.status_code == 400 and "PNG" in answer.json()["error"]


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe\x00", b'{"inputs": [1,', b"null", b"[" * 5000])
def test_malformed_json_is_told_so(rest, body):
    answer = rest.post(PREDICT, content=body)
    assert answer.status_code == 400 and "JSON" in answer.json()["error"]
    assert good(rest)


@pytest.mark.parametrize(
    "path, status, words",
    [
        ("/v1/models", 400, "Missing model name in request."),
        ("/v1/models/nope", 404, "Could not find any versions of model nope"),
        ("/v1/models/nope/metadata", 404, "Servable not found for request: Latest(nope)"),
        ("/v1/models/line/versions/9", 404, "Could not find version 9 of model line"),
        ("/v1/models/line/versions/x", 400, "Malformed request: GET /v1/models/line/versions/x"),
        ("/v1/models/line/METADATA/x", 400, "Malformed request"),
        ("/v1/models/line:predict", 400, "Malformed request: GET"),
        ("/v1/models/line/nope", 400, "Malformed request"),
        ("/", 404, "Not found: GET /"),
        ("/monitoring/prometheus", 404, "Not found"),
    ],
)
def test_what_is_not_there_is_told_so(rest, path, status, words):
    answer = rest.get(path)
    assert answer.status_code == status
    assert words in answer.json()["error"]


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "PATCH"])
def test_other_methods_are_malformed_requests(rest, method):
    answer = rest.request(method, PREDICT)
    assert answer.status_code == 400
    assert answer.json() == {"error": f"Malformed request: {method} {PREDICT}"}


def test_a_body_over_the_limit_is_refused(rest):
    large = json.dumps({"instances": [[1, 2, 3]] * 3000}).encode()
    assert len(large) > LIMITS.max_body
    announced = rest.post(PREDICT, content=large)
    in_pieces = rest.post(PREDICT, content=iter([large[:8000], large[8000:16000], large[16000:]]))
    bomb = gzip.compress(large)
    unpacked = rest.post(PREDICT, content=bomb, headers={"Content-Encoding": "gzip"})
    assert len(bomb) < LIMITS.max_body
    for answer in (announced, in_pieces, unpacked):
        assert answer.status_code == 413
        assert answer.json() == {"error": f"The request's body is larger than {LIMITS.max_body} bytes."}
    assert good(rest)


@pytest.mark.parametrize(
    "body", [b"no gzip", gzip.compress(b'{"inputs": [[1, 0, 0]]}')[:-9]], ids=["plain", "cut off"]
)
def test_a_body_that_is_no_gzip_is_refused(rest, body):
    answer = rest.post(PREDICT, content=body, headers={"Content-Encoding": "gzip"})
    assert answer.status_code == 400 and "gzip" in answer.json()["error"]


def test_more_requests_than_allowed_are_told_to_come_again(server, rest, monkeypatch):
    monkeypatch.setattr(server.predictor, "_in_flight", server.predictor.limits.max_in_flight)
    answer = rest.post(PREDICT, json={"instances": [[1, 2, 3]]})
    assert answer.status_code == 503 and "try again" in answer.json()["error"]
    monkeypatch.undo()
    assert good(rest)


def _figures(server):
    url = f"http://{server.host}:{server.rest_port}/monitoring/prometheus/metrics"
    with urllib.request.urlopen(url) as page:
        families = list(text_string_to_metric_families(page.read().decode()))
    labels = ("model_name", "status", "API", "le")
    return {
        (sample.name, *(sample.labels.get(label) for label in labels)): sample.value
        for family in families
        for sample in family.samples
    }


def test_the_metrics_are_prometheus_with_the_names_of_tensorflow_serving(server, rest):
    before = _figures(server)
    assert good(rest)
    rest.post("/v1/models/line/versions/9:predict", json={"instances": [1]})
    rest.post("/v1/models/nope-at-all:predict", json={"instances": [1]})
    after = _figures(server)

    def risen(name, model, status=None, api=None):
        key = (name, model, status, api, None)
        return after[key] - before.get(key, 0)

    assert risen(":tensorflow:serving:request_count", "line", "OK") == 1
    assert risen(":tensorflow:serving:request_count", "line", "NOT_FOUND") == 1
    assert risen(":tensorflow:serving:request_count", "", "NOT_FOUND") == 1
    assert risen(":tensorflow:serving:request_latency_count", "line", api="Predict") == 2
    assert risen(":tensorflow:serving:runtime_latency_count", "line", api="Predict") == 1
    assert after["keras_vae_serving_requests_in_flight", None, None, None, None] == 0
    assert not any("nope-at-all" in str(key) for key in after)


def test_a_label_says_nothing_of_a_status(rest):
    """As in TensorFlow Serving, whose `get_model_status_impl.cc` does not read it."""
    assert rest.get("/v1/models/line/labels/nope").json() == rest.get("/v1/models/line").json()


def test_what_is_no_json_is_told_so_whatever_the_model(rest):
    answer = rest.post("/v1/models/nope:predict", content=b"{")
    assert answer.status_code == 400 and "JSON Parse error" in answer.json()["error"]


def test_names_of_methods_are_lower_case(rest):
    assert rest.post(PREDICT.replace("predict", "PREDICT"), json={}).status_code == 400
    assert rest.get("/v1/models/line/METADATA").json() == rest.get("/v1/models/line").json()
