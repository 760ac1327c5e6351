"""LIKELIHOODS and POSTERIORS by name, their Support, and their start."""

import numpy as np
import pytest
import tensorflow as tf

from keras_vae import layers, networks
from keras_vae.layers import LIKELIHOODS, POSTERIORS, Support, get_likelihood, get_posterior

EVENT = (2, 2, 1)


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_likelihoods(name):
    layer = get_likelihood(name, EVENT)
    assert isinstance(layer, layers.IndependentLayer)
    assert layer.event_shape == EVENT
    assert layer.num_params == layer.params_per_element * 4
    assert isinstance(layer.support, Support)


@pytest.mark.parametrize("name", POSTERIORS)
def test_posteriors(name):
    layer = get_posterior(name, 3)
    q = layer(np.zeros([5, layer.num_params], "float32"))
    assert (q.batch_shape, q.event_shape) == ((5,), (3,))


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_every_value_of_the_support_has_a_finite_log_prob_at_the_start(name):
    """For parameters as an untrained network gives them, of zero mean and unit variance."""
    layer = get_likelihood(name, EVENT)
    rng = np.random.default_rng(0)
    params = rng.normal(size=(64, layer.num_params)).astype("float32")
    inside = np.array([0.0, 1.0, 255.0, 0.25, -3.0])
    inside = inside[layer.support.contains(inside)]
    assert len(inside)
    x = rng.choice(inside, size=(64, *EVENT)).astype("float32")
    p = layer(params)
    assert np.isfinite(p.log_prob(x)).all()
    assert p.mean().shape == x.shape


@pytest.mark.parametrize("name", [n for n in LIKELIHOODS if get_likelihood(n, 1).support.name == "bytes"])
def test_likelihoods_of_bytes_start_broad(name):
    """Worse than the uniform's 8 bits by at most 2, and each value within reach."""
    layer = get_likelihood(name, ())
    rng = np.random.default_rng(0)
    p = layer(rng.normal(size=(2000, layer.num_params)).astype("float32"))
    x = rng.integers(0, 256, size=2000).astype("float32")
    bits = -np.mean(p.log_prob(x)) / np.log(2.0)
    assert 8.0 < bits < 10.0
    assert np.min(p.log_prob(x)) > -60.0
    uniform = layer(np.zeros([1, layer.num_params], "float32"))
    np.testing.assert_allclose(uniform.mean(), 127.5, atol=0.01)


def test_arguments_go_to_the_layer():
    assert get_likelihood("categorical", 4, num_classes=3).num_params == 12
    assert get_likelihood("discretized-logistic-mixture", 4, num_components=2).num_params == 24
    assert get_likelihood("beta-binomial", 4, total_count=3).support.description == "integers in [0, 3]"
    assert get_likelihood("normal-fixed", 4, scale=0.5).scale == 0.5
    assert get_posterior("normal", 4, convert_to_tensor_fn="mean").convert_to_tensor_fn is not None


def test_classes_functions_and_instances():
    assert get_likelihood(layers.IndependentLaplace, EVENT).event_shape == EVENT
    assert get_likelihood(lambda shape: layers.IndependentPoisson(shape), EVENT).event_shape == EVENT
    layer = layers.IndependentLaplace(EVENT)
    assert get_likelihood(layer, EVENT) is layer
    tril = layers.MultivariateNormalTriL(3)
    assert get_posterior(tril, 3) is tril
    assert get_posterior(layers.MultivariateNormalDiag, 3).event_size == 3


def test_names_differ_as_they_say():
    one, fixed, shared = (get_likelihood(n, 4) for n in ("normal", "normal-fixed", "normal-shared"))
    assert (one.num_params, fixed.num_params, shared.num_params) == (8, 4, 4)
    assert (len(fixed.weights), len(shared.weights)) == (0, 1)


def test_unknown_names():
    with pytest.raises(ValueError, match=r"`likelihood`.*Did you mean 'bernoulli'"):
        get_likelihood("bernouli", EVENT)
    with pytest.raises(ValueError, match=r"`posterior`.*Did you mean 'normal-tril'"):
        get_posterior("normal-trl", 3)
    with pytest.raises(ValueError, match="`likelihood`"):
        get_likelihood(None, EVENT)


def test_what_does_not_fit():
    with pytest.raises(ValueError, match=r"event shape \(2, 2, 1\).*one of \(3,\)"):
        get_likelihood(layers.IndependentNormal(3), EVENT)
    with pytest.raises(ValueError, match=r"event shape \(3,\)"):
        get_posterior(layers.MultivariateNormalTriL(4), 3)
    with pytest.raises(ValueError, match="arguments to go with it"):
        get_likelihood(layers.IndependentNormal(3), 3, scale=1.0)
    with pytest.raises(ValueError, match="what makes one"):
        get_likelihood(lambda shape: shape, 3)
    with pytest.raises(ValueError, match="`latent_size`"):
        get_posterior("normal", 0)


