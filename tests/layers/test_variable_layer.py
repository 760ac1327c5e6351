"""VariableLayer and BlockwiseInitializer, against `tfp.layers` and by hand."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae.layers import BlockwiseInitializer, IndependentNormal, VariableLayer

tfd = tfp.distributions


def unconditional():
    init = BlockwiseInitializer(["zeros", keras.initializers.Constant(0.5)], sizes=[2, 2])
    return keras.Sequential(
        [VariableLayer(4, initializer=init, name="constant"), IndependentNormal(2, "mean")]
    )


def test_equals_tfp():
    tfpl = pytest.importorskip("tensorflow_probability.python.layers")
    theirs = tfpl.VariableLayer([2, 3], activation="tanh", initializer="ones")
    ours = VariableLayer([2, 3], activation="tanh", initializer="ones")
    np.testing.assert_allclose(ours(tf.zeros([1])), theirs(tf.zeros([1])), rtol=1e-6)
    blocks = [["zeros", "ones"], [1, 3]]
    np.testing.assert_array_equal(
        BlockwiseInitializer(*blocks)((2, 4)), tfpl.BlockwiseInitializer(*blocks)((2, 4))
    )


def test_ignores_its_input():
    layer = VariableLayer((2, 3), initializer="ones")
    np.testing.assert_array_equal(layer(tf.zeros([5, 7])), np.ones([2, 3]))
    np.testing.assert_array_equal(layer(), np.ones([2, 3]))
    assert layer(keras.Input((7,))).shape == (2, 3)


def test_learns_the_mean_and_scale_of_the_data():
    """Maximum likelihood in closed form: the mean and the standard deviation."""
    data = np.random.default_rng(0).normal([1.0, -2.0], [0.5, 2.0], size=(256, 2)).astype("float32")
    model = unconditional()
    model.compile(keras.optimizers.Adam(0.1), loss=lambda x, p: -p.log_prob(x))
    many = np.tile(data, (150, 1))
    model.fit(np.zeros([len(many), 1], "float32"), many, batch_size=256, shuffle=False, verbose=0)
    p = model(tf.zeros([1]))
    np.testing.assert_allclose(p.mean(), data.mean(axis=0), atol=1e-2)
    np.testing.assert_allclose(p.stddev(), data.std(axis=0), rtol=1e-2)


def test_saves_loads_and_exports(tmp_path):
    model = unconditional()
    model(tf.zeros([1]))
    model.layers[0].constant.assign([1.0, 2.0, 3.0, 4.0])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(tf.zeros([1])).stddev(), model(tf.zeros([1])).stddev())
    model.export(tmp_path / "exported", verbose=False)
    exported = tf.saved_model.load(tmp_path / "exported")
    np.testing.assert_array_equal(exported.serve(tf.zeros([1])), [1.0, 2.0])


def test_config_round_trip():
    layer = VariableLayer(
        (2, 3), "float64", "softplus", BlockwiseInitializer(["ones", "zeros"], [1, 2]), "l2", "non_neg"
    )
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(layer)))
    again = keras.saving.deserialize_keras_object(config)
    assert again.get_config() == layer.get_config()
    np.testing.assert_array_equal(again(), layer())
    assert again().dtype == tf.float64


def test_regularizer_and_constraint():
    layer = VariableLayer(2, initializer="ones", regularizer=keras.regularizers.L2(3.0), constraint="non_neg")
    np.testing.assert_allclose(sum(layer.losses), 6.0)
    assert layer.constant.constraint is layer.constraint


def test_half_precision_policies_keep_it_in_float32():
    keras.config.set_dtype_policy("mixed_float16")
    assert VariableLayer(2)().dtype == tf.float32


def test_wrong_arguments():
    with pytest.raises(ValueError, match="`shape`"):
        VariableLayer((2, 0))
    with pytest.raises(ValueError, match="2 sizes, one for each"):
        BlockwiseInitializer(["zeros", "ones"], [1])
    with pytest.raises(ValueError, match=r"sum\(sizes\) = 3"):
        BlockwiseInitializer(["zeros", "ones"], [1, 2])((4,))
