"""Encoding, decoding, sampling and the estimates, by themselves."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae import models, priors
from keras_vae.layers.distribution_layer import DistributionLambda
from keras_vae.layers.independent import IndependentNormal

from .cases import autoencoder, beta_vae, data, decoder, encoder, vae

tfd = tfp.distributions
X = data(10)


@pytest.fixture(autouse=True)
def compile_nothing(without_xla):
    """Estimates are compiled in the tests of the linear-Gaussian model; here that would only take time."""
    with without_xla():
        yield


@pytest.fixture(scope="module")
def model():
    """A model that no test changes, so that its estimates are compiled once."""
    return vae()


def test_shapes(model):
    q = model.encode(X)
    assert isinstance(q, tfd.Distribution)
    assert (q.batch_shape, q.event_shape) == ((10,), (2,))
    z = q.sample(seed=(1, 2))
    p = model.decode(z)
    assert isinstance(p, tfd.Distribution)
    assert (p.batch_shape, p.event_shape) == ((10,), (6,))
    assert model.reconstruct(X).shape == (10, 6)
    assert model.sample(4).shape == (4, 6)
    assert model.prior().event_shape == (2,)
    assert model.elbo(X).shape == model.log_likelihood(X, num_samples=3).shape == (10,)


def test_call_is_the_decoded_draw(model):
    p = model(tf.constant(X))
    assert isinstance(p, tfd.Distribution)
    assert (p.batch_shape, p.event_shape) == ((10,), (6,))


def test_decode_any_batch_shape(model):
    z = np.random.default_rng(0).normal(size=(3, 4, 2)).astype("float32")
    p = model.decode(z)
    assert (p.batch_shape, p.event_shape) == ((3, 4), (6,))
    np.testing.assert_allclose(p.mean()[1], model.decode(z[1]).mean(), rtol=1e-5, atol=1e-6)
    x = np.broadcast_to(X[:4], (3, 4, 6))
    expected = np.stack([model.decode(row).log_prob(X[:4]) for row in z])
    np.testing.assert_allclose(p.log_prob(x), expected, rtol=1e-4, atol=1e-4)


def test_reconstruction_is_deterministic_and_the_mean_at_the_mean(model):
    np.testing.assert_array_equal(model.reconstruct(X), model.reconstruct(X))
    expected = model.decode(model.encode(X).mean()).mean()
    np.testing.assert_array_equal(model.reconstruct(X), expected)


@pytest.mark.parametrize("seed", [(1, 2), 0, 5, np.int64(5), -1, 2**40])
def test_same_seed_same_result(model, seed):
    for make in (
        lambda: model.sample(3, seed=seed),
        lambda: model.sample(3, seed=seed, mean=True),
        lambda: model.elbo(X, seed=seed),
        lambda: model.log_likelihood(X, num_samples=3, seed=seed),
    ):
        np.testing.assert_array_equal(make(), make())


def test_other_seeds_other_results(model):
    for make in (
        lambda seed: model.sample(3, seed=seed),
        lambda seed: model.sample(3, seed=seed, mean=True),
        lambda seed: model.elbo(X, seed=seed),
        lambda seed: model.log_likelihood(X, num_samples=3, seed=seed),
    ):
        draws = [np.array(make(seed)) for seed in ((1, 2), (1, 3), 1, 2, None, None)]
        assert len({draw.tobytes() for draw in draws}) == 6


@pytest.mark.parametrize("seed", ["a", 1.5, (1,), (1, 2, 3), [1.0, 2.0]])
def test_bad_seeds(model, seed):
    for call in (lambda: model.sample(2, seed=seed), lambda: model.elbo(X, seed=seed)):
        with pytest.raises(ValueError, match="`seed`"):
            call()


def test_seeded_methods_leave_training_alone(model):
    before = np.array(model.seed_generator.state)
    model.sample(2, seed=(0, 1))
    model.elbo(X, seed=(0, 1))
    model.log_likelihood(X, num_samples=3, seed=(0, 1))
    np.testing.assert_array_equal(model.seed_generator.state, before)


def test_samples_come_from_the_prior_and_the_decoder():
    """The mean of many samples is the mean of the decoder over the prior, to 5 standard errors."""
    prior = priors.NormalMixture(2, 3, seed=1)
    model = models.VAE(encoder(), decoder(), prior, seed=1)
    z = prior().sample(20_000, seed=(9, 9))
    p = model.decode(z)
    error = np.sqrt(np.mean(p.variance() + p.mean() ** 2, axis=0) / 20_000) * np.sqrt(2)
    for mean in (False, True):
        samples = model.sample(20_000, seed=(3, 4), mean=mean)
        assert np.all(np.abs(np.mean(samples, axis=0) - np.mean(p.mean(), axis=0)) < 5 * error)


def test_elbo_is_unweighted_whatever_the_objective():
    keras.utils.set_random_seed(7)
    plain = vae()
    keras.utils.set_random_seed(7)
    weighted = beta_vae(beta=10.0, capacity=5.0)
    np.testing.assert_allclose(weighted.elbo(X, seed=(1, 2)), plain.elbo(X, seed=(1, 2)), rtol=1e-6)


def test_elbo_in_batches_is_the_elbo_of_each_example(model):
    """With draws averaged until the batches' own seeds hardly matter: 4000 draws, scales below 3 nats."""
    whole = model.elbo(X, num_samples=4000, seed=(1, 2))
    parts = model.elbo(X, num_samples=4000, seed=(1, 2), batch_size=4)
    np.testing.assert_allclose(parts, whole, atol=5 * 3 / np.sqrt(4000))
    assert parts.shape == (10,)


