"""Variables that functions and distributions given to layers use are weights of those layers."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae.layers import (
    DistributionLambda,
    IndependentNormal,
    KLDivergenceAddLoss,
    KLDivergenceRegularizer,
)

tfd = tfp.distributions

GLOBAL = tf.Variable(0.5, name="of_the_module")


def _fit(layer, size=1):
    model = keras.Sequential([keras.Input((size,)), layer] if not isinstance(layer, list) else layer)
    model.compile("sgd", loss=lambda y, p: -p.log_prob(y))
    x = np.ones([8, size], "float32")
    model.fit(x, np.full([8, 1], 3.0, "float32"), verbose=0, epochs=2)
    return model


def _of_a_closure(scale):
    return lambda t: tfd.Independent(tfd.Normal(t + scale, 1.0), 1)


def _of_a_default(scale):
    return lambda t, by=scale: tfd.Independent(tfd.Normal(t + by, 1.0), 1)


@pytest.mark.parametrize("make", [_of_a_closure, _of_a_default])
@pytest.mark.parametrize("kind", [tf.Variable, keras.Variable])
def test_variables_of_a_function_are_trained(make, kind):
    variable = kind(0.5)
    model = _fit(DistributionLambda(make(variable)))
    assert len(model.trainable_variables) == 1
    assert float(tf.convert_to_tensor(variable)) > 0.51


def test_variables_of_the_module_are_trained():
    start = float(GLOBAL)
    _fit(DistributionLambda(lambda t: tfd.Independent(tfd.Normal(t + GLOBAL, 1.0), 1)))
    assert float(GLOBAL) > start


@pytest.mark.parametrize("as_function", [True, False])
@pytest.mark.parametrize("added", [True, False])
def test_the_prior_is_trained(added, as_function):
    loc = tf.Variable([0.25], name="loc")
    made = tfd.Independent(tfd.Normal(loc, 1.0), 1)
    prior = (lambda: made) if as_function else made
    if added:
        layers = [keras.Input((2,)), IndependentNormal(1), KLDivergenceAddLoss(prior, use_exact_kl=True)]
    else:
        regularizer = KLDivergenceRegularizer(prior, use_exact_kl=True)
        layers = [keras.Input((2,)), IndependentNormal(1, activity_regularizer=regularizer)]
    model = _fit(layers, 2)
    assert len(model.trainable_variables) == 1
    assert loc.numpy()[0] > 0.26


def test_a_variable_of_two_layers_is_one():
    shift = tf.Variable(0.5)
    layers = [DistributionLambda(lambda t: tfd.Normal(t + shift, 1.0)) for _ in range(2)]
    model = keras.Sequential([keras.Input((1,)), *layers])
    assert len(model.trainable_variables) == 1


def test_untrainable_variables_stay_so():
    shift = tf.Variable(0.5, trainable=False)
    layer = DistributionLambda(lambda t: tfd.Normal(t + shift, 1.0))
    assert not layer.trainable_variables
    assert len(layer.non_trainable_weights) == 1


def test_a_function_of_a_model_that_owns_the_layer():
    class Model(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(1)
            self.last = DistributionLambda(lambda t: tfd.Normal(self.dense(t), 1.0))

        def call(self, x):
            return self.last(x)

    model = Model()
    model(np.ones([2, 3], "float32"))
    assert len(model.trainable_variables) == 2
