"""Gradients of binary latents: estimators summed over every possible draw are the exact gradient.

With D bits there are 2^D latents, so that the bound, its gradient, and the mean and variance of an estimator
are finite sums.
"""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae import layers, models, objectives, priors

tfd = tfp.distributions
RNG = np.random.default_rng(0)
D, N, NOISE = 2, 3, 0.7
X, W = RNG.normal(size=N), RNG.normal(size=(D, N))
LOGITS, PRIOR = RNG.normal(size=D), RNG.normal(size=D)
STATES = np.array(list(itertools.product([0.0, 1.0], repeat=D)))


class BitPrior(priors.Prior):
    def __init__(self, logits):
        super().__init__(D)
        self.logits = logits

    def distribution(self):
        return tfd.Independent(tfd.Bernoulli(self.logits, dtype=self.logits.dtype), 1)


def log_bits(z, logits):
    return tf.reduce_sum(z * tf.math.log_sigmoid(logits) + (1.0 - z) * tf.math.log_sigmoid(-logits), axis=-1)


def exact(num_samples, importance_weighted, annealing=1.0):
    """The bound, a sum over all latents in float64, and its gradients by logits, W and the prior's logits."""
    logits, weights, prior = variables = [tf.Variable(value) for value in (LOGITS, W, PRIOR)]
    with tf.GradientTape() as tape:
        log_px = tf.reduce_sum(tfd.Normal(STATES @ weights, np.float64(NOISE)).log_prob(X), axis=-1)
        log_q = log_bits(STATES, logits)
        log_w = log_px + annealing * (log_bits(STATES, prior) - log_q)
        if importance_weighted:
            index = np.array(list(itertools.product(range(len(STATES)), repeat=num_samples)))
            of_draws = tf.reduce_logsumexp(tf.gather(log_w, index), axis=1) - np.log(num_samples)
            bound = tf.reduce_sum(tf.exp(tf.reduce_sum(tf.gather(log_q, index), axis=1)) * of_draws)
        else:
            bound = tf.reduce_sum(tf.exp(log_q) * log_w)
    return bound.numpy(), [g.numpy() for g in tape.gradient(bound, variables)]


class Enumeration:
    """An objective at every possible set of S draws, one set an example, and the probability of each set."""

    def __init__(self, objective, num_samples, training=False):
        index = np.array(list(itertools.product(range(len(STATES)), repeat=num_samples)))
        z = STATES[index].transpose(1, 0, 2)
        count = len(index)
        values = (np.tile(LOGITS, (count, 1)), np.tile(W, (count, 1, 1)), np.tile(PRIOR, (count, 1)))
        logits, weights, prior = variables = [tf.Variable(np.float32(value)) for value in values]

        def decode(z):
            of_draws = tf.tile(weights, [num_samples, 1, 1])
            return tfd.Independent(tfd.Normal(tf.einsum("bd,bdn->bn", z, of_draws), NOISE), 1)

        x = np.float32(np.tile(X, (count, 1)))
        q = tfd.Independent(tfd.Bernoulli(logits, dtype=tf.float32), 1)
        with tf.GradientTape() as tape:
            terms = objectives.Terms(
                x, None, q, BitPrior(prior), decode, num_samples, tf.constant([1, 2]), training=training
            )
            terms.z = tf.constant(np.float32(z))
            self.values = -tf.add_n(list(objective.parts(terms).values()))
        # Every example has weights of its own, so these are the gradients of single examples.
        self.gradients = [g.numpy() for g in tape.gradient(self.values, variables)]
        each = np.where(STATES > 0.5, 1.0 / (1.0 + np.exp(-LOGITS)), 1.0 / (1.0 + np.exp(LOGITS))).prod(
            axis=1
        )
        self.probabilities = each[index].prod(axis=1)

    def mean(self, values):
        return np.tensordot(self.probabilities, np.float64(values), axes=1)

    def variance(self):
        """Of the gradient by the logits, summed."""
        gradient = self.gradients[0]
        return np.sum(self.mean(np.square(gradient)) - np.square(self.mean(gradient)))


def assert_exact(found, bound, gradients):
    np.testing.assert_allclose(found.mean(found.values), bound, rtol=1e-5)
    for value, wanted in zip(found.gradients, gradients, strict=True):
        np.testing.assert_allclose(found.mean(value), wanted, rtol=1e-4, atol=2e-5)


# "batch" is left to a test of its own: here the other examples are other draws of the same one, all of them.
ELBO = [
    ("none", 1, "auto"),
    ("none", 2, "sampled"),
    ("running", 1, "sampled"),
    ("running", 2, "auto"),
    ("leave_one_out", 2, "exact"),
    ("leave_one_out", 3, "sampled"),
]


