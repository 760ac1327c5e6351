"""The implicit posterior: what it can express, what refuses it, and how it is trained and kept."""

import keras
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
import tensorflow_probability as tfp

import keras_vae
from keras_vae import layers, models, objectives, priors
from keras_vae.layers.deterministic import has_density, is_deterministic

tfd = tfp.distributions
SEED = tf.constant([3, 4])
X = np.random.default_rng(0).normal(size=(7, 3)).astype("float32")


def encoder(posterior):
    head = keras.layers.Dense(posterior.num_params)
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, "tanh"), head, posterior])


def decoder(size=2):
    return keras.Sequential([keras.Input((size,)), keras.layers.Dense(6), layers.IndependentNormal(3)])


def test_one_layer_against_numpy():
    """z = C act(h + A e) + c, with the noise e worked out of a layer that passes it on."""
    layer = layers.ImplicitPosterior(2, noise_size=3, hidden=(4,), activation="tanh")
    a, c, bias = (np.float64(w) for w in layer.get_weights())
    layer.dense[1].bias.assign([0.3, -0.2])
    noise = np.float64(keras_vae.distributions.draws.normal([5, 6, 3], SEED))
    h = np.random.default_rng(1).normal(size=(6, 4)).astype("float32")
    expected = np.tanh(h + noise @ a) @ c + [0.3, -0.2]
    np.testing.assert_allclose(layer.distribution(h).sample(5, seed=SEED), expected, rtol=1e-4, atol=1e-5)
    assert bias.tolist() == [0.0, 0.0]


def test_more_layers_are_an_mlp_of_features_and_noise():
    """With the layer in front: the first layer of the MLP sees both, its bias comes with the features."""
    posterior = layers.ImplicitPosterior((2, 1), noise_size=3, hidden=(4, 5))
    dense = keras.layers.Dense(posterior.num_params)
    q = posterior(dense(X))
    dense.bias.assign(np.linspace(-1.0, 1.0, 4))
    q = posterior(dense(X))
    noise = keras_vae.distributions.draws.normal([5, 7, 3], SEED)
    mlp = keras.Sequential([keras.layers.Dense(n, a) for n, a in ((4, "relu"), (5, "relu"), (2, None))])
    both = tf.concat([tf.broadcast_to(X, [5, 7, 3]), noise], axis=-1)
    mlp(both)
    first, *rest = posterior.get_weights()
    mlp.set_weights([np.concatenate([dense.kernel, first]), dense.bias, *rest])
    expected = tf.reshape(mlp(both), [5, 7, 2, 1])
    np.testing.assert_allclose(q.sample(5, seed=SEED), expected, rtol=1e-4, atol=1e-5)


def test_linear_one_is_a_normal_with_one_covariance():
    layer = layers.ImplicitPosterior(2, hidden=(8, 8), activation="linear")
    first, second, _, third, _ = layer.get_weights()
    h = np.random.default_rng(1).normal(size=(2, 8)).astype("float32")
    q = layer.distribution(h)
    np.testing.assert_allclose(q.mean(), h @ second @ third, rtol=1e-4, atol=1e-5)
    mixing = first @ second @ third
    x = q.sample(20_000, seed=SEED).numpy()
    covariance = mixing.T @ mixing
    for b in range(2):
        error = 5 * np.sqrt(2 / 20_000) * covariance.max()
        np.testing.assert_allclose(np.cov(x[:, b].T), covariance, atol=error)


def fit_to(prior, posterior, steps=400):
    """Trains q(z|x) of a single x so that its draws are those of the prior, by their Wasserstein distance."""
    keras.utils.set_random_seed(0)
    network = encoder(posterior)
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.02, steps))
    optimizer.build(network.trainable_variables)
    x = tf.ones([1, 3])

    @tf.function  # XLA would take longer to compile than to save
    def train():
        for step in tf.range(steps):
            seed = tf.stack([step, 0])
            with tf.GradientTape() as tape:
                z, wanted = network(x).sample(256, seed=seed), prior().sample(256, seed=seed + 1000)
                # In one dimension the best plan pairs the sorted points.
                loss = tf.reduce_mean(tf.square(tf.sort(z[:, 0, 0]) - tf.sort(wanted[:, 0])))
            weights = network.trainable_variables
            optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))

    train()
    return network(x).sample(4000, seed=SEED).numpy()[:, 0, 0]


