"""A server of NumPy functions that speaks TensorFlow Serving's REST and gRPC, and remembers what it heard.

It is written from the protocol's description with other tools than the client's: `json`, `base64` and
protobuf.
"""

import base64
import gzip
import json
import re
from concurrent import futures
from typing import Any, NamedTuple

import grpc
import httpx
import numpy as np
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

from keras_vae.serving.wire.status import Code

F, INT, S = tf.float32, tf.int32, tf.string
X, Z, SEED, SCALAR, ROWS = ([None, 3], F), ([None, 2], F), ([2], INT), ([], INT), ([None], F)

# Inputs, outputs and the function of every signature of every servable.
SERVABLES: dict[str, dict[str, tuple]] = {
    "m_encoder": {
        "serving_default": (
            {"x": X},
            {"mean": Z, "stddev": Z},
            lambda x: {"mean": x[:, :2], "stddev": np.abs(x[:, 1:])},
        ),
        "sample": ({"x": X, "seed": SEED}, {"z": Z}, lambda x, seed: {"z": x[:, :2] + seed[0] % 100}),
    },
    "m_decoder": {
        "serving_default": ({"z": Z}, {"mean": X}, lambda z: {"mean": np.stack([*z.T, z.sum(1)], 1)}),
        "sample": (
            {"seed": SEED, "count": SCALAR},
            {"x": X},
            lambda seed, count: {
                "x": np.random.default_rng(seed.view(np.uint32)).random((count, 3), F.as_numpy_dtype)
            },
        ),
        "interpolate": (
            {"z_start": ([2], F), "z_end": ([2], F), "steps": SCALAR},
            {"mean": Z},
            lambda z_start, z_end, steps: {"mean": np.linspace(z_start, z_end, steps, dtype=np.float32)},
        ),
    },
    "m_model": {
        "serving_default": ({"x": X}, {"mean": X}, lambda x: {"mean": x / 2}),
        "reconstruct": ({"x": X}, {"mean": X}, lambda x: {"mean": x / 2}),
        "log_likelihood": (
            {"x": X, "seed": SEED, "num_samples": SCALAR},
            {"log_likelihood": ROWS},
            lambda x, seed, num_samples: {"log_likelihood": -x.sum(1) * num_samples},
        ),
        "anomaly_score": (
            {"x": X, "seed": SEED, "num_samples": SCALAR},
            {"anomaly_score": ROWS},
            lambda x, seed, num_samples: {"anomaly_score": x.sum(1) * num_samples},
        ),
    },
    "labelled_decoder": {
        "sample": (
            {"seed": SEED, "count": SCALAR, "y": ([None], INT)},
            {"x": ROWS},
            lambda seed, count, y: {"x": np.broadcast_to(y.astype(np.float32), [count])},
        ),
    },
    "strings": {
        "serving_default": (
            {"s": ([None], S)},
            {"length": ([None], tf.int64), "s_bytes": ([None], S)},
            lambda s: {"length": np.array([len(item) for item in s]), "s_bytes": s},
        ),
    },
    # As exported with images="encoded".
    "images_model": {
        "reconstruct": (
            {"x_bytes": ([None], S)},
            {"mean_bytes": ([None], S)},
            lambda x_bytes: {"mean_bytes": x_bytes[::-1]},
        ),
        "classify": (
            {"x_bytes": ([None], S)},
            {"probabilities": Z},
            lambda x_bytes: {"probabilities": np.array([[len(item), 0] for item in x_bytes], np.float32)},
        ),
    },
    "total": {"serving_default": ({"x": X}, {"total": ([], F)}, lambda x: {"total": x.sum()})},
}


class Request(NamedTuple):
    """What the server heard: "predict", "metadata" or "status", of whom, and how."""

    kind: str
    servable: str
    version: int | str | None
    signature: str = ""
    inputs: dict[str, np.ndarray] = {}
    headers: dict[str, str] = {}


