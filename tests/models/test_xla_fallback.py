"""A model that XLA cannot compile runs without it, as if it had been told so beforehand."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_vae import models

from .cases import ReproducibleIndependentNormal, data, decoder, network, sgd

X, HELD_OUT = data(70), data(20, seed=1)
FIT = {"batch_size": 32, "epochs": 2, "verbose": 0}


@keras.saving.register_keras_serializable(package="tests")
class PythonScale(keras.layers.Layer):
    """Computes in Python, for which XLA has no kernel."""

    def call(self, x):
        @tf.custom_gradient
        def double(x):
            value = tf.numpy_function(lambda x: 2.0 * x, [x], tf.float32)
            value.set_shape(x.shape)
            return value, lambda upstream: 2.0 * upstream

        return double(x)


def build(layer=PythonScale, **options):
    keras.utils.set_random_seed(7)
    body = network(6, ReproducibleIndependentNormal(2), "body")
    encoder = keras.Sequential([keras.Input((6,)), layer(), *body.layers], name="encoder")
    model = models.VAE(encoder, decoder(), seed=3)
    if options:
        model.compile(optimizer=sgd(), **options)
    return model


AUTO = {"jit_compile": "auto"}
WARNS = r"XLA cannot compile this model.*compile\(jit_compile=False\)"


def batches(x, size=32):
    return tf.data.Dataset.from_tensor_slices(x).batch(size)


@pytest.mark.parametrize("kind", [np.asarray, batches], ids=["resident", "tf.data"])
def test_training_starts_again_without_xla(kind):
    options = FIT if kind is np.asarray else {**FIT, "batch_size": None}
    fallen, plain = build(**AUTO), build(jit_compile=False)
    with pytest.warns(UserWarning, match=WARNS) as caught:
        history = fallen.fit(kind(X), validation_data=kind(HELD_OUT), **options).history
    assert len([each for each in caught if "XLA" in str(each.message)]) == 1
    expected = plain.fit(kind(X), validation_data=kind(HELD_OUT), **options).history
    assert int(fallen.step) == int(plain.step) == 6
    if kind is batches:  # arrays are shuffled in one order kept on the device, in another by Keras
        for name, values in expected.items():
            np.testing.assert_allclose(history[name], values, rtol=1e-5, err_msg=name)
    assert not fallen.jit_compile
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fallen.fit(kind(X), **options)
        fallen.predict(X, verbose=0)
        fallen.elbo(X)


CALLS = {
    "evaluate": lambda model: model.evaluate(X, batch_size=32, verbose=0),
    "predict": lambda model: model.predict(X, batch_size=32, verbose=0),
    "train_on_batch": lambda model: model.train_on_batch(X[:8]),
    "log_likelihood": lambda model: model.log_likelihood(X, num_samples=3, seed=0),
}


@pytest.mark.parametrize("name", CALLS)
def test_other_calls(name):
    with pytest.warns(UserWarning, match=WARNS):
        value = CALLS[name](build(**AUTO))
    # Draws of single precision differ between programs where they are not made of integers; these are.
    np.testing.assert_allclose(value, CALLS[name](build(jit_compile=False)), rtol=1e-4)


def test_estimates_of_a_model_that_is_not_compiled():
    model = build()
    with pytest.warns(UserWarning, match=WARNS):
        first = model.elbo(X, seed=0)
    np.testing.assert_array_equal(model.elbo(X, seed=0), first)


def test_xla_that_was_asked_for_is_not_given_up():
    model = build(jit_compile=True)
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        model.fit(X, **FIT)
    assert any("jit_compile=False" in note for note in caught.value.__notes__)
    assert int(model.step) == 0


class PythonOutsideTraining(keras.layers.Layer):
    """XLA compiles its training, not its use."""

    def call(self, x, training=False):
        return x if training else PythonScale()(x)


def test_validation_that_xla_cannot_compile_takes_nothing_from_training():
    def train(**options):
        model = build(PythonOutsideTraining, **options)
        return model.fit(X[:64], validation_data=HELD_OUT, shuffle=False, **FIT).history

    with pytest.warns(UserWarning, match=WARNS):
        history = train(**AUTO)
    for name, values in train(jit_compile=False).items():
        np.testing.assert_allclose(history[name], values, rtol=1e-4, err_msg=name)


def test_other_errors_are_raised_as_they_are():
    model = build(keras.layers.Identity, **AUTO)
    with pytest.raises(ValueError, match="finite"):
        model.fit(np.full_like(X, np.nan), **FIT)
    assert model.jit_compile
