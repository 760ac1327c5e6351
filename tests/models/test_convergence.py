"""What an epoch's figures show to be amiss, and a compiled step cannot say."""

import warnings

from keras_vae import models
from keras_vae.divergences import Sinkhorn

from .cases import autoencoder, data, sgd

X = data(40)


def wae(distance):
    model = autoencoder(models.WAE, divergence=distance)
    # In a graph, where nothing can be printed from inside; XLA would take seconds to compile.
    model.compile(optimizer=sgd(), jit_compile=False)
    return model


def fit(model, epochs=3):
    return model.fit(X, batch_size=20, epochs=epochs, verbose=0).history


def test_sinkhorn_that_did_not_converge_is_warned_of_once():
    model = wae(Sinkhorn(0.1, num_iterations=8))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        history = fit(model)
    messages = [str(one.message) for one in caught if issubclass(one.category, RuntimeWarning)]
    assert len(messages) == 1
    assert f"marginal error {history['marginal_error'][0]:.3g}" in messages[0]
    assert "Raise `epsilon` or `num_iterations`" in messages[0]


def test_sinkhorn_that_converged_is_not_warned_of():
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        history = fit(wae(Sinkhorn(2.0)))
    assert max(history["marginal_error"]) < 1e-3


def test_other_distances_have_nothing_to_warn_of():
    assert not wae("sliced").objective.check({"divergence": float("nan")})
