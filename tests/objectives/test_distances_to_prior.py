"""WAE and InfoVAE: their terms, special cases, bad arguments."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae import divergences, models, objectives, priors
from keras_vae.distributions import Normal
from keras_vae.layers import IndependentDeterministic

from .test_objectives import B, D, table

tfd = tfp.distributions
DISTANCES = ("mmd-imq", "mmd-rbf", "sinkhorn", "sliced")


class Shift(divergences.SampleDistance):
    """The squared distance of the first points, scaled."""

    def __init__(self, factor):
        self.factor = factor

    def measure(self, x, y, seed):
        return {"divergence": self.factor * tf.reduce_sum((x - y)[..., 0, :] ** 2, axis=-1)}


def test_divergence_is_of_the_draws_and_the_prior():
    terms = table(3)
    value = objectives.WassersteinReconstruction("mmd-imq", 2.0, 3).parts(terms)["weighted_divergence"]
    sets = [divergences.mmd(terms.z[s], terms.prior_z[s]) for s in range(3)]
    np.testing.assert_allclose(value, np.full(B, 2.0 * np.mean(sets)), rtol=1e-5)
    value = objectives.WassersteinReconstruction("sinkhorn", 2.0, 3).parts(terms)["weighted_divergence"]
    sets = [divergences.sinkhorn(terms.z[s], terms.prior_z[s]) for s in range(3)]
    np.testing.assert_allclose(value, np.full(B, 2.0 * np.mean(sets)), rtol=1e-2)


@pytest.mark.parametrize("name", DISTANCES)
def test_codes_that_are_the_prior_are_at_no_distance(name):
    """By the biased MMD, whose value is a squared distance; the unbiased is 0 on average only."""
    distance = divergences.get_distance(name)
    if isinstance(distance, divergences.MMD):
        distance = divergences.MMD(distance.kernel, unbiased=False)
    objective = objectives.WassersteinReconstruction(distance, 1.0)
    far, near = table(), table()
    near.z = near.prior_z
    assert np.allclose(objective.parts(near)["weighted_divergence"], 0.0, atol=1e-5)
    assert np.all(objective.parts(far)["weighted_divergence"] > 0.01)


def test_weight_of_zero_is_the_reconstruction():
    parts = objectives.WassersteinReconstruction(weight=0.0).parts(table())
    np.testing.assert_array_equal(parts["reconstruction"], objectives.ELBO().parts(table())["reconstruction"])
    assert not np.any(parts["weighted_divergence"])


@pytest.mark.parametrize("name", DISTANCES)
def test_alpha_of_zero_and_scale_of_one_is_the_elbo(name):
    parts = objectives.InfoELBO(0.0, 1.0, name).parts(table())
    expected = objectives.ELBO().parts(table())
    np.testing.assert_array_equal(parts["reconstruction"], expected["reconstruction"])
    np.testing.assert_allclose(parts["weighted_kl"], expected["kl"], rtol=1e-6)
    assert not np.any(parts["weighted_divergence"])


def test_info_terms_against_their_formula():
    """Zhao et al., 2019, Eq. 6."""
    terms = table()
    parts = objectives.InfoELBO(-0.5, 4.0).parts(terms)
    np.testing.assert_allclose(parts["weighted_kl"], 1.5 * terms.exact_kl, rtol=1e-6)
    expected = 2.5 * float(divergences.mmd(terms.z[0], terms.prior_z[0]))
    np.testing.assert_allclose(parts["weighted_divergence"], np.full(B, expected), rtol=1e-5)


def test_alpha_of_one_is_wae_for_a_posterior_with_noise():
    info = objectives.InfoELBO(1.0, 7.0).parts(table())
    wae = objectives.WassersteinReconstruction(weight=7.0).parts(table())
    assert not np.any(info["weighted_kl"])
    np.testing.assert_allclose(info["weighted_divergence"], wae["weighted_divergence"], rtol=1e-6)


def test_a_distance_of_ones_own():
    terms = table()
    parts = objectives.WassersteinReconstruction(Shift(2.0), 3.0).parts(terms)
    expected = 6.0 * np.sum((terms.z - terms.prior_z)[0, 0] ** 2)
    np.testing.assert_allclose(parts["weighted_divergence"], np.full(B, expected), rtol=1e-5)


@pytest.mark.parametrize(
    "distance",
    [
        divergences.MMD("rbf", (0.5, 2.0), False, 3.0),
        divergences.Sinkhorn(0.5, 30, 0.01),
        divergences.SlicedWasserstein(7, 1.5),
    ],
)
def test_distances_are_serialised_with_their_options(distance):
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(distance))
    assert type(again) is type(distance)
    assert again.get_config() == distance.get_config()
    terms = table()
    arguments = terms.z, terms.prior_z, tf.constant([1, 2])
    assert again.measure(*arguments)["divergence"] == distance.measure(*arguments)["divergence"]


def test_sinkhorn_reports_and_warns_where_it_did_not_converge():
    objective = objectives.WassersteinReconstruction(divergences.Sinkhorn(0.001, num_iterations=1))
    terms = table()
    with pytest.warns(RuntimeWarning, match="`epsilon` or `num_iterations`"):
        objective.parts(terms)
    assert float(objective.monitors(terms)["marginal_error"]) > 1e-3


@keras.saving.register_keras_serializable(package="tests")
class Located(priors.Prior):
    """A normal with a location to learn, reparameterised."""

    def __init__(self, event_shape, **kwargs):
        super().__init__(event_shape, **kwargs)
        self.loc = self.add_weight(name="loc", shape=self.event_shape, initializer="ones")

    def distribution(self):
        return tfd.Independent(Normal(self.loc, tf.ones(self.event_shape)), 1)


def test_a_prior_is_trained_or_refused():
    prior = Located(D)
    with tf.GradientTape() as tape:
        value = objectives.WassersteinReconstruction().parts(table(prior=prior))["weighted_divergence"]
    assert np.all(tape.gradient(value, prior.loc.value) != 0.0)
    mixture = priors.NormalMixture(D, 2)
    for objective in (objectives.WassersteinReconstruction(), objectives.InfoELBO()):
        with pytest.raises(ValueError, match=r"`prior`.*trainable = False"):
            objective.parts(table(prior=mixture))
    mixture.trainable = False
    assert np.isfinite(objectives.InfoELBO().parts(table(prior=mixture))["weighted_divergence"]).all()


def test_create_makes_codes_without_noise():
    wae = models.WAE.create((4,), latent_size=2, hidden=(3,))
    assert isinstance(wae.encoder.layers[-1], IndependentDeterministic)
    with pytest.raises(ValueError, match="posterior with a density"):
        models.InfoVAE.create((4,), latent_size=2, hidden=(3,), posterior="deterministic")


@pytest.mark.parametrize(
    ("kind", "arguments", "name"),
    [
        (objectives.WassersteinReconstruction, {"divergence": "mmd"}, "divergence"),
        (objectives.WassersteinReconstruction, {"divergence": None}, "divergence"),
        (objectives.WassersteinReconstruction, {"weight": -1.0}, "weight"),
        (objectives.InfoELBO, {"alpha": 1.5}, "alpha"),
        (objectives.InfoELBO, {"alpha": "linear:0:2:10"}, "alpha"),
        (objectives.InfoELBO, {"alpha": 0.0, "scale": 0.5}, "scale"),
        (objectives.InfoELBO, {"alpha": "linear:1:-20:10"}, "scale"),
        (divergences.Sinkhorn, {"epsilon": 0.0}, "epsilon"),
        (divergences.SlicedWasserstein, {"p": 0.0}, "p"),
        (divergences.MMD, {"unbiased": 1}, "unbiased"),
    ],
)
def test_bad_arguments(kind, arguments, name):
    with pytest.raises(ValueError, match=f"`{name}`"):
        kind(**arguments)
