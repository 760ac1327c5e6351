"""The area under the curve, counted by hand, and where the scores are known in closed form."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from scipy import stats
from sklearn.metrics import roc_auc_score

from keras_vae import layers, models
from keras_vae.evaluation import anomaly_auroc
from keras_vae.evaluation.anomaly import _standard_error
from tests.models.cases import CASES, conditions, data

tfd = tfp.distributions


@pytest.fixture(scope="module")
def far_from_zero(without_xla):
    """An autoencoder that always answers 0: its reconstruction score is x^2 / 2 and a constant."""
    model = without_xla(models.Autoencoder.create((1,), 1, hidden=(2,), likelihood="normal-fixed"))
    model.set_weights([np.zeros_like(weight) for weight in model.get_weights()])
    return model


def area(model, x, is_anomaly):
    return anomaly_auroc(model, np.float32(x)[:, None], is_anomaly, "reconstruction")


@pytest.mark.parametrize(
    ("x", "is_anomaly", "expected"),
    [
        ([0.1, 0.2, 0.3, 4.0], [0, 0, 1, 1], 1.0),
        ([0.1, 0.2, 0.3, 4.0], [1, 1, 0, 0], 0.0),
        ([0.1, 0.2, 0.3, 4.0], [0, 1, 0, 1], 3 / 4),
        ([0.1, -0.2, 0.3, -3.0, 4.0], [0, 0, 1, 1, 0], 4 / 6),
        # All tied: every pair counts half.
        ([1.0, -1.0, 1.0], [0, 1, 0], 1 / 2),
        # 1 against -1 and 0: half and one; 2 against both: one and one.
        ([-1.0, 0.0, 1.0, 2.0], [0, 0, 1, 1], 3.5 / 4),
    ],
)
def test_pairs_counted_by_hand(far_from_zero, x, is_anomaly, expected):
    assert area(far_from_zero, x, is_anomaly).mean == pytest.approx(expected, abs=1e-12)
    assert area(far_from_zero, x, np.bool_(is_anomaly)).mean == pytest.approx(expected, abs=1e-12)


def test_standard_error_by_hand(far_from_zero):
    # A = 2/3 with 2 anomalies and 3 others: Q1 = 1/2, Q2 = 8/15, and
    # SE^2 = (2/9 + 1 (1/2 - 4/9) + 2 (8/15 - 4/9)) / 6.
    found = area(far_from_zero, [0.1, -0.2, 0.3, -3.0, 4.0], [0, 0, 1, 1, 0])
    assert found.standard_error == pytest.approx(np.sqrt((2 / 9 + 1 / 18 + 8 / 45) / 6), rel=1e-12)
    assert area(far_from_zero, [0.1, 0.2, 0.3], [0, 0, 1]) == (1.0, 0.0)


def test_standard_error_is_the_spread_of_areas_of_exponential_scores():
    """For which the formula is exact: anomalies of mean 3, others of mean 1, so that A = 3/4."""
    rng = np.random.default_rng(0)
    anomalies, others = rng.exponential(3.0, size=(4000, 20)), rng.exponential(1.0, size=(4000, 30))
    areas = np.mean(anomalies[:, :, None] > others[:, None, :], axis=(1, 2))
    assert areas.mean() == pytest.approx(0.75, abs=0.005)
    # The deviation of 4,000 areas is known to 1/sqrt(8000) = 1.1 %.
    assert _standard_error(0.75, 20, 30) == pytest.approx(areas.std(ddof=1), rel=0.04)


@pytest.fixture(scope="module")
def mixed(oracle):
    """300 examples and 100 anomalies: half with a long latent, half with long noise."""
    rng = np.random.default_rng(0)
    kind = np.repeat(["latent", "noise", "normal"], [50, 50, 300])
    z = rng.normal(size=(400, 2)) * np.where(kind == "latent", 2.5, 1.0)[:, None]
    noise = rng.normal(size=(400, 5)) * np.where(kind == "noise", 1.5, 1.0)[:, None]
    x = z @ oracle.weights.T + oracle.bias + oracle.scale * noise
    return x.astype("float32"), kind != "normal"


def reconstruction(oracle, x):
    """-E_q[log p(x|z)] of the exact posterior but for a constant: the noise that its mean leaves."""
    rest = x - oracle.bias - oracle.posterior_mean(x) @ oracle.weights.T
    return 0.5 * np.sum(rest**2, axis=1) / oracle.scale**2


def test_scores_in_closed_form(oracle, exact, mixed):
    x, is_anomaly = mixed
    likelihood = roc_auc_score(is_anomaly, -oracle.log_prob(x))
    assert 0.6 < likelihood < 0.9
    # With the exact posterior one draw gives log p(x), and rounding swaps few of the 30,000 pairs.
    found = anomaly_auroc(exact, x, is_anomaly, "negative_log_likelihood", num_samples=2)
    assert found.mean == pytest.approx(likelihood, abs=2e-4)
    # The KL is exact, and draws of the reconstruction vary by 1 nat, divided by the root of 256.
    bound = anomaly_auroc(exact, x, is_anomaly, num_samples=256)
    assert bound.mean == pytest.approx(likelihood, abs=0.01)
    distortion = roc_auc_score(is_anomaly, reconstruction(oracle, x))
    assert likelihood - distortion > 0.05  # the tolerances tell the scores apart
    sampled = anomaly_auroc(exact, x, is_anomaly, "reconstruction", num_samples=256)
    assert sampled.mean == pytest.approx(distortion, abs=0.01)


def test_scores_that_say_nothing(exact, oracle):
    x = oracle.draw(2000, seed=1)
    coin = np.random.default_rng(0).random(2000) < 0.2
    found = anomaly_auroc(exact, x, coin, num_samples=4)
    assert abs(found.mean - 0.5) < 4 * found.standard_error
    # Of 400 and 1,600 without difference: sqrt((n + m + 1) / (12 n m)), as of Mann and Whitney.
    assert found.standard_error == pytest.approx(np.sqrt(2001 / (12 * 400 * 1600)), rel=0.05)


def test_more_draws_tell_more(wide, oracle, mixed):
    """One importance sample of a posterior that is off is a noisy score."""
    x, is_anomaly = mixed
    truth = roc_auc_score(is_anomaly, -oracle.log_prob(x))
    errors = [
        abs(anomaly_auroc(wide, x, is_anomaly, "negative_log_likelihood", num_samples=k).mean - truth)
        for k in (1, 300)
    ]
    assert errors[1] < 0.005 < errors[0]


def test_the_seed_decides(wide, mixed):
    first, again, other = (anomaly_auroc(wide, *mixed, num_samples=1, seed=seed) for seed in (1, 1, 2))
    assert first == again != other
    batches = anomaly_auroc(wide, *mixed, num_samples=64, batch_size=70)
    assert batches.mean == pytest.approx(anomaly_auroc(wide, *mixed, num_samples=64).mean, abs=0.02)


def test_examples_of_probability_zero_are_tied_at_the_top(without_xla):
    """z ~ N(0, 1) is the posterior too; x|z is uniform within 1 of z."""
    encoder = keras.Sequential(
        [keras.Input((1,)), keras.layers.Dense(2, kernel_initializer="zeros"), layers.IndependentNormal(1)]
    )
    encoder.layers[0].set_weights([np.zeros((1, 2)), np.array([0.0, np.log(np.expm1(1.0))])])
    box = layers.DistributionLambda(lambda z: tfd.Independent(tfd.Uniform(z - 1.0, z + 1.0), 1))
    model = without_xla(models.VAE(encoder, keras.Sequential([keras.Input((1,)), box]), seed=0))
    x = np.float32([[0.0], [1.5], [50.0], [60.0]])
    score = "negative_log_likelihood"
    assert anomaly_auroc(model, x, [0, 0, 1, 1], score, num_samples=200).mean == 1.0
    # 1.5 against 0 and 50, then 60 against both: 1 + 0 + 1 + 1/2.
    assert stats.norm.sf(0.5) < stats.norm.cdf(1.0) - 0.5  # 1.5 is less probable than 0
    assert anomaly_auroc(model, x, [0, 1, 0, 1], score, num_samples=200).mean == 2.5 / 4


@pytest.mark.parametrize("score", ["negative_elbo", "negative_log_likelihood"])
@pytest.mark.parametrize("name", ["autoencoder", "adversarial_autoencoder_implicit"])
def test_codes_without_density_have_only_a_reconstruction(without_xla, name, score):
    model = without_xla(CASES[name].build())
    x, labels = data(10), np.arange(10) < 3
    with pytest.raises(ValueError, match=r"`score`\. Expected: 'reconstruction', as q\(z\|x\)"):
        anomaly_auroc(model, x, labels, score)
    assert 0.0 <= anomaly_auroc(model, x, labels, "reconstruction", num_samples=2).mean <= 1.0


def test_a_conditional_model_scores_given_y(without_xla):
    model = without_xla(CASES["conditional_vae"].build())
    x, labels = data(40), np.arange(40) < 10
    y = conditions(model, x)["y"]
    found = anomaly_auroc(model, x, labels, num_samples=64, y=y)
    scores = -np.asarray(model.elbo(x, num_samples=4096, seed=0, y=y))
    # Three of the 300 pairs may be swapped by what is left of the draws' noise.
    assert found.mean == pytest.approx(roc_auc_score(labels, scores), abs=0.01)
    pairs = tf.data.Dataset.from_tensor_slices((x, y)).batch(16)
    assert anomaly_auroc(model, pairs, labels, num_samples=64) == found
    with pytest.raises(ValueError, match="`y`"):
        anomaly_auroc(model, x, labels)


def test_scores_that_are_not_numbers(oracle, without_xla):
    model = without_xla(oracle.build())
    kernel, bias = model.encoder.layers[0].get_weights()
    model.encoder.layers[0].set_weights([np.full_like(kernel, np.nan), bias])
    with pytest.raises(ValueError, match=r"`model`\. Expected: scores that are numbers.*NaN for 4 ex"):
        anomaly_auroc(model, oracle.draw(4), [0, 1, 0, 1])


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"score": "negativ_elbo"}, "Did you mean 'negative_elbo'?"),
        ({"score": None}, "`score`"),
        ({"is_anomaly": [0, 0, 0, 0]}, "`is_anomaly`. Expected: anomalies and normal examples. Received: 4"),
        ({"is_anomaly": [1, 1, 1, 1]}, "`is_anomaly`. Expected: anomalies and normal examples. Received: 4"),
        ({"is_anomaly": [0, 1, 2, 1]}, "`is_anomaly`. Expected: booleans, or 0 and 1, of shape [4]"),
        ({"is_anomaly": [0, 1, 1]}, "`is_anomaly`. Expected: booleans, or 0 and 1, of shape [4]"),
        ({"is_anomaly": [[0], [1], [1], [0]]}, "Received: shape (4, 1)"),
        ({"is_anomaly": list("abab")}, "`is_anomaly`"),
        ({"is_anomaly": None}, "`is_anomaly`"),
        ({"x": np.zeros((4, 3), "float32")}, "`x`. Expected: shape [batch] + (5,)"),
        ({"num_samples": 0}, "`num_samples`"),
        ({"batch_size": 0}, "`batch_size`"),
        ({"seed": -1}, "`seed`"),
        ({"y": [0, 0, 0, 0]}, "`y`. Expected: None"),
    ],
)
def test_errors_come_before_anything_is_scored(oracle, monkeypatch, arguments, match):
    model = oracle.build()
    monkeypatch.setattr("keras_vae.models.estimates.elbo", lambda *_, **__: pytest.fail("scored"))
    good = {"x": oracle.draw(4), "is_anomaly": [0, 1, 0, 1]}
    with pytest.raises(ValueError) as error:
        anomaly_auroc(model, **{**good, **arguments})
    assert match in str(error.value)