def test_has_two_modes_where_a_normal_cannot():
    """x says nothing, so each posterior must be the prior itself: half at -2, half at 2, deviation 0.4."""
    prior = priors.NormalMixture(1, 2)
    prior.loc.assign([[-2.0], [2.0]])
    prior.raw_scale.assign(np.full([2, 1], np.log(np.expm1(0.4))))
    implicit = fit_to(prior, layers.ImplicitPosterior(1, hidden=(32, 32)))
    normal = fit_to(prior, layers.IndependentNormal(1))

    def cdf(z):
        return 0.5 * scipy.stats.norm.cdf(z, -2.0, 0.4) + 0.5 * scipy.stats.norm.cdf(z, 2.0, 0.4)

    distances = [scipy.stats.kstest(z, cdf).statistic for z in (implicit, normal)]
    assert distances[0] < 0.08
    # The best normal, of the mixture's deviation 2.04, is off by 0.16 at one deviation of a mode.
    assert distances[1] > 0.15
    # Between the modes the prior has 0.6 %, that normal 38 %; a continuous f must cross over.
    assert np.mean(np.abs(implicit) < 1.0) < 0.12 < 0.33 < np.mean(np.abs(normal) < 1.0)
    assert 0.4 < np.mean(implicit > 0.0) < 0.6


@pytest.mark.parametrize("kind", [models.VAE, models.IWAE, models.InfoVAE, models.AdversarialVAE])
def test_objectives_that_need_a_density_refuse_it(kind):
    with pytest.raises(ValueError, match=r"`encoder`.*posterior with a density.*Implicit, which has none"):
        kind(encoder(layers.ImplicitPosterior(2)), decoder())


def test_what_has_a_density():
    """Independent parts, arranged parts, and the copies that layers return."""
    point, normal = tfd.VectorDeterministic(X), tfd.Independent(tfd.Normal(X, 1.0), 1)
    implicit = layers.ImplicitPosterior(2)(np.zeros([7, 64], "float32"))
    beside = keras_vae.distributions.SideBySide
    known = {
        "normal": (normal, True, False),
        "point": (point, False, True),
        "points": (tfd.Independent(tfd.Deterministic(X), 1), False, True),
        "implicit": (implicit, False, False),
        "two points": (beside([point, point]), False, True),
        "half a point": (beside([point, normal]), False, False),
        "half implicit": (beside([normal, implicit]), False, False),
        "two normals": (beside([normal, normal]), True, False),
        "bits": (tfd.Independent(tfd.Bernoulli(X), 1), True, False),
        "of a layer": (layers.IndependentDeterministic(3)(X), False, True),
    }
    for name, (distribution, density, deterministic) in known.items():
        assert has_density(distribution) == density, name
        assert is_deterministic(distribution) == deterministic, name


def test_in_a_model_by_name(tmp_path):
    """Built, trained, saved, loaded; gradients reach every weight; several draws are taken."""
    model = models.AdversarialAutoencoder.create(
        (3,), 2, posterior="implicit", likelihood="normal", hidden=(8,), critic=(8,), num_samples=2, seed=1
    )
    layer = model.encoder.layers[-1]
    assert isinstance(layer, layers.ImplicitPosterior) and len(layer.trainable_weights) == 5
    before = layer.get_weights()
    model.compile("adam", run_eagerly=True)
    model.fit(X, epochs=2, verbose=0)
    assert all(np.any(old != new) for old, new in zip(before, layer.get_weights(), strict=True))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    q, again = model.encode(X), loaded.encode(X)
    np.testing.assert_array_equal(again.sample(5, seed=SEED), q.sample(5, seed=SEED))
    np.testing.assert_array_equal(loaded.reconstruct(X), model.reconstruct(X))
    assert np.all(np.std(q.sample(50, seed=SEED), axis=0) > 0.0)
    with pytest.raises(ValueError, match="which has none"):
        model.log_likelihood(X, num_samples=2)


