"""Draws of a Poisson distribution end for every rate."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae.distributions.poisson import Poisson
from keras_vae.layers import IndependentPoisson


@pytest.mark.parametrize("jit", [False, True])
def test_rates_that_are_not_finite_give_nan(jit):
    log_rates = tf.constant([1.0, np.nan, np.inf, -np.inf, 3.0])
    draw = tf.function(lambda seed: Poisson(log_rate=log_rates).sample(2000, seed=seed), jit_compile=jit)
    draws = draw(tf.constant([1, 2])).numpy()
    assert np.isnan(draws[:, 1:3]).all()
    assert (draws[:, 3] == 0.0).all()
    rates = np.exp([1.0, 3.0])
    np.testing.assert_allclose(draws[:, [0, 4]].mean(0), rates, atol=4 * np.sqrt(rates.max() / 2000))


def test_finite_rates_give_the_draws_of_tfp():
    log_rates, seed = tf.constant([-1.0, 0.5, 4.0]), tf.constant([3, 4])
    ours = Poisson(log_rate=log_rates).sample(100, seed=seed)
    np.testing.assert_array_equal(ours, tfp.distributions.Poisson(log_rate=log_rates).sample(100, seed=seed))


def test_the_layer_ends_on_nan():
    draws = IndependentPoisson(2).new(tf.constant([[np.nan, 1.0]]), 2).sample(seed=(1, 2)).numpy()
    assert np.isnan(draws[0, 0])
    assert draws[0, 1] >= 0.0
