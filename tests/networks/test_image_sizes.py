"""The sizes of feature maps, and the convolutional head's layout of parameters."""

import itertools

import keras
import numpy as np
import pytest

from keras_vae.layers.independent import IndependentNormal
from keras_vae.layers.likelihoods import LIKELIHOODS, get_likelihood
from keras_vae.networks import conv_decoder, resnet_decoder
from keras_vae.networks.ends import image_head
from keras_vae.networks.halving import Halving, halvings


@pytest.mark.parametrize("size", [(28, 28), (33, 17), (7, 5), (1, 9), (2, 1), (64, 3)])
def test_steps_lead_to_one_pixel_and_no_further(size):
    # As often as ceil(n / 2) takes to bring the longer side to 1.
    count = int(np.ceil(np.log2(max(size))))
    steps = halvings("filters", size, count)
    assert steps[0].size == size and steps[-1].half == (1, 1)
    assert steps[-1].size != (1, 1)
    for above, below in itertools.pairwise(steps):
        assert above.half == below.size
    with pytest.raises(ValueError, match=f"1 to {count} stages"):
        halvings("filters", size, count + 1)


@pytest.mark.parametrize("size", [(28, 28), (33, 17), (7, 5), (1, 9), (2, 1)])
def test_a_strided_convolution_and_the_way_back_agree_with_the_sizes(size):
    step = Halving(size)
    x = np.zeros((1, *size, 1), "float32")
    down = keras.layers.Conv2D(1, 3, strides=step.strides, padding="same")(x)
    assert down.shape[1:3] == step.half
    up = keras.layers.Conv2DTranspose(1, 3, strides=step.strides, padding="same")(down)
    assert step.crop(up, "up").shape[1:3] == size


def test_enlarging_repeats_pixels():
    step = Halving((5, 4))
    small = np.arange(6.0, dtype="float32").reshape(1, 3, 2, 1)
    expected = small.repeat(2, axis=1).repeat(2, axis=2)[:, :5]
    np.testing.assert_array_equal(step.enlarge(small, "up"), expected)


def softplus_inverse(y):
    return np.log(np.expm1(y))


@pytest.mark.parametrize("make", [conv_decoder, resnet_decoder])
def test_the_head_gives_every_channel_its_own_mean_and_scale(make):
    decoder = make(2, IndependentNormal((7, 5, 3)), filters=(6, 4), dense=())
    kernel, bias = decoder.get_layer("params").get_weights()
    means, scales = np.array([1.0, 2.0, 3.0]), np.array([0.4, 0.5, 0.6])
    constants = np.concatenate([means, softplus_inverse(scales)])
    assert bias.shape == constants.shape
    decoder.get_layer("params").set_weights([0.0 * kernel, constants])
    p = decoder(np.random.default_rng(0).normal(size=(2, 2)))
    np.testing.assert_allclose(p.mean(), np.broadcast_to(means, (2, 7, 5, 3)), rtol=1e-6)
    np.testing.assert_allclose(p.stddev(), np.broadcast_to(scales, (2, 7, 5, 3)), rtol=1e-5)


def head_of(likelihood):
    """A model that is the head alone, with a convolution that changes nothing."""
    height, width, channels = likelihood.event_shape
    size = likelihood.params_per_element * channels
    inputs = keras.Input((height, width, size))
    model = keras.Model(inputs, image_head(inputs, likelihood, 1))
    model.get_layer("params").set_weights([np.eye(size)[None, None], np.zeros(size)])
    return model


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_the_head_keeps_every_kind_channel_and_pixel_in_its_place(name):
    likelihood = get_likelihood(name, (4, 3, 2))
    kinds = likelihood.params_per_element
    features = np.random.default_rng(0).normal(size=(5, 4, 3, kinds * 2)).astype("float32")
    # What the layer reads: all of the first kind, in the order of the image, then the next kind.
    params = np.concatenate([features[..., 2 * k : 2 * k + 2].reshape(5, -1) for k in range(kinds)], axis=-1)
    x = np.random.default_rng(1).integers(0, 2, (5, 4, 3, 2)).astype("float32")
    np.testing.assert_allclose(
        head_of(likelihood)(features).log_prob(x), likelihood(params).log_prob(x), rtol=1e-5
    )


def test_the_head_of_a_normal_has_means_first_and_then_scales():
    features = np.random.default_rng(0).normal(size=(5, 4, 3, 4)).astype("float32")
    p = head_of(IndependentNormal((4, 3, 2)))(features)
    np.testing.assert_allclose(p.mean(), features[..., :2], rtol=1e-6)
    np.testing.assert_allclose(p.stddev(), np.log1p(np.exp(features[..., 2:])), rtol=1e-5)
