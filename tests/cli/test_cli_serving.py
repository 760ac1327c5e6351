"""`convert` and `configure`, as a user types them."""

import onnxruntime
import pytest
from ai_edge_litert.interpreter import Interpreter

from keras_vae import VAE, runs


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a run that has a model; how it was trained does not matter here."""
    run = runs.Run.create(tmp_path_factory.mktemp("runs") / "tiny", runs.RunConfig())
    run.save_model(VAE.create((8, 8, 1), 2, hidden=(4,), seed=0))
    return run.folder


def test_convert_writes_both_parts(command, run, tmp_path):
    done = command("convert", run, "--output", tmp_path / "digits")
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "digits_decoder.tflite",
        "digits_encoder.tflite",
    ]
    for path in tmp_path.iterdir():
        assert str(path) in done.stdout
        assert "mean" in Interpreter(str(path)).get_signature_runner("serving_default").get_output_details()


def test_convert_to_onnx(command, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = command("convert", run, "--to", "onnx")
    assert done.exit_code == 0, done.output
    outputs = onnxruntime.InferenceSession("saved_models/tiny_decoder.onnx").get_outputs()
    assert [value.name for value in outputs] == ["mean"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--to", "onx"], "Did you mean 'onnx'?"),
        (["--quantization", "int4"], "'float16', 'int8'"),
        (["--to", "onnx", "--quantization", "int8"], "argument `quantization`"),
    ],
)
def test_convert_says_what_is_wrong(command, run, tmp_path, options, words):
    done = command("convert", run, "--output", tmp_path / "digits", *options)
    assert done.exit_code == 2 and done.stderr.startswith("Error: ") and words in done.stderr
    assert not list(tmp_path.iterdir())


def test_configure_serves_what_was_exported(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    version = tmp_path / "saved_models" / "net_encoder" / "1"
    version.mkdir(parents=True)
    (version / "saved_model.pb").touch()
    done = command(
        "configure", "--num-versions", "2", "--batching", "--max-batch-size", "16", "--name", "net"
    )
    assert done.exit_code == 0, done.output
    written = done.stdout.split()
    assert sorted(written) == sorted(
        str(path) for path in (tmp_path / "saved_models").iterdir() if path.is_file()
    )
    assert "num_versions: 2" in (tmp_path / "saved_models" / "models.config").read_text()
    assert "value: 16" in (tmp_path / "saved_models" / "batching_parameters.txt").read_text()
    compose = (tmp_path / "saved_models" / "docker-compose.yml").read_text()
    assert "  net:\n" in compose and "--enable_batching=true" in compose
    again = command("configure", "--image", "tensorflow/serving:2.19.1")
    assert again.exit_code == 2 and "docker-compose.yml" in again.stderr
    assert command("configure", "--image", "tensorflow/serving:2.19.1", "--overwrite").exit_code == 0
    assert "2.19.1" in (tmp_path / "saved_models" / "docker-compose.yml").read_text()


def test_configure_names_a_folder_without_exports(command, tmp_path):
    done = command("configure", tmp_path)
    assert done.exit_code == 2 and str(tmp_path) in done.stderr.replace("\n", "")