@pytest.mark.parametrize(("baseline", "num_samples", "kl"), ELBO)
def test_elbo_is_unbiased(baseline, num_samples, kl):
    objective = objectives.ELBO(kl, num_samples, "score", baseline)
    for average in objective._score.averages.values():
        average.assign(-3.0)
    assert_exact(Enumeration(objective, num_samples), *exact(num_samples, importance_weighted=False))


@pytest.mark.parametrize(
    ("gradient", "baseline", "num_samples"),
    [
        ("score", "none", 1),
        ("score", "none", 3),
        ("score", "running", 2),
        ("vimco", "auto", 2),
        ("vimco", "auto", 3),
    ],
)
def test_importance_weighted_bound_is_unbiased(gradient, baseline, num_samples):
    objective = objectives.IWAEBound(num_samples, gradient, baseline)
    for average in objective._score.averages.values():
        average.assign(-3.0)
    assert_exact(Enumeration(objective, num_samples), *exact(num_samples, importance_weighted=True))


@pytest.mark.parametrize(
    "build", [lambda: objectives.ELBO("sampled"), lambda: objectives.IWAEBound(1, "score")]
)
def test_batch_baseline_is_unbiased_and_of_the_other_examples(build):
    """Two examples, all pairs of latents: the sum over them is exact."""
    logits = tf.Variable(np.float32(np.stack([LOGITS, -LOGITS])))
    q = tfd.Independent(tfd.Bernoulli(logits, dtype=tf.float32), 1)
    x = np.float32(np.stack([X, X]))
    total, exact_total = np.zeros((2, D)), np.zeros((2, D))
    for first, second in itertools.product(STATES, repeat=2):
        with tf.GradientTape(persistent=True) as tape:
            terms = objectives.Terms(
                x,
                None,
                q,
                BitPrior(tf.constant(np.float32(PRIOR))),
                lambda z: tfd.Independent(tfd.Normal(z @ np.float32(W), NOISE), 1),
                1,
                tf.constant([1, 2]),
            )
            terms.z = tf.constant(np.float32([[first, second]]))
            value = -tf.add_n(list(build().parts(terms).values()))
            # The expectation itself, differentiated through the probability of the pair.
            expectation = tf.exp(tf.reduce_sum(terms.log_qz)) * tf.reduce_sum(terms.log_weights)
        probability = np.exp(np.sum(terms.log_qz))
        total += probability * tape.gradient(value, logits).numpy()
        exact_total += tape.gradient(expectation, logits).numpy()
        with_score = tape.gradient(terms.log_qz, logits).numpy()
        f = np.float64(terms.log_weights)[0]
        if isinstance(build(), objectives.IWAEBound):
            # The bound's own derivative at fixed z is minus that of log q.
            expected = (f - f[::-1])[:, None] * with_score - with_score
            np.testing.assert_allclose(tape.gradient(value, logits), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(total, exact_total, rtol=1e-4, atol=1e-5)


def test_control_variates_lower_the_variance():
    none = Enumeration(objectives.ELBO("sampled", 3, "score", "none"), 3).variance()
    others = Enumeration(objectives.ELBO("sampled", 3, "score", "leave_one_out"), 3).variance()
    assert others < 0.5 * none
    score = Enumeration(objectives.IWAEBound(3, "score", "none"), 3).variance()
    vimco = Enumeration(objectives.IWAEBound(3, "vimco"), 3).variance()
    assert vimco < 0.2 * score


def test_automatic_choices():
    """Several draws: leave-one-out; one: the batch."""
    for num_samples, baseline in ((1, "batch"), (2, "leave_one_out")):
        automatic = Enumeration(objectives.ELBO("sampled", num_samples), num_samples).gradients
        chosen = Enumeration(
            objectives.ELBO("sampled", num_samples, "score", baseline), num_samples
        ).gradients
        for found, wanted in zip(automatic, chosen, strict=True):
            np.testing.assert_array_equal(found, wanted)


def test_weight_of_the_kl_weighs_its_score():
    """beta * KL sampled: the exact gradient is that of the exact KL times beta."""
    found, wanted = (
        Enumeration(objectives.BetaELBO(3.0, kl=kl, num_samples=2, gradient="score"), 2)
        for kl in ("sampled", "exact")
    )
    running = Enumeration(objectives.BetaELBO(3.0, None, "sampled", 2, "score", "running"), 2)
    gradients = (found.gradients, running.gradients, wanted.gradients)
    for first, second, expected in zip(*gradients, strict=True):
        np.testing.assert_allclose(found.mean(first), wanted.mean(expected), rtol=1e-4, atol=2e-5)
        np.testing.assert_allclose(found.mean(second), wanted.mean(expected), rtol=1e-4, atol=2e-5)


def averages(objective):
    return {name: float(value) for name, value in objective._score.averages.items()}


def test_running_average_learns_in_training_only():
    objective = objectives.ELBO("sampled", 1, "score", "running")
    Enumeration(objective, 1)
    assert averages(objective) == {"reconstruction": 0.0, "kl": 0.0}
    table = Enumeration(objective, 1, training=True)
    log_px = np.sum(tfd.Normal(STATES @ W, np.float64(NOISE)).log_prob(X), axis=-1)
    # The first step's average is its own mean.
    assert averages(objective)["reconstruction"] == pytest.approx(log_px.mean(), rel=1e-5)
    assert averages(objective)["kl"] == pytest.approx(-table.values.numpy().mean() + log_px.mean(), rel=1e-4)
    again = Enumeration(objective, 1).gradients[0]
    assert not np.allclose(again, table.gradients[0])  # the step itself had the average from before


def test_running_average_is_a_weight_that_is_saved_and_not_trained(tmp_path):
    model = models.VAE(*binary(), priors.Bernoulli(2), baseline="running", seed=1)
    names = {v.name for v in model.objective.non_trainable_variables}
    assert names == {"reconstruction_baseline", "kl_baseline"}
    assert model.objective.trainable_variables == []
    model.compile(run_eagerly=True, optimizer="sgd")
    x = np.float32(RNG.normal(size=(8, 3)))
    model.fit(x, epochs=2, batch_size=4, verbose=0)
    before = averages(model.objective)
    assert before["reconstruction"] != 0.0
    model.evaluate(x, verbose=0)
    assert averages(model.objective) == before
    model.save(tmp_path / "model.keras")
    assert averages(keras.saving.load_model(tmp_path / "model.keras").objective) == before


def binary(posterior=None):
    posterior = posterior or layers.IndependentBernoulli(2)
    encoder = keras.Sequential([keras.Input((3,)), keras.layers.Dense(posterior.num_params), posterior])
    decoder = keras.Sequential([keras.Input((2,)), keras.layers.Dense(6), layers.IndependentNormal(3)])
    return encoder, decoder


BAD = {
    "pathwise": (
        lambda: models.VAE(*binary(), priors.Bernoulli(2), gradient="pathwise"),
        "`gradient`.*'score'",
    ),
    "pathwise beta": (
        lambda: models.BetaVAE(*binary(), priors.Bernoulli(2), gradient="pathwise"),
        "`gradient`.*'score'",
    ),
    "prior of other values": (
        lambda: models.VAE(*binary(), priors.StandardNormal(2)),
        "`prior`.*priors.Bernoulli",
    ),
    "prior of other values, vimco": (
        lambda: models.IWAE(*binary(), priors.StandardNormal(2), gradient="vimco"),
        "`prior`",
    ),
    "bits for a normal posterior": (
        lambda: models.VAE(*binary(layers.IndependentNormal(2)), priors.Bernoulli(2), gradient="score"),
        "`prior`",
    ),
    "baseline of pathwise": (lambda: objectives.ELBO(gradient="pathwise", baseline="batch"), "`baseline`"),
    "baseline of a normal": (
        lambda: models.VAE(*binary(layers.IndependentNormal(2)), baseline="running"),
        "`baseline`",
    ),
    "leave one out of one": (lambda: objectives.ELBO(baseline="leave_one_out"), "`baseline`.*num_samples"),
    "gradient misspelt": (lambda: objectives.ELBO(gradient="scor"), "Did you mean 'score'"),
    "baseline misspelt": (lambda: objectives.ELBO(baseline="runing"), "Did you mean 'running'"),
    "baseline a number": (lambda: objectives.ELBO(baseline=0.0), "`baseline`"),
}


@pytest.mark.parametrize(("build", "words"), BAD.values(), ids=BAD)
def test_bad_arguments(build, words):
    with pytest.raises(ValueError, match=words):
        build()


def test_bits_learn_what_the_data_are():
    """Patterns of two bits under a binary code: the bound comes near their entropy, log 4 nats."""
    code = np.array(list(itertools.product([0.0, 1.0], repeat=2)), "float32")
    x = np.tile(np.repeat(code, 2, axis=1), (16, 1))
    keras.utils.set_random_seed(2)
    posterior, likelihood = layers.IndependentBernoulli(2), layers.IndependentBernoulli(4)
    encoder = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2), posterior])
    decoder = keras.Sequential([keras.Input((2,)), keras.layers.Dense(4), likelihood])
    model = models.IWAE(encoder, decoder, priors.Bernoulli(2), num_samples=5, gradient="vimco", seed=1)
    weights = model.trainable_variables
    optimizer = keras.optimizers.Adam(0.1)
    optimizer.build(weights)

    @tf.function
    def step(seed):
        with tf.GradientTape() as tape:
            terms = model.terms(tf.constant(x), seed=seed, training=True)
            loss = tf.reduce_mean(model.objective.parts(terms)["negative_bound"])
        optimizer.apply(tape.gradient(loss, weights), weights)
        return loss

    losses = [float(step(tf.constant([i, 7]))) for i in range(300)]
    assert losses[0] > 2.5
    assert np.mean(losses[-20:]) < np.log(4) + 0.1
