"""CollapseReport on models that collapse and that do not."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae import layers, models, priors
from keras_vae.callbacks import CollapseReport
from keras_vae.evaluation import active_units, posterior_statistics

from .networks import data, vae

X, HELD_OUT = data(), data(64, seed=1)
FIT = {"batch_size": 16, "verbose": 0}


def train(report, epochs, beta=1.0, x=X, **kwargs):
    model = vae(model=models.BetaVAE, beta=beta)
    model.compile(keras.optimizers.Adam(0.03), **kwargs)
    return model, model.fit(x, epochs=epochs, callbacks=[report], **FIT)


def train_a_little(report, epochs):
    """One step an epoch, run eagerly: faster than a trace."""
    return train(report, epochs, x=X[:16], run_eagerly=True)


@pytest.fixture(scope="module")
def collapsed():
    """On the default, compiled path."""
    keras.utils.set_random_seed(0)
    report = CollapseReport(HELD_OUT)
    with pytest.warns(UserWarning, match="Posterior collapse") as caught:
        model, history = train(report, epochs=12, beta=1e4)
    return report, model, history, [str(each.message) for each in caught]


def test_a_huge_beta_collapses_all_latents(collapsed):
    report, model, history, _ = collapsed
    assert model.jit_compile
    assert report.history["active_units"][-1] == 0
    assert report.history["epoch"] == list(range(1, 13))
    assert history.history["active_units"] == report.history["active_units"]
    assert report.history["kl_per_dimension"][-1].sum() < 0.1


def test_collapse_is_warned_of_once_on_one_line(collapsed):
    report, _, _, messages = collapsed
    first = report.history["active_units"].index(0) + 1
    ours = [message for message in messages if "collapse" in message]
    assert len(ours) == 1 and "\n" not in ours[0]
    assert f"after epoch {first}: none of the 2 latent dimensions" in ours[0]


def test_figures_are_those_of_the_model(collapsed):
    report, model, _, _ = collapsed
    means, kl = posterior_statistics(model, HELD_OUT)
    np.testing.assert_allclose(report.history["kl_per_dimension"][-1], kl, rtol=1e-6)
    np.testing.assert_array_equal(report.history["active"][-1], active_units(means))


def test_a_model_that_learns():
    report = CollapseReport(HELD_OUT)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        train(report, epochs=15, jit_compile=False)
    assert report.history["active_units"][-1] == 2
    assert report.history["active"][-1].tolist() == [True, True]
    assert report.history["kl_per_dimension"][-1].min() > 0.3


def test_every():
    report = CollapseReport(HELD_OUT, every=3)
    _, history = train_a_little(report, epochs=7)
    assert report.history["epoch"] == [3, 6]
    assert len(history.history["active_units"]) == 2
    assert len(history.history["loss"]) == 7


def test_threshold():
    report = CollapseReport(HELD_OUT, threshold=1e6)
    with pytest.warns(UserWarning, match=r"by more than 1e\+06"):
        train_a_little(report, epochs=2)
    assert report.history["active_units"] == [0, 0]


def test_other_callbacks_see_the_count(tmp_path):
    report = CollapseReport(HELD_OUT)
    log = keras.callbacks.CSVLogger(tmp_path / "log.csv")
    model = vae()
    model.compile(run_eagerly=True)
    model.fit(X[:16], epochs=2, callbacks=[report, log], **FIT)
    header, *rows = (tmp_path / "log.csv").read_text().splitlines()
    column = header.split(",").index("active_units")
    assert [int(row.split(",")[column]) for row in rows] == report.history["active_units"]


def test_it_does_not_ask_for_single_batches():
    from keras_vae.models import resident

    assert not resident._follows_batches(CollapseReport(HELD_OUT))


def test_a_second_training_begins_a_new_history():
    report = CollapseReport(HELD_OUT)
    model, _ = train_a_little(report, epochs=2)
    model.fit(X[:16], epochs=1, callbacks=[report], **FIT)
    assert report.history["epoch"] == [1]


def test_a_prior_that_does_not_factorise_has_no_kl_per_dimension():
    report = CollapseReport(HELD_OUT)
    model = vae(prior=priors.NormalMixture(2, 3))
    model.compile(run_eagerly=True)
    model.fit(X[:16], epochs=1, callbacks=[report], **FIT)
    assert report.history["kl_per_dimension"] == [None]
    assert isinstance(report.history["active_units"][0], int)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"x": HELD_OUT[:1]}, "two or more examples"),
        ({"x": 3.0}, "one or more examples"),
        ({"threshold": -1.0}, "`threshold`"),
        ({"every": 0}, "`every`"),
    ],
)
def test_errors_of_arguments(arguments, match):
    with pytest.raises(ValueError, match=match):
        CollapseReport(**{"x": HELD_OUT, **arguments})


def test_errors_before_training():
    model = vae()
    model.compile(jit_compile=False)
    before = int(model.step)
    with pytest.raises(ValueError, match=r"`x`\. Expected: shape \[batch\] \+ \(4,\)"):
        model.fit(X, callbacks=[CollapseReport(HELD_OUT[:, :3])], **FIT)
    with pytest.raises(ValueError, match="finite"):
        model.fit(X, callbacks=[CollapseReport(np.full((3, 4), np.nan))], **FIT)
    assert int(model.step) == before


def test_a_posterior_without_a_mean():
    flow = layers.DistributionLambda(
        lambda t: tfp.distributions.TransformedDistribution(
            tfp.distributions.MultivariateNormalDiag(t, tf.ones_like(t)), tfp.bijectors.Tanh()
        )
    )
    encoder = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), flow])
    decoder = keras.Sequential([keras.Input((3,)), keras.layers.Dense(8), layers.IndependentNormal(4)])
    model = models.VAE(encoder, decoder)
    model.compile(run_eagerly=True)
    with pytest.raises(ValueError, match="a posterior with a known mean"):
        model.fit(X, callbacks=[CollapseReport(HELD_OUT)], **FIT)
