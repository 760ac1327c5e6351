"""Multilayer perceptrons, for data of any shape."""

from collections.abc import Callable
from typing import Any

import keras

from keras_vae.layers.distribution_layer import DistributionLayer
from keras_vae.networks import _arguments
from keras_vae.networks._arguments import Sizes
from keras_vae.networks.block import Block
from keras_vae.networks.ends import dense_head, flat, read, with_condition


def mlp_encoder(
    input_shape: Sizes,
    posterior: DistributionLayer,
    hidden: Sizes = (512, 256),
    activation: str | Callable | None = "relu",
    normalization: str | None = None,
    dropout: float = 0.0,
    rescale: tuple[float, float] = (1.0, 0.0),
    condition_shape: Sizes | None = None,
    num_classes: int | None = None,
    name: str = "encoder",
) -> keras.Model:
    """An encoder of dense layers: data of any shape, flattened, to q(z | x).

    The first choice for vectors and tables, and for small images where speed matters more than the
    last nat; for images see `conv_encoder`.

    Args:
        input_shape: shape of one example, without the batch dimension; `28 * 28`, `(28, 28)` and
            `(28, 28, 1)` are all right.
        posterior: the distribution layer that the model ends in, as `IndependentNormal(16)`.
        hidden: widths of the hidden layers from data to latent; `()` for a linear encoder.
        activation: the name of a Keras activation, or a function; to save the model, a function of
            yours must be registered with `keras.saving.register_keras_serializable`.
        normalization: before every activation: None, "batch", "layer" or "group".
        dropout: share of the hidden units dropped in training, in [0, 1).
        rescale: `(scale, offset)`; the network reads `x * scale + offset`. 8-bit data want
            `(1 / 127.5, -1.0)`, which is what `support` of a likelihood of bytes says.
        condition_shape: shape of a second input, the condition, whose values are joined to the data's; None
            for a model of the data alone.
        num_classes: the same for conditions that are labels: a second input of class numbers from 0. See
            to it that they are below `num_classes`: any other number is read as no class, without an error.
        name: the model's name.

    Returns:
        A functional model from `[batch] + input_shape` to the posterior: batch shape `[batch]`.

    Raises:
        ValueError: if a size is not positive, a name unknown or a number out of range.

    Example:

    >>> import numpy as np
    >>> from keras_vae.layers.independent import IndependentNormal
    >>> encoder = mlp_encoder((28, 28), IndependentNormal(16), hidden=(64, 32))
    >>> q = encoder(np.zeros([5, 28, 28], "float32"))
    >>> q.batch_shape, q.event_shape
    (TensorShape([5]), TensorShape([16]))
    """
    shape = _arguments.shape("input_shape", input_shape)
    posterior = _arguments.distribution_layer("posterior", posterior)
    widths = _arguments.sizes("hidden", hidden)
    rescale = _arguments.scale_and_offset("rescale", rescale)
    block = Block(activation, normalization, dropout)

    inputs, x = read(shape, rescale)
    inputs, x = with_condition(inputs, flat(x), condition_shape, num_classes)
    return _mlp(inputs, x, block, widths, posterior, name)


def mlp_decoder(
    latent_shape: Sizes,
    likelihood: DistributionLayer,
    hidden: Sizes = (256, 512),
    activation: str | Callable | None = "relu",
    normalization: str | None = None,
    dropout: float = 0.0,
    condition_shape: Sizes | None = None,
    num_classes: int | None = None,
    name: str = "decoder",
) -> keras.Model:
    """A decoder of dense layers: a latent of any shape, flattened, to p(x | z).

    Its default is the mirror image of `mlp_encoder`'s. It takes every likelihood, of any event shape.

    Args:
        latent_shape: event shape of the posterior, as `16` or `(16,)`.
        likelihood: the distribution layer that the model ends in, as `IndependentNormal((28, 28))`.
        hidden: widths of the hidden layers from latent to data; `()` for a linear decoder.
        activation, normalization, dropout, condition_shape, num_classes, name: see `mlp_encoder`.

    Returns:
        A functional model from `[batch] + latent_shape` to the likelihood: batch shape `[batch]`.

    Raises:
        ValueError: if a size is not positive, a name unknown or a number out of range.

    Example:

    >>> import numpy as np
    >>> from keras_vae.layers.independent import IndependentNormal
    >>> decoder = mlp_decoder(16, IndependentNormal((28, 28)), hidden=(32, 64))
    >>> decoder(np.zeros([5, 16], "float32")).event_shape
    TensorShape([28, 28])
    """
    shape = _arguments.shape("latent_shape", latent_shape)
    likelihood = _arguments.distribution_layer("likelihood", likelihood)
    widths = _arguments.sizes("hidden", hidden)
    block = Block(activation, normalization, dropout)

    inputs = keras.Input(shape, name="latent")
    inputs, x = with_condition(inputs, flat(inputs), condition_shape, num_classes)
    return _mlp(inputs, x, block, widths, likelihood, name)


def _mlp(
    inputs: Any,
    x: Any,
    block: Block,
    widths: tuple[int, ...],
    distribution: DistributionLayer,
    name: str,
) -> keras.Model:
    x = block.dense_layers(x, widths)
    return keras.Model(inputs, dense_head(x, distribution), name=name)
