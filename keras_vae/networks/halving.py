"""The sizes of an image's feature maps, going down and going up again."""

from dataclasses import dataclass
from typing import Any

import keras

from keras_vae.errors import invalid
from keras_vae.networks.block import CHANNELS_LAST


@dataclass(frozen=True)
class Halving:
    """One step between a feature map and the one half as high and wide, rounded up.

    A side of one pixel stays as it is.

    >>> step = Halving((7, 1))
    >>> step.half, step.strides, step.excess
    ((4, 1), (2, 1), (1, 0))
    """

    size: tuple[int, int]

    @property
    def strides(self) -> tuple[int, int]:
        """The strides of a convolution that takes this step down."""
        return _pair(2 if side > 1 else 1 for side in self.size)

    @property
    def half(self) -> tuple[int, int]:
        """The size after the step down."""
        return _pair((side + 1) // 2 for side in self.size)

    @property
    def excess(self) -> tuple[int, int]:
        """How many rows and columns `half * strides` has more than `size`."""
        return _pair(
            half * stride - side
            for half, stride, side in zip(self.half, self.strides, self.size, strict=True)
        )

    def crop(self, x: Any, name: str) -> Any:
        """Cuts a feature map of size `half * strides` to `size`."""
        if not any(self.excess):
            return x
        rows, columns = self.excess
        return keras.layers.Cropping2D(
            ((0, rows), (0, columns)), data_format=CHANNELS_LAST, name=f"{name}_crop"
        )(x)

    def enlarge(self, x: Any, name: str) -> Any:
        """Repeats the pixels of a feature map of size `half` to `size`."""
        if self.strides != (1, 1):
            x = keras.layers.UpSampling2D(self.strides, data_format=CHANNELS_LAST, name=f"{name}_upsampling")(
                x
            )
        return self.crop(x, name)


def halvings(argument: str, size: tuple[int, int], count: int) -> list[Halving]:
    """The `count` steps down from an image of that size, largest first.

    Args:
        argument: the name that an error shall show for what has `count` entries.
        size: height and width of the image.
        count: the number of steps.

    Raises:
        ValueError: if `count` is 0 or the image is down to a single pixel before the last step.

    >>> [step.half for step in halvings("filters", (28, 17), 3)]
    [(14, 9), (7, 5), (4, 3)]
    """
    most = (max(size) - 1).bit_length()
    height, width = size
    if most == 0:
        raise invalid(
            "input_shape",
            "an image of more than one pixel",
            f"an image of {height} x {width}",
            "Use an MLP.",
        )
    if not 1 <= count <= most:
        raise invalid(
            argument,
            f"1 to {most} stages, as often as an image of {height} x {width} can be halved",
            f"{count} stages",
        )
    steps = [Halving(size)]
    while len(steps) < count:
        steps.append(Halving(steps[-1].half))
    return steps


def _pair(values: Any) -> tuple[int, int]:
    height, width = values
    return height, width
