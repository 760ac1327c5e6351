"""Converted parts give what the model in memory gives, by runtimes that share no code with TensorFlow's."""

import sys

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from keras_vae import VAE, layers
from keras_vae.serving.conversion.litert import to_litert
from keras_vae.serving.conversion.onnx import to_onnx

SHAPE, LATENT = (8, 8, 1), 2
NETWORKS = {
    "mlp": {"hidden": (5,)},
    "conv": {"filters": (3,)},
    "resnet": {"filters": (2, 4), "blocks": 1, "dense": ()},
    "conditional": {"hidden": (5,), "num_classes": 3},
}


@pytest.fixture(scope="module", params=NETWORKS)
def vae(request):
    network = "mlp" if request.param == "conditional" else request.param
    return VAE.create(SHAPE, LATENT, network=network, seed=0, **NETWORKS[request.param])


@pytest.fixture(scope="module")
def mlp():
    return VAE.create(SHAPE, LATENT, hidden=(16,), seed=0)


def inputs(model, part, count):
    """Inputs of a part by name."""
    random = np.random.default_rng(count)
    drawn = {
        "encoder": {"x": random.random((count, *SHAPE), dtype=np.float32)},
        "decoder": {"z": random.normal(size=(count, LATENT)).astype("float32")},
    }[part]
    return drawn if model.condition is None else {**drawn, "y": (np.arange(count) % 3).astype("int32")}


def in_memory(model, part, given):
    if part == "encoder":
        q = model.encode(*given.values())
        return {"mean": q.mean(), "stddev": q.stddev()}
    return {"mean": model.decode(*given.values()).mean()}


def litert(path, given):
    return Interpreter(str(path)).get_signature_runner("serving_default")(**given)


def run_onnx(path, given):
    session = onnxruntime.InferenceSession(path)
    return dict(zip([output.name for output in session.get_outputs()], session.run(None, given), strict=True))


