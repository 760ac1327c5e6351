"""Networks whose layers stretch nothing."""

from typing import Any

import keras
from keras.src.models.functional import Functional

from keras_vae.errors import invalid

_LINEAR = (
    keras.layers.Dense,
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
)


def spectrally_normalized(network: keras.Model, name: str = "decoder") -> keras.Model:
    """A copy of a network, weights included, whose dense and convolutional layers have spectral norm 1.

    Each of those layers is a copy in `keras.layers.SpectralNormalization`, which divides the kernel, as a
    matrix with a column for each entry of its last axis, by its largest singular value, found by one step of
    power iteration in every training step. Layers that are so already stay; a network in which all are is
    returned as it is.

    Args:
        network: a `Sequential` or functional model.
        name: what an error calls the network.

    Raises:
        ValueError: for a subclassed model, which cannot be copied, one without such layers, and one with
            kernels that this cannot normalise: of depthwise, separable or recurrent layers, among others.

    Example:

    >>> network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    >>> type(spectrally_normalized(network).layers[0]).__name__
    'SpectralNormalization'

    Reference: Miyato et al., Spectral Normalization for Generative Adversarial Networks, 2018, algorithm 1.
    """
    _check_kernels(network, name)
    layers = list(network._flatten_layers())
    normalized = [layer for layer in layers if isinstance(layer, keras.layers.SpectralNormalization)]
    inner = {id(layer.layer) for layer in normalized}
    if not any(isinstance(layer, _LINEAR) and id(layer) not in inner for layer in layers):
        if normalized:
            return network
        raise invalid(name, "a network with dense or convolutional layers, to normalise", network.name)
    copies: list[tuple[Any, Any]] = []

    def copied(layer: keras.layers.Layer) -> keras.layers.Layer:
        copy = layer.__class__.from_config(layer.get_config())
        copies.append((layer, copy))
        if isinstance(layer, _LINEAR):
            return keras.layers.SpectralNormalization(copy, name=layer.name)
        return copy

    try:
        result = keras.models.clone_model(network, clone_function=copied, recursive=True)
    except ValueError as error:
        hint = "Build it with keras.Sequential or keras.Model(inputs, outputs)."
        raise invalid(name, "a Sequential or functional model", type(network).__name__, hint) from error
    for layer, copy in copies:
        copy.set_weights(layer.get_weights())
    return result


def _check_kernels(network: keras.Model, name: str) -> None:
    """Raises `ValueError` for a layer that the copy would leave as it is though it has a kernel."""
    for layer in network.layers:
        if isinstance(layer, keras.Sequential | Functional):
            _check_kernels(layer, name)
        elif not isinstance(layer, (*_LINEAR, keras.layers.SpectralNormalization)) and any(
            "kernel" in weight.name for weight in layer.weights
        ):
            raise invalid(
                name,
                "a network whose kernels are those of Dense, Conv and ConvTranspose layers",
                f"one with {layer.name}, a {type(layer).__name__}",
            )
