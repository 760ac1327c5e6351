"""Warm-up files hold what TensorFlow Serving reads, and every request of theirs runs."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from keras_vae import VAE
from keras_vae.serving import servables
from keras_vae.serving.deployment import warmup
from keras_vae.serving.images import get_format
from keras_vae.serving.servable import Servable

SHAPE = (4, 3, 1)


@pytest.fixture(scope="module")
def vae():
    return VAE.create(SHAPE, 2, hidden=(4,), num_classes=3, seed=0)


@pytest.fixture(scope="module", params=["encoder", "decoder", "whole"])
def saved(request, vae, tmp_path_factory):
    """A servable of a conditional model and the folder of its version."""
    servable = getattr(servables, request.param)(vae)
    folder = tmp_path_factory.mktemp("saved_models") / "1"
    servable.save(str(folder))
    return servable, folder


def read(path):
    """The requests of a file, without the code under test."""
    records = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    return [prediction_log_pb2.PredictionLog.FromString(record).predict_log.request for record in records]


def test_every_signature_is_asked_for_with_every_batch_size(saved):
    servable, folder = saved
    path = warmup.write(folder, "tiny", servable, batch_sizes=(1, 5))
    assert path == folder / "assets.extra" / "tf_serving_warmup_requests"
    requests = read(path)
    assert [request.model_spec.name for request in requests] == ["tiny"] * len(requests)
    asked = [request.model_spec.signature_name for request in requests]
    assert asked == [name for name in servable.functions for _ in range(2)]
    for request in requests:
        specs = servable.inputs[request.model_spec.signature_name]
        assert request.inputs.keys() == specs.keys()
        for name, value in request.inputs.items():
            assert specs[name].is_compatible_with(tf.constant(tf.make_ndarray(value)))
    sizes = {tf.make_ndarray(request.inputs["y"]).shape[0] for request in requests}
    assert sizes == {1, 5}


def test_every_request_runs_and_gives_what_the_model_gives(saved, vae):
    servable, folder = saved
    warmup.write(folder, "tiny", servable, batch_sizes=(1, 5))
    done = warmup.replay(folder)
    assert [name for name, _ in done] == [name for name in servable.functions for _ in range(2)]
    five = next(outputs for name, outputs in done[1:] if name == "serving_default")
    y = np.zeros(5, "int32")
    expected = {
        "encoder": lambda: vae.encode(np.zeros((5, *SHAPE), "float32"), y).mean(),
        "decoder": lambda: vae.decode(np.zeros((5, 2), "float32"), y).mean(),
        "model": lambda: vae.reconstruct(np.zeros((5, *SHAPE), "float32"), y=y),
    }[servable.name]()
    np.testing.assert_allclose(five["mean"], expected, rtol=1e-5, atol=1e-6)


def test_a_loaded_model_is_warmed_itself(saved):
    servable, folder = saved
    warmup.write(folder, "tiny", servable)
    called = []
    signatures = {name: lambda name=name, **inputs: called.append(name) or {} for name in servable.functions}
    warmup.replay(folder, SimpleNamespace(signatures=signatures))
    assert set(called) == set(servable.functions)


def test_a_server_that_batches_accepts_every_request_made_for_it(saved):
    servable, folder = saved
    requests = read(warmup.write(folder, "tiny", servable, batching=True))
    assert {request.model_spec.signature_name for request in requests} == {
        name for name, inputs in servable.inputs.items() if not inputs.keys() & {"seed", "steps"}
    }
    for request in requests:
        # What ComputeTensorBatchSize of TensorFlow Serving's batching_util.h asks for.
        ranks = [len(value.tensor_shape.dim) for value in request.inputs.values()]
        assert min(ranks) >= 1
        assert len({value.tensor_shape.dim[0].size for value in request.inputs.values()}) == 1


def test_the_same_servable_gives_the_same_bytes(saved):
    servable, folder = saved
    first = warmup.write(folder, "tiny", servable).read_bytes()
    assert warmup.write(folder, "tiny", servable).read_bytes() == first


def identity(spec, name="serving_default", **options):
    """A servable that gives back what it is given."""
    return Servable({name: (lambda x: {"x": x}, (spec,))}, "identity", **options)


def test_large_inputs_make_a_small_file(tmp_path):
    path = warmup.write(tmp_path, "large", identity(tf.TensorSpec([None, 512, 512, 3], name="x")), [64])
    assert path.stat().st_size < 1000
    assert tf.make_ndarray(read(path)[0].inputs["x"]).shape == (64, 512, 512, 3)


def test_image_files_are_pngs_of_the_models_size(tmp_path):
    files = identity(tf.TensorSpec([None], tf.string, "x"), image_shape=(4, 3, 1))
    [request] = read(warmup.write(tmp_path, "images", files, [2]))
    images = tf.make_ndarray(request.inputs["x"])
    assert images.shape == (2,)
    for image in images:
        np.testing.assert_array_equal(tf.io.decode_png(image), np.zeros((4, 3, 1)))


def test_a_model_of_image_files_runs_them(vae, tmp_path):
    servable = servables.encoder(vae, get_format(vae, "encoded"))
    servable.save(str(tmp_path))
    warmup.write(tmp_path, "images", servable, [3])
    outputs = dict(warmup.replay(tmp_path))["serving_default"]
    black = vae.encode(np.zeros((3, *SHAPE), "float32"), np.zeros(3, "int32"))
    np.testing.assert_allclose(outputs["mean"], black.mean(), rtol=1e-5, atol=1e-6)


def test_numbers_are_no_zeros_and_equal_requests_are_made_once(tmp_path):
    """No interpolation has fewer than two points, and no estimate is of no draws."""
    path = warmup.write(tmp_path, "line", identity(tf.TensorSpec([], tf.int32, "x")), [1, 2, 7])
    assert [int(tf.make_ndarray(request.inputs["x"])) for request in read(path)] == [2, 7]


def test_without_the_extra_there_is_a_warning_and_no_file(saved, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_serving.apis.prediction_log_pb2", None)
    with pytest.warns(UserWarning, match=r"keras-vae\[serving\]"):
        assert warmup.write(tmp_path, "tiny", saved[0]) is None
    assert not list(tmp_path.iterdir())


def test_a_version_without_requests_replays_nothing(tmp_path):
    assert warmup.replay(tmp_path) == []


def test_a_request_for_another_model_is_refused(saved):
    servable, folder = saved
    warmup.write(folder, "tiny", servable)
    with pytest.raises(ValueError, match=f"signature '{next(iter(servable.functions))}'"):
        warmup.replay(folder, SimpleNamespace(signatures={}))


@pytest.mark.parametrize("sizes", [(), (0,), range(1, 600)])
def test_batch_sizes_that_no_server_runs_are_refused(saved, tmp_path, sizes):
    with pytest.raises(ValueError, match="argument `batch_sizes`"):
        warmup.write(tmp_path, "tiny", saved[0], batch_sizes=sizes)
    assert not list(tmp_path.iterdir())


def test_records_of_other_servers_are_run_or_passed_over(tmp_path):
    """An empty name is the default signature's, and a file may hold requests of any method."""
    identity(tf.TensorSpec([None], tf.float32, "x")).save(str(tmp_path))
    log = prediction_log_pb2.PredictionLog()
    log.predict_log.request.inputs["x"].CopyFrom(tf.make_tensor_proto([1.0, 2.0]))
    other = prediction_log_pb2.PredictionLog()
    other.classify_log.request.model_spec.name = "identity"
    path = tmp_path / warmup.EXTRA_ASSETS / warmup.FILE
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as records:
        for record in (other, log):
            records.write(record.SerializeToString())
    [(signature, outputs)] = warmup.replay(tmp_path)
    assert signature == "serving_default"
    np.testing.assert_array_equal(outputs["x"], [1.0, 2.0])
