"""Exported halves agree with the model in memory, and no version is ever half written or replaced."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae import VAE, layers, priors, serving
from keras_vae.serving import servables

SHAPE, LATENT = (6, 5, 1), 3


@pytest.fixture(scope="module")
def vae():
    return VAE.create(SHAPE, LATENT, hidden=(8,), likelihood="normal", seed=0)


@pytest.fixture(scope="module")
def paths(vae, tmp_path_factory):
    return serving.export(vae, tmp_path_factory.mktemp("saved_models") / "tiny")


@pytest.fixture(scope="module")
def signatures(paths):
    # The loaded objects are kept: signatures do not keep the variables alive.
    loaded = {half: tf.saved_model.load(path) for half, path in paths.items()}
    yield {half: model.signatures for half, model in loaded.items()}


def batch(count):
    return np.random.default_rng(count).random((count, *SHAPE), dtype=np.float32)


def close(exported, ours):
    np.testing.assert_allclose(exported, ours, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("count", [1, 4, 33])
def test_the_encoder_gives_the_posterior_of_any_batch(vae, signatures, count):
    x = batch(count)
    out = signatures["encoder"]["serving_default"](x=tf.constant(x))
    q = vae.encode(x)
    assert out.keys() == {"mean", "stddev"}
    close(out["mean"], q.mean())
    close(out["stddev"], q.stddev())


@pytest.mark.parametrize("count", [1, 33])
def test_the_decoder_gives_the_mean_of_any_batch(vae, signatures, count):
    z = np.random.default_rng(count).normal(size=(count, LATENT)).astype("float32")
    out = signatures["decoder"]["serving_default"](z=tf.constant(z))
    assert out.keys() == {"mean"}
    close(out["mean"], vae.decode(z).mean())


def test_encoder_and_decoder_together_reconstruct(vae, signatures):
    x = batch(4)
    z = signatures["encoder"]["serving_default"](x=tf.constant(x))["mean"]
    close(signatures["decoder"]["serving_default"](z=z)["mean"], vae.reconstruct(x))


def test_draws_of_z_are_the_posteriors_and_follow_the_seed(vae, signatures):
    x, sample = batch(4), signatures["encoder"]["sample"]
    first = sample(x=tf.constant(x), seed=tf.constant([1, 2]))["z"]
    close(first, vae.encode(x).sample(seed=tf.constant([1, 2])))
    assert np.array_equal(first, sample(x=tf.constant(x), seed=tf.constant([1, 2]))["z"])
    assert not np.allclose(first, sample(x=tf.constant(x), seed=tf.constant([1, 3]))["z"])


@pytest.mark.parametrize("count", [1, 7])
def test_draws_of_x_are_the_models_and_follow_the_seed(vae, signatures, count):
    sample = signatures["decoder"]["sample"]
    seed, number = tf.constant([5, 6]), tf.constant(count)
    first = sample(seed=seed, count=number)["x"]
    close(first, vae.sample(count, seed=seed))
    assert np.array_equal(first, sample(seed=seed, count=number)["x"])
    assert not np.allclose(first, sample(seed=tf.constant([5, 7]), count=number)["x"])


def test_signatures_write_to_no_variable(signatures):
    """A server may run one signature in many threads, and from a frozen graph."""
    for half in signatures.values():
        for signature in ("serving_default", "sample"):
            graph = half[signature].graph.as_graph_def()
            nodes = [
                *graph.node,
                *(node for function in graph.library.function for node in function.node_def),
            ]
            written = {node.op for node in nodes if "Assign" in node.op}
            # Random draws are functions of the seed alone.
            drawn = {node.op for node in nodes if "Random" in node.op and "Stateless" not in node.op}
            assert not written and not drawn


def test_a_correlated_posterior_and_a_learned_prior_are_served(tmp_path):
    prior = priors.NormalMixture(2, num_components=3)
    model = VAE.create((4,), 2, hidden=(4,), posterior="normal-tril", prior=prior)
    paths = serving.export(model, tmp_path / "net")
    encoder, decoder = (tf.saved_model.load(path) for path in paths.values())
    out = encoder.signatures["serving_default"](x=tf.zeros([2, 4]))
    close(out["stddev"], model.encode(np.zeros((2, 4), "float32")).stddev())
    seed = tf.constant([1, 2])
    close(decoder.signatures["sample"](seed=seed, count=tf.constant(9))["x"], model.sample(9, seed=seed))


def test_a_moment_that_nobody_knows_is_left_out():
    flow = tfp.bijectors.Chain([tfp.bijectors.Exp(), tfp.bijectors.Shift(1.0)])
    assert servables._known_moments(flow(tfp.distributions.Normal(0.0, 1.0))) == []
    assert servables._known_moments(tfp.distributions.Normal(0.0, 1.0)) == ["mean", "stddev"]


def test_the_next_export_is_the_next_version_of_both(vae, tmp_path):
    (tmp_path / "net_encoder" / "7").mkdir(parents=True)
    (tmp_path / "net_encoder" / "notes").mkdir()
    written = serving.export(vae, tmp_path / "net")
    assert [str(path.relative_to(tmp_path)) for path in written.values()] == [
        "net_encoder/8",
        "net_decoder/8",
    ]


def test_no_version_is_ever_replaced(vae, tmp_path, monkeypatch):
    first = serving.export(vae, tmp_path / "net")
    before = {path: path.read_bytes() for path in first["encoder"].rglob("*") if path.is_file()}
    # As if another process had taken the version between the choice and the move.
    monkeypatch.setattr(sys.modules["keras_vae.serving.export"], "_next_version", lambda homes: 1)
    with pytest.raises(OSError):
        serving.export(vae, tmp_path / "net")
    assert {path: path.read_bytes() for path in before} == before
    assert sorted(path.name for path in tmp_path.rglob("*_*coder/*")) == ["1", "1"]


def test_a_failure_leaves_nothing_behind(vae, tmp_path, monkeypatch):
    save = servables.Servable.save

    def fail_half_way(self, folder):
        save(self, folder)
        if self.name == "decoder":
            raise OSError("No space left on device")

    monkeypatch.setattr(servables.Servable, "save", fail_half_way)
    with pytest.raises(OSError, match="No space"):
        serving.export(vae, tmp_path / "net")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_what_is_no_model_is_refused(tmp_path):
    with pytest.raises(ValueError, match="argument `model`"):
        serving.export(layers.IndependentNormal(2), tmp_path / "net")


def test_a_path_without_a_name_is_refused(vae):
    with pytest.raises(ValueError, match="argument `folder`"):
        serving.export(vae, "/")


def test_tensorflows_own_tool_runs_it_without_keras_vae(vae, paths, tmp_path):
    """In a process of its own, which knows nothing but the folder."""
    z = np.random.default_rng(0).normal(size=(2, LATENT)).astype("float32")
    np.save(tmp_path / "z.npy", z)
    tool = Path(sys.executable).with_name("saved_model_cli")
    command = [
        tool,
        "run",
        "--dir",
        paths["decoder"],
        "--tag_set",
        "serve",
        "--signature_def",
        "serving_default",
    ]
    files = ["--inputs", f"z={tmp_path / 'z.npy'}", "--outdir", tmp_path]
    done = subprocess.run([*command, *files], capture_output=True, text=True, timeout=300, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    close(np.load(tmp_path / "mean.npy"), vae.decode(z).mean())


def test_tensorflows_own_tool_shows_named_inputs_and_outputs(paths, capsys, monkeypatch):
    from tensorflow.python.tools import saved_model_cli

    shown = {}
    for half, path in paths.items():
        monkeypatch.setattr(sys, "argv", ["saved_model_cli", "show", "--dir", str(path), "--all"])
        with pytest.raises(SystemExit) as ended:
            saved_model_cli.main()
        assert not ended.value.code
        shown[half] = capsys.readouterr().out
    assert all(f"signature_def['{name}']" in shown["encoder"] for name in ("serving_default", "sample"))
    assert (
        "inputs['x']" in shown["encoder"] and f"shape: (-1, {', '.join(map(str, SHAPE))})" in shown["encoder"]
    )
    assert all(f"outputs['{name}']" in shown["encoder"] for name in ("mean", "stddev", "z"))
    assert all(f"inputs['{name}']" in shown["decoder"] for name in ("z", "seed", "count"))
    assert all(f"outputs['{name}']" in shown["decoder"] for name in ("mean", "x"))