def test_log_likelihood_survives_draws_of_probability_zero():
    """Where every draw of some chunk has p(x|z) = 0, the others still count."""

    def positive(params):
        return tfd.Independent(tfd.Uniform(-10.0 * tf.ones_like(params), params), 1)

    decoder = keras.Sequential([keras.Input((2,)), keras.layers.Dense(6), DistributionLambda(positive)])
    model = models.VAE(encoder(), decoder, seed=1)
    impossible = np.full((2, 6), 1000.0, "float32")
    estimate = model.log_likelihood(impossible, num_samples=20)
    np.testing.assert_array_equal(estimate, [-np.inf, -np.inf])


def test_a_second_estimate_is_not_traced_again():
    model = vae()
    traces = []
    terms = model.terms

    def counted(*args, **kwargs):
        traces.append(1)
        return terms(*args, **kwargs)

    model.terms = counted
    model.elbo(X)
    first = len(traces)
    model.elbo(X)
    model.elbo(X + 1.0)
    assert len(traces) == first


def test_export_of_a_trained_model(tmp_path):
    model = vae()
    model.compile(jit_compile=False, run_eagerly=True)
    model.fit(X, verbose=0)
    model.encoder.export(tmp_path / "encoder", verbose=False)
    again = tf.saved_model.load(str(tmp_path / "encoder"))
    assert again.serve(X).shape == (10, 2)


def test_export_of_the_whole_model(tmp_path):
    model = vae()
    model.compile(run_eagerly=True)
    model.fit(X, verbose=0)
    model.export(tmp_path / "model", verbose=False)
    assert tf.saved_model.load(str(tmp_path / "model")).serve(X).shape == (10, 6)


def test_exported_means_are_the_models(tmp_path):
    """A decoder whose distribution converts to its mean exports its mean: nothing is drawn."""
    model = models.VAE(
        encoder(IndependentNormal(2, convert_to_tensor_fn="mean")),
        decoder(IndependentNormal(6, convert_to_tensor_fn="mean")),
    )
    for name, inputs in (("encoder", X), ("decoder", X[:, :2])):
        part = getattr(model, name)
        part.export(tmp_path / name, verbose=False)
        exported = tf.saved_model.load(str(tmp_path / name))
        np.testing.assert_allclose(exported.serve(inputs), part(inputs).mean(), rtol=1e-5, atol=1e-6)


def test_create_builds_what_the_arguments_say():
    options = {"beta": 2.0, "likelihood": "normal", "seed": 5}
    model = models.BetaVAE.create((4, 4, 1), latent_size=3, hidden=(8,), **options)
    assert type(model) is models.BetaVAE
    assert (model.data_shape, model.latent_shape) == ((4, 4, 1), (3,))
    assert float(model.beta) == 2.0
    assert model.seed == 5
    assert isinstance(model.decode(np.zeros([1, 3])).distribution, tfd.Normal)
    by_name = models.BetaVAE.create((4, 4, 1), 3, **options, network_options={"hidden": (8,)})
    assert [v.shape for v in by_name.variables] == [v.shape for v in model.variables]


def test_created_models_are_saved(tmp_path):
    model = models.VAE.create((4, 4, 1), latent_size=3, hidden=(8,))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    x = np.random.default_rng(0).uniform(size=(3, 4, 4, 1)).astype("float32")
    np.testing.assert_array_equal(again.reconstruct(x), model.reconstruct(x))


def test_double_precision_of_the_model_alone():
    keras.config.set_dtype_policy("float64")
    model = vae()
    model.compile(run_eagerly=True)
    assert np.isfinite(model.fit(X, verbose=0).history["loss"][0])


@pytest.mark.parametrize("build", [vae, lambda: beta_vae(beta="linear:0:1:4", capacity=1.0)])
def test_double_precision(build):
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    model = build()
    model.compile(run_eagerly=True)
    x = X.astype("float64")
    assert np.isfinite(model.fit(x, verbose=0).history["loss"][0])
    assert model.encode(x).dtype == model.prior().dtype == tf.float64
    assert model.elbo(x, seed=(1, 2)).dtype == tf.float64
    assert np.isfinite(model.sample(2)).all()


def test_log_likelihood_in_double_precision():
    keras.config.set_dtype_policy("float64")
    assert vae().log_likelihood(X.astype("float64"), num_samples=3).dtype == tf.float64


def test_elbo_of_codes_without_a_density_is_refused():
    model = autoencoder(models.Autoencoder)
    with pytest.raises(ValueError, match="a posterior with a density"):
        model.elbo(data(4))
