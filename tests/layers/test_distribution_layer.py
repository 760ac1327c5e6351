"""What the bases of the distribution layers promise: scales, conversions, shapes, seeds. For each
layer of DistributionLayer and IndependentLayer see the harness."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae.layers import DistributionLambda, HomoscedasticNormal, IndependentNormal, positive_scale
from keras_vae.layers.independent import as_shape

from .cases import CASES

tfd = tfp.distributions


def test_positive_scale_is_softplus_above_its_floor():
    raw = np.linspace(-3.0, 50.0, 200).astype("float32")
    np.testing.assert_allclose(positive_scale(raw), np.logaddexp(0.0, raw.astype(float)), rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_positive_scale_stays_in_its_bounds(dtype):
    raw = tf.constant([-1e30, -100.0, -20.0, -12.0, 0.0, 1e5, 1e30], dtype)
    with tf.GradientTape() as tape:
        tape.watch(raw)
        scale = positive_scale(raw)
    assert scale.dtype == dtype
    gradient = tape.gradient(scale, raw).numpy()
    assert (scale >= 1e-5 * (1 - 1e-6)).numpy().all()
    assert (scale <= 1e6).numpy().all()
    assert np.isfinite(gradient).all()
    assert (gradient[2:5] > 0).all()


@pytest.mark.parametrize("shape, expected", [(3, (3,)), ((), ()), ([2, 3], (2, 3)), (np.int64(4), (4,))])
def test_shapes(shape, expected):
    assert as_shape(shape) == expected
    assert as_shape(tf.TensorShape(expected)) == as_shape(np.array(expected, int)) == expected


@pytest.mark.parametrize("wrong", [0, (2, -1), 2.5, (2.5,), "ab", (None, 2), tf.TensorShape(None)])
def test_wrong_shapes(wrong):
    with pytest.raises(ValueError, match="`event_shape`"):
        IndependentNormal(wrong)


def test_parameters_are_kind_by_kind_in_the_order_of_the_event():
    for name, case in CASES.items():
        layer = case.make()
        if not name.startswith("Independent"):
            continue
        kinds = np.random.default_rng(0).normal(size=(layer.params_per_element, *layer.event_shape))
        swapped = kinds[:, ::-1]
        p, q = (layer(k.reshape(1, -1).astype("float32")) for k in (kinds, swapped))
        np.testing.assert_allclose(q.mean(), p.mean()[:, ::-1], rtol=1e-5)


def test_unknown_conversions():
    with pytest.raises(ValueError, match="Did you mean 'mean'"):
        IndependentNormal(2, "meen")
    with pytest.raises(ValueError, match="`convert_to_tensor_fn`"):
        IndependentNormal(2, 3)


@keras.saving.register_keras_serializable(package="keras_vae.tests")
def upper_end(p):
    return p.mean() + 2.0 * p.stddev()


def test_functions_of_ones_own_are_saved_when_registered(tmp_path):
    model = keras.Sequential([keras.Input((4,)), IndependentNormal(2, upper_end)])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    x = np.ones([3, 4], "float32")
    np.testing.assert_allclose(loaded(x).value(), 1.0 + 2.0 * np.full([3, 2], 1.3132617), rtol=1e-6)


def test_a_shared_generator_gives_each_layer_draws_of_its_own():
    generator = keras.random.SeedGenerator(3)
    one, other = (IndependentNormal(2, seed=generator) for _ in range(2))
    x = np.zeros([5, 4], "float32")
    assert (one(x).value() != other(x).value()).numpy().any()
    assert one.get_config()["seed"]["class_name"] == "SeedGenerator"
    assert isinstance(IndependentNormal.from_config(one.get_config()).seed, keras.random.SeedGenerator)


def test_draws_are_reproducible_after_a_global_seed():
    draws = []
    for _ in range(2):
        keras.utils.set_random_seed(7)
        draws.append(IndependentNormal(2)(np.zeros([5, 4], "float32")).value())
    np.testing.assert_array_equal(*draws)


def test_the_seed_is_part_of_the_saved_state(tmp_path):
    model = keras.Sequential([keras.Input((4,)), IndependentNormal(2, seed=1)])
    x = np.zeros([5, 4], "float32")
    model(x)
    model.save_weights(tmp_path / "model.weights.h5")
    upcoming = model(x).value()
    model.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(model(x).value(), upcoming)


def test_a_keras_regularizer_is_of_the_tensor():
    layer = IndependentNormal(2, "mean", activity_regularizer=keras.regularizers.L2(1.0))
    layer(np.ones([5, 4], "float32"))
    np.testing.assert_allclose(layer.losses[0], 2.0)  # Keras divides the sum over the batch by its size.


def test_several_inputs():
    layer = DistributionLambda(lambda t: tfd.Normal(t[0], tf.exp(t[1])))
    assert layer([np.zeros([3, 2], "float32")] * 2).batch_shape == (3, 2)
    assert layer([keras.Input((2,)), keras.Input((2,))]).shape == (None, 2)
    assert layer.compute_output_shape([(None, 2), (None, 2)]) == (None, 2)


def test_what_is_no_distribution():
    with pytest.raises(ValueError, match="returned EagerTensor"):
        DistributionLambda(lambda t: t)(np.zeros([3, 2], "float32"))
    with pytest.raises(ValueError, match="make_distribution_fn"):
        DistributionLambda(3)


def test_dynamic_last_dimensions():
    layer = IndependentNormal(2)

    @tf.function(input_signature=[tf.TensorSpec([None, None])])
    def mean(params):
        return layer(params).mean()

    assert mean(np.zeros([3, 4], "float32")).shape == (3, 2)


def test_time_distributed_over_sequences_of_any_length():
    layer = keras.layers.TimeDistributed(IndependentNormal(2, "mean"))
    inputs = keras.Input((None, 4))
    model = keras.Model(inputs, layer(inputs))
    x = np.random.default_rng(0).normal(size=(3, 5, 4)).astype("float32")
    np.testing.assert_allclose(model(x), x[..., :2])


@pytest.mark.parametrize("scale", [1e-5, 2e-5, 0.1, 1.0, 300.0, 1e6])
def test_a_learned_scale_starts_where_it_is_told(scale):
    layer = HomoscedasticNormal(2, scale, trainable_scale=True)
    fixed = HomoscedasticNormal(2, scale)
    x = np.zeros([1, 2], "float32")
    np.testing.assert_allclose(layer(x).stddev(), fixed(x).stddev(), rtol=1e-4)
    assert len(layer.weights) == 1
    assert not fixed.weights
    assert layer.raw_scale.trainable


def test_the_learned_scale_becomes_the_root_mean_squared_error():
    """Rybkin et al. (2021), equation 5."""
    error = np.array([[3.0, -1.0], [0.5, 2.0]], "float32")
    layer = HomoscedasticNormal(2, trainable_scale=True)
    optimizer = keras.optimizers.Adam(0.1)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(layer(tf.zeros([2, 2])).log_prob(error))
        optimizer.apply([tape.gradient(loss, layer.raw_scale)], [layer.raw_scale])

    for _ in range(200):
        step()
    np.testing.assert_allclose(layer(tf.zeros([2, 2])).stddev(), np.sqrt(np.mean(error**2)), rtol=1e-3)


def test_wrong_scales():
    for wrong in (0.0, -1.0, 1e7, float("nan")):
        with pytest.raises(ValueError, match="`scale`"):
            HomoscedasticNormal(2, wrong)
