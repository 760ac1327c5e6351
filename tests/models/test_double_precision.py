"""Objectives under Keras' float64 policy: their float32 weights meet float64 terms."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_vae

X = np.random.default_rng(0).normal(size=(8, 4))
Y = np.arange(8) % 3
CASES = {
    "WAE": {},
    "InfoVAE": {},
    "BetaTCVAE": {"dataset_size": 8},
    "VAE": {"free_bits": 0.1},
    "CIWAE": {"gradient": "dreg", "num_samples": 3},
    "ConditionalVAE": {"num_classes": 3, "alpha": 0.5},
    "SemiSupervisedVAE": {"num_classes": 3},
    "DIPVAE": {},
    "SparseAutoencoder": {"penalty": "kl"},
    "BetaVAE": {"capacity": "linear:0:5:10"},
}
WEIGHTED = ("DIPVAE", "SparseAutoencoder", "BetaVAE", "VAE")


@pytest.fixture
def in_double_precision():
    policy, floatx = keras.config.dtype_policy(), keras.config.floatx()
    keras.config.set_dtype_policy("float64")
    keras.config.set_floatx("float64")
    yield
    keras.config.set_dtype_policy(policy)
    keras.config.set_floatx(floatx)


@pytest.mark.parametrize("name", CASES)
def test_parts_and_a_step_in_double_precision(name, in_double_precision):
    model = getattr(keras_vae, name).create((4,), 2, hidden=(5,), likelihood="normal", seed=0, **CASES[name])
    weight = tf.constant(np.linspace(0.5, 1.5, 8), tf.float32) if name in WEIGHTED else None
    seed = tf.constant([1, 2])
    arguments = {"y": Y if "num_classes" in CASES[name] else None, "seed": seed, "sample_weight": weight}
    terms = model.terms(tf.constant(X), **arguments)
    parts = {key: np.asarray(value) for key, value in model.objective.parts(terms).items()}
    assert terms.z.dtype == tf.float64
    assert all(np.isfinite(value).all() and value.shape == (8,) for value in parts.values())
    model.compile(optimizer="sgd", run_eagerly=True, jit_compile=False)
    model.fit(X, arguments["y"], sample_weight=weight, batch_size=8, verbose=0)
    assert int(model.step) == 1
