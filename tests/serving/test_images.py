"""Images in signatures, held against Pillow and against the signatures of floats."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_vae import VAE, serving
from keras_vae.datasets import Statistics, Transform
from keras_vae.serving import servables
from keras_vae.serving.images import get_format
from tests.models.cases import CASES

GREY, COLOUR = (12, 10, 1), (8, 9, 3)
SEED = tf.constant([1, 2])


def vae(shape=GREY, **kwargs):
    return VAE.create(shape, 2, hidden=(8,), seed=0, **kwargs)


@pytest.fixture(scope="module")
def grey():
    return vae()


def pixels(shape, count=3):
    return np.random.default_rng(0).integers(0, 256, size=(count, *shape), dtype=np.uint8)


def smooth(shape):
    """An image of which JPEG loses little."""
    rows, columns, channels = np.meshgrid(*(np.linspace(40.0, 70.0, size) for size in shape), indexing="ij")
    return (rows + columns + channels).astype(np.uint8)


def encoded(image, kind="PNG", **options):
    file = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(file, kind, **options)
    return file.getvalue()


def decoded(contents):
    image = np.asarray(Image.open(io.BytesIO(contents)))
    return image[..., None] if image.ndim == 2 else image


def nearest(unit):
    """Values of [0, 1] as bytes, by NumPy."""
    return np.rint(np.clip(np.asarray(unit, np.float64), 0.0, 1.0) * 255.0)


@pytest.fixture(scope="module")
def of_files(grey, tmp_path_factory):
    """Signatures of an export that takes and gives files."""
    paths = serving.export(grey, tmp_path_factory.mktemp("saved_models") / "net", images="encoded")
    loaded = {part: tf.saved_model.load(path) for part, path in paths.items()}
    yield {part: model.signatures for part, model in loaded.items()}


def test_bytes_go_in_and_out(grey):
    x = pixels(GREY)
    servable = servables.whole(grey, get_format(grey, "uint8"))
    out = servable.call("reconstruct", x=tf.constant(x))["mean"]
    assert out.dtype == tf.uint8
    # Halves may round either way.
    expected = nearest(grey.reconstruct(np.float32(x) / 255.0))
    np.testing.assert_allclose(np.float32(out), expected, atol=1.0)
    assert np.mean(out == expected) > 0.99


@pytest.mark.parametrize("shape", [GREY, COLOUR], ids=["grey", "colour"])
def test_files_are_decoded_as_pillow_does(shape):
    read = get_format(vae(shape), "encoded").read
    x = pixels(shape)
    exact = read(tf.constant([encoded(image) for image in x]))
    np.testing.assert_allclose(exact, np.float32(x) / 255.0, atol=1e-7)
    jpeg = encoded(smooth(shape), "JPEG", quality=95)
    # Decoders of JPEG may differ by a few levels.
    np.testing.assert_allclose(read(tf.constant([jpeg]))[0], decoded(jpeg) / 255.0, atol=3.1 / 255.0)


def test_files_of_other_kinds_of_pixels_are_converted():
    colours = pixels(COLOUR, 1)[0]
    opaque = np.concatenate([colours, np.full_like(colours[..., :1], 255)], axis=-1)
    read = get_format(vae(COLOUR), "encoded").read
    np.testing.assert_allclose(read(tf.constant([encoded(opaque)]))[0], colours / 255.0, atol=1e-7)
    grey = pixels((8, 9, 1), 1)[0]
    np.testing.assert_allclose(
        read(tf.constant([encoded(grey)]))[0], np.repeat(grey, 3, axis=-1) / 255.0, atol=1e-7
    )


@pytest.mark.parametrize("shape", [GREY, COLOUR], ids=["grey", "colour"])
def test_files_that_come_out_are_what_pillow_reads(shape):
    x = np.random.default_rng(1).random((3, *shape), dtype=np.float32)
    files = get_format(vae(shape), "encoded").write("mean", tf.constant(x))["mean_bytes"]
    for contents, image in zip(files.numpy(), nearest(x), strict=True):
        np.testing.assert_array_equal(decoded(contents), image)


def test_a_whole_journey_of_files(grey, of_files):
    """z stays a number."""
    x = pixels(GREY)
    files = tf.constant([encoded(image) for image in x])
    z = of_files["encoder"]["serving_default"](x=files)["mean"]
    np.testing.assert_allclose(z, grey.encode(np.float32(x) / 255.0).mean(), atol=1e-5)
    ours = of_files["model"]["reconstruct"](x=files)["mean_bytes"]
    assert np.array_equal(ours, of_files["decoder"]["serving_default"](z=z)["mean_bytes"])
    for contents, image in zip(ours.numpy(), nearest(grey.decode(z).mean()), strict=True):
        np.testing.assert_allclose(np.float32(decoded(contents)), image, atol=1.0)
    drawn = of_files["decoder"]["sample"](seed=SEED, count=tf.constant(3))["x_bytes"]
    for contents, image in zip(drawn.numpy(), nearest(grey.sample(3, seed=SEED)), strict=True):
        np.testing.assert_array_equal(decoded(contents), image)
    none = of_files["model"]["reconstruct"](x=tf.zeros([0], tf.string))["mean_bytes"]
    assert none.shape == (0,)


def test_only_files_have_names_that_ask_for_base64(of_files):
    """TensorFlow Serving's JSON has a string in base64 if and only if its name ends in `_bytes`."""
    for part in of_files.values():
        for function in part.values():
            for name, spec in function.structured_outputs.items():
                assert name.endswith("_bytes") == (spec.dtype == tf.string)


