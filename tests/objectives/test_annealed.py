"""Annealing and free bits against float64 NumPy, and where they leave the plain objective as it is."""

import keras
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae import models, objectives, priors, schedules

from . import test_importance_weighted as weighted
from . import test_score as score
from .test_objectives import LOC, SCALE, B, D, encoder_gradient, table

tfd = tfp.distributions
MEAN, DEVIATION = np.float64(LOC), np.float64(SCALE)
KL_PER_DIMENSION = 0.5 * (MEAN**2 + DEVIATION**2 - 1.0 - 2.0 * np.log(DEVIATION))
MEANS = KL_PER_DIMENSION.mean(axis=0)
BETWEEN = float(MEANS.mean())  # more than one of the two dimensions carries, and less than the other
WEIGHTS = np.float32([1.0, 2.0, 0.0, 0.5, 3.0])
# The objectives that take both arguments, and what the KL's part is of their loss.
KINDS = {
    "elbo": objectives.ELBO,
    "dip": objectives.DisentangledELBO,
    "factor": lambda **kwargs: objectives.FactorELBO(critic=(4,), **kwargs),
    "adversarial_vae": lambda **kwargs: objectives.AdversarialELBO(critic=(4,), **kwargs),
}
BOUNDS = {
    "iwae": lambda **kwargs: objectives.IWAEBound(weighted.M * weighted.K, **kwargs),
    "miwae": lambda **kwargs: objectives.MIWAEBound(weighted.M, weighted.K, **kwargs),
    "piwae": lambda **kwargs: objectives.PIWAEBound(weighted.M, weighted.K, **kwargs),
    "ciwae": lambda **kwargs: objectives.CIWAEBound(weighted.BETA, weighted.M * weighted.K, **kwargs),
}
EVERY_KIND = pytest.mark.parametrize("build", KINDS.values(), ids=KINDS)
EVERY_BOUND = pytest.mark.parametrize("name", BOUNDS)


def parts_of(objective, terms=None):
    keras.utils.set_random_seed(0)  # critics are made when they are first called
    return objective.parts(terms or table())


def gradient_of(objective):
    keras.utils.set_random_seed(0)
    return encoder_gradient(objective)


# --- annealing of the KL -----------------------------------------------------------------------


@EVERY_KIND
def test_defaults_leave_names_and_numbers(build):
    objective = build()
    assert "kl" in objective.part_names and "annealing" not in objective.monitor_names
    parts = parts_of(objective)
    np.testing.assert_array_equal(parts["kl"], table().exact_kl)
    assert not any(variable.name == "annealing" for variable in objective.variables)


@EVERY_KIND
def test_weight_of_the_kl(build):
    plain, annealed = parts_of(build()), build(annealing=0.3)
    parts = parts_of(annealed)
    np.testing.assert_allclose(parts["weighted_kl"], 0.3 * KL_PER_DIMENSION.sum(axis=1), rtol=1e-5)
    assert set(plain) - {"kl"} == set(parts) - {"weighted_kl"}
    for name in set(plain) - {"kl"}:
        np.testing.assert_array_equal(parts[name], plain[name])
    monitors = annealed.monitors(table())
    np.testing.assert_allclose(monitors["kl"], KL_PER_DIMENSION.sum(axis=1), rtol=1e-5)
    assert float(monitors["annealing"]) == pytest.approx(0.3)


@EVERY_KIND
def test_a_finished_schedule_is_the_plain_objective(build):
    annealed = build(annealing="linear:0:1:10")
    annealed.update(tf.constant(10))
    np.testing.assert_array_equal(parts_of(annealed)["weighted_kl"], parts_of(build())["kl"])
    np.testing.assert_allclose(gradient_of(annealed), gradient_of(build()), rtol=1e-6)


@EVERY_KIND
def test_a_weight_of_zero_has_no_gradient_of_the_kl(build):
    annealed, plain = gradient_of(build(annealing="linear:0:1:10")), gradient_of(build())
    # That of the KL to the standard normal is the mean.
    np.testing.assert_allclose(plain - annealed, LOC, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    "schedule",
    [
        schedules.Linear(0.0, 1.0, 10),
        schedules.Sigmoid(0.0, 1.0, 10),
        schedules.Cyclical(0.0, 1.0, 10),
        schedules.Constant(0.25),
    ],
    ids=lambda schedule: type(schedule).__name__,
)
def test_every_schedule_drives_it(schedule):
    objective = objectives.ELBO(annealing=schedule)
    for step in (0, 3, 9, 10, 25):
        objective.update(tf.constant(step))
        expected = float(schedule(step)) * KL_PER_DIMENSION.sum(axis=1)
        np.testing.assert_allclose(objective.parts(table())["weighted_kl"], expected, rtol=1e-5, atol=1e-7)


