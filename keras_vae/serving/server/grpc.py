"""TensorFlow Serving's gRPC API: PredictionService and ModelService."""

import logging
import math
import time
from collections.abc import Callable
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import (
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from keras_vae.serving.server import messages
from keras_vae.serving.server.checks import check_outputs
from keras_vae.serving.server.metrics import Metrics
from keras_vae.serving.server.prediction import Predictor, signature_of, translated
from keras_vae.serving.server.runners import Results
from keras_vae.serving.server.version import Version
from keras_vae.serving.server.versions import Versions
from keras_vae.serving.wire.json_tensors import DEFAULT_SIGNATURE
from keras_vae.serving.wire.status import Code, RequestError, bad

log = logging.getLogger(__name__)

# Of an error's words, as many as TensorFlow Serving sends: gRPC sends no more than 16 KiB with a status.
_LONGEST_MESSAGE = 1024
# Bytes that a string takes in an array, at least.
_STRING = 64

_STATUS_CODES = {status.value[0]: status for status in grpc.StatusCode}


def add_services(server: grpc.Server, predictor: Predictor, counters: Metrics) -> None:
    """Adds both services to a gRPC server that has not started.

    Args:
        server: where to add them.
        predictor: answers the requests.
        counters: where they are counted.
    """
    prediction = _PredictionService(predictor, counters)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(prediction, server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(_ModelService(predictor.versions), server)


class _PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """The methods of `tensorflow_serving/apis/prediction_service.proto`."""

    def __init__(self, predictor: Predictor, counters: Metrics):
        self._predictor, self._counters = predictor, counters

    def Predict(self, request: Any, context: grpc.ServicerContext) -> Any:
        return self._counted("Predict", request, context, lambda: self._predict(request, context))

    def Classify(self, request: Any, context: grpc.ServicerContext) -> Any:
        return self._counted("Classify", request, context, lambda: self._refuse("classify", request))

    def Regress(self, request: Any, context: grpc.ServicerContext) -> Any:
        return self._counted("Regress", request, context, lambda: self._refuse("regress", request))

    def MultiInference(self, request: Any, context: grpc.ServicerContext) -> Any:
        context.abort(
            grpc.StatusCode.UNIMPLEMENTED, "This server has no MultiInference; TensorFlow Serving has."
        )

    def GetModelMetadata(self, request: Any, context: grpc.ServicerContext) -> Any:
        return _answer(context, lambda: self._metadata(request))

    def _predict(self, request: Any, context: grpc.ServicerContext) -> Any:
        name = request.model_spec.signature_name or DEFAULT_SIGNATURE
        with self._predictor.open(*_model_spec(request)) as opened:
            check_outputs(signature_of(opened, name), request.output_filter)
            limit = self._predictor.limits.max_body
            inputs = {key: to_array(key, tensor, limit) for key, tensor in request.inputs.items()}
            results = self._run(opened, name, inputs, context)
            response = predict_pb2.PredictResponse()
            response.model_spec.name, response.model_spec.signature_name = opened.name, name
            response.model_spec.version.value = opened.number
            for key in request.output_filter or results:
                response.outputs[key].CopyFrom(tf.make_tensor_proto(results[key]))
            return response

    def _run(
        self, opened: Version, signature: str, inputs: dict[str, np.ndarray], context: grpc.ServicerContext
    ) -> Results:
        future = self._predictor.submit(opened, signature, inputs)
        # The call may be over already, and its callbacks with it.
        if not context.add_callback(future.cancel):
            future.cancel()
        with translated():
            try:
                return future.result(self._predictor.limits.timeout)
            finally:
                future.cancel()

    def _refuse(self, method: str, request: Any) -> Any:
        with self._predictor.open(*_model_spec(request)) as opened:
            raise messages.refuse_method(opened, method, request.model_spec.signature_name)

    def _metadata(self, request: Any) -> Any:
        spec = _model_spec(request)
        if not request.metadata_field:
            raise bad("GetModelMetadataRequest must specify at least one metadata_field")
        for field in request.metadata_field:
            if field != messages.SIGNATURE_DEF:
                raise bad(f"Metadata field {field} is not supported")
        with self._predictor.open(*spec) as opened:
            return messages.metadata_response(opened)

    def _counted(self, api: str, request: Any, context: grpc.ServicerContext, call: Callable[[], Any]) -> Any:
        started = time.perf_counter()

        def count(code: Code) -> None:
            seconds = time.perf_counter() - started
            self._counters.request(request.model_spec.name, api, "GRPC", code, seconds)

        return _answer(context, call, count)


class _ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """The methods of `tensorflow_serving/apis/model_service.proto`."""

    def __init__(self, versions: Versions):
        self._versions = versions

    def GetModelStatus(self, request: Any, context: grpc.ServicerContext) -> Any:
        return _answer(context, lambda: self._status(request))

    def _status(self, request: Any) -> Any:
        if not request.HasField("model_spec"):
            raise bad("Missing ModelSpec")
        spec = request.model_spec
        # TensorFlow Serving takes no notice of a label here (`get_model_status_impl.cc`).
        number = spec.version.value if spec.HasField("version") else None
        return messages.status_response(self._versions.status(spec.name, number))

    def HandleReloadConfigRequest(self, request: Any, context: grpc.ServicerContext) -> Any:
        context.abort(
            grpc.StatusCode.UNIMPLEMENTED,
            "This server serves the folders it was started with; TensorFlow Serving reloads.",
        )


def to_array(name: str, tensor: Any, limit: int) -> np.ndarray:
    """The array of a `TensorProto`, which may come from anybody.

    Args:
        name: the input's name.
        tensor: the message; one value may stand for all.
        limit: bytes of the array at most.

    Raises:
        RequestError: INVALID_ARGUMENT if it is no tensor or too large.

    Example:

    >>> to_array("z", tf.make_tensor_proto([[0.0, 1.0]]), 100)
    array([[0., 1.]], dtype=float32)
    """
    try:
        dtype = tf.as_dtype(tensor.dtype)
        sizes = [dimension.size for dimension in tensor.tensor_shape.dim]
        if any(size < 0 for size in sizes) or tensor.tensor_shape.unknown_rank:
            raise ValueError("its shape is not fully known")
        if math.prod(sizes) * (_STRING if dtype == tf.string else max(dtype.size or 0, 1)) > limit:
            raise ValueError(f"it is larger than {limit} bytes")
        return tf.make_ndarray(tensor)
    except KeyError as error:
        raise bad(f"tensor parsing error: {name}: {dtype.name} is no type of arrays") from error
    except (TypeError, ValueError, OverflowError) as error:
        raise bad(f"tensor parsing error: {name}: {error}") from error


def _model_spec(request: Any) -> tuple[str, int | None, str | None]:
    """Name, version and label that a request asks for."""
    if not request.HasField("model_spec"):
        raise bad("Missing ModelSpec")
    spec = request.model_spec
    if not spec.name:
        raise bad("ModelSpec has no name specified.")
    choice = spec.WhichOneof("version_choice")
    version = spec.version.value if choice == "version" else None
    return spec.name, version, spec.version_label if choice == "version_label" else None


def _answer(
    context: grpc.ServicerContext, call: Callable[[], Any], count: Callable[[Code], None] | None = None
) -> Any:
    """What a call gives, or the status of its error; `count` is told the code."""
    refused = None
    try:
        answer = call()
    except RequestError as error:
        refused = error
    except Exception as error:
        log.exception("A request failed")
        refused = RequestError(Code.INTERNAL, f"{type(error).__name__}: {error}")
    if count is not None:
        count(refused.code if refused else Code.OK)
    if refused is None:
        return answer
    words = refused.message
    if len(words) > _LONGEST_MESSAGE:
        words = f"{words[:_LONGEST_MESSAGE]}...TRUNCATED"
    return context.abort(_STATUS_CODES[int(refused.code)], words)
