"""Encoder and decoder by name: mirrored, with every posterior and likelihood."""

import inspect

import keras
import numpy as np
import pytest

import keras_vae.networks
from keras_vae.layers.independent import IndependentNormal
from keras_vae.layers.likelihoods import LIKELIHOODS, POSTERIORS
from keras_vae.layers.mixture import MixtureNormal
from keras_vae.networks import build, conv_decoder, mlp_decoder, option_names
from keras_vae.networks.build import NETWORKS

SHAPE = (5, 4, 1)
SMALL = {
    "mlp": {"hidden": (7, 6)},
    "conv": {"filters": (3, 4), "dense": (6, 5)},
    "resnet": {"filters": (3, 4), "dense": (6, 5), "blocks": 1},
}


def test_every_network_has_a_case():
    assert set(SMALL) == set(NETWORKS)


def widths(model, *prefixes):
    """Units or channels of the weight layers whose names begin so, in the model's order."""
    return [
        getattr(layer, "units", None) or layer.filters
        for layer in model.layers
        if layer.name.startswith(prefixes) and hasattr(layer, "kernel")
    ]


def test_the_decoder_has_the_widths_of_the_encoder_reversed():
    encoder, decoder = build("mlp", SHAPE, 2, hidden=(7, 6, 5))
    assert widths(encoder, "dense") == [7, 6, 5]
    assert widths(decoder, "dense") == [5, 6, 7]
    encoder, decoder = build("conv", SHAPE, 2, filters=(3, 4), dense=(6, 5), kernel_size=4)
    assert widths(encoder, "stage", "dense") == [3, 4, 6, 5]
    assert widths(decoder, "stage", "dense") == [5, 6, 4, 3]
    assert decoder.get_layer("stage_1").kernel_size == (4, 4)
    encoder, decoder = build("resnet", SHAPE, 2, filters=(3, 4), dense=(6, 5), blocks=2)
    blocks = [f"stage_{stage}_block_{number}_conv" for stage in (1, 2) for number in (1, 2)]
    assert widths(encoder, *blocks) == [3] * 4 + [4] * 4
    assert widths(decoder, *blocks) == [4] * 4 + [3] * 4


def test_the_sizes_going_up_are_those_going_down():
    encoder, decoder = build("conv", (33, 17, 3), 2, filters=(3, 4, 5))
    down = [encoder.get_layer(f"stage_{stage}").output.shape[1:3] for stage in (1, 2, 3)]
    assert down == [(17, 9), (9, 5), (5, 3)]
    names = ["feature_map", "stage_1_crop", "stage_2_crop", "stage_3_crop"]
    up = [decoder.get_layer(name).output.shape[1:3] for name in names]
    assert up == [*down[::-1], (33, 17)]


@pytest.mark.parametrize("network", NETWORKS)
def test_the_functions_defaults_mirror_each_other(network):
    kind = NETWORKS[network]
    decoder = inspect.signature(kind.decoder).parameters
    assert "hidden" in kind.defaults or "filters" in kind.defaults
    for name, default in kind.defaults.items():
        if name == "rescale":
            assert name not in decoder
        else:
            expected = default[::-1] if name in kind.mirrored else default
            assert decoder[name].default == expected, name
    sized = {name for name, default in kind.defaults.items() if isinstance(default, tuple)}
    assert sized - {"rescale"} == set(kind.mirrored)


# The residual network's head is the plain convolutional one's; a dense head has no layout to get wrong.
@pytest.mark.parametrize(
    ("network", "likelihood"),
    [
        ("mlp", "categorical"),
        *(("conv", likelihood) for likelihood in LIKELIHOODS),
        ("resnet", "discretized-logistic-mixture"),
    ],
)
def test_every_network_takes_every_likelihood(network, likelihood):
    tiny = {"mlp": {"hidden": ()}}.get(network, {"filters": 3, "dense": ()})
    encoder, decoder = build(network, SHAPE, 2, likelihood=likelihood, **tiny)
    x = np.random.default_rng(0).integers(0, 2, (3, *SHAPE)).astype("float32")
    p = decoder(encoder(x))
    assert (p.batch_shape, p.event_shape) == ((3,), SHAPE)
    assert np.isfinite(p.log_prob(x)).all()


@pytest.mark.parametrize("posterior", POSTERIORS)
def test_every_posterior_ends_an_encoder(posterior):
    encoder, decoder = build("mlp", SHAPE, 3, posterior=posterior, hidden=4)
    q = encoder(np.zeros((2, *SHAPE)))
    assert (q.batch_shape, q.event_shape) == ((2,), (3,))
    assert decoder(q).event_shape == SHAPE


def test_layers_and_classes_serve_as_names_do():
    likelihood = IndependentNormal(SHAPE)
    _, decoder = build("conv", SHAPE, 2, posterior=IndependentNormal, likelihood=likelihood)
    assert decoder.layers[-1] is likelihood


