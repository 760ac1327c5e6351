"""Dropout against its definition and Keras' layer."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_vae.layers import Dropout

ONES = np.ones([200, 50], "float32")


@pytest.mark.parametrize("jit", [False, True])
def test_drops_its_share_and_scales_the_rest(jit):
    layer = Dropout(0.3, seed=0)
    out = tf.function(lambda x: layer(x, training=True), jit_compile=jit)(ONES).numpy()
    np.testing.assert_allclose(np.unique(out), [0.0, 1.0 / 0.7], rtol=1e-6)
    # Four standard errors of a share of 10,000 draws.
    assert abs((out == 0.0).mean() - 0.3) < 4 * np.sqrt(0.21 / out.size)


def test_drops_other_units_at_every_call_and_the_same_after_the_same_seed():
    first, second = (Dropout(0.5, seed=3) for _ in range(2))
    calls = [first(ONES, training=True).numpy() for _ in range(2)]
    assert not np.array_equal(*calls)
    np.testing.assert_array_equal(second(ONES, training=True), calls[0])
    keras.utils.set_random_seed(1)
    drawn = Dropout(0.5)(ONES, training=True).numpy()
    keras.utils.set_random_seed(1)
    np.testing.assert_array_equal(Dropout(0.5)(ONES, training=True), drawn)


def test_every_step_of_a_compiled_loop_has_a_mask_of_its_own():
    layer = Dropout(0.5, seed=0)

    @tf.function(jit_compile=True)
    def run():
        dropped = tf.zeros([4, 100])
        for step in tf.range(4):
            dropped = tf.tensor_scatter_nd_update(dropped, [[step]], layer(tf.ones([1, 100]), training=True))
        return dropped

    assert len(np.unique(run().numpy(), axis=0)) == 4


def test_changes_nothing_outside_of_training_or_with_a_rate_of_0():
    for layer in (Dropout(0.5), Dropout(0.0)):
        np.testing.assert_array_equal(layer(ONES), ONES)
    np.testing.assert_array_equal(Dropout(0.0)(ONES, training=True), ONES)
    np.testing.assert_array_equal(Dropout(1.0)(ONES, training=True), 0.0 * ONES)


def test_a_noise_shape_drops_whole_channels():
    x = np.ones([7, 4, 5, 30], "float32")
    out = Dropout(0.5, (None, 1, 1, None), seed=0)(x, training=True).numpy()
    np.testing.assert_array_equal(out, np.broadcast_to(out[:, :1, :1], out.shape))
    assert 0.3 < (out[:, 0, 0] == 0.0).mean() < 0.7


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float64"])
def test_keeps_the_dtype_and_the_gradient(dtype):
    x = tf.ones([3, 40], dtype)
    layer = Dropout(0.5, seed=0, dtype=dtype)
    with tf.GradientTape() as tape:
        tape.watch(x)
        out = layer(x, training=True)
    assert out.dtype == x.dtype
    # It multiplies by the mask over 1 - rate, and x is 1.
    np.testing.assert_array_equal(tf.cast(tape.gradient(out, x), "float32"), tf.cast(out, "float32"))


def test_saved_it_goes_on_with_the_draws_that_were_to_come(tmp_path):
    model = keras.Sequential([keras.Input((50,)), Dropout(0.5)])
    model(ONES, training=True)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(ONES, training=True), model(ONES, training=True))


def test_config_and_errors_are_those_of_keras():
    ours, theirs = (kind(0.2, (None, 3), seed=4, name="d") for kind in (Dropout, keras.layers.Dropout))
    assert ours.get_config() == theirs.get_config()
    with pytest.raises(ValueError, match="between 0 and 1"):
        Dropout(1.5)
