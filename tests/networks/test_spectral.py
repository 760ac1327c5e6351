"""Spectral normalisation of whole networks against NumPy's singular values."""

import keras
import numpy as np
import pytest

from keras_vae.layers import IndependentNormal
from keras_vae.networks import build, spectrally_normalized

WRAPPER = keras.layers.SpectralNormalization


def wrapped(network):
    return [layer for layer in network._flatten_layers() if isinstance(layer, WRAPPER)]


@pytest.mark.parametrize(
    ("network", "shape", "options", "count"),
    [
        ("mlp", (6,), {"hidden": (8, 5)}, 3),
        ("conv", (8, 8, 1), {"filters": (4, 3), "dense": (5,)}, 5),
        ("resnet", (8, 8, 1), {"filters": (4, 3), "dense": (5,)}, None),
    ],
)
def test_the_networks_of_the_library(network, shape, options, count):
    _, decoder = build(network, shape, 2, likelihood="normal", **options)
    normal = spectrally_normalized(decoder)
    z = np.random.default_rng(0).normal(size=(3, 2)).astype("float32")
    # Before training, the same weights and the same function.
    np.testing.assert_allclose(normal(z).mean(), decoder(z).mean(), rtol=1e-5, atol=1e-6)
    linear = [layer for layer in decoder._flatten_layers() if hasattr(layer, "kernel")]
    assert len(wrapped(normal)) == len(linear) == (count or len(linear))
    for _ in range(25):
        normal(z, training=True)
    for layer in wrapped(normal):
        matrix = np.reshape(layer.layer.kernel, [-1, layer.layer.kernel.shape[-1]])
        assert np.linalg.norm(matrix, 2) == pytest.approx(1.0, abs=0.05), layer.name
    assert not np.allclose(normal(z).mean(), decoder(z).mean())


def test_what_is_normal_already_stays():
    _, decoder = build("mlp", (6,), 2, hidden=(8,))
    normal = spectrally_normalized(decoder)
    assert spectrally_normalized(normal) is normal


def test_what_is_normal_in_part_is_completed():
    network = keras.Sequential(
        [keras.Input((3,)), WRAPPER(keras.layers.Dense(4)), keras.layers.Dense(2), IndependentNormal(1)]
    )
    normal = spectrally_normalized(network)
    assert [isinstance(layer, WRAPPER) for layer in normal.layers] == [True, True, False]
    x = np.ones([2, 3], "float32")
    np.testing.assert_array_equal(normal(x).mean(), network(x).mean())


def test_bad_networks():
    with pytest.raises(ValueError, match=r"`critic`.*dense or convolutional"):
        spectrally_normalized(keras.Sequential([keras.Input((3,)), keras.layers.ReLU()]), "critic")

    class Subclassed(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(2)

        def call(self, x):
            return self.dense(x)

    with pytest.raises(ValueError, match=r"`decoder`.*Sequential"):
        spectrally_normalized(Subclassed())


@pytest.mark.parametrize(
    ("shape", "layer"),
    [
        ((8, 8, 2), keras.layers.DepthwiseConv2D(3, name="odd")),
        ((8, 8, 2), keras.layers.SeparableConv2D(2, 3, name="odd")),
        ((8, 2), keras.layers.DepthwiseConv1D(3, name="odd")),
        ((8, 2), keras.layers.TimeDistributed(keras.layers.Dense(2), name="odd")),
        ((8, 2), keras.layers.GRU(2, return_sequences=True, name="odd")),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("nested", [False, True])
def test_kernels_that_are_not_normalised_are_refused_by_name(shape, layer, nested):
    inner = keras.Sequential([keras.Input(shape), layer])
    layers = [inner] if nested else [layer]
    network = keras.Sequential([keras.Input(shape), *layers, keras.layers.Dense(1)])
    with pytest.raises(ValueError, match=f"`decoder`.*odd, a {type(layer).__name__}"):
        spectrally_normalized(network)
