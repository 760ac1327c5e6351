"""BetaTCVAE: the three parts of the KL."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae import models, objectives
from keras_vae.divergences import aggregate_log_densities

from .test_objectives import table

tfd = tfp.distributions
ESTIMATORS = ("weighted", "stratified")
N = 50


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_weights_of_one_are_the_elbo_with_its_sampled_kl(estimator):
    terms = table(3)
    parts = objectives.TotalCorrelationELBO(N, 1.0, 1.0, 1.0, estimator, 3).parts(terms)
    expected = objectives.ELBO("sampled", 3).parts(terms)
    np.testing.assert_array_equal(parts.pop("reconstruction"), expected["reconstruction"])
    np.testing.assert_allclose(sum(parts.values()), expected["kl"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_parts_are_the_weighted_terms(estimator):
    """Chen et al., 2018, Eq. 2 and 4."""
    terms = table(3)
    objective = objectives.TotalCorrelationELBO(N, 0.5, 4.0, 3.0, estimator, 3)
    joint, product = (np.float64(v) for v in aggregate_log_densities(terms.q, terms.z, N, estimator))
    log_qz_x, log_pz = np.float64(terms.log_qz), np.float64(terms.log_pz)
    parts, monitors = objective.parts(terms), objective.monitors(terms)
    for part, monitor, weight, expected in (
        ("weighted_mi", "mutual_information", 0.5, log_qz_x - joint),
        ("weighted_tc", "total_correlation", 4.0, joint - product),
        ("weighted_dimension_kl", "dimension_kl", 3.0, product - log_pz),
    ):
        np.testing.assert_allclose(monitors[monitor], expected.mean(axis=0), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(parts[part], weight * expected.mean(axis=0), rtol=1e-4, atol=1e-5)


def test_one_example_of_independent_latents_has_no_total_correlation():
    terms = table()
    terms.q, terms.x = tfd.Independent(tfd.Normal([[1.0, -2.0]], 0.5), 1), terms.x[:1]
    monitors = objectives.TotalCorrelationELBO(1).monitors(terms)
    assert float(monitors["total_correlation"][0]) == pytest.approx(0.0, abs=1e-5)
    assert float(monitors["mutual_information"][0]) == pytest.approx(0.0, abs=1e-5)


def test_size_of_the_data_leaves_the_weighted_gradient_unchanged():
    loc = tf.Variable(np.linspace(-1.0, 1.0, 10).reshape(5, 2).astype("float32"))

    def gradient(size):
        with tf.GradientTape() as tape:
            terms = table()
            terms.q = tfd.Independent(tfd.Normal(loc, 0.5), 1)
            value = tf.add_n(list(objectives.TotalCorrelationELBO(size).parts(terms).values()))
        return tape.gradient(value, loc)

    np.testing.assert_allclose(gradient(5), gradient(10**6), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"dataset_size": 0}, "dataset_size"),
        ({"dataset_size": 10.5}, "dataset_size"),
        ({"dataset_size": N, "beta": -1.0}, "beta"),
        ({"dataset_size": N, "alpha": "linear:0:-1:5"}, "alpha"),
        ({"dataset_size": N, "gamma": -1.0}, "gamma"),
        ({"dataset_size": N, "estimator": "exact"}, "estimator"),
    ],
)
def test_bad_arguments(arguments, name):
    with pytest.raises(ValueError, match=f"`{name}`"):
        objectives.TotalCorrelationELBO(**arguments)


def test_batches_above_the_size_of_the_data_are_refused():
    with pytest.raises(ValueError, match=r"`dataset_size`.*5 examples"):
        objectives.TotalCorrelationELBO(4).parts(table())


def test_a_posterior_without_density_is_refused():
    with pytest.raises(ValueError, match="posterior with a density"):
        models.BetaTCVAE.create((4,), latent_size=2, hidden=(3,), posterior="deterministic", dataset_size=9)


def test_batches_of_a_data_set_are_held_against_its_size():
    model = models.BetaTCVAE.create((4,), latent_size=2, hidden=(3,), dataset_size=10)
    model.compile(optimizer="sgd")
    batches = tf.data.Dataset.from_tensor_slices(np.zeros((64, 4), "float32")).batch(32)
    with pytest.raises(ValueError, match=r"`dataset_size`.*32 examples"):
        model.fit(batches, verbose=0)
    assert int(model.step) == 0
