"""A distribution that is also a tensor."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae.layers import IndependentNormal, coercible

tfd = tfp.distributions

NORMAL = tfd.Independent(tfd.Normal(tf.constant([[1.0, 2.0]]), 0.5), 1)


def ten(p, seed=None):
    return p.sample(10, seed=seed)


def sample(p):
    """Has the name of `tfd.Distribution.sample` and returns another shape."""
    return tf.zeros([7, 3])


def test_is_what_it_was():
    p = coercible(NORMAL)
    assert isinstance(p, tfd.Independent)
    assert isinstance(p, tfd.Distribution)
    assert tf.is_tensor(p)
    np.testing.assert_array_equal(p.log_prob([1.0, 2.0]), NORMAL.log_prob([1.0, 2.0]))
    np.testing.assert_array_equal(tfd.kl_divergence(p, NORMAL), [0.0])
    assert type(coercible(p)) is type(p)


def test_one_draw_for_all_who_ask():
    p = coercible(NORMAL, seed=tf.constant([1, 2]))
    draw = tf.convert_to_tensor(p)
    np.testing.assert_array_equal(p + 0.0, draw)
    np.testing.assert_array_equal(np.asarray(p), draw)
    np.testing.assert_array_equal(p[0], draw[0])
    np.testing.assert_array_equal(keras.ops.matmul(p, np.eye(2, dtype="float32")), draw)
    np.testing.assert_array_equal(NORMAL.sample(seed=tf.constant([1, 2])), draw)


@pytest.mark.parametrize("fn, shape", [(tfd.Distribution.mean, (1, 2)), (ten, (10, 1, 2)), (sample, (7, 3))])
def test_the_shape_is_that_of_the_tensor(fn, shape):
    p = coercible(NORMAL, fn, tf.constant([1, 2]))
    assert p.shape == shape == p.value().shape
    assert p.ndim == len(shape)
    assert len(p) == shape[0]


def test_copies_are_tensors_too():
    p = coercible(NORMAL, tfd.Distribution.mean)
    assert p.copy().value().shape == (1, 2)


def test_leaves_a_function_as_its_tensor():
    model = keras.Sequential([keras.Input((4,)), IndependentNormal(2, "mean")])
    x = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
    np.testing.assert_allclose(tf.function(model)(x), x[:, :2])
    dataset = tf.data.Dataset.from_tensors(x).map(lambda batch: model(batch))
    np.testing.assert_allclose(next(iter(dataset)), x[:, :2])


def test_a_dtype_it_has_not_is_refused():
    p = coercible(NORMAL)
    with pytest.raises((TypeError, ValueError)):
        tf.convert_to_tensor(p, tf.int32)
