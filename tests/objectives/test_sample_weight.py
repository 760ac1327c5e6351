"""Weights of examples in figures of a whole batch: they count, or are refused."""

import numpy as np
import pytest
import tensorflow as tf

from keras_vae import divergences, models, objectives

from .test_objectives import LOC, SCALE, B, table

WEIGHTS = np.float32([1.0, 2.0, 0.0, 0.5, 3.0])
TAKE_WEIGHTS = {
    "wae": objectives.WassersteinReconstruction,
    "wae_sinkhorn": lambda: objectives.WassersteinReconstruction("sinkhorn"),
    "wae_sliced": lambda: objectives.WassersteinReconstruction("sliced", num_samples=2),
    "info": objectives.InfoELBO,
    "dip": objectives.DisentangledELBO,
    "dip_ii": lambda: objectives.DisentangledELBO("ii"),
    "elbo_free_bits": lambda: objectives.ELBO(free_bits=0.7),
    "beta_capacity": lambda: objectives.BetaELBO(capacity=2.0),
}
EVERY = pytest.mark.parametrize("build", TAKE_WEIGHTS.values(), ids=TAKE_WEIGHTS)


def parts(objective, sample_weight):
    terms = table(objective.num_samples)
    terms.sample_weight = sample_weight
    return objective.parts(terms)


@EVERY
def test_equal_weights_are_none(build):
    objective = build()
    weighted, plain = parts(objective, np.ones(B, "float32")), parts(objective, None)
    for name, part in plain.items():
        np.testing.assert_allclose(weighted[name], part, rtol=1e-4, atol=1e-5, err_msg=name)


@EVERY
def test_a_batch_that_counts_for_nothing_is_finite(build):
    for name, part in parts(build(), np.zeros(B, "float32")).items():
        assert np.isfinite(part).all(), name


@pytest.mark.parametrize("name", [name for name in TAKE_WEIGHTS if name != "beta_capacity"])
def test_an_example_without_weight_has_no_part_in_the_loss(name):
    """Its own code gets no gradient, and those of the others get that of the weighted batch."""
    objective, loc = TAKE_WEIGHTS[name](), tf.Variable(LOC)
    with tf.GradientTape() as tape:
        terms = table(objective.num_samples, loc=loc)
        terms.sample_weight = WEIGHTS
        loss = tf.add_n([tf.reduce_mean(WEIGHTS * part) for part in objective.parts(terms).values()])
    gradient = tape.gradient(loss, loc).numpy()
    assert not gradient[WEIGHTS == 0.0].any()
    assert np.abs(gradient[WEIGHTS > 0.0]).max(axis=1).min() > 0.0


def test_moments_are_weighted():
    part = parts(objectives.DisentangledELBO("ii", 0.0, 1.0), WEIGHTS)["diagonal"]
    variances = np.diag(np.cov(np.float64(LOC).T, aweights=WEIGHTS, bias=True))
    variances = variances + np.average(np.float64(SCALE) ** 2, axis=0, weights=WEIGHTS)
    np.testing.assert_allclose(part, np.full(B, np.sum((variances - 1.0) ** 2)), rtol=1e-4)


def test_distance_is_that_of_the_weighted_codes():
    objective = objectives.WassersteinReconstruction(divergences.MMD(), 3.0, num_samples=2)
    terms = table(2)
    terms.sample_weight = WEIGHTS
    found = objective.parts(terms)["weighted_divergence"]
    each = [
        divergences.mmd(z, prior_z, weights=WEIGHTS)
        for z, prior_z in zip(terms.z, terms.prior_z, strict=True)
    ]
    np.testing.assert_allclose(found, np.full(B, 3.0 * np.mean(each)), rtol=1e-5)


class Plain(divergences.SampleDistance):
    """A distance as users write one, of points that count alike."""

    def measure(self, x, y, seed):
        return {"divergence": tf.reduce_mean(tf.abs(tf.reduce_mean(x - y, axis=-2)), axis=-1)}


REFUSE_WEIGHTS = {
    "beta_tc": lambda: objectives.TotalCorrelationELBO(50),
    "factor": lambda: objectives.FactorELBO(critic=(4,)),
    "distance without weights": lambda: objectives.WassersteinReconstruction(Plain()),
}


@pytest.mark.parametrize("build", REFUSE_WEIGHTS.values(), ids=REFUSE_WEIGHTS)
def test_weights_that_would_be_ignored_are_refused(build):
    objective = build()
    assert np.isfinite(sum(np.mean(part) for part in parts(objective, None).values()))
    terms = table()
    terms.sample_weight = WEIGHTS
    with pytest.raises(ValueError, match="`sample_weight`"):
        {**objective.parts(terms), **objective.critic_parts(terms)}


def test_models_refuse_them_in_fit():
    vae = models.BetaTCVAE.create((4,), 2, hidden=(3,), dataset_size=8, likelihood="normal-fixed")
    vae.compile(run_eagerly=True)
    x = np.zeros((8, 4), "float32")
    with pytest.raises(ValueError, match=r"`sample_weight`.*total correlation"):
        vae.fit(x, sample_weight=np.ones(8), verbose=0)