def test_annealing_is_beta():
    annealed, beta = objectives.ELBO(annealing=0.3), objectives.BetaELBO(0.3)
    for name, part in beta.parts(table()).items():
        np.testing.assert_array_equal(annealed.parts(table())[name], part)


# --- free bits ---------------------------------------------------------------------------------


@pytest.mark.parametrize("sample_weight", [None, WEIGHTS])
@EVERY_KIND
def test_free_bits_against_numpy(build, sample_weight):
    """Kingma et al., 2016, Eq. 15, as the mean of the parts."""
    means = np.average(KL_PER_DIMENSION, axis=0, weights=sample_weight)
    for free_bits in (0.0, 0.9 * means.min(), means.mean(), 1.1 * means.max()):
        terms = table()
        terms.sample_weight = sample_weight
        part = parts_of(build(free_bits=float(free_bits), annealing=0.5), terms)["weighted_kl"]
        found = np.average(np.float64(part), weights=sample_weight)
        assert found == pytest.approx(0.5 * np.maximum(free_bits, means).sum(), rel=1e-5)


def test_free_bits_of_a_batch_that_counts_for_nothing():
    terms = table()
    terms.sample_weight = np.zeros(B, "float32")
    assert np.isfinite(objectives.ELBO(free_bits=1.0).parts(terms)["weighted_kl"]).all()


def test_free_bits_of_the_beta_vae():
    part = objectives.BetaELBO(3.0, free_bits=BETWEEN).parts(table())["weighted_kl"]
    assert np.mean(part) == pytest.approx(3.0 * np.maximum(BETWEEN, MEANS).sum(), rel=1e-5)


