"""The importance-weighted objectives: values, gradients against formulas in float64, identities, bounds."""

import keras
import numpy as np
import pytest
import scipy.special
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae import layers, models, objectives, priors
from tests.oracles import LinearGaussian

tfd = tfp.distributions
RNG = np.random.default_rng(0)
B, D, N = 4, 2, 3
X, W = RNG.normal(size=(B, N)), RNG.normal(size=(D, N))
LOC, SCALE = 0.3 * RNG.normal(size=(B, D)), np.exp(0.3 * RNG.normal(size=(B, D)))
MEAN = RNG.normal(size=D)  # of the prior
M, K, BETA = 2, 3, 0.3
GRADIENTS = ("reparameterized", "stl", "dreg")


class NormalPrior(priors.Prior):
    def __init__(self, mean):
        super().__init__(D)
        self.mean = mean

    def distribution(self):
        return tfd.Independent(tfd.Normal(self.mean, 1.0), 1)


class Example:
    """z ~ N(m, 1), x|z ~ N(z W, s^2), q = N(loc, scale): all with variables and a table of one batch."""

    def __init__(self, num_samples, noise=0.5, x=X, loc=LOC, scale=SCALE, seed=(1, 2)):
        values = (loc, scale, W, MEAN)
        self.variables = [tf.Variable(np.float32(value)) for value in values]
        self.noise, self.x, self.num_samples, self.seed = noise, np.float32(x), num_samples, seed

    def table(self):
        loc, scale, weights, mean = self.variables
        return objectives.Terms(
            tf.constant(self.x),
            None,
            tfd.Independent(tfd.Normal(loc, scale), 1),
            NormalPrior(mean),
            lambda z: tfd.Independent(tfd.Normal(z @ weights, self.noise), 1),
            self.num_samples,
            tf.constant(self.seed),
        )

    def run(self, objective):
        """The bound, `[B]`, and its gradients by loc, scale, W and m."""
        with tf.GradientTape() as tape:
            value = -tf.add_n(list(objective.parts(self.table()).values()))
        return value.numpy(), [g.numpy() for g in tape.gradient(value, self.variables)]

    def closed_form(self):
        """In float64: log-weights, their derivative along z, and those by each parameter at fixed z."""
        z = np.float64(self.table().z)
        loc, scale, weights, mean = (np.float64(v) for v in self.variables)
        error, centred = np.float64(self.x) - z @ weights, z - loc
        normal = -0.5 * np.log(2 * np.pi)
        log_px = np.sum(-0.5 * (error / self.noise) ** 2 - np.log(self.noise) + normal, axis=-1)
        log_pz = np.sum(-0.5 * (z - mean) ** 2 + normal, axis=-1)
        log_qz = np.sum(-0.5 * (centred / scale) ** 2 - np.log(scale) + normal, axis=-1)
        path = error @ weights.T / self.noise**2 - (z - mean) + centred / scale**2
        direct_loc = centred / scale**2
        direct_scale = centred**2 / scale**3 - 1.0 / scale
        by_weights = np.einsum("sbd,sbn->sbdn", z, error) / self.noise**2
        log_w = log_px + log_pz - log_qz
        return log_w, path, centred / scale, direct_loc, direct_scale, by_weights, z - mean


def softmax(log_w):
    return scipy.special.softmax(log_w, axis=0)


def grouped_softmax(log_w):
    """Weights normalised within each of the M bounds, and divided by M."""
    return softmax(log_w.reshape(K, M, -1)).reshape(log_w.shape) / M


def lme(log_w):
    return scipy.special.logsumexp(log_w, axis=0) - np.log(len(log_w))


def miwae(log_w):
    return lme(log_w.reshape(K, M, -1)).mean(axis=0)


def ciwae(log_w):
    return BETA * log_w.mean(axis=0) + (1 - BETA) * lme(log_w)


# The objective; its value; the weights of the decoder's gradient; those of the encoder's, plain and doubly
# reparameterised.
RULES = {
    "iwae": (
        lambda g: objectives.IWAEBound(M * K, g),
        lme,
        softmax,
        softmax,
        lambda log_w: softmax(log_w) ** 2,
    ),
    "miwae": (
        lambda g: objectives.MIWAEBound(M, K, g),
        miwae,
        grouped_softmax,
        grouped_softmax,
        lambda log_w: M * grouped_softmax(log_w) ** 2,
    ),
    "piwae": (
        lambda g: objectives.PIWAEBound(M, K, g),
        lme,
        softmax,
        grouped_softmax,
        lambda log_w: M * grouped_softmax(log_w) ** 2,
    ),
    "ciwae": (
        lambda g: objectives.CIWAEBound(BETA, M * K, g),
        ciwae,
        lambda log_w: BETA / (M * K) + (1 - BETA) * softmax(log_w),
        lambda log_w: BETA / (M * K) + (1 - BETA) * softmax(log_w),
        lambda log_w: BETA / (M * K) + (1 - BETA) * softmax(log_w) ** 2,
    ),
}