class FakeServer:
    """Answers from `SERVABLES`.

    Attributes:
        heard: the requests so far.
        failures: codes and words to answer the next requests with, the first first.
        takes_gzip: whether a compressed body is read, over REST.
    """

    def __init__(self, servables=SERVABLES):
        self.servables = servables
        self.heard: list[Request] = []
        self.failures: list[tuple[Code, str]] = []
        self.takes_gzip = True

    def kinds(self) -> list[str]:
        return [request.kind for request in self.heard]

    def answer(self, request: Request) -> Any:
        self.heard.append(request)
        if self.failures:
            raise Failure(*self.failures.pop(0))
        if request.servable not in self.servables:
            raise Failure(Code.NOT_FOUND, f"Servable not found for request: Latest({request.servable})")
        signatures = self.servables[request.servable]
        if request.kind == "status":
            return [(7, "AVAILABLE", 0, ""), (6, "END", 13, "no space left")]
        if request.kind == "metadata":
            return {name: _definition(*signature[:2]) for name, signature in signatures.items()}
        inputs, outputs, function = signatures[request.signature]
        assert request.inputs.keys() == inputs.keys()
        results = function(**request.inputs)
        return {name: np.asarray(results[name], dtype=outputs[name][1].as_numpy_dtype) for name in outputs}

    def handle(self, request: httpx.Request) -> httpx.Response:
        """For `httpx.MockTransport`."""
        path = re.fullmatch(
            r"/v1/models/([^/:]+)(?:/versions/(\d+)|/labels/([^/:]+))?(:predict|/metadata)?",
            request.url.raw_path.decode(),
        )
        name, number, label, method = path.groups()
        version = int(number) if number else label
        try:
            if method == ":predict":
                return httpx.Response(200, content=json.dumps(self._predict(request, name, version)))
            kind = "metadata" if method else "status"
            answer = self.answer(Request(kind, name, version, headers=dict(request.headers)))
            return httpx.Response(
                200, json=_STATUS_JSON if kind == "status" else _metadata_json(name, answer)
            )
        except Failure as failure:
            return httpx.Response(failure.code.http, json={"error": failure.words})

    def _predict(self, request, name, version):
        body = request.content
        if request.headers.get("content-encoding") == "gzip":
            if not self.takes_gzip:
                self.heard.append(Request("gzip", name, version))
                raise Failure(Code.INVALID_ARGUMENT, "JSON Parse error: Invalid value. at offset: 0")
            body = gzip.decompress(body)
        document = json.loads(body)
        specs, outputs, _ = self.servables[name][document["signature_name"]]
        inputs = {
            key: np.array(_plain(value), specs[key][1].as_numpy_dtype)
            for key, value in document["inputs"].items()
        }
        heard = Request("predict", name, version, document["signature_name"], inputs, dict(request.headers))
        columns = {
            key: [{"b64": _b64(item)} for item in value] if outputs[key][1] == S else value.tolist()
            for key, value in self.answer(heard).items()
        }
        return {"outputs": columns if len(columns) > 1 else next(iter(columns.values()))}

    def start_grpc(self, credentials: grpc.ServerCredentials | None = None) -> tuple[grpc.Server, int]:
        """Listens on a free port."""
        server = grpc.server(futures.ThreadPoolExecutor(4))
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(_Predictions(self), server)
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(_Models(self), server)
        address = "localhost:0"
        port = (
            server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
        )
        server.start()
        return server, port


class Failure(Exception):
    def __init__(self, code: Code, words: str):
        super().__init__(words)
        self.code, self.words = code, words


def _definition(inputs, outputs) -> meta_graph_pb2.SignatureDef:
    definition = meta_graph_pb2.SignatureDef(method_name="tensorflow/serving/predict")
    for specs, infos in ((inputs, definition.inputs), (outputs, definition.outputs)):
        for name, (shape, dtype) in specs.items():
            infos[name].dtype = dtype.as_datatype_enum
            infos[name].tensor_shape.CopyFrom(tf.TensorShape(shape).as_proto())
    return definition


def _metadata_json(name, definitions):
    signatures = {
        key: json_format.MessageToDict(value, preserving_proto_field_name=True)
        for key, value in definitions.items()
    }
    spec = {"name": name, "signature_name": "", "version": "7"}
    return {"model_spec": spec, "metadata": {"signature_def": {"signature_def": signatures}}}


_STATUS_JSON = {
    "model_version_status": [
        {"version": "7", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}},
        {
            "version": "6",
            "state": "END",
            "status": {"error_code": "INTERNAL", "error_message": "no space left"},
        },
    ]
}


def _plain(value):
    """JSON with base64 objects as bytes."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return base64.b64decode(value["b64"]) if isinstance(value, dict) else value


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


class _Service:
    def __init__(self, fake: FakeServer):
        self.fake = fake

    def ask(self, kind, spec, context, **more):
        version = spec.version_label or (spec.version.value if spec.HasField("version") else None)
        headers = dict(context.invocation_metadata())
        try:
            return self.fake.answer(Request(kind, spec.name, version, headers=headers, **more))
        except Failure as failure:
            context.abort(list(grpc.StatusCode)[failure.code], failure.words)


class _Predictions(_Service, prediction_service_pb2_grpc.PredictionServiceServicer):
    def Predict(self, request, context):
        inputs = {name: tf.make_ndarray(proto) for name, proto in request.inputs.items()}
        spec = request.model_spec
        outputs = self.ask("predict", spec, context, signature=spec.signature_name, inputs=inputs)
        answer = predict_pb2.PredictResponse()
        for name, array in outputs.items():
            answer.outputs[name].CopyFrom(tf.make_tensor_proto(array))
        return answer

    def GetModelMetadata(self, request, context):
        assert list(request.metadata_field) == ["signature_def"]
        definitions = self.ask("metadata", request.model_spec, context)
        answer = get_model_metadata_pb2.GetModelMetadataResponse()
        answer.model_spec.version.value = 7
        answer.metadata["signature_def"].Pack(
            get_model_metadata_pb2.SignatureDefMap(signature_def=definitions)
        )
        return answer


class _Models(_Service, model_service_pb2_grpc.ModelServiceServicer):
    def GetModelStatus(self, request, context):
        answer = get_model_status_pb2.GetModelStatusResponse()
        for version, state, code, words in self.ask("status", request.model_spec, context):
            entry = answer.model_version_status.add(version=version, state=state)
            entry.status.error_code, entry.status.error_message = code, words
        return answer