def test_free_dimensions_have_no_gradient():
    assert MEANS.min() < BETWEEN < MEANS.max()
    free, without = (gradient_of(objectives.ELBO(**kwargs)) for kwargs in ({"free_bits": BETWEEN}, {}))
    held = objectives.ELBO(annealing=0.0)
    expected = np.where(MEANS > BETWEEN, LOC, 0.0)
    np.testing.assert_allclose(free - gradient_of(held), expected, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(without - gradient_of(held), LOC, rtol=1e-3, atol=1e-4)


def test_the_kl_is_reported_whole():
    monitors = objectives.ELBO(free_bits=100.0).monitors(table())
    np.testing.assert_allclose(monitors["kl"], KL_PER_DIMENSION.sum(axis=1), rtol=1e-5)
    assert float(monitors["annealing"]) == 1.0


def laplace_table(num_samples):
    terms = table(num_samples)
    terms.q = tfd.Independent(tfd.Laplace(LOC, SCALE), 1)
    return terms


def test_free_bits_without_a_closed_form_are_sampled():
    terms = laplace_table(4)
    z = np.float64(terms.z)
    ratios = scipy.stats.laplace(LOC, SCALE).logpdf(z) - scipy.stats.norm.logpdf(z)
    per_dimension = ratios.mean(axis=0)
    np.testing.assert_allclose(terms.kl_per_dimension(), per_dimension, rtol=1e-4, atol=1e-5)
    means = per_dimension.mean(axis=0)
    part = objectives.ELBO(num_samples=4, free_bits=float(means.mean())).parts(terms)["weighted_kl"]
    assert np.mean(part) == pytest.approx(np.maximum(means.mean(), means).sum(), rel=1e-4)
    with pytest.raises(ValueError, match=r"`kl`.*closed form"):
        laplace_table(1).kl_per_dimension("exact")


@pytest.mark.parametrize("mode", ["auto", "exact", "sampled"])
def test_kl_per_dimension_adds_up(mode):
    terms = table(3)
    per_dimension = terms.kl_per_dimension(mode)
    assert per_dimension.shape == (B, D)
    np.testing.assert_allclose(tf.reduce_sum(per_dimension, axis=1), terms.kl(mode), rtol=1e-5, atol=1e-5)


def test_free_bits_of_bits():
    logits, probs = np.float64(LOC), 0.3
    terms = table(prior=priors.Bernoulli(D, probs))
    terms.q = tfd.Independent(tfd.Bernoulli(LOC, dtype=tf.float32), 1)
    p = 1.0 / (1.0 + np.exp(-logits))
    expected = p * np.log(p / probs) + (1.0 - p) * np.log((1.0 - p) / (1.0 - probs))
    np.testing.assert_allclose(terms.kl_per_dimension(), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kl", ["exact", "sampled"])
def test_free_bits_by_the_score_are_unbiased(kl):
    """Summed over every latent, the gradient is that of the bound without the dimension that is free."""
    logits, weights, prior = variables = [tf.Variable(v) for v in (score.LOGITS, score.W, score.PRIOR)]
    with tf.GradientTape() as tape:
        log_px = tf.reduce_sum(
            tfd.Normal(score.STATES @ weights, np.float64(score.NOISE)).log_prob(score.X), axis=-1
        )
        probabilities = tf.exp(score.log_bits(score.STATES, logits))
        ones = tf.sigmoid(logits)
        each = ones * (tf.math.log_sigmoid(logits) - tf.math.log_sigmoid(prior))
        each += (1.0 - ones) * (tf.math.log_sigmoid(-logits) - tf.math.log_sigmoid(-prior))
        # What the objective compares with the floor is the mean over its batch, here of all latents alike.
        log_ratio = {
            "exact": each[None],
            "sampled": score.STATES * (tf.math.log_sigmoid(logits) - tf.math.log_sigmoid(prior))
            + (1.0 - score.STATES) * (tf.math.log_sigmoid(-logits) - tf.math.log_sigmoid(-prior)),
        }[kl]
        means = tf.reduce_mean(log_ratio, axis=0)
        free_bits = float(tf.reduce_mean(means))
        counts = means > free_bits
        bound = tf.reduce_sum(probabilities * log_px) - tf.reduce_sum(tf.where(counts, each, free_bits))
    assert free_bits > 0.0
    assert sorted(counts.numpy()) == [False, True]
    objective = objectives.ELBO(kl, 2, "score", "leave_one_out", free_bits=free_bits)
    found = score.Enumeration(objective, 2)
    score.assert_exact(found, bound.numpy(), [g.numpy() for g in tape.gradient(bound, variables)])


@pytest.mark.parametrize(
    ("posterior", "prior"),
    [("normal-tril", None), ("normal", priors.NormalMixture(2, 3))],
    ids=["correlated", "mixture"],
)
@pytest.mark.parametrize("kind", [models.VAE, models.BetaVAE, models.DIPVAE])
def test_free_bits_of_dependent_dimensions_are_refused(kind, posterior, prior):
    with pytest.raises(ValueError, match=r"`free_bits`.*independent.*StandardNormal"):
        kind.create((4,), 2, hidden=(3,), posterior=posterior, prior=prior, free_bits=0.5)


BAD = [
    ({"annealing": -0.1}, "`annealing`"),
    ({"annealing": 1.5}, "`annealing`.*from 0 to 1"),
    ({"annealing": "linear:0:2:10"}, "`annealing`.*ends there.*BetaVAE"),
    ({"annealing": "cyclical:0:2:4096"}, "`annealing`.*ends there.*BetaVAE"),
    ({"annealing": "linear:2:-1:10"}, "`annealing`.*>= 0"),
    ({"annealing": "cylical:0:1:10"}, "Did you mean 'cyclical'"),
    ({"free_bits": -0.5}, "`free_bits`"),
    ({"free_bits": "linear:0:1:5"}, "`free_bits`"),
    ({"free_bits": np.float32(-0.5)}, "`free_bits`"),
    ({"free_bits": True}, "`free_bits`"),
    ({"free_bits": float("nan")}, "`free_bits`"),
]


@pytest.mark.parametrize(("arguments", "words"), BAD)
@EVERY_KIND
def test_bad_arguments(build, arguments, words):
    with pytest.raises(ValueError, match=words):
        build(**arguments)


def test_two_targets_are_refused():
    with pytest.raises(ValueError, match=r"`free_bits`.*capacity"):
        objectives.BetaELBO(capacity=5.0, free_bits=0.5)


# --- annealing of the importance-weighted bounds -----------------------------------------------


def annealed_log_weights(variables, z, noise, annealing):
    """In float64, of TensorFlow tensors."""
    loc, scale, weights, mean = variables
    log_px = tf.reduce_sum(tfd.Normal(z @ weights, np.float64(noise)).log_prob(weighted.X), axis=-1)
    log_pz = tf.reduce_sum(tfd.Normal(mean, np.float64(1.0)).log_prob(z), axis=-1)
    log_qz = tf.reduce_sum(tfd.Normal(loc, scale).log_prob(z), axis=-1)
    return log_px + annealing * (log_pz - log_qz)


VALUES = {"iwae": weighted.lme, "miwae": weighted.miwae, "piwae": weighted.lme, "ciwae": weighted.ciwae}


@pytest.mark.parametrize("gradient", weighted.GRADIENTS)
@EVERY_BOUND
def test_bound_and_gradients_against_float64(name, gradient):
    """With a = 0.4: the score of log q counts a times, so a of every weight is replaced by its square."""
    annealing = 0.4
    example = weighted.Example(weighted.M * weighted.K)
    value, found = example.run(BOUNDS[name](gradient=gradient, annealing=annealing))
    # What the objective sees is rounded to float32.
    parameters = weighted.LOC, weighted.SCALE, weighted.W, weighted.MEAN
    variables = [tf.Variable(np.float64(np.float32(value))) for value in parameters]
    noise = (np.float64(example.table().z) - variables[0].numpy()) / variables[1].numpy()
    # Per draw: the derivative along z times dz by a parameter, and the one by the parameter itself.
    loc, scale = (variable.numpy() for variable in variables[:2])
    z = tf.constant(loc + scale * noise)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(z)
        log_w = annealed_log_weights(variables, z, example.noise, annealing)
    np.testing.assert_allclose(value, VALUES[name](log_w.numpy()), rtol=1e-5)
    path = tape.gradient(log_w, z).numpy()
    own, plain, double = (rule(log_w.numpy()) for rule in weighted.RULES[name][2:])
    along = annealing * double + (1.0 - annealing) * plain if gradient == "dreg" else plain
    direct = annealing * plain * (gradient == "reparameterized")
    centred = noise * scale
    expected = [
        np.sum(along[..., None] * path - direct[..., None] * centred / scale**2, axis=0),
        np.sum(
            along[..., None] * path * noise - direct[..., None] * (centred**2 / scale**3 - 1.0 / scale),
            axis=0,
        ),
        *(tape.gradient(log_w, v, output_gradients=tf.constant(own)).numpy() for v in variables[2:]),
    ]
    for gradient_found, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(gradient_found, wanted, rtol=1e-3, atol=1e-4 * np.abs(wanted).max())


@pytest.mark.parametrize("gradient", weighted.GRADIENTS)
@EVERY_BOUND
def test_a_finished_schedule_is_the_bound(name, gradient):
    annealed = BOUNDS[name](gradient=gradient, annealing="sigmoid:0:1:10")
    annealed.update(tf.constant(10))
    weighted.equal(annealed, BOUNDS[name](gradient=gradient), weighted.M * weighted.K)
    assert set(annealed.monitor_names) == {*BOUNDS[name]().monitor_names, "annealing"}


def test_without_prior_and_posterior_it_is_the_likelihood():
    terms = table(4)
    found = objectives.IWAEBound(4, annealing=0.0).parts(terms)["negative_bound"]
    np.testing.assert_allclose(found, -weighted.lme(np.float64(terms.log_px)), rtol=1e-5)


def test_one_draw_is_the_annealed_elbo():
    weighted.equal(objectives.IWAEBound(1, annealing=0.3), objectives.ELBO("sampled", annealing=0.3), 1)


@pytest.mark.parametrize("gradient", ["score", "vimco"])
def test_annealed_bound_of_bits_is_unbiased(gradient):
    objective = objectives.IWAEBound(2, gradient, annealing=0.3)
    exact = score.exact(2, importance_weighted=True, annealing=0.3)
    if gradient == "score":
        objective = objectives.IWAEBound(2, gradient, "none", annealing=0.3)
    score.assert_exact(score.Enumeration(objective, 2), *exact)


def test_annealed_doubly_reparameterised_gradient_is_unbiased():
    """On average over many draws of five."""
    count = 20_000
    wide = {
        name: np.tile(value[:1], (count, 1))
        for name, value in (("x", weighted.X), ("loc", weighted.LOC), ("scale", weighted.SCALE))
    }

    def gradients(gradient, seed):
        example = weighted.Example(5, seed=seed, **wide)
        objective = objectives.IWAEBound(5, gradient, annealing=0.5)
        return np.concatenate(example.run(objective)[1][:2], axis=1)

    plain, double = gradients("reparameterized", (1, 2)), gradients("dreg", (5, 6))
    error = np.sqrt((plain.var(axis=0) + double.var(axis=0)) / count)
    assert np.all(np.abs(plain.mean(axis=0) - double.mean(axis=0)) < 4 * error)
    assert np.all(error < 0.05 * np.abs(plain.mean(axis=0)).max())


def test_models_take_them_as_other_options():
    vae = models.VAE.create((4,), 2, hidden=(3,), annealing="cyclical:0:1:100", free_bits=0.1)
    assert vae.objective.part_names == ("reconstruction", "weighted_kl")
    assert isinstance(vae.objective.annealing, schedules.Cyclical)
