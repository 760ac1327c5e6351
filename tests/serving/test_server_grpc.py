"""The gRPC API answers the generated stubs of tensorflow-serving-api as TensorFlow Serving does."""

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from keras_vae.serving.server import Limits, Server
from keras_vae.serving.server.checks import check_inputs
from keras_vae.serving.server.grpc import to_array
from keras_vae.serving.server.loaded_model import Signature
from keras_vae.serving.wire.status import RequestError
from tests.serving import affine

SECONDS = 60
LIMITS = Limits(max_rows=64, max_body=20_000)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "line"
    affine.save(folder, 3, 2.0)
    affine.save(folder, 4, 3.0)
    options = {"num_versions": 2, "labels": {"line": {"stable": 3}}, "limits": LIMITS}
    with Server(folder, None, 0, **options, poll_interval=0) as running:
        yield running


@pytest.fixture(scope="module")
def channel(server):
    with grpc.insecure_channel(f"{server.host}:{server.grpc_port}") as opened:
        yield opened


@pytest.fixture(scope="module")
def predict(channel):
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    return lambda request: stub.Predict(request, timeout=SECONDS)


def asked(inputs, signature="", model="line", **spec):
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = model, signature
    if "version" in spec:
        request.model_spec.version.value = spec["version"]
    if "label" in spec:
        request.model_spec.version_label = spec["label"]
    for name, value in inputs.items():
        tensor = value if isinstance(value, tensor_pb2.TensorProto) else tf.make_tensor_proto(value)
        request.inputs[name].CopyFrom(tensor)
    return request


X = np.array([[1, 2, 3], [4, 5, 6]], np.float32)


def good(predict):
    return np.array_equal(tf.make_ndarray(predict(asked({"x": X})).outputs["y"]), affine.line(X, 3))


def test_predictions_come_with_the_version_that_made_them(predict):
    answer = predict(asked({"x": X}))
    assert (answer.model_spec.name, answer.model_spec.version.value) == ("line", 4)
    assert answer.model_spec.signature_name == "serving_default"
    np.testing.assert_array_equal(tf.make_ndarray(answer.outputs["y"]), affine.line(X, 3))
    np.testing.assert_array_equal(tf.make_ndarray(answer.outputs["total"]), X.sum(1))


@pytest.mark.parametrize("spec, scale", [({"version": 3}, 2), ({"version": 4}, 3), ({"label": "stable"}, 2)])
def test_versions_are_asked_by_number_and_label(predict, spec, scale):
    answer = predict(asked({"x": X}, **spec))
    np.testing.assert_array_equal(tf.make_ndarray(answer.outputs["y"]), affine.line(X, scale))


def test_only_the_outputs_asked_for_come(predict):
    request = asked({"x": X})
    request.output_filter.append("total")
    assert list(predict(request).outputs) == ["total"]


def test_seeds_and_scalars(predict):
    request = asked({"seed": np.array([1, 2], np.int32), "count": np.int32(3)}, "sample")
    drawn = tf.make_ndarray(predict(request).outputs["x"])
    np.testing.assert_array_equal(drawn, tf.random.stateless_normal([3, affine.SIZE], [1, 2]))


def test_images_travel_as_bytes(predict):
    request = asked({"image_bytes": [affine.png(7), affine.png(200)]}, "brightness")
    assert tf.make_ndarray(predict(request).outputs["brightness"]).tolist() == [7, 200]


def test_one_value_may_stand_for_all(predict):
    tensor = tf.make_tensor_proto(2.0, shape=[5, 3])
    assert len(tensor.float_val) == 1
    assert tf.make_ndarray(predict(asked({"x": tensor})).outputs["total"]).tolist() == [6] * 5


