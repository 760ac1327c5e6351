"""The structured evidence lower bound: what is known of it exactly, and its steps."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

import keras_vae
from keras_vae import layers, objectives, priors

tfd = tfp.distributions
B, T, D = 6, 4, 2
RNG = np.random.default_rng(0)
NOISE = np.float32(0.6)


def shaken(prior):
    """The prior with other weights than at first."""
    rng = np.random.default_rng(1)
    for weight in prior.trainable_variables:
        weight.assign(weight + 0.4 * rng.normal(size=weight.shape))
    return prior


PRIORS = {
    "mixture": lambda: shaken(priors.GaussianMixtureGraph(D, 3)),
    "system": lambda: shaken(priors.LinearDynamicalSystem((T, D))),
}
EXACT = pytest.mark.parametrize("build", PRIORS.values(), ids=PRIORS)


def ideal(prior, num_samples=1, **kwargs):
    """Terms of x = z + noise with the potentials N(z; x, noise^2), so that q(z|x) is p(z|x)."""
    ndims = len(prior.event_shape)
    x = RNG.normal(size=(B, *prior.event_shape)).astype("float32")
    q = prior.posterior(tfd.Independent(tfd.Normal(x, NOISE), ndims))

    def decode(z):
        return tfd.Independent(tfd.Normal(z, NOISE), ndims)

    return objectives.Terms(x, None, q, prior, decode, num_samples, tf.constant([1, 2]), **kwargs)


def log_px(prior, x):
    """The exact log p(x)."""
    if len(prior.event_shape) == 1:
        log_weights, loc, scale = prior.components()
        covariance = scale @ tf.linalg.matrix_transpose(scale) + NOISE**2 * tf.eye(D)
        normals = tfd.MultivariateNormalFullCovariance(loc, covariance)
        return tfd.MixtureSameFamily(tfd.Categorical(logits=log_weights), normals).log_prob(x)
    loc, scale, transition, noise = prior.steps()
    model = tfd.LinearGaussianStateSpaceModel(
        T,
        transition,
        tfd.MultivariateNormalTriL(tf.zeros(D), noise),
        tf.eye(D),
        tfd.MultivariateNormalDiag(tf.zeros(D), NOISE * tf.ones(D)),
        tfd.MultivariateNormalTriL(loc, scale),
    )
    return model.log_prob(x)


@EXACT
def test_the_bound_is_tight_where_the_potentials_are_the_likelihood(build):
    """log p(x, z) / q(z|x) is then log p(x) at every z, and the loss is -log p(x) on average."""
    prior = build()
    terms = ideal(prior, num_samples=3)
    expected = log_px(prior, terms.x)
    np.testing.assert_allclose(terms.log_weights, tf.tile(expected[None], [3, 1]), rtol=1e-4, atol=1e-4)
    terms = ideal(prior, num_samples=2000)
    expected = log_px(prior, terms.x)
    loss = tf.add_n(list(objectives.StructuredELBO(num_samples=2000).parts(terms).values()))
    # log p(x|z) of eight numbers varies by some nats from draw to draw.
    assert np.std(terms.log_px) < 4.0
    np.testing.assert_allclose(-loss, expected, atol=4 * 4.0 / np.sqrt(2000))


def test_mean_field_is_below_and_other_potentials_are_too():
    prior = PRIORS["mixture"]()
    field = priors.GaussianMixtureGraph(D, 3, "mean-field")
    field.set_weights(prior.get_weights())
    bounds = []
    for each in (prior, field):
        terms = ideal(each, num_samples=2000)
        terms.x = terms.x * 0.0 + 0.3
        potentials = tfd.Independent(tfd.Normal(terms.x, NOISE), 1)
        terms.q = each.posterior(potentials)
        parts = objectives.StructuredELBO(num_samples=2000).parts(terms)
        bounds.append(-np.mean(tf.add_n(list(parts.values()))))
    assert bounds[1] < bounds[0] - 1e-2
    assert bounds[0] == pytest.approx(float(log_px(prior, terms.x)[0]), abs=0.1)


def test_sum_over_components_against_the_closed_form():
    """E_q[log p(x|z)] of a linear decoder, from the moments of the mixture."""
    prior = PRIORS["mixture"]()
    terms = ideal(prior, num_samples=2000)
    parts = objectives.StructuredELBO(num_samples=2000).parts(terms)
    q = terms.q
    second = tf.linalg.diag_part(q.covariance()) + tf.square(q.mean() - terms.x)
    expected = -0.5 * tf.reduce_sum(second, axis=1) / NOISE**2 - D * np.log(NOISE * np.sqrt(2 * np.pi))
    np.testing.assert_allclose(-parts["reconstruction"], expected, atol=4 * 2.0 / np.sqrt(2000))


def test_one_component_is_the_elbo_of_the_product():
    """A structured posterior of one normal is a normal: the plain ELBO of that posterior, draw by draw."""
    prior = priors.GaussianMixtureGraph(D, 1)
    terms = ideal(prior, num_samples=3)
    plain = ideal(prior, num_samples=3)
    precision = 1.0 + 1.0 / NOISE**2
    plain.x = terms.x
    plain.q = tfd.Independent(tfd.Normal(terms.x / NOISE**2 / precision, precision**-0.5), 1)
    plain.prior = priors.StandardNormal(D)
    z, _ = prior.branches(terms.q, 3, terms.seed)
    plain.z = z
    structured, expected = (
        objectives.StructuredELBO(3).parts(terms),
        objectives.ELBO(num_samples=3).parts(plain),
    )
    for name, value in expected.items():
        np.testing.assert_allclose(structured[name], value, rtol=1e-4, atol=1e-5)


def test_with_another_prior_it_is_the_elbo():
    def decode(z):
        return tfd.Independent(tfd.Normal(z, 1.0), 1)

    def table():
        q = tfd.Independent(tfd.Normal(tf.fill([B, D], 0.3), 0.5), 1)
        x = tf.ones([B, D])
        return objectives.Terms(x, None, q, priors.StandardNormal(D), decode, 2, tf.constant([1, 2]))

    structured, plain = objectives.StructuredELBO(2), objectives.ELBO(num_samples=2)
    for name, value in plain.parts(table()).items():
        np.testing.assert_array_equal(structured.parts(table())[name], value)


# --- models ------------------------------------------------------------------------------------------


def network(shape, inputs, name):
    layer = layers.IndependentNormal(shape)
    return keras.Sequential(
        [
            keras.Input(inputs),
            keras.layers.Flatten(),
            keras.layers.Dense(4, activation="tanh"),
            keras.layers.Dense(layer.num_params),
            layer,
        ],
        name=name,
    )


def model(prior, **kwargs):
    keras.utils.set_random_seed(0)
    encoder = network(prior.event_shape, (5,), "encoder")
    built = keras_vae.StructuredVAE(
        encoder, network(5, prior.event_shape, "decoder"), prior, seed=3, **kwargs
    )
    built.compile(optimizer=keras.optimizers.Adam(1e-2), jit_compile=False, run_eagerly=True)
    return built


X = RNG.normal(size=(16, 5)).astype("float32")
BELIEFS = {
    "mixture": lambda **kwargs: priors.BayesianGaussianMixtureGraph(D, 3, dataset_size=16, **kwargs),
    "mean-field": lambda **kwargs: priors.BayesianGaussianMixtureGraph(
        D, 3, dataset_size=16, inference="mean-field", **kwargs
    ),
    "system": lambda **kwargs: priors.BayesianLinearDynamicalSystem((3, D), dataset_size=16, **kwargs),
}
WITH_BELIEFS = pytest.mark.parametrize("build", BELIEFS.values(), ids=BELIEFS)


@WITH_BELIEFS
def test_training_moves_beliefs_and_evaluation_does_not(build):
    vae = model(build(rate=0.5))
    before = vae.prior.get_weights()
    vae.evaluate(X, batch_size=8, verbose=0)
    for value, expected in zip(vae.prior.get_weights(), before, strict=True):
        np.testing.assert_array_equal(value, expected)
    terms = vae.terms(tf.constant(X))
    wanted = build(rate=0.5)
    wanted.natural_step(terms.q, tf.ones([16]))
    vae.fit(X, batch_size=16, epochs=1, verbose=0)
    for value, expected, old in zip(vae.prior.get_weights(), wanted.get_weights(), before, strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-4)
        # How many sequences start, and how many pairs there are, is known from the outset.
        assert value.size == 1 or not np.array_equal(value, old)


@WITH_BELIEFS
def test_weights_of_examples_weigh_their_statistics(build):
    weighted, twice = model(build(rate=1.0)), model(build(rate=1.0))
    weighted.fit(X[:8], batch_size=8, sample_weight=np.float32([2] * 4 + [0] * 4), verbose=0)
    twice.fit(np.tile(X[:4], (2, 1)), batch_size=8, verbose=0)
    for value, expected in zip(weighted.prior.get_weights(), twice.prior.get_weights(), strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("build", [PRIORS["system"]])
def test_estimates_are_of_the_prior_that_the_model_gives(build):
    vae = model(build())
    bound = np.mean(vae.elbo(X, num_samples=50, seed=1))
    assert bound < np.mean(vae.log_likelihood(X, num_samples=50, seed=1))
    assert vae.sample(3, seed=1).shape == vae.reconstruct(X[:3]).shape == (3, 5)
    log_weights = vae.terms(tf.constant(X), num_samples=500).log_weights
    error = float(np.sqrt(np.mean(np.var(log_weights, axis=0)) / 16 / 50))
    assert bound == pytest.approx(np.mean(log_weights), abs=5 * error)


def test_sequences_are_encoded_time_by_time():
    """A network that looks at each time by itself: what it says of a time depends on that frame alone."""

    def per_time(size):  # means of all times, then their scales
        return [
            keras.layers.Dense(2 * size),
            keras.layers.Permute((2, 1)),
            keras.layers.Reshape((2, size, T)),
        ]

    def in_order(size):
        return [*per_time(size), keras.layers.Permute((1, 3, 2)), keras.layers.Flatten()]

    encoder = keras.Sequential([keras.Input((T, 5)), *in_order(D), layers.IndependentNormal((T, D))])
    decoder = keras.Sequential([keras.Input((T, D)), *in_order(5), layers.IndependentNormal((T, 5))])
    vae = keras_vae.StructuredVAE(encoder, decoder, priors.LinearDynamicalSystem((T, D)), seed=0)
    x = RNG.normal(size=(1, T, 5)).astype("float32")
    other = x.copy()
    other[:, 2] += 1.0
    moved = np.any(vae.encoder(x).mean() != vae.encoder(other).mean(), axis=(0, 2))
    np.testing.assert_array_equal(moved, np.arange(T) == 2)
    assert np.all(vae.encode(x).mean() != vae.encode(other).mean())
    assert vae.reconstruct(x).shape == (1, T, 5)


def test_only_graphical_models_fit():
    encoder, decoder = network((D,), (5,), "encoder"), network(5, (D,), "decoder")
    for prior in (None, priors.NormalMixture(D)):
        with pytest.raises(ValueError, match="`prior`"):
            keras_vae.StructuredVAE(encoder, decoder, prior)
    with pytest.raises(ValueError, match="`fit_prior`"):
        model(PRIORS["mixture"]()).fit_prior(X)


@WITH_BELIEFS
def test_a_belief_is_no_prior_of_models_that_would_not_move_it(build):
    graph = build()
    encoder, decoder = model(graph).encoder, model(graph).decoder
    with pytest.raises(ValueError, match=r"argument `prior`.*ELBO can train.*StructuredVAE"):
        keras_vae.VAE(encoder, decoder, prior=graph)
    # One that has been trained may stay as it is.
    graph.trainable = False
    keras_vae.VAE(encoder, decoder, prior=graph)


def test_potentials_must_be_independent_normals():
    posterior = layers.MultivariateNormalTriL(D)
    encoder = keras.Sequential([keras.Input((5,)), keras.layers.Dense(posterior.num_params), posterior])
    with pytest.raises(ValueError, match="`encoder`"):
        keras_vae.StructuredVAE(encoder, network(5, (D,), "decoder"), PRIORS["mixture"]())
