"""The two games and the labels of the semi-supervised adversarial autoencoder, against NumPy."""

import numpy as np
import pytest
import scipy.special
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae import layers, objectives, priors
from keras_vae.objectives.labels import Condition

from .critics import linear, terms_of

tfd = tfp.distributions
RNG = np.random.default_rng(0)
B, K, D, S = 6, 3, 2, 4
LOGITS = RNG.normal(size=(B, K)).astype("float32")
LOC = RNG.normal(size=(B, D)).astype("float32")
Y = np.array([0, -1, 2, 1, -1, 2])
X = RNG.normal(size=(B, K + D)).astype("float32")
OF_CLASS, OF_STYLE = np.array([1.0, -2.0, 0.5]), np.array([1.5, -0.5])
PRIOR = priors.OneHotAndNormal(K + D, K)
LAYER = layers.SoftmaxAndStyle(K, layers.IndependentNormal(D))
RAW_SCALE = np.full([B, D], 0.3, "float32")


def build(**kwargs):
    critics = {"class_critic": linear(OF_CLASS, 0.3), "style_critic": linear(OF_STYLE, -0.1)}
    options = {"num_classes": K, "num_samples": S, **critics, **kwargs}
    return objectives.SemiSupervisedAdversarialReconstruction(**options)


def terms(y=Y, logits=LOGITS, loc=LOC, prior=PRIOR, sample_weight=None, num_samples=S):
    q = LAYER.distribution(tf.concat([logits, loc, RAW_SCALE], axis=1))
    table = terms_of(q, x=tf.constant(X), decode=decode, num_samples=num_samples, prior=prior)
    table.y = None if y is None else tf.constant(y)
    table.sample_weight = None if sample_weight is None else tf.constant(sample_weight, tf.float32)
    return table


def decode(z):
    return tfd.Independent(tfd.Normal(z, 0.5), 1)


def softplus(score):
    return np.logaddexp(0.0, score)


def test_parts_against_numpy():
    table, objective = terms(), build(weight=2.0, label_weight=3.0)
    parts, z = objective.parts(table), np.float64(table.z)
    np.testing.assert_allclose(z[0, :, :K], scipy.special.softmax(LOGITS, axis=1), rtol=1e-5)
    log_px = np.sum(-0.5 * ((X - z) / 0.5) ** 2 - np.log(0.5 * np.sqrt(2 * np.pi)), axis=-1)
    np.testing.assert_allclose(parts["reconstruction"], -log_px.mean(axis=0), rtol=1e-4)
    of_class = softplus(-(z[..., :K] @ OF_CLASS + 0.3)).mean(axis=0)
    of_style = softplus(-(z[..., K:] @ OF_STYLE - 0.1)).mean(axis=0)
    np.testing.assert_allclose(parts["weighted_class_adversarial"], 2.0 * of_class, rtol=1e-5)
    np.testing.assert_allclose(parts["weighted_style_adversarial"], 2.0 * of_style, rtol=1e-5)
    # Four of six have labels: each counts 6/4 times, so that the batch's mean is theirs.
    log_y = scipy.special.log_softmax(np.float64(LOGITS), axis=1)
    loss = np.where(Y < 0, 0.0, -log_y[np.arange(B), np.maximum(Y, 0)])
    np.testing.assert_allclose(parts["weighted_classification"], 3.0 * loss * 6 / 4, rtol=1e-5)
    assert np.mean(parts["weighted_classification"]) == pytest.approx(3.0 * loss[Y >= 0].mean(), rel=1e-5)
    monitors = objective.monitors(table)
    np.testing.assert_allclose(monitors["class_adversarial"], of_class, rtol=1e-5)
    np.testing.assert_allclose(monitors["style_adversarial"], of_style, rtol=1e-5)
    values, weights = monitors["classification"]
    np.testing.assert_allclose(values, loss, rtol=1e-5)
    np.testing.assert_array_equal(weights, Y >= 0)
    values, weights = monitors["accuracy"]
    np.testing.assert_array_equal(values * weights, (LOGITS.argmax(axis=1) == Y) & (Y >= 0))
    assert (float(monitors["weight"]), float(monitors["label_weight"])) == (2.0, 3.0)