def test_the_status_of_versions(channel):
    stub = model_service_pb2_grpc.ModelServiceStub(channel)
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "line"
    answer = stub.GetModelStatus(request, timeout=SECONDS)
    available = get_model_status_pb2.ModelVersionStatus.AVAILABLE
    assert [(each.version, each.state) for each in answer.model_version_status] == [
        (4, available),
        (3, available),
    ]
    request.model_spec.version.value = 3
    assert [each.version for each in stub.GetModelStatus(request).model_version_status] == [3]
    # As in TensorFlow Serving, a label says nothing here.
    request.model_spec.version_label = "nope"
    assert [each.version for each in stub.GetModelStatus(request).model_version_status] == [4, 3]
    for name, version in (("line", 9), ("nope", 1), ("", 1)):
        request.model_spec.name, request.model_spec.version.value = name, version
        with pytest.raises(grpc.RpcError) as raised:
            stub.GetModelStatus(request, timeout=SECONDS)
        assert raised.value.code() is grpc.StatusCode.NOT_FOUND


def test_the_metadata_are_the_signatures_of_the_file(server, channel):
    from tensorflow.core.protobuf import saved_model_pb2

    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "line"
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    answer = stub.GetModelMetadata(request, timeout=SECONDS)
    assert answer.model_spec.version.value == 4
    found = get_model_metadata_pb2.SignatureDefMap()
    assert answer.metadata["signature_def"].Unpack(found)
    folder = server.predictor.versions.folders["line"] / "4" / "saved_model.pb"
    written = saved_model_pb2.SavedModel.FromString(folder.read_bytes()).meta_graphs[0].signature_def
    assert found.signature_def.keys() == written.keys() >= {"serving_default", "sample", "brightness"}
    assert all(found.signature_def[name] == written[name] for name in written)
    for fields, words in (([], "at least one metadata_field"), (["x"], "Metadata field x is not supported")):
        del request.metadata_field[:]
        request.metadata_field.extend(fields)
        with pytest.raises(grpc.RpcError) as raised:
            stub.GetModelMetadata(request, timeout=SECONDS)
        assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert words in raised.value.details()


def _nameless():
    return predict_pb2.PredictRequest()


def _of_no_name():
    request = asked({"x": X})
    request.model_spec.name = ""
    return request


def _filtered(*names):
    request = asked({"x": X})
    request.output_filter.extend(names)
    return request


def _tensor(**fields):
    tensor = tf.make_tensor_proto(X)
    for name, value in fields.items():
        setattr(tensor, name, value)
    return tensor


def _sized(*sizes):
    tensor = tf.make_tensor_proto(1.0)
    for size in sizes:
        tensor.tensor_shape.dim.add(size=size)
    return tensor