@pytest.mark.parametrize(
    "name, inside, outside",
    [
        ("bernoulli", [0.0, 0.5, 1.0], [-0.1, 1.1, np.nan]),
        ("continuous-bernoulli", [0.0, 0.5, 1.0], [-0.1, 255.0]),
        ("poisson", [0.0, 3.0, 1e6], [-1.0, 0.5]),
        ("categorical", [0.0, 255.0], [256.0, 0.5, -1.0]),
        ("discretized-logistic", [0.0, 255.0], [256.0, 0.5]),
        ("discretized-logistic-mixture", [0.0, 255.0], [256.0, 0.5]),
        ("beta-binomial", [0.0, 255.0], [256.0, 0.5]),
        ("normal", [-1e9, 3.0], [np.nan, np.inf]),
    ],
)
def test_supports(name, inside, outside):
    support = get_likelihood(name, EVENT).support
    assert support.contains(np.array(inside)).all()
    assert not support.contains(np.array(outside)).any()


def test_supports_bring_integers_to_the_unit_of_a_network():
    for low, high in ((0, 255), (-3, 7)):
        support = layers.IndependentDiscretizedLogistic(1, low, high).support
        ends = np.array([low, high]) * support.scale + support.offset
        np.testing.assert_allclose(ends, [-1.0, 1.0])
        p = layers.IndependentDiscretizedLogistic.new(tf.constant([[-1.0, -9.0], [1.0, -9.0]]), 1, low, high)
        np.testing.assert_allclose(p.mean()[:, 0], [low, high], atol=0.01)


def test_layers_of_scalars_fit_scalars_only():
    """The default event shape is a shape like any other."""
    assert get_likelihood(layers.IndependentNormal(), ()).event_shape == ()
    for make in (
        lambda: get_likelihood(layers.IndependentNormal(), (28, 28, 1)),
        lambda: get_posterior(layers.IndependentNormal(), 4),
        lambda: get_posterior(layers.IndependentNormal(), 1),
        lambda: networks.build("mlp", (4,), 2, posterior=layers.IndependentNormal()),
    ):
        with pytest.raises(ValueError, match=r"one of \(\)"):
            make()


def test_large_log_rates_are_finite_and_pull_back():
    params = tf.constant([[-1000.0], [40.0], [90.0], [1e6]])
    with tf.GradientTape() as tape:
        tape.watch(params)
        log_prob = layers.IndependentPoisson.new(params, 1).log_prob([[3.0]])
    gradient = tape.gradient(log_prob, params).numpy()[:, 0]
    assert np.isfinite(log_prob).all() and np.isfinite(gradient).all()
    assert gradient[0] == pytest.approx(3.0)
    np.testing.assert_allclose(gradient[1:], -np.exp(40.0), rtol=1e-5)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        *[
            (lambda low=low, high=high: layers.IndependentDiscretizedLogistic(2, low, high), "high")
            for low, high in ((None, 255), (float("nan"), 255), (float("-inf"), 255), (0, "a"), (False, 3))
        ],
        *[
            (lambda scale=scale: layers.HomoscedasticNormal(2, scale), "scale")
            for scale in ("0.5", None, True, 0.0, float("nan"))
        ],
        (lambda: layers.HomoscedasticNormal(2, trainable_scale="false"), "trainable_scale"),
        (lambda: layers.IndependentNormal(2, validate_args="no"), "validate_args"),
        (lambda: layers.IndependentNormal(True), "event_shape"),
        (lambda: layers.IndependentNormal((2, True)), "event_shape"),
    ],
)
def test_bad_arguments(make, name):
    with pytest.raises(ValueError, match=f"`{name}`"):
        make()


@pytest.mark.parametrize("trainable", [False, True])
def test_double_precision_holds_the_constants(trainable):
    layer = layers.HomoscedasticNormal(1, 0.3, trainable, dtype="float64")
    for p in (layer(np.zeros([1, 1])), layers.HomoscedasticNormal.new(np.zeros([1, 1]), 1, 0.3)):
        np.testing.assert_allclose(p.stddev(), [[0.3]], rtol=1e-13)
    # Of a very negative raw scale nothing but the floor is left.
    smallest = layers.IndependentNormal.new(tf.constant([[0.0, -1e4]], tf.float64), 1).stddev()
    np.testing.assert_allclose(smallest, [[1e-5]], rtol=1e-13)
    tril = layers.MultivariateNormalTriL.new(tf.constant([[0.0, -1e4]], tf.float64), 1)
    np.testing.assert_allclose(tril.stddev(), [[1e-5]], rtol=1e-13)