def test_both_critics_against_numpy():
    table, objective = terms(), build(r1=2.0)
    parts = objective.critic_parts(table)
    assert tuple(parts) == objective.critic_part_names
    for name, dimensions, weights, bias in (
        ("class", slice(None, K), OF_CLASS, 0.3),
        ("style", slice(K, None), OF_STYLE, -0.1),
    ):
        real, fake = (np.float64(z)[..., dimensions] @ weights + bias for z in (table.prior_z, table.z))
        expected = softplus(-real).mean(axis=0) + softplus(fake).mean(axis=0)
        np.testing.assert_allclose(parts[f"{name}_critic_loss"], expected, rtol=1e-5)
        np.testing.assert_allclose(parts[f"{name}_critic_r1"], np.full(B, weights @ weights), rtol=1e-5)
        accuracy = objective.monitors(table)[f"{name}_critic_accuracy"]
        np.testing.assert_allclose(accuracy, np.mean(real > fake, axis=0), rtol=1e-6)
    np.testing.assert_array_equal(np.sort(table.prior_z[..., :K]), np.tile([0.0, 0.0, 1.0], (S, B, 1)))


def test_style_game_is_that_of_the_adversarial_autoencoder():
    """The same latents and critic, so the same loss of the encoder."""
    table = terms()
    style = terms_of(tfd.Independent(tfd.Normal(LOC, 1.0), 1), num_samples=S)
    style.z = table.z[..., K:]
    alone = objectives.AdversarialReconstruction(critic=linear(OF_STYLE, -0.1), num_samples=S).parts(style)
    both = build().parts(table)
    np.testing.assert_array_equal(both["weighted_style_adversarial"], alone["weighted_adversarial"])


def test_no_game_touches_the_others_half():
    logits, loc = tf.Variable(LOGITS), tf.Variable(LOC)
    objective = build(r1=1.0, gradient_penalty=1.0)
    with tf.GradientTape(persistent=True) as tape:
        table = terms(logits=logits, loc=loc)
        parts, of_critics = objective.parts(table), objective.critic_parts(table)
    critics = {name: game.critic.trainable_variables for name, game in objective.games.items()}
    for name, other, mine, its in (("class", "style", logits, loc), ("style", "class", loc, logits)):
        part = parts[f"weighted_{name}_adversarial"]
        assert np.any(tape.gradient(part, mine))
        reached = tape.gradient(part, its)
        assert reached is None or not np.any(reached)
        for kind in ("loss", "r1", "gradient_penalty"):
            value = of_critics[f"{name}_critic_{kind}"]
            assert np.any(tape.gradient(value, critics[name])[0])
            assert all(gradient is None for gradient in tape.gradient(value, critics[other]))
            assert tape.gradient(value, logits) is None and tape.gradient(value, loc) is None
    by_logits, by_loc = tape.gradient(parts["weighted_classification"], [logits, loc])
    assert np.array_equal(np.any(by_logits, axis=1), Y >= 0)
    assert by_loc is None or not np.any(by_loc)
    joined = [variable for variables in critics.values() for variable in variables]
    assert list(map(id, objective.critic.trainable_variables)) == list(map(id, joined))


def test_classification_pulls_logits_to_the_label_however_sure_they_are():
    """softmax - one-hot, also where the probability of the class has underflowed to 0."""
    logits = tf.Variable([[200.0, 0.0, 0.0]] * B)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(build().parts(terms(np.full(B, 1), logits))["weighted_classification"])
    np.testing.assert_allclose(tape.gradient(loss, logits)[0], np.array([1.0, -1.0, 0.0]) / B, atol=1e-6)


