"""What every encoder and decoder must do, for every network."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae.layers.distribution_layer import DistributionLambda
from keras_vae.layers.independent import IndependentNormal
from keras_vae.networks import (
    conv_decoder,
    conv_encoder,
    mlp_decoder,
    mlp_encoder,
    resnet_decoder,
    resnet_encoder,
)

tfd = tfp.distributions

ENCODERS = {"mlp": mlp_encoder, "conv": conv_encoder, "resnet": resnet_encoder}
DECODERS = {"mlp": mlp_decoder, "conv": conv_decoder, "resnet": resnet_decoder}
IMAGE_NETWORKS = ("conv", "resnet")
NETWORKS = tuple(ENCODERS)

# Small ones, in the encoder's order; palindromes would hide a reversal.
SMALL = {
    "mlp": {"hidden": (12, 8)},
    "conv": {"filters": (4, 8), "dense": (10,)},
    "resnet": {"filters": (4, 8), "blocks": 1, "dense": (10,)},
}
MIRRORED = ("hidden", "filters", "dense")
# One stage, where XLA has to compile it.
TINY = {
    "mlp": {"hidden": (4,)},
    "conv": {"filters": (4,), "dense": ()},
    "resnet": {"filters": (4,), "blocks": 1, "dense": ()},
}
SHAPES = [(7, 5, 1), (8, 8, 1), (28, 28, 1), (32, 32, 3), (33, 17, 3), (1, 9, 2), (3, 2, 4)]
LATENT = 3


def small_pair(network, shape=(7, 5, 2), latent=LATENT, conversion="sample", **options):
    """A small encoder and its mirror image, made by their own functions."""
    down = {**SMALL[network], **options}
    up = {key: value[::-1] if key in MIRRORED else value for key, value in down.items()}
    encoder = ENCODERS[network](shape, IndependentNormal(latent, conversion), **down)
    decoder = DECODERS[network](latent, IndependentNormal(shape, conversion), **up)
    return encoder, decoder


def images(shape, batch=6, seed=0):
    return np.random.default_rng(seed).uniform(size=(batch, *shape)).astype("float32")


def parameters(distribution):
    return distribution.mean().numpy(), distribution.stddev().numpy()


@keras.saving.register_keras_serializable(package="tests")
def bent_identity(x):
    return x + 0.5 * (tf.sqrt(tf.square(x) + 1.0) - 1.0)


@pytest.fixture
def policy():
    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy("float32")


@pytest.mark.parametrize(
    ("network", "shape"),
    [
        ("mlp", (33, 17, 3)),
        *(("conv", shape) for shape in SHAPES),
        *(("resnet", shape) for shape in SHAPES[::2]),
    ],
    ids=str,
)
def test_the_image_comes_out_of_the_size_it_went_in(network, shape):
    encoder, decoder = small_pair(network, shape)
    q = encoder(images(shape))
    assert (q.batch_shape, q.event_shape) == ((6,), (LATENT,))
    p = decoder(q)
    assert (p.batch_shape, p.event_shape) == ((6,), shape)
    assert np.isfinite(p.log_prob(images(shape))).all()
    assert decoder.output_shape == (None, *shape)


@pytest.mark.parametrize("network", NETWORKS)
def test_the_batch_size_is_free_and_examples_are_independent(network):
    encoder, decoder = small_pair(network, conversion="mean", **TINY[network])

    @tf.function(input_signature=[tf.TensorSpec([None, 7, 5, 2])])
    def reconstruct(x):
        p = decoder(encoder(x))
        assert (p.batch_shape.as_list(), p.event_shape) == ([None], (7, 5, 2))
        return p.mean()

    x = images((7, 5, 2))
    one_by_one = [reconstruct(x[i : i + 1])[0] for i in range(len(x))]
    np.testing.assert_allclose(reconstruct(x), one_by_one, atol=1e-5)


@pytest.mark.parametrize(
    ("network", "normalization"),
    [
        ("mlp", None),
        ("mlp", "group"),
        ("conv", None),
        ("conv", "layer"),
        ("resnet", None),
        ("resnet", "batch"),
    ],
)
def test_gradients_reach_every_variable(network, normalization):
    # A smooth activation: with ReLU a unit may be silent for all of a small batch.
    encoder, decoder = small_pair(network, normalization=normalization, activation="tanh")
    x = images((7, 5, 2), batch=8)
    with tf.GradientTape() as tape:
        q = encoder(x, training=True)
        p = decoder(q, training=True)
        loss = tf.reduce_sum(q.entropy()) - tf.reduce_sum(p.log_prob(x))
    variables = encoder.trainable_variables + decoder.trainable_variables
    gradients = tape.gradient(loss, variables)
    for variable, gradient in zip(variables, gradients, strict=True):
        assert gradient is not None, variable.path
        # Rounding leaves about 1e-6 of a sum of 70 pixels and 8 images where the true gradient is 0.
        assert np.abs(gradient).max() > 1e-4, variable.path


@pytest.mark.parametrize("network", NETWORKS)
def test_saved_and_loaded_gives_the_same(network, tmp_path):
    options = {**TINY[network], "activation": bent_identity, "normalization": "batch"}
    pair = small_pair(network, conversion="mean", **options)
    x = images((7, 5, 2))
    pair[0](x, training=True)  # moves the averages of the normalisation away from their start
    data = (x, np.random.default_rng(1).normal(size=(6, LATENT)).astype("float32"))
    for model, inputs in zip(pair, data, strict=True):
        model.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
        assert [layer.name for layer in loaded.layers] == [layer.name for layer in model.layers]
        for saved, restored in zip(parameters(model(inputs)), parameters(loaded(inputs)), strict=True):
            np.testing.assert_array_equal(saved, restored)


@pytest.mark.parametrize("network", NETWORKS)
def test_exported_gives_the_same(network, tmp_path):
    encoder, _ = small_pair(network, conversion="mean", **TINY[network])
    x = images((7, 5, 2))
    encoder.export(tmp_path / "encoder", verbose=False)
    exported = tf.saved_model.load(tmp_path / "encoder")
    np.testing.assert_allclose(exported.serve(x), encoder(x).mean(), atol=1e-6)


@pytest.mark.parametrize("network", NETWORKS)
def test_jitted_gives_the_same(network):
    encoder, decoder = small_pair(network, conversion="mean", normalization="group", **TINY[network])

    def run(x):
        q = encoder(x)
        p = decoder(q, training=True)
        return q.mean(), q.stddev(), p.mean(), p.stddev()

    x = tf.constant(images((7, 5, 2)))
    for eager, jitted in zip(run(x), tf.function(run, jit_compile=True)(x), strict=True):
        np.testing.assert_allclose(jitted, eager, atol=1e-5)


@pytest.mark.parametrize("network", NETWORKS)
def test_dropout_acts_in_training_only(network):
    encoder, decoder = small_pair(network, dropout=0.5)
    x = images((7, 5, 2))
    for model, inputs in ((encoder, x), (decoder, x[:, 0, :3, 0])):
        first, second = (model(inputs, training=True).mean() for _ in range(2))
        assert np.abs(first - second).max() > 1e-4
        first, second = (model(inputs, training=False).mean() for _ in range(2))
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("network", IMAGE_NETWORKS)
def test_dropout_drops_whole_channels_of_feature_maps(network):
    encoder, decoder = small_pair(network, dropout=0.5)
    for model in (encoder, decoder):
        dropouts = [layer for layer in model.layers if layer.name.endswith("dropout")]
        assert {len(layer.output.shape) for layer in dropouts} == {2, 4}
        for layer in dropouts:
            shape = (200, *layer.output.shape[1:])
            dropped = layer(np.ones(shape, "float32"), training=True).numpy() == 0.0
            assert dropped.any() and not dropped.all()
            if len(shape) == 4:
                np.testing.assert_array_equal(dropped, np.broadcast_to(dropped[:, :1, :1], shape))


@pytest.mark.parametrize(
    ("network", "normalization"), [("mlp", "group"), ("conv", "layer"), ("resnet", "group")]
)
def test_normalizations_other_than_batch_are_the_same_in_training(network, normalization):
    encoder, _ = small_pair(network, normalization=normalization)
    x = images((7, 5, 2))
    np.testing.assert_array_equal(encoder(x, training=True).mean(), encoder(x).mean())
    np.testing.assert_allclose(encoder(x[:2], training=True).mean(), encoder(x).mean()[:2], atol=1e-6)


@pytest.mark.parametrize("network", NETWORKS)
def test_batch_normalization_depends_on_the_batch_in_training_only(network):
    encoder, _ = small_pair(network, normalization="batch")
    x = images((7, 5, 2))
    assert np.abs(encoder(x, training=True).mean() - encoder(x).mean()).max() > 1e-3
    np.testing.assert_allclose(encoder(x[:2]).mean(), encoder(x).mean()[:2], atol=1e-6)
    alone = encoder(x[:2], training=True).mean()
    assert np.abs(alone - encoder(x, training=True).mean()[:2]).max() > 1e-3


@pytest.mark.parametrize("network", NETWORKS)
def test_the_first_layer_reads_rescaled_data(network):
    keras.utils.set_random_seed(0)
    plain, _ = small_pair(network)
    rescaled = ENCODERS[network](
        (7, 5, 2), IndependentNormal(LATENT), rescale=(1 / 127.5, -1.0), **SMALL[network]
    )
    rescaled.set_weights(plain.get_weights())
    data = np.random.default_rng(0).integers(0, 256, (6, 7, 5, 2), dtype="uint8")
    expected = plain((data / 127.5 - 1.0).astype("float32"))
    np.testing.assert_allclose(rescaled(data).mean(), expected.mean(), atol=1e-5)
    assert "rescaling" not in [layer.name for layer in plain.layers]


@pytest.mark.parametrize("network", NETWORKS)
def test_half_precision_ends_in_float32_and_reads_large_counts(network, policy):
    policy("mixed_float16")
    # 1e5 is infinite in float16: the rescaling has to come before the cast.
    encoder = ENCODERS[network]((7, 5, 2), IndependentNormal(LATENT), rescale=(1e-5, 0.0), **SMALL[network])
    mean, stddev = parameters(encoder(1e5 * images((7, 5, 2))))
    assert mean.dtype == stddev.dtype == np.float32
    assert np.isfinite(mean).all() and np.isfinite(stddev).all()
    assert encoder.get_layer("dense_1").compute_dtype == "float16"


@pytest.mark.parametrize("network", IMAGE_NETWORKS)
def test_the_image_data_format_of_the_user_changes_nothing(network):
    keras.config.set_image_data_format("channels_first")
    try:
        encoder, decoder = small_pair(network, (8, 6, 1), dropout=0.1)
        assert decoder(encoder(images((8, 6, 1)))).event_shape == (8, 6, 1)
    finally:
        keras.config.set_image_data_format("channels_last")


@pytest.mark.parametrize(
    ("network", "options"),
    [
        ("mlp", {"hidden": (200, 200), "activation": "tanh"}),
        ("mlp", {"hidden": 4}),
        ("mlp", {"hidden": ()}),
        ("mlp", {"hidden": (1500, 1500)}),
        ("conv", {"filters": (8, 16, 16, 32, 32), "dense": ()}),
        ("conv", {"filters": (8, 16), "dense": (1024,), "activation": "elu"}),
        ("resnet", {"filters": (8, 16, 32), "blocks": 2}),
        ("resnet", {"filters": (8, 16, 32), "blocks": 2, "normalization": None}),
    ],
    ids=str,
)
def test_the_first_kl_is_small_at_any_width_and_depth(network, options):
    keras.utils.set_random_seed(1)
    encoder = ENCODERS[network]((28, 28, 1), IndependentNormal(16), **options)
    q = encoder(images((28, 28, 1)))
    prior = tfd.MultivariateNormalDiag(tf.zeros(16))
    kl = tfd.kl_divergence(tfd.MultivariateNormalDiag(q.mean(), q.stddev()), prior)
    # Parameters of unit variance, as Glorot's initialisation aims at for as many outputs as inputs, cost
    # 0.5 (1 + E[s^2] - 1 - E[log s^2]) = 1.0 nat a latent, s = softplus(N(0, 1)); fewer outputs than
    # inputs at most double the variance.
    assert 0.0 < np.mean(kl) / 16 < 2.5


@pytest.mark.parametrize("network", NETWORKS)
def test_names_say_where_a_layer_stands(network):
    encoder, decoder = small_pair(network)
    assert (encoder.name, decoder.name) == ("encoder", "decoder")
    assert encoder.layers[0].name == "inputs"
    assert decoder.layers[0].name == "latent"
    for model in (encoder, decoder):
        assert model.get_layer("dense_1") and model.get_layer("params")
        assert isinstance(model.layers[-1], IndependentNormal)


@pytest.mark.parametrize("network", ["mlp", "conv"])
def test_a_latent_of_several_dimensions_is_flattened(network):
    shape = (8, 6, 1)
    encoder = ENCODERS[network](shape, IndependentNormal((2, 3)), **SMALL[network])
    options = {key: value[::-1] for key, value in SMALL[network].items() if key in MIRRORED}
    decoder = DECODERS[network](tf.TensorShape([2, 3]), IndependentNormal(shape), **options)
    assert decoder(encoder(images(shape))).event_shape == shape


def test_mlp_takes_data_of_any_rank():
    for shape in ((), 5, (5,), (4, 3), [2, 3, 4], (2, 2, 2, 2)):
        encoder = mlp_encoder(shape, IndependentNormal(2), hidden=4)
        decoder = mlp_decoder((2,), IndependentNormal(shape), hidden=[4])
        event = (shape,) if isinstance(shape, int) else tuple(shape)
        assert decoder(encoder(images(event))).event_shape == event


def test_mlp_is_the_textbook_formula():
    encoder = mlp_encoder((2, 3), IndependentNormal(2), hidden=(5, 4), activation="tanh")
    x = images((2, 3))
    h = x.reshape(6, 6).astype("float64")
    *hidden, head = np.array(encoder.get_weights(), dtype=object).reshape(3, 2)
    for kernel, bias in hidden:
        h = np.tanh(h @ kernel.astype("float64") + bias.astype("float64"))
    params = h @ head[0].astype("float64") + head[1].astype("float64")
    mean, stddev = parameters(encoder(x))
    np.testing.assert_allclose(mean, params[:, :2], atol=1e-6)
    np.testing.assert_allclose(stddev, np.log1p(np.exp(params[:, 2:])), atol=1e-6)


def test_a_linear_mlp_is_affine():
    encoder = mlp_encoder(6, IndependentNormal(2), hidden=())
    x, y = images((6,), seed=1), images((6,), seed=2)
    mix = encoder(0.3 * x + 0.7 * y).mean()
    np.testing.assert_allclose(mix, 0.3 * encoder(x).mean() + 0.7 * encoder(y).mean(), atol=1e-5)


def test_a_residual_block_with_a_silent_branch_is_the_identity():
    options = {"filters": (4, 6), "dense": (), "normalization": "layer"}
    for make, arguments in (
        (resnet_encoder, ((9, 6, 1), IndependentNormal(2))),
        (resnet_decoder, (2, IndependentNormal((9, 6, 1)))),
    ):
        shallow = make(*arguments, blocks=1, **options)
        deep = make(*arguments, blocks=3, **options)
        for layer in deep.layers:
            if layer.name in {other.name for other in shallow.layers}:
                layer.set_weights(shallow.get_layer(layer.name).get_weights())
            elif "_conv_2" in layer.name:
                layer.set_weights([np.zeros_like(weight) for weight in layer.get_weights()])
        assert len(deep.layers) > len(shallow.layers)
        inputs = images(shallow.input_shape[1:])
        np.testing.assert_allclose(deep(inputs).mean(), shallow(inputs).mean(), atol=1e-6)


L = 16
DENSE_256 = 4 * 4 * 128 * 256 + 256
COUNTS = [
    ("mlp", {}, 784 * 512 + 512 + 512 * 256 + 256 + 256 * 2 * L + 2 * L),
    # Kernel, offset and scale; the moving averages of two layers besides.
    (
        "mlp",
        {"normalization": "batch"},
        784 * 512 + 512 * 256 + 4 * (512 + 256) + 256 * 2 * L + 2 * L,
    ),
    (
        "conv",
        {},
        (9 * 1 * 32 + 32) + (9 * 32 * 64 + 64) + (9 * 64 * 128 + 128)
        + DENSE_256 + 256 * 2 * L + 2 * L,
    ),
    # Stem; norm, conv, norm, conv, shortcut; last norm; head.
    (
        "resnet",
        {"filters": (8,), "blocks": 1, "dense": ()},
        9 * 8 + (16 + 9 * 64 + 16 + 9 * 64 + 64) + 16 + 14 * 14 * 8 * 2 * L + 2 * L,
    ),
]  # fmt: skip


@pytest.mark.parametrize(("network", "options", "count"), COUNTS)
def test_encoders_have_the_parameters_counted_by_hand(network, options, count):
    assert ENCODERS[network]((28, 28, 1), IndependentNormal(L), **options).count_params() == count


def test_decoders_have_the_parameters_counted_by_hand():
    mlp = mlp_decoder(L, IndependentNormal((28, 28)))
    assert mlp.count_params() == L * 256 + 256 + 256 * 512 + 512 + 512 * 1568 + 1568
    conv = conv_decoder(L, IndependentNormal((28, 28, 1)))
    stages = (9 * 128 * 128 + 128) + (9 * 128 * 64 + 64) + (9 * 64 * 32 + 32)
    dense = L * 256 + 256 + 256 * 4 * 4 * 128 + 4 * 4 * 128
    assert conv.count_params() == dense + stages + 9 * 32 * 2 + 2


NORMAL = IndependentNormal(2)
IMAGE = IndependentNormal((8, 8, 1))


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"activation": "rleu"}, "`activation`.*Received: rleu. Did you mean 'relu'"),
        ({"activation": keras.layers.LeakyReLU()}, "`activation`.*'leaky_relu'"),
        ({"normalization": "bach"}, "`normalization`.*'batch'.*Did you mean 'batch'"),
        ({"normalization": 3}, "`normalization`"),
        ({"dropout": 1.0}, r"`dropout`. Expected: a number in \[0, 1\). Received: 1.0"),
        ({"dropout": -0.1}, "`dropout`"),
        ({"dropout": "half"}, "`dropout`"),
        ({"dropout": float("nan")}, "`dropout`"),
    ],
    ids=str,
)
def test_errors_of_both_sides(network, options, message):
    with pytest.raises(ValueError, match=message):
        ENCODERS[network]((8, 8, 1), NORMAL, **options)
    with pytest.raises(ValueError, match=message):
        DECODERS[network](2, IMAGE, **options)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("shape", [(0, 8, 1), (8, None, 1), (8, 8, -1), "88", (8.0, 8, 1), None])
def test_errors_of_shapes(network, shape):
    with pytest.raises(ValueError, match=r"`input_shape`. Expected: positive whole numbers"):
        ENCODERS[network](shape, NORMAL)
    with pytest.raises(ValueError, match=r"`latent_shape`. Expected: positive whole numbers"):
        DECODERS[network](shape, IMAGE)


@pytest.mark.parametrize("network", NETWORKS)
def test_errors_of_ends(network):
    for wrong in ("normal", keras.layers.Dense(2), None):
        with pytest.raises(ValueError, match=r"`posterior`. Expected: a distribution layer"):
            ENCODERS[network]((8, 8, 1), wrong)
        with pytest.raises(ValueError, match=r"`likelihood`. Expected: a distribution layer"):
            DECODERS[network](2, wrong)
    with pytest.raises(ValueError, match=r"`posterior`.*`num_params`.*DistributionLambda"):
        ENCODERS[network]((8, 8, 1), DistributionLambda(lambda t: tfd.Normal(t, 1.0)))
    for wrong in ((0.0, 1.0), 2.0, (1.0,), (1.0, float("inf")), "ab"):
        with pytest.raises(ValueError, match=r"`rescale`. Expected: two finite numbers"):
            ENCODERS[network]((8, 8, 1), NORMAL, rescale=wrong)


def test_errors_of_mlp():
    for wrong in ((16, 0), (-1,), "wide", (8.5,), True):
        with pytest.raises(ValueError, match=r"`hidden`. Expected: positive whole numbers"):
            mlp_encoder(4, NORMAL, hidden=wrong)


@pytest.mark.parametrize("network", IMAGE_NETWORKS)
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"filters": (4, 0)}, "`filters`. Expected: positive whole numbers"),
        ({"filters": ()}, "`filters`. Expected: 1 to 3 stages.*8 x 8.*Received: 0 stages"),
        ({"filters": (4,) * 4}, "`filters`. Expected: 1 to 3 stages.*8 x 8.*Received: 4 stages"),
        ({"kernel_size": 1}, "`kernel_size`. Expected: an integer >= 2. Received: 1"),
        ({"kernel_size": 2.5}, "`kernel_size`"),
        ({"dense": (-3,)}, "`dense`"),
    ],
    ids=str,
)
def test_errors_of_image_networks(network, options, message):
    with pytest.raises(ValueError, match=message):
        ENCODERS[network]((8, 8, 1), NORMAL, **options)
    with pytest.raises(ValueError, match=message):
        DECODERS[network](2, IMAGE, **options)


@pytest.mark.parametrize("network", IMAGE_NETWORKS)
def test_errors_of_images(network):
    with pytest.raises(ValueError, match=r"\(height, width, channels\).*Add the channel.*8, 8, 1"):
        ENCODERS[network]((8, 8), NORMAL)
    with pytest.raises(ValueError, match=r"`likelihood.event_shape`.*Add the channel"):
        DECODERS[network](2, IndependentNormal((8, 8)))
    with pytest.raises(ValueError, match=r"`input_shape`.*height.*MLP"):
        ENCODERS[network]((64,), NORMAL)
    with pytest.raises(ValueError, match=r"an image of more than one pixel.*1 x 1.*MLP"):
        ENCODERS[network]((1, 1, 3), NORMAL, filters=(4,))


def test_errors_of_blocks():
    for wrong in (0, -1, 1.5, True):
        with pytest.raises(ValueError, match=r"`blocks`. Expected: an integer >= 1"):
            resnet_encoder((8, 8, 1), NORMAL, blocks=wrong)
        with pytest.raises(ValueError, match=r"`blocks`. Expected: an integer >= 1"):
            resnet_decoder(2, IMAGE, blocks=wrong)