@pytest.mark.parametrize(
    ("contents", "words"),
    [
        (encoded(pixels(GREY, 1)[0])[:60], "PNG"),
        (encoded(np.kron(pixels(GREY, 1)[0], np.ones([9, 9, 1], np.uint8)), "JPEG")[:700], "JPEG"),
        (b"no image", "Unknown image file format"),
        (b"", "DecodeImage"),
        (encoded(pixels((10, 12, 1), 1)[0]), "12x10 pixels"),
    ],
    ids=["truncated PNG", "truncated JPEG", "text", "nothing", "wrong size"],
)
def test_what_is_no_image_of_that_size_is_an_error_of_the_graph(of_files, contents, words):
    good = encoded(pixels(GREY, 1)[0])
    with pytest.raises(tf.errors.InvalidArgumentError, match=words):
        of_files["encoder"]["serving_default"](x=tf.constant([good, contents]))


@pytest.mark.parametrize(
    ("transform", "expected"),
    [
        (Transform(scale="bytes"), [0.0, 102.0, 255.0]),
        (Transform(scale="symmetric"), [-1.0, -0.2, 1.0]),
        (Transform(scale="standard", statistics=Statistics((0.5,), (0.25,))), [-2.0, -0.4, 2.0]),
        (Transform(draw="threshold"), [0.0, 0.0, 1.0]),
        # Draws at random have no place in serving.
        (Transform(draw="dynamic"), [0.0, 0.4, 1.0]),
    ],
    ids=["bytes", "symmetric", "standard", "threshold", "dynamic"],
)
def test_values_are_those_the_model_was_trained_on(grey, transform, expected):
    images = get_format(grey, "uint8", transform)
    x = tf.constant(np.uint8([0, 102, 255]).reshape(-1, 1, 1, 1))
    np.testing.assert_allclose(np.ravel(images.read(x)), expected, atol=1e-6)
    if transform.draw != "threshold":
        np.testing.assert_array_equal(images.write("mean", images.read(x))["mean"], x)


def test_a_likelihood_over_bytes_is_given_bytes():
    images = get_format(vae(likelihood="discretized-logistic"), "uint8")
    x = pixels(GREY)
    np.testing.assert_array_equal(images.read(tf.constant(x)), np.float32(x))


def test_values_outside_are_cut_off(grey):
    out = get_format(grey, "uint8").write("mean", tf.constant([[-0.5, 0.0, 1.0, 7.0]]))["mean"]
    assert out.numpy().tolist() == [[0, 0, 255, 255]]


@pytest.mark.parametrize("images", ["uint8", "encoded"])
@pytest.mark.parametrize("shape", [(6,), (6, 5), (4, 4, 2)])
def test_data_that_are_no_images_are_refused(shape, images, tmp_path):
    with pytest.raises(ValueError, match="argument `images`"):
        serving.export(vae(shape), tmp_path / "net", images=images)
    assert not list(tmp_path.iterdir())


def test_a_model_of_codes_is_refused():
    with pytest.raises(ValueError, match="argument `images`"):
        get_format(CASES["semi_supervised_vae_m1_m2"].build(), "uint8")