@pytest.mark.parametrize("y", [None, np.full(B, -1)], ids=["no labels", "all unknown"])
def test_without_labels_it_costs_nothing(y):
    parts = build().parts(terms(y))
    np.testing.assert_array_equal(parts["weighted_classification"], np.zeros(B))
    np.testing.assert_array_equal(parts["reconstruction"], build().parts(terms())["reconstruction"])
    for name in ("classification", "accuracy"):
        np.testing.assert_array_equal(build().monitors(terms(y))[name][1], np.zeros(B))


def test_weighted_examples():
    """The part's weighted mean is that of the labelled examples of weight above 0; metrics are weighted."""
    weight = np.array([2.0, 1.0, 0.0, 0.5, 3.0, 1.0])
    table = terms(sample_weight=weight)
    part = np.float64(build().parts(table)["weighted_classification"])
    log_y = scipy.special.log_softmax(np.float64(LOGITS), axis=1)
    counted = (Y >= 0) & (weight > 0.0)
    loss = -log_y[np.arange(B), np.maximum(Y, 0)]
    assert np.mean(part * weight) == pytest.approx(np.sum((loss * weight)[counted]) / 3, rel=1e-5)
    for name in ("classification", "accuracy"):
        np.testing.assert_allclose(build().monitors(table)[name][1], weight * (Y >= 0))


def test_critics_are_made_and_are_one_model():
    objective = build(class_critic=None, style_critic=[5])
    assert objective.critic is None and objective.trainable_variables == []
    objective.parts(terms())
    shapes = [tuple(v.shape) for v in objective.critic.trainable_variables]
    assert shapes == [(K, 256), (256,), (256, 256), (256,), (256, 1), (1,), (D, 5), (5,), (5, 1), (1,)]
    table = terms()
    scores = objective.critic(table.z[0])
    for score, game in zip(scores, objective.games.values(), strict=True):
        np.testing.assert_array_equal(score[:, 0], game.score(table.z[..., game.dimensions])[0])
    assert objective.labels == Condition((), "int32", K, unknown=True, required=False)


def test_posteriors_that_do_not_fit():
    for q in (tfd.Independent(tfd.Normal(X, 1.0), 1), tfd.MultivariateNormalDiag(X)):
        with pytest.raises(ValueError, match=r"`encoder`.*SoftmaxAndStyle\(3"):
            build().parts(terms_of(q, x=tf.constant(X), decode=decode, num_samples=S, prior=PRIOR))
    with pytest.raises(ValueError, match=r"SoftmaxAndStyle\(2.*3 classes"):
        build(num_classes=2, class_critic=None, style_critic=None).parts(terms())
    mixture = priors.NormalMixture(K + D, 2)
    with pytest.raises(ValueError, match="`prior`"):
        build().parts(terms(prior=mixture))
    coins = layers.SoftmaxAndStyle(K, layers.IndependentBernoulli(D))
    with pytest.raises(ValueError, match=r"`encoder`.*reparameterised"):
        table = terms_of(coins.distribution(X), x=tf.constant(X), decode=decode, num_samples=S, prior=PRIOR)
        build().parts(table)


BAD = [
    {"num_classes": 1},
    {"num_classes": 2.5},
    {"weight": -1.0},
    {"label_weight": "linear:1:-1:5"},
    {"class_critic": "mlp"},
    {"style_critic": (0,)},
    {"adversarial_loss": "minimax"},
    {"adversarial_loss": "wasserstein", "style_critic": None},
    {"r1": -1.0},
    {"gradient_penalty": True},
    {"spectral_norm": True},
    {"critic_steps": 0},
    {"num_samples": 0},
]


@pytest.mark.parametrize("arguments", BAD, ids=str)
def test_bad_arguments(arguments):
    with pytest.raises(ValueError, match="Invalid value received for argument"):
        build(**arguments)


@pytest.mark.parametrize("name", ["class_critic", "style_critic"])
def test_critics_of_the_wrong_shape(name):
    with pytest.raises(ValueError, match="argument `critic`"):
        build(**{name: linear(np.ones(5))}).parts(terms())
