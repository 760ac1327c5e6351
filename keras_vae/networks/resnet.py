"""Residual convolutional networks for images of any size."""

from collections.abc import Callable
from typing import Any

import keras

from keras_vae.checks import check_count
from keras_vae.layers.distribution_layer import DistributionLayer
from keras_vae.layers.independent import IndependentLayer
from keras_vae.networks import _arguments
from keras_vae.networks._arguments import Sizes
from keras_vae.networks.block import CHANNELS_LAST, Block
from keras_vae.networks.ends import dense_head, flat, image_head, read, to_feature_map, with_condition
from keras_vae.networks.halving import Halving, halvings


def resnet_encoder(
    input_shape: Sizes,
    posterior: DistributionLayer,
    filters: Sizes = (32, 64, 128),
    blocks: int = 2,
    kernel_size: int = 3,
    dense: Sizes = (256,),
    activation: str | Callable | None = "relu",
    normalization: str | None = "group",
    dropout: float = 0.0,
    rescale: tuple[float, float] = (1.0, 0.0),
    condition_shape: Sizes | None = None,
    num_classes: int | None = None,
    name: str = "encoder",
) -> keras.Model:
    """An encoder of pre-activation residual blocks and then dense layers: images to q(z | x).

    For images that `conv_encoder` underfits, at several times its cost. A convolution at full size
    comes first; every stage halves the sides in its first block. Group normalisation by default, which unlike
    He's batch normalisation is the same function of an image in training and after.

    Args:
        input_shape: `(height, width, channels)` of one image, of any size.
        posterior: the distribution layer that the model ends in, as `IndependentNormal(16)`.
        filters: channels of the stages from data to latent; at most as many as halve the image
            to one pixel.
        blocks: residual blocks, of two convolutions each, in a stage.
        kernel_size: height and width of the kernels, at least 2.
        dense: widths of the dense layers between the last stage and the latent; `()` for none.
        activation, normalization, rescale, condition_shape, num_classes, name: see `conv_encoder`.
        dropout: share of the dense units, and of the channels between a block's two convolutions,
            dropped in training, in [0, 1).

    Returns:
        A functional model from `[batch, height, width, channels]` to the posterior: batch shape `[batch]`.

    Raises:
        ValueError: if a size is not positive, the image too small for the stages, a name unknown or
            a number out of range.

    Example:

    >>> import numpy as np
    >>> from keras_vae.layers.independent import IndependentNormal
    >>> encoder = resnet_encoder((7, 5, 3), IndependentNormal(16), filters=(8, 16), blocks=1)
    >>> encoder(np.zeros([4, 7, 5, 3], "float32")).event_shape
    TensorShape([16])

    Reference: He, Zhang, Ren & Sun (2016), *Identity Mappings in Deep Residual Networks*, figure 4(e).
    """
    shape = _arguments.image_shape("input_shape", input_shape)
    posterior = _arguments.distribution_layer("posterior", posterior)
    stages = _arguments.sizes("filters", filters)
    steps = halvings("filters", shape[:2], len(stages))
    blocks = check_count("blocks", blocks)
    kernel_size = check_count("kernel_size", kernel_size, 2)
    widths = _arguments.sizes("dense", dense)
    rescale = _arguments.scale_and_offset("rescale", rescale)
    block = Block(activation, normalization, dropout)

    inputs, x = read(shape, rescale)
    inputs, x = with_condition(inputs, x, condition_shape, num_classes)
    x = _conv(x, stages[0], kernel_size, "stem", block.use_bias)
    for number, (channels, step) in enumerate(zip(stages, steps, strict=True), start=1):
        x = _stage(x, channels, kernel_size, blocks, block, f"stage_{number}", down=step)
    x = flat(block.activate(x, "last"))
    x = block.dense_layers(x, widths)
    return keras.Model(inputs, dense_head(x, posterior), name=name)


