"""Tiny models for the callbacks; without XLA, whose compiler would take most of the time, unless asked."""

import keras
import numpy as np

from keras_vae import layers, models

SIZE = 4


def vae(body=(), model=models.VAE, **kwargs):
    """Over 4 numbers, with 2 latents; `body` are layers after the encoder's first."""
    encoder = keras.Sequential(
        [
            keras.Input((SIZE,)),
            keras.layers.Dense(6, activation="tanh", name="hidden"),
            *body,
            keras.layers.Dense(4, name="code"),
            layers.IndependentNormal(2),
        ],
        name="encoder",
    )
    decoder = keras.Sequential(
        [
            keras.Input((2,)),
            keras.layers.Dense(SIZE, name="mean"),
            layers.HomoscedasticNormal(SIZE, scale=0.5),
        ],
        name="decoder",
    )
    return model(encoder, decoder, seed=1, **kwargs)


def image_vae(shape=(6, 4, 1), latent_size=3, likelihood=layers.IndependentBernoulli):
    layer = likelihood(shape)
    encoder = keras.Sequential(
        [
            keras.Input(shape),
            keras.layers.Flatten(),
            keras.layers.Dense(2 * latent_size),
            layers.IndependentNormal(latent_size),
        ]
    )
    decoder = keras.Sequential([keras.Input((latent_size,)), keras.layers.Dense(layer.num_params), layer])
    return models.VAE(encoder, decoder, seed=1)


def data(count=96, seed=0):
    """Two factors behind four numbers."""
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(count, 2)).repeat(2, axis=1)
    return (factors + 0.3 * rng.normal(size=(count, SIZE))).astype("float32")


def state(model):
    """All a model is restored to: weights, step and optimizer."""
    variables = [*model.weights, *model.optimizer.variables]
    return [np.array(variable) for variable in variables]
