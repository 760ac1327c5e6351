"""Tools that know nothing of keras_vae run every signature of every servable."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from keras_vae import VAE, serving

SHAPE, LATENT, COUNT = (6, 5, 1), 3, 4

# TensorFlow 1: a session, and tensors by the names that the signature gives them.
SESSION = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("keras_vae", "tensorflow_probability"):
            raise ImportError(name + " is not to be had here")
sys.meta_path.insert(0, Absent())
import numpy as np
import tensorflow as tf

given = np.load("inputs.npz")
results = {}
for folder in sys.argv[1:]:
    part = folder.split("_")[-1].split("/")[0]
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        loaded = tf.compat.v1.saved_model.load(session, ["serve"], folder)
        for key, signature in loaded.signature_def.items():
            if key.startswith("__"):
                continue
            fetches = {name: info.name for name, info in signature.outputs.items()}
            feeds = {info.name: given[name] for name, info in signature.inputs.items()}
            for name, value in session.run(fetches, feeds).items():
                results[f"{part}/{key}/{name}"] = value
np.savez("results.npz", **results)
"""


@pytest.fixture(scope="module")
def vae():
    return VAE.create(SHAPE, LATENT, hidden=(8,), likelihood="normal", seed=0)


@pytest.fixture(scope="module")
def paths(vae, tmp_path_factory):
    return serving.export(vae, tmp_path_factory.mktemp("saved_models") / "tiny")


@pytest.fixture(scope="module")
def inputs():
    rng = np.random.default_rng(0)
    return {
        "x": rng.random((COUNT, *SHAPE), dtype=np.float32),
        "z": rng.normal(size=(COUNT, LATENT)).astype("float32"),
        "seed": np.array([7, 8], np.int32),
        "count": np.int32(COUNT),
        "num_samples": np.int32(5),
        "steps": np.int32(COUNT),
        "z_start": np.float32([-1.0, 0.0, 1.0]),
        "z_end": np.float32([1.0, 2.0, -1.0]),
    }


@pytest.fixture(scope="module")
def expected(vae, inputs, without_xla):
    """What the model in memory gives, by servable, signature and output."""
    x, z, seed = inputs["x"], inputs["z"], tf.constant(inputs["seed"])
    q = vae.encode(x)
    line = np.linspace(inputs["z_start"], inputs["z_end"], COUNT)
    with without_xla():
        values = {
            "encoder/serving_default/mean": q.mean(),
            "encoder/serving_default/stddev": q.stddev(),
            "encoder/sample/z": q.sample(seed=seed),
            "decoder/serving_default/mean": vae.decode(z).mean(),
            "decoder/sample/x": vae.sample(COUNT, seed=seed),
            "decoder/interpolate/mean": vae.decode(line).mean(),
            "model/serving_default/mean": vae.reconstruct(x),
            "model/reconstruct/mean": vae.reconstruct(x),
            "model/log_likelihood/log_likelihood": vae.log_likelihood(x, 5, seed=seed),
            "model/anomaly_score/anomaly_score": -vae.elbo(x, 5, seed=seed),
        }
    return {name: np.asarray(value) for name, value in values.items()}


def close(exported, ours):
    np.testing.assert_allclose(exported, ours, rtol=1e-5, atol=1e-5)


def saved_model_cli(monkeypatch, *arguments):
    from tensorflow.python.tools import saved_model_cli

    monkeypatch.setattr(sys, "argv", ["saved_model_cli", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        saved_model_cli.main()
    assert not ended.value.code


def test_a_session_runs_every_signature_where_keras_vae_is_not(paths, inputs, expected, tmp_path):
    np.savez(tmp_path / "inputs.npz", **inputs)
    command = [sys.executable, "-c", SESSION, *map(str, paths.values())]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    results = np.load(tmp_path / "results.npz")
    assert set(results) == set(expected)
    for name, value in expected.items():
        close(results[name], value)


def test_saved_model_cli_runs_every_signature(paths, inputs, expected, tmp_path, monkeypatch):
    for name, value in inputs.items():
        np.save(tmp_path / f"{name}.npy", value)
    for part, path in paths.items():
        for key, function in tf.saved_model.load(path).signatures.items():
            names = function.structured_input_signature[1]
            files = ";".join(f"{name}={tmp_path / name}.npy" for name in names)
            where = ["--dir", path, "--tag_set", "serve", "--signature_def", key]
            options = ["--inputs", files, "--outdir", tmp_path / part / key]
            saved_model_cli(monkeypatch, "run", *where, *options)
    for name, value in expected.items():
        close(np.load(tmp_path / f"{name}.npy"), value)


def test_saved_model_cli_shows_named_inputs_and_outputs(paths, capsys, monkeypatch):
    shown = {}
    for part, path in paths.items():
        saved_model_cli(monkeypatch, "show", "--dir", path, "--all")
        shown[part] = capsys.readouterr().out
    shape = f"shape: (-1, {', '.join(map(str, SHAPE))})"
    assert all(shape in text for text in shown.values())
    for part, signatures, names in (
        ("encoder", ("serving_default", "sample"), ("mean", "stddev", "z")),
        ("decoder", ("serving_default", "sample", "interpolate"), ("mean", "x")),
        ("model", ("reconstruct", "log_likelihood", "anomaly_score"), ("mean", "anomaly_score")),
    ):
        assert all(f"signature_def['{name}']" in shown[part] for name in signatures)
        assert all(f"outputs['{name}']" in shown[part] for name in names)