# With the sharp likelihood, weights of one example lie hundreds of nats apart.
@pytest.mark.parametrize("noise", [0.5, 0.03])
@pytest.mark.parametrize("gradient", GRADIENTS)
@pytest.mark.parametrize("name", RULES)
def test_value_and_gradients_against_brute_force(name, gradient, noise):
    build, value_of, decoder_weights, plain, double = RULES[name]
    example = Example(M * K, noise)
    log_w, path, noise_of_z, direct_loc, direct_scale, by_weights, by_mean = example.closed_form()
    value, (by_loc, by_scale, *others) = example.run(build(gradient))
    # Where weights compete, an error of float32 in log w of up to 1e4 nats is one in the weights.
    precision = 1e-5 + 3e-7 * np.abs(log_w).max()
    np.testing.assert_allclose(value, value_of(log_w), rtol=1e-6, atol=1e-5)

    along = (double if gradient == "dreg" else plain)(log_w)[..., None]
    direct = plain(log_w)[..., None] * (gradient == "reparameterized")
    own = decoder_weights(log_w)
    expected = (
        np.sum(along * path - direct * direct_loc, axis=0),
        np.sum(along * path * noise_of_z - direct * direct_scale, axis=0),
        np.einsum("sb,sbdn->dn", own, by_weights),
        np.einsum("sb,sbd->d", own, by_mean),
    )
    for found, wanted in zip((by_loc, by_scale, *others), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=10 * precision, atol=precision * np.abs(wanted).max())


def test_gradient_of_an_estimate_that_lost_is_not_lost():
    """One bound of PIWAE's encoder lies far below the other: its draws teach the encoder all the same."""
    example = Example(M * K, noise=0.03)
    log_w = example.closed_form()[0]
    of_bounds = lme(log_w.reshape(K, M, -1))
    assert np.ptp(of_bounds, axis=0).max() > 100.0  # e^-100 is 0 in float32
    piwae = example.run(objectives.PIWAEBound(M, K))[1]
    miwae = example.run(objectives.MIWAEBound(M, K))[1]
    iwae = example.run(objectives.IWAEBound(M * K))[1]
    for found, wanted in zip(piwae, (*miwae[:2], *iwae[2:]), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-4 * np.abs(wanted).max())


def equal(first, second, num_samples):
    for found, wanted in zip(
        keras.tree.flatten(Example(num_samples).run(first)),
        keras.tree.flatten(Example(num_samples).run(second)),
        strict=True,
    ):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def test_one_draw_is_the_sampled_elbo():
    equal(objectives.IWAEBound(1), objectives.ELBO("sampled"), 1)


@pytest.mark.parametrize("gradient", GRADIENTS)
def test_special_cases_are_the_simpler_objectives(gradient):
    iwae = objectives.IWAEBound(4, gradient)
    equal(objectives.MIWAEBound(1, 4, gradient), iwae, 4)
    equal(objectives.PIWAEBound(1, 4, gradient), iwae, 4)
    equal(objectives.CIWAEBound(0.0, 4, gradient), iwae, 4)
    equal(objectives.MIWAEBound(4, 1, gradient), objectives.CIWAEBound(1.0, 4, gradient), 4)


def test_the_other_ends_are_the_elbo():
    elbo = objectives.ELBO("sampled", 4)
    equal(objectives.MIWAEBound(4, 1), elbo, 4)
    equal(objectives.CIWAEBound(1.0, 4), elbo, 4)


def test_share_of_the_elbo_is_that_of_now():
    objective = objectives.CIWAEBound("linear:1:0:10", 4)
    equal(objective, objectives.ELBO("sampled", 4), 4)
    objective.update(tf.constant(10))
    equal(objective, objectives.IWAEBound(4), 4)


ORACLE = LinearGaussian.make()
OFF = {"widen": 1.4, "shift": 0.3}


def bounds(objective, repeats=20):
    """The bound of 50 examples, each 20 times over, less log p(x)."""
    x = ORACLE.draw(50, seed=1)
    model = ORACLE.build(**OFF)
    batch = tf.constant(np.tile(x, (repeats, 1)))
    terms = model.terms(batch, num_samples=objective.num_samples, seed=tf.constant([3, 4]))
    bound = -objective.parts(terms)["negative_bound"].numpy()
    return bound - np.tile(ORACLE.log_prob(x), repeats)


def test_bound_rises_from_the_elbo_to_log_px():
    values = {count: bounds(objectives.IWAEBound(count)) for count in (1, 5, 50, 500)}
    means = {count: value.mean() for count, value in values.items()}
    errors = {count: value.std() / np.sqrt(len(value)) for count, value in values.items()}
    assert abs(means[1] + ORACLE.gap(**OFF)) < 4 * errors[1]
    assert means[1] < means[5] - 4 * errors[1]
    assert means[5] < means[50] - 4 * errors[5]
    assert means[50] < 4 * errors[50]
    # To first order the bound lacks var(w) / 2K: for 500 draws a hundredth of a nat or so.
    assert abs(means[500]) < 0.02 + 4 * errors[500]


