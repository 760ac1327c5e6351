"""NegativeLogLikelihood: values, shapes, and how it goes with Keras."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae import losses
from keras_vae.layers import IndependentBernoulli, IndependentCategorical, IndependentNormal, VariableLayer
from keras_vae.losses import NegativeLogLikelihood

tfd = tfp.distributions

X = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
Y = np.random.default_rng(1).normal(size=(8, 2)).astype("float32")


def model(layer=None, **kwargs):
    layer = layer or IndependentNormal(2)
    made = keras.Sequential([keras.Input((3,)), keras.layers.Dense(layer.num_params), layer])
    made.compile("sgd", loss=NegativeLogLikelihood(), **kwargs)
    return made


def test_public_names():
    assert losses.__all__ == ["NegativeLogLikelihood"]


def test_is_minus_the_log_prob_of_every_example():
    p = IndependentNormal.new(tf.zeros([8, 4]), 2)
    expected = -p.log_prob(Y)
    np.testing.assert_array_equal(NegativeLogLikelihood().call(Y, p), expected)
    np.testing.assert_allclose(NegativeLogLikelihood()(Y, p), tf.reduce_mean(expected), rtol=1e-6)
    np.testing.assert_array_equal(NegativeLogLikelihood(reduction=None)(Y, p), expected)
    np.testing.assert_allclose(
        NegativeLogLikelihood(reduction="sum")(Y, p), tf.reduce_sum(expected), rtol=1e-6
    )
    weights = np.arange(8.0, dtype="float32")
    np.testing.assert_allclose(
        NegativeLogLikelihood()(Y, p, weights), np.mean(weights * expected.numpy()), rtol=1e-6
    )


def test_masked_steps_do_not_count():
    p = IndependentNormal(2)(np.zeros([2, 3, 4], "float32"))
    mask = tf.constant([[True, True, False], [True, False, False]])
    p._keras_mask = mask
    y = np.random.default_rng(0).normal(size=(2, 3, 2)).astype("float32")
    expected = tf.reduce_mean(-p.log_prob(y)[mask])
    np.testing.assert_allclose(NegativeLogLikelihood()(y, p), expected, rtol=1e-6)


@pytest.mark.parametrize("options", [{"run_eagerly": True}, {"jit_compile": False}, {"jit_compile": True}])
def test_trains_as_the_function_does(options):
    keras.utils.set_random_seed(0)
    ours = model(**options)
    other = keras.models.clone_model(ours)
    other.set_weights(ours.get_weights())
    other.compile("sgd", loss=lambda y, p: -p.log_prob(y), **options)
    ours.fit(X, Y, verbose=0, shuffle=False)
    other.fit(X, Y, verbose=0, shuffle=False)
    for one, two in zip(ours.trainable_variables, other.trainable_variables, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-6)


def test_is_saved_with_the_model(tmp_path):
    trained = model(jit_compile=False)
    trained.fit(X, Y, verbose=0)
    trained.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(loaded.loss, NegativeLogLikelihood)
    assert loaded.loss.get_config() == trained.loss.get_config()
    np.testing.assert_allclose(loaded.evaluate(X, Y, verbose=0), trained.evaluate(X, Y, verbose=0), rtol=1e-6)


def test_values_and_distributions_of_any_dtype():
    bits = (Y > 0).astype("uint8")
    logits = tf.zeros([8, 2])
    for dtype in ("int32", "float32"):
        p = IndependentBernoulli(2, sample_dtype=dtype)(logits)
        np.testing.assert_allclose(NegativeLogLikelihood()(bits, p), 2 * np.log(2.0), rtol=1e-6)
    p = IndependentCategorical(2, 4)(np.zeros([8, 8], "float32"))
    np.testing.assert_allclose(NegativeLogLikelihood()(bits, p), 4 * np.log(2.0), rtol=1e-6)
    p = IndependentNormal(2, dtype="float64")(np.zeros([8, 4]))
    assert NegativeLogLikelihood()(Y, p).dtype == tf.float32


def test_a_distribution_without_batch():
    p = keras.Sequential([VariableLayer(4), IndependentNormal(2)])(tf.zeros([1]))
    np.testing.assert_array_equal(NegativeLogLikelihood().call(Y, p), -p.log_prob(Y))


@pytest.mark.parametrize("shape", [(8,), (8, 1), (8, 3), (8, 2, 1), (1, 2), (4, 2)])
def test_shapes_that_would_broadcast(shape):
    p = IndependentNormal.new(tf.zeros([8, 4]), 2)
    with pytest.raises(ValueError, match=r"`y_true`.*\(8, 2\)"):
        NegativeLogLikelihood()(np.zeros(shape, "float32"), p)


def test_a_model_that_returns_a_tensor():
    plain = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    plain.compile("sgd", loss=NegativeLogLikelihood())
    with pytest.raises(ValueError, match="End the model with a distribution layer"):
        plain.fit(X, Y, verbose=0)


def test_trains_under_a_strategy():
    """Where Keras first calls the loss with placeholders."""
    with tf.distribute.OneDeviceStrategy("/cpu:0").scope():
        keras.utils.set_random_seed(0)
        ours = model(jit_compile=False)
    keras.utils.set_random_seed(0)
    alone = model(jit_compile=False)
    one, other = (m.fit(X, Y, verbose=0).history["loss"][0] for m in (ours, alone))
    np.testing.assert_allclose(one, other, rtol=1e-5)


@pytest.mark.parametrize("jit", [False, True])
def test_a_column_beside_scalars_of_an_unknown_batch(jit):
    @tf.function(input_signature=[tf.TensorSpec([None, 1]), tf.TensorSpec([None, 2])], jit_compile=jit)
    def loss(y, params):
        return NegativeLogLikelihood().call(y, IndependentNormal.new(params))

    with pytest.raises(ValueError, match="`y_true`"):
        loss(np.zeros([3, 1], "float32"), np.zeros([3, 2], "float32"))


@pytest.mark.parametrize(("event", "ends"), [((), ()), ((2,), (2,)), ((2,), (None,))])
def test_batches_of_unknown_size_are_compared_at_run_time(event, ends):
    layer = IndependentNormal(event)

    @tf.function(input_signature=[tf.TensorSpec([None, *ends]), tf.TensorSpec([None, layer.num_params])])
    def loss(y, params):
        return NegativeLogLikelihood().call(y, layer.distribution(params))

    y, params = np.zeros([3, *event], "float32"), np.zeros([3, layer.num_params], "float32")
    np.testing.assert_array_equal(loss(y, params), -layer.distribution(params).log_prob(y))
    assert loss(y, params[:1]).shape == (3,)  # the batch of y_pred broadcasts
    for wrong in (y[:1], y[:2]):
        with pytest.raises(tf.errors.InvalidArgumentError, match="shape of a draw"):
            loss(wrong, params)


def test_events_do_not_broadcast():
    with pytest.raises(ValueError, match="`y_true`"):
        NegativeLogLikelihood()(Y, IndependentNormal.new(tf.zeros([8, 2]), 1))


@pytest.mark.parametrize("y", [np.float32([[0.5, 0.7]]), np.float64([[0.5, 0.7]])])
def test_grey_values_beside_draws_that_are_integers(y):
    logits = np.float32([[1.0, -2.0]])
    whole, real = (IndependentBernoulli(2, sample_dtype=dtype)(logits) for dtype in ("int32", "float32"))
    np.testing.assert_allclose(NegativeLogLikelihood()(y, whole), NegativeLogLikelihood()(y, real), rtol=1e-6)