def assert_same(converted, ours, tolerance=1e-5):
    assert converted.keys() == ours.keys()
    for name, value in ours.items():
        np.testing.assert_allclose(converted[name], value, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("part", ["encoder", "decoder"])
@pytest.mark.parametrize(
    ("convert", "run", "suffix"), [(to_litert, litert, "tflite"), (to_onnx, run_onnx, "onnx")]
)
def test_a_converted_part_gives_what_the_model_gives(vae, part, convert, run, suffix, tmp_path):
    path = convert(vae, tmp_path / f"{part}.{suffix}", part)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    for count in (1, 3):
        given = inputs(vae, part, count)
        assert_same(run(path, given), in_memory(vae, part, given))


def test_onnx_is_valid_and_its_axes_are_named(mlp, tmp_path):
    model = onnx.load(to_onnx(mlp, tmp_path / "encoder.onnx"))
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    assert [(value.name, value.shape) for value in session.get_inputs()] == [("x", ["batch", *SHAPE])]
    assert [(value.name, value.shape) for value in session.get_outputs()] == [
        ("mean", ["batch", LATENT]),
        ("stddev", ["batch", LATENT]),
    ]


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """A model of weights enough to matter, and its encoder as it is."""
    model = VAE.create(SHAPE, LATENT, hidden=(256,), seed=0)
    return model, to_litert(model, tmp_path_factory.mktemp("full") / "full.tflite")


@pytest.mark.parametrize(("quantization", "shrunk", "error"), [("float16", 0.6, 2e-3), ("int8", 0.4, 2e-2)])
def test_quantised_weights_are_smaller_and_nearly_the_same(wide, quantization, shrunk, error, tmp_path):
    """Half precision keeps 11 bits, and 8 bits are 1/254 of the largest weight: in sums of 256, percents."""
    model, full = wide
    small = to_litert(model, tmp_path / "small.tflite", quantization=quantization)
    assert small.stat().st_size < shrunk * full.stat().st_size
    given = inputs(model, "encoder", 4)
    ours = in_memory(model, "encoder", given)
    assert_same(litert(small, given), ours, error)
    # It is really another file: rounding shows.
    assert not np.array_equal(litert(small, given)["mean"], litert(full, given)["mean"])


@keras.saving.register_keras_serializable("tests")
class IncompleteGamma(keras.layers.Layer):
    """An operation that neither format has."""

    def call(self, x):
        return tf.math.igamma(tf.exp(x), tf.exp(x))


@pytest.fixture(scope="module")
def odd():
    """A model whose encoder neither format can express."""
    encoder = keras.Sequential(
        [keras.Input((4,)), IncompleteGamma(), keras.layers.Dense(layers.IndependentNormal.params_size(2))]
    )
    encoder.add(layers.IndependentNormal(2))
    decoder = keras.Sequential([keras.Input((2,)), keras.layers.Dense(4), layers.IndependentBernoulli(4)])
    return VAE(encoder, decoder)


@pytest.mark.parametrize(("convert", "suffix"), [(to_litert, "tflite"), (to_onnx, "onnx")])
def test_a_missing_operation_is_named_and_no_file_is_written(odd, convert, suffix, tmp_path):
    with pytest.raises(ValueError, match=r"argument `model`.*Igamma.*keras_vae\.serving\.export"):
        convert(odd, tmp_path / f"encoder.{suffix}")
    assert not list(tmp_path.iterdir())
    assert convert(odd, tmp_path / f"decoder.{suffix}", "decoder").is_file()


@pytest.mark.parametrize(("convert", "suffix"), [(to_litert, "tflite"), (to_onnx, "onnx")])
def test_bad_arguments_are_refused(mlp, convert, suffix, tmp_path):
    with pytest.raises(ValueError, match="argument `path`"):
        convert(mlp, tmp_path / "encoder.pb")
    with pytest.raises(ValueError, match=r"argument `part`.*Did you mean 'decoder'"):
        convert(mlp, tmp_path / f"part.{suffix}", "decodr")
    with pytest.raises(ValueError, match="argument `model`"):
        convert(mlp.encoder, tmp_path / f"part.{suffix}")
    assert not list(tmp_path.iterdir())


def test_an_unknown_quantisation_is_refused(mlp, tmp_path):
    with pytest.raises(ValueError, match=r"argument `quantization`.*'float16', 'int8'"):
        to_litert(mlp, tmp_path / "encoder.tflite", quantization="int4")


@pytest.mark.parametrize("package", ["onnx", "tf2onnx", "onnxruntime"])
def test_without_the_extra_the_error_names_it(mlp, package, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf"{package} is not installed.*keras-vae\[convert\]"):
        to_onnx(mlp, tmp_path / "encoder.onnx")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda mean: mean + 0.01, r"`mean`, which differs by up to 0\.01"),
        (lambda mean: np.where(mean > mean.min(), mean, np.nan), "`mean`, in which other values are finite"),
        (lambda mean: mean[:1], r"results of the names and shapes mean \[1, 2\]"),
    ],
)
@pytest.mark.parametrize(("name", "suffix"), [("LiteRT", "tflite"), ("ONNX", "onnx")])
def test_a_conversion_that_computes_something_else_is_refused(
    mlp, name, suffix, change, told, tmp_path, monkeypatch
):
    module = {"LiteRT": to_litert, "ONNX": to_onnx}[name].__module__
    run = sys.modules[module]._run
    monkeypatch.setattr(
        sys.modules[module], "_run", lambda *args: {**(given := run(*args)), "mean": change(given["mean"])}
    )
    with pytest.raises(ValueError, match=rf"{name} computes as TensorFlow does.*{told}"):
        {"LiteRT": to_litert, "ONNX": to_onnx}[name](mlp, tmp_path / f"encoder.{suffix}")
    assert not list(tmp_path.iterdir())


def test_a_conversion_that_does_not_run_is_refused(mlp, tmp_path, monkeypatch):
    def fail(*args):
        raise RuntimeError("no such kernel")

    monkeypatch.setattr(sys.modules[to_onnx.__module__], "_run", fail)
    with pytest.raises(ValueError, match="one that does not run: no such kernel"):
        to_onnx(mlp, tmp_path / "encoder.onnx")
    assert not list(tmp_path.iterdir())
