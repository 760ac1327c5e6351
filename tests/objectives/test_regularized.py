"""The objective of regularized autoencoders against NumPy, and its model's choices."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_vae import models, objectives
from keras_vae.layers import IndependentDeterministic, IndependentNormal

X = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")


def networks(activation="tanh", shape=(3,)):
    encoder = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), IndependentDeterministic(shape)])
    decoder = keras.Sequential(
        [
            keras.Input(shape),
            keras.layers.Flatten(),
            keras.layers.Dense(6, activation=activation),
            keras.layers.Dense(8),
            IndependentNormal(4),
        ]
    )
    return encoder, decoder


def parts(model):
    return model.objective.parts(model.terms(tf.constant(X)))


def codes(model):
    kernel, bias = (np.float64(w) for w in model.encoder.layers[0].get_weights())
    return np.float64(X) @ kernel + bias


@pytest.mark.parametrize("regularizer", ["l2", "gp", "sn", "none"])
def test_norm_of_the_code(regularizer):
    model = models.RegularizedAutoencoder(*networks(), beta=0.3, regularizer=regularizer)
    expected = 0.3 * 0.5 * np.sum(codes(model) ** 2, axis=1)
    np.testing.assert_allclose(parts(model)["weighted_code_norm"], expected, rtol=1e-5)


def test_l2_is_of_the_decoders_weights():
    model = models.RegularizedAutoencoder(*networks(), weight=0.7)
    expected = 0.7 * sum(np.sum(np.float64(w) ** 2) for w in model.decoder.get_weights())
    np.testing.assert_allclose(parts(model)["weighted_regularizer"], np.full(5, expected), rtol=1e-5)


@pytest.mark.parametrize("shape", [(3,), (3, 1)])
def test_gp_of_a_network_by_the_chain_rule(shape):
    """Of the mean tanh(z A + a) B + b, the Jacobian is A diag(1 - tanh^2) B."""
    model = models.RegularizedAutoencoder(*networks(shape=shape), regularizer="gp", weight=0.7)
    a, bias, b, _ = (np.float64(w) for w in model.decoder.get_weights())
    slope = 1.0 - np.tanh(codes(model) @ a + bias) ** 2
    jacobian = np.einsum("kh,nh,hj->nkj", a, slope, b[:, :4])  # the first half of the outputs is the mean
    expected = 0.7 * np.sum(jacobian**2, axis=(1, 2))
    np.testing.assert_allclose(parts(model)["weighted_regularizer"], expected, rtol=1e-5)


def test_gp_trains_the_decoder():
    """Of a linear decoder's 0.7 * |A B|^2: 1.4 * (A B) B' by A, and A' times it by B."""
    model = models.RegularizedAutoencoder(*networks("linear"), regularizer="gp", weight=0.7)
    first, second = model.decoder.layers[1].kernel, model.decoder.layers[2].kernel
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(parts(model)["weighted_regularizer"])
    by_first, by_second = tape.gradient(loss, [first, second])
    a, b = np.float64(first), np.float64(second)[:, :4]
    np.testing.assert_allclose(by_first, 1.4 * a @ b @ b.T, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(by_second[:, :4], 1.4 * a.T @ a @ b, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(by_second[:, 4:], 0.0, atol=1e-6)


def test_without_weights_it_is_the_autoencoder():
    encoder, decoder = networks()
    expected = parts(models.Autoencoder(encoder, decoder))["reconstruction"]
    model = models.RegularizedAutoencoder(encoder, decoder, beta=0.0, regularizer="none")
    assert set(parts(model)) == {"reconstruction", "weighted_code_norm"}
    np.testing.assert_array_equal(sum(parts(model).values()), expected)
    model = models.RegularizedAutoencoder(encoder, decoder, beta=0.0, weight=0.0)
    np.testing.assert_array_equal(sum(parts(model).values()), expected)


def test_sn_bounds_every_layer_after_training():
    model = models.RegularizedAutoencoder(*networks(), regularizer="sn", seed=1)
    model.compile(optimizer=keras.optimizers.SGD(1e-4), jit_compile=False)
    model.fit(np.tile(X, (60, 1)), batch_size=10, verbose=0)
    kernels = [layer.layer.kernel for layer in model.decoder.layers if hasattr(layer, "layer")]
    assert len(kernels) == 2
    for kernel in kernels:
        # 30 power iterations find the largest singular value; small steps hardly move it.
        assert np.linalg.norm(kernel, 2) == pytest.approx(1.0, abs=0.02)


def test_sn_survives_a_round_trip_and_leaves_the_given_decoder_alone():
    encoder, decoder = networks()
    before = decoder.get_weights()
    model = models.RegularizedAutoencoder(encoder, decoder, regularizer="sn")
    again = models.RegularizedAutoencoder.from_config(model.get_config())
    assert (again.regularizer, model.objective.regularizer) == ("sn", "none")
    assert [type(layer) for layer in again.decoder.layers] == [type(layer) for layer in model.decoder.layers]
    for old, new in zip(before, decoder.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    np.testing.assert_array_equal(decoder(np.ones([2, 3])).mean(), model.decoder(np.ones([2, 3])).mean())


def test_the_weight_is_there_where_it_weighs():
    assert float(models.RegularizedAutoencoder(*networks(), weight=0.5).weight) == 0.5
    assert models.RegularizedAutoencoder(*networks(), regularizer="none").weight is None
    assert float(models.RegularizedAutoencoder(*networks(), beta="linear:0.2:1:5").beta) == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"regularizer": "l1"}, "`regularizer`.*'gp', 'l2', 'none', 'sn'"),
        ({"regularizer": None}, "`regularizer`"),
        ({"regularizer": "sn", "weight": 0.1}, "`weight`"),
        ({"regularizer": "none", "weight": 0.1}, "`weight`"),
        ({"beta": -1.0}, "`beta`"),
        ({"weight": -1.0}, "`weight`"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        models.RegularizedAutoencoder(*networks(), **arguments)


def test_sn_is_refused_where_only_the_objective_is():
    with pytest.raises(ValueError, match="`regularizer`"):
        objectives.RegularizedReconstruction(regularizer="sn")


def test_a_decoder_without_weights_is_refused():
    decoder = keras.Sequential(
        [keras.Input((3,)), keras.layers.RepeatVector(2), keras.layers.Flatten(), IndependentNormal(3)]
    )
    encoder = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3), IndependentDeterministic(3)])
    for regularizer, what in (("l2", "trainable weights"), ("sn", "dense or convolutional")):
        with pytest.raises(ValueError, match=f"`decoder`.*{what}"):
            models.RegularizedAutoencoder(encoder, decoder, regularizer=regularizer)


def test_gp_of_a_conditional_decoder_is_taken_under_each_examples_own_condition():
    model = models.RegularizedAutoencoder.create(
        (4,), 3, num_classes=4, hidden=(5,), activation="tanh", regularizer="gp", weight=1.0, seed=0
    )
    y = np.array([0, 1, 2, 3, 1])
    together = model.objective.parts(model.terms(tf.constant(X), tf.constant(y)))["weighted_regularizer"]
    z = model.encode(X, y).mean()
    for index in range(5):
        with tf.GradientTape() as tape:
            tape.watch(z)
            mean = model.decode(z, y).mean()
        expected = np.sum(np.square(tape.batch_jacobian(mean, z)[index]))
        np.testing.assert_allclose(together[index], expected, rtol=1e-4)
