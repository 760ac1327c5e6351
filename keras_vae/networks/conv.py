"""Plain convolutional networks for images of any size."""

from collections.abc import Callable

import keras

from keras_vae.checks import check_count
from keras_vae.layers.distribution_layer import DistributionLayer
from keras_vae.layers.independent import IndependentLayer
from keras_vae.networks import _arguments
from keras_vae.networks._arguments import Sizes
from keras_vae.networks.block import CHANNELS_LAST, Block
from keras_vae.networks.ends import dense_head, flat, image_head, read, to_feature_map, with_condition
from keras_vae.networks.halving import halvings


def conv_encoder(
    input_shape: Sizes,
    posterior: DistributionLayer,
    filters: Sizes = (32, 64, 128),
    kernel_size: int = 3,
    dense: Sizes = (256,),
    activation: str | Callable | None = "relu",
    normalization: str | None = None,
    dropout: float = 0.0,
    rescale: tuple[float, float] = (1.0, 0.0),
    condition_shape: Sizes | None = None,
    num_classes: int | None = None,
    name: str = "encoder",
) -> keras.Model:
    """An encoder of strided convolutions and then dense layers: images to q(z | x).

    The first choice for images; for large or varied ones see `resnet_encoder`.

    Args:
        input_shape: `(height, width, channels)` of one image, of any size: a stage halves the sides
            and rounds up, as 28, 14, 7, 4.
        posterior: the distribution layer that the model ends in, as `IndependentNormal(16)`.
        filters: channels of the stages from data to latent; at most as many as halve the image
            to one pixel.
        kernel_size: height and width of the kernels, at least 2, since kernels of one pixel would
            step over three quarters of the image.
        dense: widths of the dense layers between the last stage and the latent; `()` for none.
        activation: the name of a Keras activation, or a function; to save the model, a function of
            yours must be registered with `keras.saving.register_keras_serializable`.
        normalization: before every activation: None, "batch", "layer" or "group".
        dropout: share of the dense units and of the channels dropped in training, in [0, 1).
        rescale: `(scale, offset)`; the network reads `x * scale + offset`. 8-bit data want
            `(1 / 127.5, -1.0)`, which is what `support` of a likelihood of bytes says.
        condition_shape: shape of a second input, the condition; None for a model of the data alone. Of an
            image as high and wide as the data, the channels are added to the data's; of anything else, all
            values at every pixel.
        num_classes: the same for conditions that are labels: a second input of class numbers from 0. See
            to it that they are below `num_classes`: any other number is read as no class, without an error.
        name: the model's name.

    Returns:
        A functional model from `[batch, height, width, channels]` to the posterior: batch shape `[batch]`.

    Raises:
        ValueError: if a size is not positive, the image too small for the stages, a name unknown or
            a number out of range.

    Example:

    >>> import numpy as np
    >>> from keras_vae.layers.independent import IndependentNormal
    >>> encoder = conv_encoder((33, 17, 3), IndependentNormal(16), filters=(8, 16))
    >>> encoder(np.zeros([5, 33, 17, 3], "float32")).event_shape
    TensorShape([16])
    >>> [encoder.get_layer(f"stage_{stage}").output.shape[1:] for stage in (1, 2)]
    [(17, 9, 8), (9, 5, 16)]
    """
    shape = _arguments.image_shape("input_shape", input_shape)
    posterior = _arguments.distribution_layer("posterior", posterior)
    stages = _arguments.sizes("filters", filters)
    steps = halvings("filters", shape[:2], len(stages))
    kernel_size = check_count("kernel_size", kernel_size, 2)
    widths = _arguments.sizes("dense", dense)
    rescale = _arguments.scale_and_offset("rescale", rescale)
    block = Block(activation, normalization, dropout)

    inputs, x = read(shape, rescale)
    inputs, x = with_condition(inputs, x, condition_shape, num_classes)
    for number, (channels, step) in enumerate(zip(stages, steps, strict=True), start=1):
        x = block.after(
            keras.layers.Conv2D,
            x,
            channels,
            kernel_size,
            strides=step.strides,
            padding="same",
            data_format=CHANNELS_LAST,
            name=f"stage_{number}",
        )
    x = block.dense_layers(flat(x), widths)
    return keras.Model(inputs, dense_head(x, posterior), name=name)


def conv_decoder(
    latent_shape: Sizes,
    likelihood: IndependentLayer,
    filters: Sizes = (128, 64, 32),
    kernel_size: int = 3,
    dense: Sizes = (256,),
    activation: str | Callable | None = "relu",
    normalization: str | None = None,
    dropout: float = 0.0,
    condition_shape: Sizes | None = None,
    num_classes: int | None = None,
    name: str = "decoder",
) -> keras.Model:
    """A decoder of dense layers and then transposed convolutions: a latent to p(x | z) of images.

    Its default is the mirror image of `conv_encoder`'s: its stages go through the same sizes upwards,
    exactly, so that every image size comes out as it went in. A last convolution makes the
    likelihood's parameters.

    Args:
        latent_shape: event shape of the posterior, as `16` or `(16,)`.
        likelihood: the distribution layer that the model ends in, of independent elements, as
            `IndependentNormal((28, 28, 1))`; its event shape is that of the images.
        filters: channels of the stages from latent to data, each twice the size of the one before.
        kernel_size: height and width of the kernels, at least 2.
        dense: widths of the dense layers between the latent and the first stage; `()` for none.
        activation, normalization, dropout, name: see `conv_encoder`.
        condition_shape, num_classes: see `conv_encoder`; values are joined to the latent's.

    Returns:
        A functional model from `[batch] + latent_shape` to the likelihood: batch shape `[batch]`.

    Raises:
        ValueError: if a size is not positive, the image too small for the stages, the likelihood not
            one of independent elements of an image, a name unknown or a number out of range.

    Example:

    >>> import numpy as np
    >>> from keras_vae.layers.independent import IndependentNormal
    >>> decoder = conv_decoder(16, IndependentNormal((33, 17, 3)), filters=(16, 8))
    >>> decoder(np.zeros([5, 16], "float32")).event_shape
    TensorShape([33, 17, 3])
    """
    shape = _arguments.shape("latent_shape", latent_shape)
    likelihood, image_shape = _arguments.image_likelihood("likelihood", likelihood)
    stages = _arguments.sizes("filters", filters)
    steps = halvings("filters", image_shape[:2], len(stages))
    kernel_size = check_count("kernel_size", kernel_size, 2)
    widths = _arguments.sizes("dense", dense)
    block = Block(activation, normalization, dropout)

    inputs = keras.Input(shape, name="latent")
    inputs, x = with_condition(inputs, flat(inputs), condition_shape, num_classes)
    x = block.dense_layers(x, widths)
    x = to_feature_map(x, steps[-1].half, stages[0], block.use_bias)
    x = block.drop(block.activate(x, "feature_map"), "feature_map")
    for number, (channels, step) in enumerate(zip(stages, reversed(steps), strict=True), start=1):
        x = block.after(
            keras.layers.Conv2DTranspose,
            x,
            channels,
            kernel_size,
            strides=step.strides,
            padding="same",
            data_format=CHANNELS_LAST,
            name=f"stage_{number}",
        )
        x = step.crop(x, f"stage_{number}")
    return keras.Model(inputs, image_head(x, likelihood, kernel_size), name=name)
