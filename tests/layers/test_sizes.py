"""Sizes as integer tensors, and the plain distribution of a result."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae import layers

tfd = tfp.distributions

INTEGERS = [tf.constant, np.int32, np.array, lambda n: tf.constant(n, tf.int64)]


@pytest.mark.parametrize("size", INTEGERS)
def test_sizes_are_integers_of_any_kind(size):
    for name, arguments in {
        "IndependentNormal": [2],
        "IndependentBernoulli": [2],
        "IndependentCategorical": [2, 3],
        "MultivariateNormalTriL": [2],
        "MultivariateNormalDiag": [2],
        "OneHotCategorical": [2],
        "CategoricalMixtureOfOneHotCategorical": [2, 3],
        "MixtureNormal": [3, 2],
        "MixtureLogistic": [3, 2],
        "MixtureDiscretizedLogistic": [3, 2],
    }.items():
        cls = getattr(layers, name)
        tensors = [size(argument) for argument in arguments]
        expected = cls.params_size(*arguments)
        assert cls.params_size(*tensors) == expected
        layer = cls(*tensors)
        assert layer.get_config() == {**cls(*arguments).get_config(), "name": layer.name}
        params = np.zeros([4, expected], "float32")
        assert layer(params).event_shape == cls.new(params, *tensors).event_shape == (2,)


@pytest.mark.parametrize("shape", [tf.constant([2, 3]), [tf.constant(2), 3], np.array([2, 3])])
def test_shapes_are_tensors_too(shape):
    assert layers.IndependentNormal(shape).event_shape == (2, 3)
    assert layers.IndependentNormal.params_size(shape) == 12


def test_sizes_that_a_graph_knows():
    @tf.function
    def draw(params):
        return layers.MixtureNormal.new(params, tf.constant(3), [2]).mean()

    assert draw(tf.zeros([4, layers.MixtureNormal.params_size(3, 2)])).shape == (4, 2)


@pytest.mark.parametrize("wrong", [tf.constant(2.0), tf.constant(0), tf.constant("a"), np.array(1.5)])
def test_wrong_tensors(wrong):
    with pytest.raises(ValueError, match="`event_shape`"):
        layers.IndependentNormal(wrong)
    with pytest.raises(ValueError, match="`event_size`"):
        layers.OneHotCategorical(wrong)


def test_the_distribution_without_its_value():
    p = layers.IndependentNormal(2)(np.zeros([3, 4], "float32"))
    assert type(p.tensor_distribution) is tfd.Independent
    np.testing.assert_array_equal(p.tensor_distribution.mean(), p.mean())
    assert p.copy().tensor_distribution.event_shape == (2,)


def _normal(t):
    return tfd.Normal(t, 1.0)


class _Static:
    new = staticmethod(_normal)


@pytest.mark.parametrize("fn", [lambda t: tfd.Normal(t, 1.0), _Static.new])
def test_a_sequential_with_a_function_is_built(fn):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), layers.DistributionLambda(fn)])
    assert model.built
    assert model.inputs[0].shape == (None, 3)
    assert model.outputs[0].shape == (None, 2)