INVALID, NOT_FOUND = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND
BAD = {
    "no model spec": (_nameless(), INVALID, "Missing ModelSpec"),
    "no name": (_of_no_name(), INVALID, "no name"),
    "unknown model": (asked({"x": X}, model="nope"), NOT_FOUND, "Latest(nope)"),
    "unknown version": (asked({"x": X}, version=9), NOT_FOUND, "Specific(line, 9)"),
    "unknown label": (asked({"x": X}, label="x"), INVALID, "Unrecognized servable version label: x"),
    "unknown signature": (
        asked({"x": X}, "nope"),
        grpc.StatusCode.FAILED_PRECONDITION,
        'Serving signature key "nope" not found.',
    ),
    "unknown input": (asked({"x": X, "w": X}), INVALID, "Sent extra: {w}"),
    "missing input": (asked({}), INVALID, "Missing but required: {x}"),
    "wrong dtype": (asked({"x": X.astype(np.float64)}), INVALID, "dtype float64"),
    "text": (asked({"x": [["a", "b", "c"]]}), INVALID, "dtype string"),
    "wrong shape": (asked({"x": X[:, :2]}), INVALID, "shape [2, 2]"),
    "wrong rank": (asked({"x": X[0]}), INVALID, "shape [3]"),
    "too many rows": (asked({"x": np.zeros([65, 3], np.float32)}), INVALID, "at most 64"),
    "unknown output": (_filtered("z"), INVALID, "output tensor alias not found in signature: z"),
    "output twice": (_filtered("y", "y"), INVALID, "duplicate output tensor alias: y"),
    "truncated tensor": (asked({"x": _tensor(tensor_content=b"123")}), INVALID, "tensor parsing error: x"),
    "no such dtype": (asked({"x": _tensor(dtype=99)}), INVALID, "tensor parsing error: x"),
    "no dtype": (asked({"x": _tensor(dtype=0)}), INVALID, ""),
    "immense tensor": (asked({"x": _sized(2**40, 3)}), INVALID, "tensor parsing error: x"),
    "negative size": (asked({"x": _sized(-1, 3)}), INVALID, "tensor parsing error: x"),
    "truncated image": (asked({"image_bytes": [affine.png(7)[:-20]]}, "brightness"), INVALID, "PNG"),
    "number beyond its dtype": (
        asked({"x": tensor_pb2.TensorProto(dtype=tf.uint8.as_datatype_enum, int_val=[300])}),
        INVALID,
        "tensor parsing error: x",
    ),
    "long name": (asked({"x": X}, model="n" * 20_000), grpc.StatusCode.RESOURCE_EXHAUSTED, "larger than max"),
    "name longer than gRPC would send back": (
        asked({"x": X}, model="n" * 18_000),
        NOT_FOUND,
        "nnn...TRUNCATED",
    ),
    "large message": (
        asked({"x": np.zeros([3000, 3], np.float32)}),
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "larger than max",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_request_is_told_why(predict, case):
    request, code, words = BAD[case]
    with pytest.raises(grpc.RpcError) as raised:
        predict(request)
    assert raised.value.code() is code
    assert words in raised.value.details()
    assert good(predict)


def test_nan_goes_through(predict):
    answer = predict(asked({"x": np.full([1, 3], np.nan, np.float32)}))
    assert np.isnan(tf.make_ndarray(answer.outputs["y"])).all()


def test_other_methods_are_refused_as_by_tensorflow_serving(channel):
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    for call, request, words in (
        (stub.Classify, classification_pb2.ClassificationRequest(), "tensorflow/serving/classify"),
        (stub.Regress, regression_pb2.RegressionRequest(), "tensorflow/serving/regress"),
    ):
        request.model_spec.name = "line"
        with pytest.raises(grpc.RpcError) as raised:
            call(request, timeout=SECONDS)
        assert raised.value.code() is INVALID
        assert f"method_name to be {words}. Was: tensorflow/serving/predict" in raised.value.details()
    management = model_service_pb2_grpc.ModelServiceStub(channel)
    for call, request in (
        (stub.MultiInference, inference_pb2.MultiInferenceRequest()),
        (management.HandleReloadConfigRequest, model_management_pb2.ReloadConfigRequest()),
    ):
        with pytest.raises(grpc.RpcError) as raised:
            call(request, timeout=SECONDS)
        assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED
        assert "TensorFlow Serving" in raised.value.details()


def test_strings_of_a_small_message_cannot_take_all_memory():
    tensor = tensor_pb2.TensorProto(dtype=tf.string.as_datatype_enum, string_val=[b""])
    tensor.tensor_shape.dim.add(size=8_000_000)
    with pytest.raises(RequestError, match="larger than 64000000 bytes"):
        to_array("x", tensor, 64_000_000)


def test_what_nobody_foresaw_is_an_internal_error_and_counted_so(server, predict, monkeypatch):
    def fail(*arguments):
        raise KeyError("unforeseen")

    with monkeypatch.context() as patch:
        patch.setattr(server.predictor, "submit", fail)
        with pytest.raises(grpc.RpcError) as raised:
            predict(asked({"x": X}))
    assert raised.value.code() is grpc.StatusCode.INTERNAL and "unforeseen" in raised.value.details()
    page = server._metrics.page().decode()
    assert ':tensorflow:serving:request_count{model_name="line",status="INTERNAL"} 1.0' in page
    assert good(predict)


def test_rows_times_draws_are_limited():
    specs = {"x": tf.TensorSpec([None, 3], tf.float32), "num_samples": tf.TensorSpec([], tf.int32)}
    signature = Signature("log_likelihood", specs, {}, lambda **inputs: {})
    inputs = {"x": np.zeros((10, 3), np.float32), "num_samples": np.int32(5)}
    check_inputs(signature, inputs, max_rows=16, max_draws=50)
    with pytest.raises(RequestError, match=r"are 50 draws\. Expected: at most 49"):
        check_inputs(signature, inputs, max_rows=16, max_draws=49)
