"""Encoder and decoder together, from the name of a network."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras

from keras_vae.checks import check_count
from keras_vae.errors import lookup
from keras_vae.layers.categorical import OneHotCategorical
from keras_vae.layers.likelihoods import get_likelihood, get_posterior
from keras_vae.networks import _arguments
from keras_vae.networks._arguments import Sizes
from keras_vae.networks.conv import conv_decoder, conv_encoder
from keras_vae.networks.mlp import mlp_decoder, mlp_encoder
from keras_vae.networks.resnet import resnet_decoder, resnet_encoder


@dataclass(frozen=True)
class Network:
    """An encoder, the decoder that mirrors it, and what to know of their arguments.

    Args:
        encoder, decoder: functions that return a Keras model.
        shape_of: reads the input shape, or raises `ValueError` for one that the encoder cannot take.
        mirrored: the arguments that the decoder takes in the opposite order.
    """

    encoder: Callable[..., keras.Model]
    decoder: Callable[..., keras.Model]
    shape_of: Callable[[str, Any], tuple[int, ...]]
    mirrored: tuple[str, ...]

    @property
    def defaults(self) -> dict[str, Any]:
        """The options and their defaults, as the encoder declares them."""
        return {
            name: parameter.default
            for name, parameter in inspect.signature(self.encoder).parameters.items()
            if parameter.default is not parameter.empty and name != "name"
        }


NETWORKS: dict[str, Network] = {
    "mlp": Network(mlp_encoder, mlp_decoder, _arguments.shape, ("hidden",)),
    "conv": Network(conv_encoder, conv_decoder, _arguments.image_shape, ("filters", "dense")),
    "resnet": Network(resnet_encoder, resnet_decoder, _arguments.image_shape, ("filters", "dense")),
}


def option_names(network: str) -> tuple[str, ...]:
    """The options that `build` takes for a network, by name.

    Raises:
        ValueError: if there is no network of that name.

    >>> option_names("mlp")
    ('hidden', 'activation', 'normalization', 'dropout', 'rescale', 'condition_shape', 'num_classes')
    """
    return tuple(lookup("network", network, NETWORKS).defaults)


def build(
    network: str,
    input_shape: Sizes,
    latent_size: int,
    *,
    posterior: Any = "normal",
    likelihood: Any = "bernoulli",
    **options: Any,
) -> tuple[keras.Model, keras.Model]:
    """An encoder and the decoder that is its mirror image.

    For an encoder and a decoder that differ, call their functions: `conv_encoder`, `mlp_decoder`, ...

    Args:
        network: "mlp", for data of any shape; "conv" or "resnet", for images.
        input_shape: shape of one example, without the batch dimension; `(height, width, channels)` for
            images, and the likelihood's event shape.
        latent_size: number of latent dimensions.
        posterior: name, class or instance of the distribution layer that ends the encoder.
        likelihood: name, class or instance of the distribution layer that ends the decoder.
        **options: arguments of the encoder's function, in the encoder's order (`option_names` lists
            them): `hidden=`, `filters=`, `activation=`, ... The decoder takes the same, widths reversed.
            `rescale` brings the likelihood's support to about [-1, 1] where not given.

    Returns:
        The encoder, from `[batch] + input_shape` to q(z | x), and the decoder, from latents to p(x | z).

    Raises:
        ValueError: if a name or an option is unknown (the error lists the known), or a value is out
            of range.

    Example:

    >>> encoder, decoder = build("mlp", (28, 28), 16, likelihood="normal", hidden=(64, 32))
    >>> [layer.units for layer in decoder.layers if layer.name.startswith("dense")]
    [32, 64]
    >>> build("mlp", (28, 28), 16, hiden=64)
    Traceback (most recent call last):
    ...
    ValueError: Invalid value received for argument `options of network 'mlp'`. \
Expected: one of 'activation', 'condition_shape', 'dropout', 'hidden', ... \
Received: hiden. Did you mean 'hidden'?
    """
    kind = lookup("network", network, NETWORKS)
    for name in options:
        lookup(f"options of network {network!r}", name, kind.defaults)
    shape = kind.shape_of("input_shape", input_shape)
    latent_size = check_count("latent_size", latent_size)
    posterior = get_posterior(posterior, latent_size)
    likelihood = get_likelihood(likelihood, shape)

    support = (likelihood.support.scale, likelihood.support.offset)
    options = {**kind.defaults, "rescale": support, **options}
    rescale = options.pop("rescale")
    reversed_options = {
        name: _arguments.sizes(name, value)[::-1] if name in kind.mirrored else value
        for name, value in options.items()
    }
    encoder = kind.encoder(shape, posterior, rescale=rescale, **options)
    decoder = kind.decoder(encoder.output.shape[1:], likelihood, **reversed_options)
    return encoder, decoder


def build_classifier(
    network: str,
    input_shape: Sizes,
    num_classes: int,
    rescale: tuple[float, float] = (1.0, 0.0),
    **options: Any,
) -> keras.Model:
    """A classifier q(y|x) with the body of an encoder.

    Args:
        network: "mlp", "conv" or "resnet".
        input_shape: shape of one example, without the batch dimension.
        num_classes: number of classes, K.
        rescale: `(scale, offset)`; the network reads `x * scale + offset`.
        **options: see `build`.

    Returns:
        A model from `[batch] + input_shape` to a distribution over one-hot classes: batch shape `[batch]`,
        event shape `[K]`.

    Example:

    >>> build_classifier("mlp", (28, 28), 10, hidden=(64,)).output.shape
    (None, 10)
    """
    kind = lookup("network", network, NETWORKS)
    for name in options:
        lookup(f"options of network {network!r}", name, kind.defaults)
    classes = OneHotCategorical(check_count("num_classes", num_classes, 2))
    return kind.encoder(
        kind.shape_of("input_shape", input_shape), classes, rescale=rescale, name="classifier", **options
    )
