"""What is exported agrees with the model in memory, and no version is ever half written or replaced."""

import numpy as np
import pytest
import tensorflow as tf

from keras_vae import VAE, datasets, layers, serving
from keras_vae.serving import servables
from tests.models.cases import CASES, data, labels

SHAPE, LATENT = (6, 5, 1), 3


@pytest.fixture(scope="module")
def vae():
    return VAE.create(SHAPE, LATENT, hidden=(8,), likelihood="normal", seed=0)


@pytest.fixture(scope="module")
def paths(vae, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved_models")
    for name in ("7", "notes"):
        (folder / "tiny_encoder" / name).mkdir(parents=True)
    return serving.export(vae, folder / "tiny")


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


def test_interpolation_reaches_both_ends(vae, signatures):
    ends = np.random.default_rng(0).normal(size=(2, LATENT)).astype("float32")
    between = signatures["decoder"]["interpolate"](
        z_start=tf.constant(ends[0]), z_end=tf.constant(ends[1]), steps=tf.constant(5)
    )["mean"]
    close(between, vae.decode(np.linspace(*ends, 5)).mean())


@pytest.mark.parametrize("count", [1, 4])
def test_the_model_scores_and_reconstructs_any_batch(vae, signatures, count, without_xla):
    x, seed = batch(count), tf.constant([3, 4])
    served = signatures["model"]
    for name in ("serving_default", "reconstruct"):
        close(served[name](x=tf.constant(x))["mean"], vae.reconstruct(x))
    drawn = {"x": tf.constant(x), "seed": seed, "num_samples": tf.constant(6)}
    with without_xla():
        close(served["log_likelihood"](**drawn)["log_likelihood"], vae.log_likelihood(x, 6, seed=seed))
        close(served["anomaly_score"](**drawn)["anomaly_score"], -vae.elbo(x, 6, seed=seed))


def test_classes_and_conditions_are_read_back(tmp_path):
    model, x = CASES["semi_supervised_vae_m2"].build(), data(4)
    loaded = tf.saved_model.load(serving.export(model, tmp_path / "net")["model"])
    y = labels(model, x)
    assert set(y) >= {-1, 0}  # some unknown
    served = loaded.signatures["reconstruct"](x=tf.constant(x), y=tf.constant(y))["mean"]
    close(served, model.reconstruct(x, y=y))
    close(loaded.signatures["classify"](x=tf.constant(x))["probabilities"], model.classify(x))


def test_the_next_export_is_the_next_version_of_all(paths):
    names = [f"{path.parent.name}/{path.name}" for path in paths.values()]
    assert names == ["tiny_encoder/8", "tiny_decoder/8", "tiny_model/8"]


def test_every_version_has_warm_up_requests_and_a_card(paths):
    for path in paths.values():
        names = {file.name for file in (path / "assets.extra").iterdir()}
        assert {"tf_serving_warmup_requests", "model_card.json"} <= names


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


@pytest.mark.parametrize(
    ("argument", "options"),
    [
        ("images", {"images": "png"}),
        ("transform", {"transform": "unit", "images": "uint8"}),
        ("transform", {"transform": datasets.Transform()}),
        ("anomaly_score", {"anomaly_score": "elbo"}),
        ("run", {"run": "runs/mnist"}),
    ],
)
def test_bad_options_are_refused_before_anything_is_written(vae, tmp_path, argument, options):
    with pytest.raises(ValueError, match=f"argument `{argument}`"):
        serving.export(vae, tmp_path / "net", **options)
    assert not list(tmp_path.iterdir())


def test_a_score_that_the_model_lacks_is_refused(tmp_path):
    model = CASES["autoencoder"].build()
    with pytest.raises(ValueError, match=r"argument `anomaly_score`.*'reconstruction'"):
        serving.export(model, tmp_path / "net", anomaly_score="negative_elbo")


def test_what_is_no_model_is_refused(tmp_path):
    with pytest.raises(ValueError, match="argument `model`"):
        serving.export(layers.IndependentNormal(2), tmp_path / "net")


def test_a_path_without_a_name_is_refused(vae):
    with pytest.raises(ValueError, match="argument `folder`"):
        serving.export(vae, "/")


def test_weights_that_are_not_finite_are_refused(tmp_path):
    model = VAE.create((4,), latent_size=2, hidden=(3,))
    weight = model.decoder.trainable_variables[0]
    weight.assign(np.full(weight.shape, np.nan))
    with pytest.raises(ValueError, match=r"finite weights.*NaN or infinity in"):
        serving.export(model, tmp_path / "broken")
    assert not list(tmp_path.iterdir())
