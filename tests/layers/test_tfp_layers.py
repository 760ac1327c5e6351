"""Every layer that `tfp.layers` has too, against it on equal parameters."""

import inspect

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae import layers

tfd = tfp.distributions
tfpl = pytest.importorskip("tensorflow_probability.python.layers")

EVENT = (2, 3)
RNG = np.random.default_rng(0)
REAL = RNG.normal(size=(5, *EVENT)).astype("float32")
BITS = RNG.integers(0, 2, size=(5, *EVENT)).astype("float32")
COUNTS = RNG.integers(0, 9, size=(5, *EVENT)).astype("float32")
CLASSES = np.eye(4, dtype="float32")[RNG.integers(0, 4, size=5)]
VECTORS = RNG.normal(size=(5, 4)).astype("float32")

# Name, arguments of `params_size` and of `new`, values.
CASES = {
    "IndependentBernoulli": ([EVENT], BITS),
    "IndependentLogistic": ([EVENT], REAL),
    "IndependentNormal": ([EVENT], REAL),
    "IndependentPoisson": ([EVENT], COUNTS),
    "MixtureLogistic": ([3, EVENT], REAL),
    "MixtureNormal": ([3, EVENT], REAL),
    "MultivariateNormalTriL": ([4], VECTORS),
    "OneHotCategorical": ([4], CLASSES),
    "CategoricalMixtureOfOneHotCategorical": ([4, 3], CLASSES),
}


def moments(p):
    yield "mean", p.mean()
    for name in ("stddev", "mode", "covariance", "log_mean"):
        try:
            yield name, getattr(p, name)()
        except (NotImplementedError, AttributeError):
            continue


def assert_same(ours, theirs, values):
    assert ours.batch_shape == theirs.batch_shape
    assert ours.event_shape == theirs.event_shape
    assert ours.dtype == theirs.dtype
    np.testing.assert_allclose(ours.log_prob(values), theirs.log_prob(values), rtol=1e-6, atol=1e-6)
    known = dict(moments(ours))
    for name, value in moments(theirs):
        np.testing.assert_allclose(known[name], value, rtol=1e-6, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("name", CASES)
def test_equals_tfp(name):
    sizes, values = CASES[name]
    ours, theirs = getattr(layers, name), getattr(tfpl, name)
    size = int(theirs.params_size(*sizes))
    assert ours.params_size(*sizes) == size
    params = tf.constant(2.0 * RNG.normal(size=(5, size)), tf.float32)
    p = theirs.new(params, *sizes)
    assert_same(ours.new(params, *sizes), p, values)
    # And as layers, with the arguments in the same order.
    assert_same(
        ours(*sizes, tfd.Distribution.mean)(params), theirs(*sizes, tfd.Distribution.mean)(params), values
    )


def test_mixture_of_a_layer_equals_tfp():
    size = layers.MixtureSameFamily.params_size(3, layers.IndependentLogistic.params_size(EVENT))
    assert size == tfpl.MixtureSameFamily.params_size(3, tfpl.IndependentLogistic.params_size(EVENT))
    params = tf.constant(RNG.normal(size=(5, size)), tf.float32)
    ours = layers.MixtureSameFamily(3, layers.IndependentLogistic(EVENT))
    theirs = tfpl.MixtureSameFamily(3, tfpl.IndependentLogistic(EVENT))
    assert_same(ours(params), theirs(params), REAL)
    assert_same(
        layers.MixtureSameFamily.new(params, 3, layers.IndependentLogistic(EVENT)), theirs(params), REAL
    )


def test_any_function_makes_the_components():
    params = tf.constant(RNG.normal(size=(5, 9)), tf.float32)

    def component(t):
        return tfd.Independent(tfd.Laplace(t[..., :1], tf.exp(t[..., 1:])), 1)

    ours = layers.MixtureSameFamily.new(params, 3, component)
    assert_same(ours, tfpl.MixtureSameFamily.new(params, 3, component), REAL[:, 0, :1])


@pytest.mark.parametrize("dtype", [None, "int32", tf.int32])
@pytest.mark.parametrize("name", ["IndependentBernoulli", "OneHotCategorical"])
def test_sample_dtype(name, dtype):
    params = tf.zeros([5, 4])
    ours = getattr(layers, name)(4, "sample", dtype)(params)
    theirs = getattr(tfpl, name).new(params, 4, dtype and tf.as_dtype(dtype))
    assert ours.dtype == ours.value().dtype == theirs.dtype
    np.testing.assert_allclose(ours.log_prob(ours.value()), theirs.log_prob(ours.value()), rtol=1e-6)


@pytest.mark.parametrize("fn", [tfd.Bernoulli.logits, "logits"])
def test_logits_as_the_tensor(fn):
    params = tf.constant(RNG.normal(size=(5, 6)), tf.float32)
    layer = layers.IndependentBernoulli(EVENT, fn)
    np.testing.assert_array_equal(layer(params).value(), tf.reshape(params, [5, *EVENT]))
    assert layer.get_config()["convert_to_tensor_fn"] == "logits"
    np.testing.assert_allclose(
        layers.OneHotCategorical(6, "probs")(params).value(), tf.nn.softmax(params), rtol=1e-6
    )


def test_signatures_begin_as_those_of_tfp():
    for name in [*CASES, "MixtureSameFamily", "DistributionLambda", "VariableLayer", "BlockwiseInitializer"]:
        for function in ("__init__", "new", "params_size"):
            theirs = getattr(getattr(tfpl, name), function, None)
            if theirs is None:
                continue
            expected = [p for p in inspect.signature(theirs).parameters if p != "kwargs"]
            received = list(inspect.signature(getattr(getattr(layers, name), function)).parameters)
            assert received[: len(expected)] == expected, (name, function)
