"""A second call of `fit`, `evaluate` or their like compiles nothing anew."""

import keras
import numpy as np
import pytest

from keras_vae import models, objectives

from .cases import beta_vae, data, decoder, encoder, sgd

X, HELD_OUT = data(40), data(20, seed=1)
FIT = {"batch_size": 20, "verbose": 0}


class Counting(objectives.ELBO):
    """Counts how often Python runs through it, which is once a trace."""

    traces = 0

    def parts(self, terms):
        self.traces += 1
        return super().parts(terms)


def build(**options):
    model = models.LatentVariableModel(encoder(), decoder(), objective=Counting(), seed=1)
    model.compile(optimizer=sgd(), **options)
    return model


@pytest.mark.parametrize("jit", [False, True], ids=["plain", "resident"])
def test_fit_again(jit):
    model = build(jit_compile=jit)
    model.fit(X, validation_data=HELD_OUT, epochs=2, **FIT)
    first = model.objective.traces
    assert 2 <= first <= 6
    model.fit(X, validation_data=HELD_OUT, epochs=2, **FIT)
    model.fit(X + 1.0, **FIT)
    model.evaluate(HELD_OUT, batch_size=20, verbose=0)
    model.optimizer.learning_rate = 0.001
    model.fit(X, **FIT)
    assert model.objective.traces == first


def test_single_batches_again():
    model = build(jit_compile=False)
    model.train_on_batch(X)
    first = model.objective.traces
    for _ in range(3):
        model.train_on_batch(X)
    assert model.objective.traces == first


def test_compiling_again_traces_again():
    model = build(jit_compile=False)
    model.fit(X, **FIT)
    first = model.objective.traces
    model.compile(optimizer=keras.optimizers.SGD(0.0), jit_compile=False)
    before = model.get_weights()
    model.fit(X, **FIT)
    assert model.objective.traces > first
    for old, new in zip(before, model.get_weights(), strict=True):
        assert old.dtype.kind != "f" or np.array_equal(old, new)


def test_assigned_beta_takes_effect_without_tracing_again():
    model = beta_vae(beta=0.0)
    model.compile(optimizer=keras.optimizers.SGD(0.0), jit_compile=False)
    plain = model.fit(X, **FIT).history
    assert plain["weighted_kl"] == [0.0]
    train_function = model.train_function
    model.beta.assign(2.0)
    weighted = model.fit(X, **FIT).history
    assert model.train_function is train_function
    assert weighted["weighted_kl"] == [pytest.approx(2.0 * plain["kl"][0], rel=1e-5)]
