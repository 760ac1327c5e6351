"""Norms of Jacobians against closed forms, and the contractive objective that is made of one."""

import keras
import numpy as np
import pytest
import scipy.special
import tensorflow as tf

from keras_vae import models
from keras_vae.layers import IndependentDeterministic, IndependentNormal
from keras_vae.objectives import jacobian

RNG = np.random.default_rng(0)
X = RNG.normal(size=(5, 4)).astype("float32")
W = RNG.normal(size=(4, 3)).astype("float32")
BY = {"outputs": jacobian.squared_norm_by_outputs, "inputs": jacobian.squared_norm_by_inputs}


def model(activation="linear", network=None, weight=0.3):
    network = network or [keras.Input((4,)), keras.layers.Dense(3, activation=activation)]
    encoder = keras.Sequential([*network, IndependentDeterministic(3)])
    decoder = keras.Sequential([keras.Input((3,)), keras.layers.Dense(8), IndependentNormal(4)])
    return models.ContractiveAutoencoder(encoder, decoder, weight=weight)


def penalty(model, x):
    return model.objective.parts(model.terms(tf.constant(x)))["weighted_contraction"]


@pytest.mark.parametrize("norm", BY.values(), ids=BY)
def test_a_linear_map(norm):
    np.testing.assert_allclose(norm(lambda x: x @ W, tf.constant(X)), np.full(5, np.sum(W**2)), rtol=1e-5)


@pytest.mark.parametrize("norm", BY.values(), ids=BY)
def test_a_nonlinear_map_against_finite_differences(norm):
    """f_1 = sin(x_1 x_2), f_2 = exp(x_3) + x_4^2, in float64: central differences err by about 1e-10."""

    def function(x):
        return tf.stack([tf.sin(x[:, 0] * x[:, 1]), tf.exp(x[:, 2]) + x[:, 3] ** 2], axis=1)

    x, step = np.float64(X), 1e-6
    slopes = [
        (function(x + step * e).numpy() - function(x - step * e).numpy()) / (2 * step) for e in np.eye(4)
    ]
    expected = np.sum(np.square(slopes), axis=(0, 2))
    np.testing.assert_allclose(norm(function, tf.constant(x)), expected, rtol=1e-7)


def test_outputs_of_any_shape_and_inputs_of_any_shape():
    image = RNG.normal(size=(2, 3, 2)).astype("float32")
    by_outputs = jacobian.squared_norm_by_outputs(lambda x: tf.reshape(x, [2, 6]) ** 2, tf.constant(image))
    np.testing.assert_allclose(by_outputs, np.sum(4 * image**2, axis=(1, 2)), rtol=1e-5)
    by_inputs = jacobian.squared_norm_by_inputs(
        lambda z: tf.reshape(z, [-1, 3, 2]) ** 2, tf.constant(image.reshape([2, 6]))
    )
    np.testing.assert_allclose(by_inputs, np.sum(4 * image**2, axis=(1, 2)), rtol=1e-5)


@pytest.mark.parametrize(
    ("activation", "value", "slope"),
    [
        ("sigmoid", scipy.special.expit, lambda h: h * (1 - h)),
        ("tanh", np.tanh, lambda h: 1 - h**2),
        ("linear", lambda a: a, np.ones_like),
    ],
)
def test_one_dense_layer(activation, value, slope):
    """Rifai et al., 2011: sum_j s'(a_j)^2 sum_i W_ij^2; for sigmoids s' = h (1 - h)."""
    contractive = model(activation)
    kernel, bias = (np.float64(w) for w in contractive.encoder.layers[0].get_weights())
    hidden = value(np.float64(X) @ kernel + bias)
    expected = 0.3 * (slope(hidden) ** 2 @ np.sum(kernel**2, axis=0))
    np.testing.assert_allclose(penalty(contractive, X), expected, rtol=1e-5)


def test_gradient_of_the_penalty():
    """Of a linear encoder's 0.3 * sum W^2: 0.6 * W, whatever x."""
    contractive = model()
    kernel = contractive.encoder.layers[0].kernel
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(penalty(contractive, X))
    np.testing.assert_allclose(tape.gradient(loss, kernel), 0.6 * np.array(kernel), rtol=1e-5)


def test_convolutions_against_single_outputs():
    """The vectorised Jacobian of a convolutional encoder, against a gradient for each output in turn."""
    layers = [
        keras.Input((6, 6, 1)),
        keras.layers.Conv2D(2, 3, strides=2, padding="same", activation="tanh"),
        keras.layers.Flatten(),
        keras.layers.Dense(3),
    ]
    encoder = keras.Sequential(layers)
    x = tf.constant(RNG.normal(size=(2, 6, 6, 1)).astype("float32"))
    expected = np.zeros(2)
    for unit in range(3):
        with tf.GradientTape() as tape:
            tape.watch(x)
            output = tf.reduce_sum(encoder(x)[:, unit])
        expected += np.sum(np.square(tape.gradient(output, x)), axis=(1, 2, 3))
    np.testing.assert_allclose(jacobian.squared_norm_by_outputs(encoder, x), expected, rtol=1e-5)


def test_weight_of_zero_is_the_autoencoder():
    contractive = model("tanh", weight=0.0)
    plain = models.Autoencoder(contractive.encoder, contractive.decoder)
    parts = contractive.objective.parts(contractive.terms(tf.constant(X)))
    expected = plain.objective.parts(plain.terms(tf.constant(X)))["reconstruction"]
    np.testing.assert_array_equal(sum(parts.values()), expected)


def test_an_encoder_without_derivative_is_refused():
    with pytest.raises(ValueError, match=r"`encoder`.*differentiated"):
        model(network=[keras.Input((4,)), keras.layers.Lambda(tf.round), keras.layers.Dense(3)])


def test_bad_weight():
    with pytest.raises(ValueError, match="`weight`"):
        model(weight=-1.0)