def test_reconstruction_alone_takes_several_draws_of_it():
    """Of a deterministic posterior all draws are equal, of this one they are not."""
    model = models.Autoencoder(encoder(layers.ImplicitPosterior(2)), decoder(), num_samples=3)
    terms = model.terms(tf.constant(X))
    parts = objectives.Reconstruction(3).parts(terms)
    np.testing.assert_allclose(parts["reconstruction"], -np.mean(terms.log_px, axis=0), rtol=1e-5)
    assert np.all(np.std(terms.log_px, axis=0) > 0.0)


def test_every_argument_counts():
    keras.utils.set_random_seed(0)
    plain = layers.ImplicitPosterior(2)
    assert (plain.noise_size, plain.hidden, plain.num_params) == (2, (64, 64), 64)
    assert layers.ImplicitPosterior((2, 3)).noise_size == 6
    h = np.random.default_rng(1).normal(size=(3, 64)).astype("float32")
    bent = layers.ImplicitPosterior(2, activation="tanh")
    bent.set_weights(plain.get_weights())
    assert not np.allclose(plain.distribution(h).mean(), bent.distribution(h).mean(), atol=1e-3)
    shapes = [w.shape for w in layers.ImplicitPosterior(2, noise_size=5, hidden=(8, 7)).weights]
    assert shapes == [(5, 8), (8, 7), (7,), (7, 2), (2,)]


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("event_shape", 0),
        ("noise_size", 0),
        ("noise_size", 1.5),
        ("hidden", ()),
        ("hidden", (8, 0)),
        ("hidden", "mlp"),
        ("activation", "rellu"),
        ("activation", keras.layers.ReLU()),
    ],
    ids=str,
)
def test_bad_arguments(argument, value):
    with pytest.raises(ValueError, match=f"`{argument}`"):
        layers.ImplicitPosterior(**{"event_shape": 2, argument: value})


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((1, layers.IndependentNormal(2)), "num_classes"),
        ((3, "normal"), "style"),
        ((3, layers.IndependentNormal(())), "style"),
        ((3, layers.IndependentNormal((2, 2))), "style"),
    ],
    ids=str,
)
def test_bad_arguments_of_softmax_and_style(arguments, named):
    with pytest.raises(ValueError, match=f"`{named}`"):
        layer = layers.SoftmaxAndStyle(*arguments)
        layer(np.zeros([2, layer.num_params], "float32"))


@pytest.mark.parametrize("style", ["deterministic", "normal", "normal-tril", "implicit"])
def test_softmax_beside_every_style(style):
    style = layers.get_posterior(style, 2)
    layer = layers.SoftmaxAndStyle(3, style)
    params = np.random.default_rng(0).normal(size=(4, layer.num_params)).astype("float32")
    q = layer(params)
    y = np.exp(params[:, :3]) / np.exp(params[:, :3]).sum(axis=1, keepdims=True)
    draws = q.sample(5, seed=SEED)
    np.testing.assert_allclose(draws[..., :3], np.tile(y, (5, 1, 1)), rtol=1e-5)
    np.testing.assert_allclose(q.mean()[:, :3], y, rtol=1e-5)
    np.testing.assert_array_equal(q.class_logits, params[:, :3])
    alone = style.distribution(params[:, 3:])
    np.testing.assert_allclose(q.mean()[:, 3:], alone.mean(), rtol=1e-6)
    assert q.reparameterization_type == tfd.FULLY_REPARAMETERIZED
    assert is_deterministic(q) == is_deterministic(alone)