def resnet_decoder(
    latent_shape: Sizes,
    likelihood: IndependentLayer,
    filters: Sizes = (128, 64, 32),
    blocks: int = 2,
    kernel_size: int = 3,
    dense: Sizes = (256,),
    activation: str | Callable | None = "relu",
    normalization: str | None = "group",
    dropout: float = 0.0,
    condition_shape: Sizes | None = None,
    num_classes: int | None = None,
    name: str = "decoder",
) -> keras.Model:
    """A decoder of dense layers and then residual blocks: a latent to p(x | z) of images.

    Its default is the mirror image of `resnet_encoder`'s. Every stage repeats the pixels to the next
    size, exactly, in its first block. A last convolution makes the likelihood's parameters.

    Args:
        latent_shape: event shape of the posterior, as `16` or `(16,)`.
        likelihood: the distribution layer that the model ends in, of independent elements, as
            `IndependentNormal((28, 28, 1))`; its event shape is that of the images.
        filters: channels of the stages from latent to data, each twice the size of the one before.
        blocks: residual blocks, of two convolutions each, in a stage.
        kernel_size: height and width of the kernels, at least 2.
        dense: widths of the dense layers between the latent and the first stage; `()` for none.
        activation, normalization, dropout, name: see `resnet_encoder`.
        condition_shape, num_classes: see `conv_encoder`; values are joined to the latent's.

    Returns:
        A functional model from `[batch] + latent_shape` to the likelihood: batch shape `[batch]`.

    Raises:
        ValueError: if a size is not positive, the image too small for the stages, the likelihood not
            one of independent elements of an image, a name unknown or a number out of range.

    Example:

    >>> import numpy as np
    >>> from keras_vae.layers.independent import IndependentNormal
    >>> decoder = resnet_decoder(16, IndependentNormal((7, 5, 3)), filters=(16, 8), blocks=1)
    >>> decoder(np.zeros([4, 16], "float32")).event_shape
    TensorShape([7, 5, 3])
    """
    shape = _arguments.shape("latent_shape", latent_shape)
    likelihood, image_shape = _arguments.image_likelihood("likelihood", likelihood)
    stages = _arguments.sizes("filters", filters)
    steps = halvings("filters", image_shape[:2], len(stages))
    blocks = check_count("blocks", blocks)
    kernel_size = check_count("kernel_size", kernel_size, 2)
    widths = _arguments.sizes("dense", dense)
    block = Block(activation, normalization, dropout)

    inputs = keras.Input(shape, name="latent")
    inputs, x = with_condition(inputs, flat(inputs), condition_shape, num_classes)
    x = block.dense_layers(x, widths)
    x = to_feature_map(x, steps[-1].half, stages[0], block.use_bias)
    for number, (channels, step) in enumerate(zip(stages, reversed(steps), strict=True), start=1):
        x = _stage(x, channels, kernel_size, blocks, block, f"stage_{number}", up=step)
    x = block.activate(x, "last")
    return keras.Model(inputs, image_head(x, likelihood, kernel_size), name=name)


def _stage(
    x: Any,
    channels: int,
    kernel_size: int,
    blocks: int,
    block: Block,
    name: str,
    down: Halving | None = None,
    up: Halving | None = None,
) -> Any:
    """Residual blocks, of which the first changes the size."""
    x = _residual(x, channels, kernel_size, block, f"{name}_block_1", down, up)
    for number in range(2, blocks + 1):
        x = _residual(x, channels, kernel_size, block, f"{name}_block_{number}")
    return x


def _residual(
    x: Any,
    channels: int,
    kernel_size: int,
    block: Block,
    name: str,
    down: Halving | None = None,
    up: Halving | None = None,
) -> Any:
    """`x + f(x)` with f two convolutions of normalised activations.

    Where the shape changes the shortcut is a convolution of one pixel, after the first activation as
    in He's own programs.
    """
    strides = down.strides if down else (1, 1)
    before = block.activate(x, f"{name}_1")
    if up:
        before = up.enlarge(before, name)
    residual = _conv(before, channels, kernel_size, f"{name}_conv_1", block.use_bias, strides)
    residual = block.drop(block.activate(residual, f"{name}_2"), name)
    residual = _conv(residual, channels, kernel_size, f"{name}_conv_2", block.use_bias)
    if down or up or x.shape[-1] != channels:
        x = _conv(before, channels, 1, f"{name}_shortcut", False, strides)
    return keras.layers.Add(name=name)([x, residual])


def _conv(
    x: Any,
    channels: int,
    kernel_size: int,
    name: str,
    use_bias: bool,
    strides: tuple[int, int] = (1, 1),
) -> Any:
    return keras.layers.Conv2D(
        channels,
        kernel_size,
        strides=strides,
        padding="same",
        data_format=CHANNELS_LAST,
        use_bias=use_bias,
        name=name,
    )(x)
