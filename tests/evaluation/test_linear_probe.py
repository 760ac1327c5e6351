"""The probe where the best linear classifier is known, and against scikit-learn by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from scipy import stats
from sklearn.linear_model import LogisticRegression

from keras_vae import layers, models
from keras_vae.evaluation import linear_probe
from tests.models.cases import CASES, DATA_SIZE, LATENT_SIZE, data, encoder, given

tfd = tfp.distributions


def by_hand(codes, y, codes_test, y_test):
    """The same accuracy in plain steps."""
    mean, deviation = codes.mean(axis=0), codes.std(axis=0)
    fitted = LogisticRegression(max_iter=5000).fit((codes - mean) / deviation, y)
    return np.mean(fitted.predict((codes_test - mean) / deviation) == y_test)


def test_accuracy_of_the_oracles_codes(oracle, wide):
    x, x_test = oracle.draw(300, seed=1), oracle.draw(400, seed=2)
    codes, codes_test = oracle.posterior_mean(x) + 0.1, oracle.posterior_mean(x_test) + 0.1
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(2, 3))
    y, y_test = (
        np.argmax(z @ directions + rng.normal(scale=0.7, size=(len(z), 3)), axis=1)
        for z in (codes, codes_test)
    )
    expected = by_hand(codes, y, codes_test, y_test)
    assert 0.5 < expected < 0.9  # neither chance nor perfect
    found = linear_probe(wide, x, y, x_test, y_test, batch_size=128)
    # Codes in float32 may move one example across a boundary.
    assert found.mean == pytest.approx(expected, abs=1.5 / 400)
    assert found.standard_error == pytest.approx(np.sqrt(found.mean * (1 - found.mean) / 399), rel=1e-9)


def shifted(oracle, count, seed):
    """Two classes of data, x + shift and x - shift, and the accuracy of the best classifier of the codes."""
    shift = 0.8 * np.ones(oracle.data_size)
    y = np.random.default_rng(seed).integers(0, 2, size=count)
    x = oracle.draw(count, seed=seed) + np.where(y[:, None] == 1, shift, -shift)
    covariance = oracle.weights @ oracle.weights.T + oracle.scale**2 * np.eye(oracle.data_size)
    mean = oracle.posterior_map @ shift
    spread = oracle.posterior_map @ covariance @ oracle.posterior_map.T
    # Half the Mahalanobis distance of two normals of one covariance (Fisher's linear discriminant).
    return x, y, stats.norm.cdf(np.sqrt(mean @ np.linalg.solve(spread, mean)))


def test_accuracy_of_two_normal_classes_is_that_of_the_linear_discriminant(oracle, exact):
    x, y, best = shifted(oracle, 4000, seed=3)
    x_test, y_test, _ = shifted(oracle, 4000, seed=4)
    found = linear_probe(exact, x, y, x_test, y_test)
    assert 0.6 < best < 0.95
    assert abs(found.mean - best) < 4 * found.standard_error


def test_perfect_and_chance(oracle, exact):
    x, x_test = oracle.draw(2000, seed=5), oracle.draw(2000, seed=6)

    def apart(x):
        """Examples whose first latent is away from 0, and its side."""
        first = oracle.posterior_mean(x)[:, 0]
        kept = np.abs(first) > 0.5
        return x[kept], (first[kept] > 0).astype(int)

    perfect = linear_probe(exact, *apart(x), *apart(x_test))
    assert perfect == (1.0, 0.0)
    rng = np.random.default_rng(0)
    coin, coin_test = rng.integers(0, 2, size=(2, 2000))
    chance = linear_probe(exact, x, coin, x_test, coin_test)
    assert abs(chance.mean - 0.5) < 4 * chance.standard_error
    assert chance.standard_error == pytest.approx(0.5 / np.sqrt(2000), rel=0.01)


def test_scales_of_the_codes_do_not_matter(oracle, exact, without_xla):
    """The penalty would hold back the weight of a small dimension."""
    x, y, _ = shifted(oracle, 300, seed=7)
    scaled = without_xla(oracle.build())
    kernel, bias = scaled.encoder.layers[0].get_weights()
    factors = np.array([1e-3, 1e3, 1.0, 1.0], "float32")
    scaled.encoder.layers[0].set_weights([kernel * factors, bias * factors])
    expected = linear_probe(exact, x, y, x[:100], y[:100])
    assert linear_probe(scaled, x, y, x[:100], y[:100]).mean == pytest.approx(expected.mean, abs=0.011)


def test_a_collapsed_latent_is_chance(oracle, without_xla):
    x, y, _ = shifted(oracle, 200, seed=8)
    y = np.arange(200) % 4 == 0  # one in four is the majority's loss
    collapsed = without_xla(oracle.build())
    kernel, bias = collapsed.encoder.layers[0].get_weights()
    collapsed.encoder.layers[0].set_weights([np.zeros_like(kernel), bias])
    assert linear_probe(collapsed, x, y, x, y).mean == 0.75


def test_labels_of_any_type_of_number(oracle, exact):
    x, y, _ = shifted(oracle, 60, seed=9)
    found = linear_probe(exact, x, y, x, y)
    for kind in ("float64", "uint8", "bool"):
        assert linear_probe(exact, x, y.astype(kind), x, y.astype(kind)) == found
    assert linear_probe(exact, tf.constant(x), tf.constant(y), x.tolist(), y.tolist()) == found
    # What the classes are called says nothing.
    assert linear_probe(exact, x, 7 * y + 3, x, 7 * y + 3) == found


def decoder_given_the_class():
    normal = layers.IndependentNormal(DATA_SIZE)
    return models.ConditionalVAE(encoder(), given(LATENT_SIZE, normal, "decoder", 3), seed=0)


KINDS = {
    name: CASES[name].build
    for name in (
        "vae_bernoulli_sampled_kl",
        "autoencoder",
        "semi_supervised_vae_m1",
        "semi_supervised_vae_m2",
        "semi_supervised_vae_m1_m2",
        "semi_supervised_adversarial_autoencoder",
        "structured_vae_system",
    )
}


@pytest.mark.parametrize(
    "build", [*KINDS.values(), decoder_given_the_class], ids=[*KINDS, "decoder_given_the_class"]
)
def test_codes_of_every_kind(build):
    model = build()
    x, x_test = data(60, seed=1), data(60, seed=2)
    y, y_test = (np.int64(x[:, 0] > 0) + (x[:, 3] > 0) for x in (x, x_test))
    codes, codes_test = (np.asarray(model.encode(x).mean(), "float64").reshape(60, -1) for x in (x, x_test))
    expected = by_hand(codes, y, codes_test, y_test)
    assert linear_probe(model, x, y, x_test, y_test).mean == pytest.approx(expected, abs=1.5 / 60)


def test_codes_that_have_seen_the_class_are_refused():
    model = CASES["conditional_vae"].build()
    with pytest.raises(ValueError, match=r"`model`\. Expected: a model that encodes x alone"):
        linear_probe(model, data(9), np.arange(9) % 3, data(9), np.arange(9) % 3)


def test_a_posterior_without_a_mean_is_refused():
    flow = layers.DistributionLambda(
        lambda t: tfd.TransformedDistribution(
            tfd.MultivariateNormalDiag(t, tf.ones_like(t)), tfp.bijectors.Tanh()
        )
    )
    network = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), flow])
    decoder = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4), layers.IndependentBernoulli(4)])
    with pytest.raises(ValueError, match=r"`model`\. Expected: a posterior with a known mean"):
        linear_probe(models.VAE(network, decoder), np.eye(4), np.arange(4), np.eye(4), np.arange(4))


def test_codes_that_are_not_finite_are_refused(oracle):
    model = oracle.build()
    kernel, bias = model.encoder.layers[0].get_weights()
    model.encoder.layers[0].set_weights([np.full_like(kernel, np.nan), bias])
    x = oracle.draw(4)
    with pytest.raises(ValueError, match=r"`model`\. Expected: finite codes"):
        linear_probe(model, x, [0, 1, 0, 1], x, [0, 1, 0, 1])


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"y": [0, 1, 0]}, "`y`. Expected: 6 labels, as x has examples. Received: 3"),
        ({"y_test": [0, 1, 0]}, "`y_test`. Expected: 4 labels, as x_test has examples. Received: 3"),
        ({"y": [1] * 6}, "`y`. Expected: two classes or more. Received: class 1 only"),
        ({"y_test": [0, 1, 2, 1]}, "`y_test`. Expected: classes that y has too. Received: class 2"),
        ({"y": [0, 1, 0.5, 1, 0, 1]}, "`y`. Expected: class numbers 0 and up"),
        ({"y": [0, 1, -1, 1, 0, 1]}, "`y`. Expected: class numbers 0 and up"),
        ({"y": [0, 1, np.nan, 1, 0, 1]}, "`y`. Expected: class numbers 0 and up"),
        ({"y": list("abcabc")}, "`y`. Expected: class numbers 0 and up"),
        ({"y": np.eye(6)}, "y.argmax(axis=1)"),
        ({"y": None}, "`y`. Expected: class numbers 0 and up"),
        ({"x": np.zeros((6, 4), "float32")}, "`x`. Expected: shape [batch] + (5,)"),
        ({"x_test": np.full((4, 5), np.nan)}, "`x_test`. Expected: finite numbers"),
        ({"x_test": np.zeros((0, 5)), "y_test": []}, "`x_test`. Expected: at least one example"),
        ({"batch_size": 0}, "`batch_size`"),
    ],
)
def test_errors_come_before_anything_is_encoded(oracle, monkeypatch, arguments, match):
    model = oracle.build()
    monkeypatch.setattr(model, "encode", lambda *_, **__: pytest.fail("encoded"))
    good = {"x": oracle.draw(6), "y": [0, 1] * 3, "x_test": oracle.draw(4), "y_test": [0, 1] * 2}
    with pytest.raises(ValueError) as error:
        linear_probe(model, **{**good, **arguments})
    assert match in str(error.value)
