"""What stands around every weight layer of a network: normalisation, activation, dropout."""

from collections.abc import Callable
from typing import Any

import keras

from keras_vae.errors import lookup
from keras_vae.layers.dropout import Dropout
from keras_vae.networks._arguments import activation as checked_activation
from keras_vae.networks._arguments import rate

# Every image is [batch, height, width, channels], whatever the user's Keras configuration says.
CHANNELS_LAST = "channels_last"


def group_count(channels: int) -> int:
    """The most groups, up to 32, that divide the channels and leave at least 4 in each.

    >>> [group_count(channels) for channels in (3, 7, 12, 32, 64, 512)]
    [1, 1, 3, 8, 16, 32]
    """
    most = min(32, max(channels // 4, 1))
    return next(count for count in range(most, 0, -1) if channels % count == 0)


def _batch(channels: int, name: str) -> keras.layers.Layer:
    del channels
    return keras.layers.BatchNormalization(name=name)


def _layer(channels: int, name: str) -> keras.layers.Layer:
    del channels
    return keras.layers.LayerNormalization(name=name)


def _group(channels: int, name: str) -> keras.layers.Layer:
    return keras.layers.GroupNormalization(group_count(channels), axis=-1, name=name)


def _no_normalization(channels: int, name: str) -> None:
    del channels, name


NORMALIZATIONS: dict[str, Callable[[int, str], Any]] = {
    "none": _no_normalization,
    "batch": _batch,
    "layer": _layer,
    "group": _group,
}


class Block:
    """The normalisation, activation and dropout that a network uses throughout.

    Args:
        activation: the name of a Keras activation, or a function.
        normalization: between the weights and the activation. None; "batch" (Ioffe & Szegedy 2015,
            the only one whose output for an example depends on the batch and on `training`);
            "layer" (Ba et al. 2016), over the units or, at every pixel, over the channels; "group"
            (Wu & He 2018), over groups of channels and all pixels.
        dropout: share of the units dropped after the activation in training, in [0, 1). Of feature
            maps whole channels are dropped (Tompson et al. 2015), since neighbouring pixels would
            tell what is missing.

    Raises:
        ValueError: if one of them is unknown or out of range.
    """

    def __init__(
        self,
        activation: str | Callable | None = "relu",
        normalization: str | None = None,
        dropout: float = 0.0,
    ):
        name = "none" if normalization is None else normalization
        self.activation = checked_activation(activation)
        self.normalize = lookup("normalization", name, NORMALIZATIONS)
        self.dropout = rate("dropout", dropout)
        self.normalizes = name != "none"
        # A normalisation brings an offset of its own.
        self.use_bias = not self.normalizes

    def after(self, kind: Callable[..., Any], x: Any, *args: Any, name: str, **kwargs: Any) -> Any:
        """Applies a layer of that kind to `x`, then normalisation, activation and dropout."""
        if self.normalizes:
            x = kind(*args, use_bias=False, name=name, **kwargs)(x)
            return self.drop(self.activate(x, name), name)
        return self.drop(kind(*args, activation=self.activation, name=name, **kwargs)(x), name)

    def activate(self, x: Any, name: str) -> Any:
        """Normalisation and activation of `x`."""
        if self.normalizes:
            x = self.normalize(x.shape[-1], f"{name}_norm")(x)
        return keras.layers.Activation(self.activation, name=f"{name}_activation")(x)

    def drop(self, x: Any, name: str) -> Any:
        """Dropout of units, or of whole channels of a feature map."""
        if not self.dropout:
            return x
        of_maps = None if len(x.shape) == 2 else (None, 1, 1, None)
        return Dropout(self.dropout, of_maps, name=f"{name}_dropout")(x)

    def dense_layers(self, x: Any, widths: tuple[int, ...]) -> Any:
        """Dense layers of these widths, each normalised, activated and dropped."""
        for number, width in enumerate(widths, start=1):
            x = self.after(keras.layers.Dense, x, width, name=f"dense_{number}")
        return x
