"""Data without end are refused before the first step, unless a number of steps is given."""

import numpy as np
import pytest
import tensorflow as tf

import keras_vae

X = np.random.default_rng(0).integers(0, 2, [8, 4]).astype("float32")


@pytest.fixture(scope="module")
def vae():
    model = keras_vae.VAE.create((4,), latent_size=2, hidden=(5,))
    model.compile("adam", run_eagerly=True)
    return model


@pytest.fixture
def endless():
    return tf.data.Dataset.from_tensor_slices(X).batch(4).repeat()


def test_endless_data_want_a_number_of_steps(vae, endless):
    with pytest.raises(ValueError, match="steps_per_epoch="):
        vae.fit(endless, verbose=0)
    with pytest.raises(ValueError, match="validation_steps="):
        vae.fit(X, validation_data=endless, verbose=0)
    for method in (vae.evaluate, vae.predict):
        with pytest.raises(ValueError, match=r"steps=, or leave out repeat"):
            method(endless, verbose=0)
    assert int(vae.step) == 0


@pytest.mark.parametrize("argument", ["steps_per_epoch", "validation_steps"])
@pytest.mark.parametrize("count", [0, -1, 1.5])
def test_steps_that_are_no_count(vae, endless, argument, count):
    with pytest.raises(ValueError, match=argument):
        vae.fit(endless, validation_data=endless, verbose=0, **{"steps_per_epoch": 1, argument: count})


def test_endless_data_with_steps(vae, endless):
    vae.fit(endless, steps_per_epoch=2, validation_data=endless, validation_steps=1, verbose=0)
    assert int(vae.step) == 2
    vae.evaluate(endless, steps=1, verbose=0)
    assert vae.predict(endless, steps=2, verbose=0).shape == (8, 4)