@pytest.mark.parametrize("network", NETWORKS)
def test_bytes_are_read_between_minus_one_and_one(network):
    encoder, _ = build(network, SHAPE, 2, likelihood="discretized-logistic", **SMALL[network])
    rescaling = encoder.get_layer("rescaling")
    np.testing.assert_allclose(rescaling(np.array([0.0, 127.5, 255.0])), [-1, 0, 1], atol=1e-6)
    given = {"rescale": (0.5, 0.0), **SMALL[network]}
    encoder, _ = build(network, SHAPE, 2, likelihood="discretized-logistic", **given)
    assert (encoder.get_layer("rescaling").scale, encoder.get_layer("rescaling").offset) == (0.5, 0)
    encoder, _ = build(network, SHAPE, 2, likelihood="bernoulli", **SMALL[network])
    assert "rescaling" not in [layer.name for layer in encoder.layers]


def test_mlp_takes_images_without_channels_and_vectors():
    for shape in ((28, 28), (784,), 784):
        encoder, decoder = build("mlp", shape, 2, hidden=4)
        event = (784,) if shape == 784 else shape
        assert decoder(encoder(np.zeros((3, *event)))).event_shape == event


def test_the_bernoulli_decoder_has_the_parameters_counted_by_hand():
    encoder, decoder = build("mlp", (28, 28), 20)
    assert encoder.count_params() == 784 * 512 + 512 + 512 * 256 + 256 + 256 * 40 + 40
    assert decoder.count_params() == 20 * 256 + 256 + 256 * 512 + 512 + 512 * 784 + 784


def test_options_are_those_of_the_function():
    images = ("filters", "kernel_size", "dense", "activation", "normalization", "dropout", "rescale")
    images += ("condition_shape", "num_classes")
    assert set(option_names("conv")) == set(images)
    assert set(option_names("resnet")) == {*images, "blocks"}


def test_every_public_name_is_there():
    for name in keras_vae.networks.__all__:
        assert callable(getattr(keras_vae.networks, name)), name


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("cnov", SHAPE, 2), {}, r"`network`.*'conv', 'mlp', 'resnet'.*Did you mean 'conv'"),
        ((None, SHAPE, 2), {}, r"`network`"),
        (("conv", (28, 28), 2), {}, r"`input_shape`.*\(height, width, channels\).*\(28, 28, 1\)"),
        (("resnet", (28, 28), 2), {}, r"`input_shape`.*\(28, 28, 1\)"),
        (("mlp", (28, None), 2), {}, r"`input_shape`. Expected: positive"),
        (("mlp", (0,), 2), {}, r"`input_shape`. Expected: positive"),
        (("mlp", SHAPE, 0), {}, r"`latent_size`. Expected: an integer >= 1. Received: 0"),
        (("mlp", SHAPE, 2.5), {}, r"`latent_size`"),
        (("mlp", SHAPE, (2,)), {}, r"`latent_size`"),
        (("mlp", SHAPE, 2), {"filters": 3}, r"options of network 'mlp'.*'activation', .*'dropout', 'hid"),
        (("conv", SHAPE, 2), {"filter": 3}, r"options of network 'conv'.*Did you mean 'filters'"),
        (("mlp", SHAPE, 2), {"name": "x"}, r"options of network 'mlp'"),
        (("mlp", SHAPE, 2), {"hidden": (4, -1)}, r"`hidden`. Expected: positive"),
        (("mlp", SHAPE, 2), {"likelihood": "bernouli"}, r"`likelihood`.*Did you mean 'bernoulli'"),
        (("mlp", SHAPE, 2), {"posterior": "norml"}, r"`posterior`.*Did you mean 'normal'"),
        (("mlp", SHAPE, 2), {"likelihood": IndependentNormal(3)}, r"`likelihood`.*\(5, 4, 1\)"),
        (("mlp", SHAPE, 2), {"posterior": IndependentNormal(3)}, r"`posterior`.*\(2,\)"),
    ],
    ids=str,
)
def test_errors(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        build(*arguments, **options)


def test_errors_come_before_any_layer_is_made(monkeypatch):
    monkeypatch.setattr(keras, "Input", None)
    for options in ({"dense": (-1,)}, {"activation": "rleu"}, {"filters": (4,) * 9}):
        with pytest.raises(ValueError, match="Invalid value received"):
            build("conv", SHAPE, 2, **options)


def test_a_mixture_over_whole_images_needs_an_mlp():
    likelihood = MixtureNormal(2, SHAPE)
    with pytest.raises(ValueError, match=r"`likelihood`.*independent elements.*use an MLP"):
        conv_decoder(2, likelihood)
    assert mlp_decoder(2, likelihood, hidden=4)(np.zeros((1, 2))).event_shape == SHAPE
