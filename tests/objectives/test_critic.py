"""What critics minimise, their penalties, and what is refused, against closed forms."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae import objectives, priors
from keras_vae.networks.critic import mlp_critic
from keras_vae.objectives.adversarial_losses import ADVERSARIAL_LOSSES

from .critics import linear, terms_of

tfd = tfp.distributions
RNG = np.random.default_rng(0)
LOC = RNG.normal(size=(7, 2)).astype("float32")
W = np.array([1.5, -2.0])
SCORES = np.linspace(-30.0, 30.0, 13)
Q = tfd.Independent(tfd.Normal(LOC, 0.5), 1)


def build(**kwargs):
    return objectives.AdversarialReconstruction(**{"critic": linear(W, 0.3), **kwargs})


# real, fake, generator in float64; the logistic ones are -log of the probabilities 1 / (1 + exp(-+score)).
TRUTH = {
    "non-saturating": (
        lambda s: np.logaddexp(0.0, -s),
        lambda s: np.logaddexp(0.0, s),
        lambda s: np.logaddexp(0.0, -s),
    ),
    "wasserstein": (lambda s: -s, lambda s: s, lambda s: -s),
    "hinge": (lambda s: np.maximum(0.0, 1.0 - s), lambda s: np.maximum(0.0, 1.0 + s), lambda s: -s),
    "least-squares": (lambda s: (s - 1.0) ** 2 / 2, lambda s: s**2 / 2, lambda s: (s - 1.0) ** 2 / 2),
}


@pytest.mark.parametrize("name", ADVERSARIAL_LOSSES)
def test_losses_against_numpy(name):
    for function, truth in zip(ADVERSARIAL_LOSSES[name], TRUTH[name], strict=True):
        np.testing.assert_allclose(
            function(tf.constant(SCORES, tf.float32)), truth(SCORES), rtol=1e-5, atol=1e-12
        )


@pytest.mark.parametrize("name", ADVERSARIAL_LOSSES)
def test_both_sides_against_numpy(name):
    real_loss, fake_loss, generator = TRUTH[name]
    objective, terms = build(adversarial_loss=name, num_samples=3, weight=2.0), terms_of(Q, num_samples=3)
    real, fake = (np.float64(z) @ W + 0.3 for z in (terms.prior_z, terms.z))
    expected = real_loss(real).mean(axis=0) + fake_loss(fake).mean(axis=0)
    np.testing.assert_allclose(objective.critic_parts(terms)["critic_loss"], expected, rtol=1e-4, atol=1e-5)
    adversarial = generator(fake).mean(axis=0)
    np.testing.assert_allclose(objective.monitors(terms)["adversarial"], adversarial, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        objective.parts(terms)["weighted_adversarial"], 2.0 * adversarial, rtol=1e-4, atol=1e-5
    )
    accuracy = np.mean(real > fake, axis=0)
    np.testing.assert_allclose(objective.monitors(terms)["critic_accuracy"], accuracy, rtol=1e-6)


@pytest.mark.parametrize("sign", [1.0, -1.0, 0.0])
def test_accuracy_of_a_critic_that_knows_all_nothing_or_the_opposite(sign):
    q = tfd.Independent(tfd.Normal(np.full([50, 2], 20.0, "float32"), 0.5), 1)
    accuracy = build(critic=linear([-sign, -sign])).monitors(terms_of(q))["critic_accuracy"]
    np.testing.assert_array_equal(accuracy, 0.5 + 0.5 * sign)


def test_penalties_of_a_linear_critic():
    """Its slope is |w|: penalties r1/2 |w|^2 and (|w| - 1)^2, gradients r1 w and 2 (|w| - 1) w / |w|."""
    objective, norm = build(r1=3.0, gradient_penalty=10.0, num_samples=2), np.linalg.norm(W)
    kernel = objective.critic.trainable_variables[0]
    with tf.GradientTape(persistent=True) as tape:
        parts = objective.critic_parts(terms_of(Q, num_samples=2))
        r1, penalty = (tf.reduce_mean(parts[name]) for name in ("critic_r1", "critic_gradient_penalty"))
    np.testing.assert_allclose(parts["critic_r1"], np.full(7, 1.5 * norm**2), rtol=1e-5)
    np.testing.assert_allclose(
        parts["critic_gradient_penalty"], np.full(7, 10.0 * (norm - 1.0) ** 2), rtol=1e-5
    )
    np.testing.assert_allclose(tape.gradient(r1, kernel)[:, 0], 3.0 * W, rtol=1e-5)
    expected = 20.0 * (norm - 1.0) * W / norm
    np.testing.assert_allclose(tape.gradient(penalty, kernel)[:, 0], expected, rtol=1e-4)


def test_r1_is_taken_at_real_values_and_the_other_penalty_between():
    """D = w x^2 / 2 has the slope w |x|: at draws of the prior, and at points between them and the fakes."""
    critic = keras.Sequential(
        [keras.Input((1,)), keras.layers.Lambda(tf.square), keras.layers.Dense(1, use_bias=False)]
    )
    critic.set_weights([np.array([[0.5]])])
    fakes = np.full([500, 1], 10.0, "float32")
    terms = terms_of(tfd.Independent(tfd.Deterministic(fakes), 1))
    parts = build(critic=critic, r1=1.0, gradient_penalty=1.0).critic_parts(terms)
    real = np.float64(terms.prior_z)[0, :, 0]
    np.testing.assert_allclose(parts["critic_r1"], 0.5 * real**2, rtol=1e-4, atol=1e-7)
    between = 1.0 + np.sqrt(np.float64(parts["critic_gradient_penalty"]))
    at = (between - real) / (10.0 - real)  # the slope is at least 1 for nearly all of them
    at = at[(between > 2.0) & (real > -1.0)]
    # Uniform on [0, 1], less a little near 0: 0.55 in the mean, with a standard error of 0.013.
    assert 0.0 <= at.min() < 0.25 and 0.95 < at.max() <= 1.0
    assert np.mean(at) == pytest.approx(0.55, abs=0.06)


def test_critic_learns_nothing_of_the_encoder():
    loc = tf.Variable(LOC)
    objective = build(r1=1.0, gradient_penalty=1.0)
    with tf.GradientTape() as tape:
        terms = terms_of(tfd.Independent(tfd.Normal(loc, 0.5), 1))
        loss = tf.add_n([tf.reduce_sum(part) for part in objective.critic_parts(terms).values()])
    assert tape.gradient(loss, loc) is None


def test_generator_is_pulled_along_the_critic():
    """d g(D(z)) / dz = -w / (1 + exp(D(z))) for the non-saturating loss."""
    loc = tf.Variable(LOC)
    with tf.GradientTape() as tape:
        terms = terms_of(tfd.Independent(tfd.Normal(loc, 0.5), 1))
        loss = tf.reduce_sum(build().parts(terms)["weighted_adversarial"])
    score = np.float64(terms.z)[0] @ W + 0.3
    expected = -W / (1.0 + np.exp(score))[:, np.newaxis]
    np.testing.assert_allclose(tape.gradient(loss, loc), expected, rtol=1e-4, atol=1e-7)


def test_spectral_norm_is_one_after_training_calls():
    critic = mlp_critic(6, hidden=(16, 8), spectral_norm=True)
    values = tf.constant(RNG.normal(size=(50, 6)), tf.float32)
    before = [np.linalg.svd(v, compute_uv=False)[0] for v in critic.trainable_variables if v.name == "kernel"]
    assert all(abs(value - 1.0) > 0.05 for value in before)
    for _ in range(50):
        critic(values, training=True)
    kernels = [v for v in critic.trainable_variables if v.name == "kernel"]
    assert len(kernels) == 3
    for kernel in kernels:
        assert np.linalg.svd(kernel, compute_uv=False)[0] == pytest.approx(1.0, abs=1e-3)
    scores = critic(values).numpy()[:, 0]
    distances = np.linalg.norm(values[:25] - values[25:], axis=1)
    assert np.all(np.abs(scores[:25] - scores[25:]) <= 1.001 * distances)


def test_default_critic_is_made_of_the_arguments():
    objective = objectives.FactorELBO(critic=[5, 4])
    assert objective.critic is None
    objective.parts(terms_of(Q))
    assert [layer.name for layer in objective.critic.layers] == ["values", "hidden_0", "hidden_1", "score"]
    assert [v.shape for v in objective.critic.trainable_variables] == [
        (2, 5),
        (5,),
        (5, 4),
        (4,),
        (4, 1),
        (1,),
    ]
    assert objective.critic.layers[1].activation is keras.activations.leaky_relu


BAD = [
    {"critic": "mlp"},
    {"critic": 5},
    {"critic": (0,)},
    {"critic": (2.5,)},
    {"adversarial_loss": "minimax"},
    {"adversarial_loss": "wasserstein", "critic": None},
    {"r1": -1.0},
    {"r1": float("inf")},
    {"gradient_penalty": -1.0},
    {"gradient_penalty": True},
    {"spectral_norm": 1, "critic": None},
    {"spectral_norm": True},
    {"critic_steps": 0},
    {"critic_steps": 1.5},
    {"weight": -1.0},
]


@pytest.mark.parametrize("arguments", BAD, ids=str)
def test_bad_arguments(arguments):
    with pytest.raises(ValueError, match="Invalid value received for argument") as error:
        build(**arguments)
    name = "gradient_penalty" if "wasserstein" in arguments.values() else next(iter(arguments))
    assert f"`{name}`" in str(error.value)


def critic_of(inputs, outputs):
    return keras.Sequential([keras.Input((inputs,)), keras.layers.Dense(outputs)])


@pytest.mark.parametrize("critic", [critic_of(3, 1), critic_of(2, 2), keras.layers.Flatten()], ids=str)
def test_critic_of_the_wrong_shape(critic):
    with pytest.raises(ValueError, match="argument `critic`"):
        build(critic=critic).parts(terms_of(Q))


@pytest.mark.parametrize("kind", [objectives.AdversarialReconstruction, objectives.AdversarialWasserstein])
def test_prior_that_would_not_learn(kind):
    prior = priors.NormalMixture(2, 3)
    with pytest.raises(ValueError, match="argument `prior`"):
        kind().parts(terms_of(Q, prior=prior))
    prior.trainable = False
    assert np.all(np.isfinite(sum(kind().parts(terms_of(Q, prior=prior)).values())))


KINDS = (
    objectives.AdversarialReconstruction,
    objectives.AdversarialWasserstein,
    objectives.AdversarialELBO,
    objectives.FactorELBO,
)


@pytest.mark.parametrize("kind", KINDS)
def test_posterior_that_would_not_learn(kind):
    q = tfd.Independent(tfd.Bernoulli(tf.zeros([7, 2]), dtype=tf.float32), 1)
    with pytest.raises(ValueError, match="argument `encoder`"):
        kind().parts(terms_of(q, prior=None))
