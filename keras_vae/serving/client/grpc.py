"""TensorFlow Serving's gRPC API by its own stubs. Import it only where the extra `serving` is installed."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from keras_vae.serving.client.errors import Unreachable
from keras_vae.serving.client.metadata import Metadata, SignatureSpecs
from keras_vae.serving.client.options import TLS, Address
from keras_vae.serving.client.transport import COMPRESSED_FROM, Arrays, Target
from keras_vae.serving.extras import require
from keras_vae.serving.wire.status import Code, RequestError, State, VersionStatus

grpc = require("grpc", "serving")
_messages = {
    name: require(f"tensorflow_serving.apis.{name}_pb2", "serving")
    for name in ("predict", "get_model_metadata", "get_model_status")
}
_prediction = require("tensorflow_serving.apis.prediction_service_pb2_grpc", "serving")
_model = require("tensorflow_serving.apis.model_service_pb2_grpc", "serving")

_OPTIONS = [
    # Images in batches pass gRPC's 4 MiB; the server has its own limit.
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # A channel looks for a lost server as often as `Retries` asks.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
]


class GrpcTransport:
    """A channel to one server.

    Args:
        address: of scheme "grpc" or "grpcs".
        tls: certificates, for "grpcs".
        headers: metadata of every request.
        compress: whether large requests are sent compressed.
    """

    def __init__(self, address: Address, tls: TLS, headers: Mapping[str, str], compress: bool):
        self._headers = [(name.lower(), value) for name, value in headers.items()]
        self._compress = compress
        if address.secure:
            credentials = grpc.ssl_channel_credentials(tls.pem("ca"), tls.pem("key"), tls.pem("certificate"))
            self._channel = grpc.secure_channel(address.host, credentials, _OPTIONS)
        else:
            self._channel = grpc.insecure_channel(address.host, _OPTIONS)
        self._predictions = _prediction.PredictionServiceStub(self._channel)
        self._models = _model.ModelServiceStub(self._channel)

    def predict(
        self, target: Target, signature: str, inputs: Arrays, specs: SignatureSpecs, timeout: float
    ) -> dict[str, np.ndarray]:
        request = _messages["predict"].PredictRequest()
        _address(request.model_spec, target)
        request.model_spec.signature_name = signature
        for name, array in inputs.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(array, specs.inputs[name].dtype, array.shape))
        answer = self._call(self._predictions.Predict, request, timeout)
        return {name: tf.make_ndarray(proto) for name, proto in sorted(answer.outputs.items())}

    def metadata(self, target: Target, timeout: float) -> Metadata:
        request = _messages["get_model_metadata"].GetModelMetadataRequest(metadata_field=["signature_def"])
        _address(request.model_spec, target)
        answer = self._call(self._predictions.GetModelMetadata, request, timeout)
        definitions = _messages["get_model_metadata"].SignatureDefMap()
        if not answer.metadata["signature_def"].Unpack(definitions):
            raise RequestError(Code.INTERNAL, "The answer holds no signature_def.")
        version = answer.model_spec.version.value
        return Metadata.of_definitions(target.servable, version, definitions.signature_def)

    def status(self, target: Target, timeout: float) -> list[VersionStatus]:
        request = _messages["get_model_status"].GetModelStatusRequest()
        _address(request.model_spec, target)
        answer = self._call(self._models.GetModelStatus, request, timeout)
        return [
            VersionStatus(
                entry.version,
                State(entry.state),
                Code(entry.status.error_code),
                entry.status.error_message,
            )
            for entry in answer.model_version_status
        ]

    def close(self) -> None:
        self._channel.close()

    def _call(self, method: Callable[..., Any], request: Any, timeout: float) -> Any:
        large = self._compress and request.ByteSize() >= COMPRESSED_FROM
        compression = grpc.Compression.Gzip if large else grpc.Compression.NoCompression
        try:
            return method(request, timeout=max(timeout, 0.0), metadata=self._headers, compression=compression)
        except grpc.RpcError as error:
            code, words = Code(error.code().value[0]), error.details() or ""
            if code == Code.UNAVAILABLE and _never_connected(words):
                raise Unreachable(words, again="SSL" not in words) from error
            raise RequestError(code, words) from error


def _address(spec: Any, target: Target) -> None:
    spec.name = target.servable
    if isinstance(target.version, str):
        spec.version_label = target.version
    elif target.version is not None:
        spec.version.value = target.version


def _never_connected(words: str) -> bool:
    """Whether the channel itself says so; a server's own UNAVAILABLE has the same code."""
    return words.lower().startswith(("failed to connect", "dns resolution failed"))