def test_the_others_lie_between():
    iwae, elbo = bounds(objectives.IWAEBound(12)), bounds(objectives.MIWAEBound(12, 1))
    for objective in (objectives.MIWAEBound(3, 4), objectives.CIWAEBound(0.5, 12)):
        between = bounds(objective)  # of the same draws, so by Jensen's inequality for every example
        assert np.all(elbo <= between + 1e-4)
        assert np.all(between <= iwae + 1e-4)


def gradients_of_draws(gradient, count=20_000, **kwargs):
    """The gradient by loc and scale of one example, for many draws of 5: every row has its own."""
    wide = {
        name: np.tile(value[:1], (count, 1)) for name, value in (("x", X), ("loc", LOC), ("scale", SCALE))
    }
    example = Example(5, **{**wide, **kwargs})
    return np.concatenate(example.run(objectives.IWAEBound(5, gradient))[1][:2], axis=1)


def test_doubly_reparameterised_gradient_is_unbiased_and_varies_less():
    plain = gradients_of_draws("reparameterized")
    double = gradients_of_draws("dreg", seed=(5, 6))
    error = np.sqrt((plain.var(axis=0) + double.var(axis=0)) / len(plain))
    assert np.all(np.abs(plain.mean(axis=0) - double.mean(axis=0)) < 4 * error)
    assert np.all(error < 0.05 * np.abs(plain.mean(axis=0)).max())
    assert np.all(double.var(axis=0) < 0.9 * plain.var(axis=0))


@pytest.mark.parametrize("gradient", ["stl", "dreg"])
@pytest.mark.parametrize("kind", [models.IWAE, models.MIWAE, models.PIWAE, models.CIWAE])
def test_path_gradients_vanish_at_the_posterior(kind, gradient):
    """Roeder et al., section 3: no draw has a gradient where q is exact, though the plain gradient has."""

    def largest(gradient):
        model = ORACLE.build(model=kind, gradient=gradient)
        x = tf.constant(ORACLE.draw(8))
        with tf.GradientTape() as tape:
            terms = model.terms(x, seed=tf.constant([1, 2]))
            loss = tf.reduce_mean(model.objective.parts(terms)["negative_bound"])
        return max(np.abs(g).max() for g in tape.gradient(loss, model.encoder.trainable_variables))

    assert largest(gradient) < 1e-4
    assert largest("reparameterized") > 1e-2


def networks(posterior):
    encoder = keras.Sequential([keras.Input((3,)), keras.layers.Dense(posterior.num_params), posterior])
    decoder = keras.Sequential([keras.Input((2,)), keras.layers.Dense(6), layers.IndependentNormal(3)])
    return encoder, decoder


@pytest.mark.parametrize("kind", [models.IWAE, models.MIWAE, models.PIWAE, models.CIWAE])
def test_posterior_without_a_pathwise_gradient(kind):
    with pytest.raises(ValueError, match=r"`gradient`.*'vimco'.*Received: reparameterized"):
        kind(*networks(layers.IndependentBernoulli(2)), priors.Bernoulli(2))


def test_posterior_without_a_density():
    with pytest.raises(ValueError, match="posterior with a density"):
        models.IWAE(*networks(layers.IndependentDeterministic(2)))


BAD = {
    "IWAEBound": [
        ({"num_samples": 0}, "num_samples"),
        ({"gradient": "drag"}, "Did you mean 'dreg'"),
        ({"gradient": "vimco", "num_samples": 1}, "num_samples"),
        ({"baseline": "running"}, "baseline"),
        ({"gradient": "vimco", "baseline": "batch"}, "baseline"),
        ({"gradient": "score", "baseline": "leave_one_out"}, "vimco"),
        ({"gradient": "score", "baseline": "bacth"}, "Did you mean 'batch'"),
    ],
    "MIWAEBound": [
        ({"num_estimates": 0}, "num_estimates"),
        ({"num_samples": True}, "num_samples"),
        ({"gradient": "vimco"}, "gradient"),
    ],
    "PIWAEBound": [({"num_estimates": 1.5}, "num_estimates"), ({"gradient": "score"}, "gradient")],
    "CIWAEBound": [
        ({"beta": -0.1}, "beta"),
        ({"beta": 1.1}, "from 0 to 1"),
        ({"beta": "linear:0:2:10"}, "beta"),
        ({"gradient": None}, "gradient"),
    ],
}


@pytest.mark.parametrize(
    ("name", "arguments", "words"), [(name, *case) for name, cases in BAD.items() for case in cases]
)
def test_bad_arguments(name, arguments, words):
    with pytest.raises(ValueError, match=words):
        getattr(objectives, name)(**arguments)
