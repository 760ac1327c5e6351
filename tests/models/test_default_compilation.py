"""Where `compile` uses XLA without being told."""

import types

import keras
import pytest
import tensorflow as tf

from keras_vae import VAE, layers


def compiled(network: str = "conv", **options) -> VAE:
    sizes = {"mlp": {"hidden": (8,)}, "conv": {"filters": (4,), "dense": ()}}
    sizes["resnet"] = {**sizes["conv"], "blocks": 1}
    model = VAE.create((8, 8, 1), latent_size=2, network=network, **sizes[network])
    model.compile(**options)
    return model


def see(monkeypatch, *kinds: str) -> None:
    devices = [types.SimpleNamespace(device_type=kind) for kind in kinds]
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda: devices)


@pytest.mark.parametrize(
    ("network", "devices", "expected"),
    [
        ("mlp", ["CPU"], True),
        ("conv", ["CPU"], False),
        ("resnet", ["CPU"], False),
        ("mlp", ["CPU", "GPU"], True),
        ("conv", ["CPU", "GPU"], True),
    ],
)
def test_xla_unless_a_cpu_would_have_to_convolve(monkeypatch, network, devices, expected):
    see(monkeypatch, *devices)
    model = compiled(network)
    assert model.jit_compile is expected
    assert model.uses_xla is expected


def test_what_is_asked_for_is_done(monkeypatch):
    see(monkeypatch, "CPU")
    assert compiled("conv", jit_compile=True).jit_compile
    assert not compiled("mlp", jit_compile=False).jit_compile


def test_convolutions_are_found_in_models_within_models(monkeypatch):
    see(monkeypatch, "CPU")
    body = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.SpectralNormalization(keras.layers.Conv2D(2, 3))]
    )
    head = [keras.layers.Flatten(), keras.layers.Dense(4), layers.IndependentNormal(2)]
    encoder = keras.Sequential([keras.Input((8, 8, 1)), body, *head])
    decoder = keras.Sequential(
        [keras.Input((2,)), keras.layers.Dense(64), layers.IndependentBernoulli((8, 8, 1))]
    )
    model = VAE(encoder, decoder)
    model.compile()
    assert not model.jit_compile
