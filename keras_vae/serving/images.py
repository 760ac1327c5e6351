"""How signatures take and give x: as the networks read it, or as 8-bit images, as tensors or as files.

The work is in the graph, so that a client sends what it has, and scales as `keras_vae.datasets` does.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

import tensorflow as tf

from keras_vae.datasets import Transform
from keras_vae.datasets.transforms import BYTE_LEVELS
from keras_vae.errors import invalid, lookup
from keras_vae.models.checks import support_of

if TYPE_CHECKING:
    from keras_vae import LatentVariableModel

# Supports of likelihoods over bytes as they are; data for all others are in [0, 1] unless told otherwise.
_OF_BYTES = ("bytes", "counts")
# Random draws of training, which the intensities themselves stand for in serving.
_DRAWN = ("dynamic", "dequantize")


class Values:
    """x as the networks read it, float32.

    Args:
        shape: of one example.
        transform: how the model's data were made from images; of no use here.
    """

    def __init__(self, shape: tuple[int | None, ...], transform: Transform):
        self.shape, self.transform = shape, transform

    @property
    def file_shape(self) -> tuple[int, int, int] | None:
        """Height, width and channels of image files; None where x is no file."""
        return None

    @property
    def spec(self) -> tf.TensorSpec:
        """Of the argument x of a signature."""
        return tf.TensorSpec([None, *self.shape], tf.float32, "x")

    def read(self, x: tf.Tensor) -> tf.Tensor:
        """What came as x, as the networks read it: float32, `[B] + event`."""
        return x

    def write(self, name: str, x: tf.Tensor) -> dict[str, tf.Tensor]:
        """The result of that name, from values of the model's scale, `[B] + event`."""
        return {name: tf.cast(x, tf.float32)}


class Uint8(Values):
    """Images of 0 to 255, uint8 `[B] + event`, in and out."""

    @property
    def spec(self) -> tf.TensorSpec:
        return tf.TensorSpec([None, *self.shape], tf.uint8, "x")

    def read(self, x: tf.Tensor) -> tf.Tensor:
        # No draw that is left depends on a seed.
        return self.transform(x, seed=tf.constant([0, 0]))

    def write(self, name: str, x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {name: self._bytes(x)}

    def _bytes(self, x: tf.Tensor) -> tf.Tensor:
        """To the nearest of 256 levels; what lies outside is cut off, as in pictures."""
        levels = tf.round(self.transform.to_unit(tf.cast(x, tf.float32)) * BYTE_LEVELS)
        return tf.cast(tf.clip_by_value(levels, 0.0, BYTE_LEVELS), tf.uint8)


class Encoded(Uint8):
    """Image files: PNG or JPEG in, PNG out, strings `[B]`.

    Results have names that end in `_bytes`, by which TensorFlow Serving knows what to send in base64.
    """

    @property
    def file_shape(self) -> tuple[int, int, int]:
        height, width, channels = (int(size or 0) for size in self.shape)
        return height, width, channels

    @property
    def spec(self) -> tf.TensorSpec:
        return tf.TensorSpec([None], tf.string, "x")

    def read(self, x: tf.Tensor) -> tf.Tensor:
        images = tf.map_fn(self._decode, x, fn_output_signature=tf.TensorSpec(self.shape, tf.uint8))
        return super().read(images)

    def write(self, name: str, x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {f"{name}_bytes": tf.io.encode_png(self._bytes(x))}

    def _decode(self, contents: tf.Tensor) -> tf.Tensor:
        height, width, channels = self.file_shape
        image = tf.io.decode_image(contents, channels, expand_animations=False)
        message = f"Invalid image received for argument `x`. Expected: {height}x{width} pixels."
        check = tf.debugging.assert_equal(tf.shape(image)[:2], [height, width], message)
        with tf.control_dependencies([check]):
            image = tf.identity(image)
        # Not `ensure_shape`, which the optimizer of graphs would move before the check.
        return tf.reshape(image, [height, width, channels])


FORMATS: dict[str, type[Values]] = {"float32": Values, "uint8": Uint8, "encoded": Encoded}


def get_format(model: "LatentVariableModel", images: str, transform: Transform | None = None) -> Values:
    """How the signatures of a model take and give x.

    Args:
        model: a `VAE`, ...
        images: a name of `FORMATS`.
        transform: how the model's data were made of images, such as `datasets.load(...).transform`; None for
            bytes as they are where the likelihood is over bytes, and else for [0, 1]. Of its draws a fixed
            threshold is applied; those at random (dynamic binarisation, dequantisation) are left out.

    Raises:
        ValueError: for an unknown name; and but for "float32", for data that are no images of 1 or 3
            channels.

    Example:

    >>> import keras_vae
    >>> vae = keras_vae.VAE.create((8, 8, 1), latent_size=2, hidden=(4,))
    >>> uint8 = get_format(vae, "uint8")
    >>> uint8.read(tf.fill([1, 8, 8, 1], tf.constant(51, tf.uint8)))[0, 0, 0].numpy().tolist()
    [0.20000000298023224]
    >>> uint8.write("mean", tf.fill([1, 8, 8, 1], 0.2))["mean"][0, 0, 0].numpy().tolist()
    [51]
    """
    kind = lookup("images", images, FORMATS)
    if transform is not None and not isinstance(transform, Transform):
        raise invalid("transform", "a keras_vae.datasets.Transform, or None", transform)
    if kind is Values and transform is not None:
        raise invalid("transform", "None for images 'float32', which are not transformed", transform)
    if kind is not Values:
        _check_images(model, images)
    if transform is None:
        transform = Transform(scale="bytes" if support_of(model.decoder).name in _OF_BYTES else "unit")
    if transform.draw in _DRAWN:
        transform = replace(transform, draw="keep")
    return kind(model.data_shape, transform)


def _check_images(model: "LatentVariableModel", images: str) -> None:
    shape = model.data_shape
    hint = "Leave it at 'float32'."
    if model.objective.features is not None:
        raise invalid("images", "'float32' for a model of codes, which gives no images", images, hint)
    if len(shape) != 3 or None in shape or shape[-1] not in (1, 3):
        expected = "'float32' for data that are no images, (height, width, 1 or 3)"
        raise invalid("images", expected, f"{images!r} for shape {shape}", hint)
