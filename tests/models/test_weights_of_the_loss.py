"""Weights of the loss can be assigned to, on the model and on its objective."""

import keras
import numpy as np
import pytest

import keras_vae

X = np.random.default_rng(0).integers(0, 2, [8, 4]).astype("float32")


def build(**options):
    model = keras_vae.BetaVAE.create((4,), latent_size=2, hidden=(5,), seed=0, **options)
    model.compile("sgd", run_eagerly=True)
    return model


@pytest.mark.parametrize("owner", [lambda model: model, lambda model: model.objective])
def test_assigned_beta_is_the_weight_of_the_kl(owner, tmp_path):
    model = build(beta=4.0)
    owner(model).beta = 2
    logs = model.evaluate(X, verbose=0, return_dict=True)
    assert logs["beta"] == 2.0
    np.testing.assert_allclose(logs["weighted_kl"], 2.0 * logs["kl"], rtol=1e-6)
    model.fit(X, verbose=0)
    assert float(model.beta) == 2.0
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    assert float(loaded.beta) == 2.0
    assert loaded.get_config()["beta"] == model.get_config()["beta"]


@pytest.mark.parametrize("value", [-1.0, float("nan"), "linear:0:1:10"])
def test_values_that_are_no_weight_are_refused(value):
    with pytest.raises(ValueError, match="`beta`"):
        build().beta = value


def test_a_schedule_is_not_overruled():
    with pytest.raises(ValueError, match="schedule sets it"):
        build(beta="linear:0:1:10").beta = 2.0


def test_other_models():
    factor = keras_vae.FactorVAE.create((4,), latent_size=2, hidden=(5,))
    factor.gamma = 3.0
    assert float(factor.gamma) == 3.0
    ciwae = keras_vae.CIWAE.create((4,), latent_size=2, hidden=(5,))
    ciwae.beta = 0.25
    assert float(ciwae.beta) == 0.25
    with pytest.raises(ValueError, match="from 0 to 1"):
        ciwae.beta = 2.0
