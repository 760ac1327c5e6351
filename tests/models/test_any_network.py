"""Networks that are not functional: subclassed models."""

import keras
import numpy as np
import pytest

import keras_vae
from keras_vae import layers


@keras.saving.register_keras_serializable(package="test_any_network")
class Network(keras.Model):
    def __init__(self, size, **kwargs):
        super().__init__(**kwargs)
        self.size = size
        self.dense = keras.layers.Dense(2 * size)
        self.head = layers.IndependentNormal(size)

    def call(self, x):
        return self.head(self.dense(x))


@pytest.mark.parametrize("how", ["build", "call"])
def test_a_subclassed_encoder_that_is_built(how):
    encoder, decoder = Network(2), Network(4)
    if how == "build":
        encoder.build((None, 4))
    else:
        encoder(np.zeros((3, 4), "float32"))
    vae = keras_vae.VAE(encoder, decoder)
    assert vae.data_shape == (4,)
    vae.compile()
    vae.fit(np.eye(4, dtype="float32"), verbose=0)
