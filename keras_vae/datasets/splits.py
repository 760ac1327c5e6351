"""What `load` returns."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import tensorflow as tf

from keras_vae import errors
from keras_vae.datasets.parts import ArrayPart
from keras_vae.datasets.transforms import Transform


@dataclass(frozen=True, eq=False)
class Splits:
    """The splits of a data set, ready for `fit` and `evaluate`.

    Args:
        name: the data set's name.
        train: batches of x [B] + image_shape float32, or (x, y int32 [B]) with labels.
        validation: likewise, or None.
        test: likewise, or None where the source has none.
        image_shape: the event shape of one example: (height, width, channels), or (D,).
        num_classes: how many labels there are; None without labels.
        class_names: their names, where known.
        sizes: examples by split.
        support: the range of x: "binary" {0, 1}, "unit" [0, 1], "bytes" 0..255 or "real".
        transform: what made x from the stored examples; `transform.to_unit(x)` undoes the scaling.

    Example:

    >>> from keras_vae import datasets
    >>> splits = datasets.load("digits", binarize="dynamic")
    >>> splits.image_shape, splits.support, splits.sizes
    ((8, 8, 1), 'binary', {'train': 1293, 'validation': 144, 'test': 360})
    """

    name: str
    train: tf.data.Dataset
    validation: tf.data.Dataset | None
    test: tf.data.Dataset | None
    image_shape: tuple[int, ...]
    num_classes: int | None
    class_names: tuple[str, ...] | None
    sizes: dict[str, int]
    support: str
    transform: Transform
    readers: Mapping[str, Callable[[], ArrayPart]] = field(repr=False)

    def arrays(self, split: str) -> tuple[np.ndarray, np.ndarray | None]:
        """The stored examples of a split, which are in memory once: change nothing in them.

        Args:
            split: "train", "validation" or "test".

        Returns:
            x, uint8 bytes (0 and 255 after a static or threshold binarisation; float32 where the
            source is not of bytes) of shape [N] + image_shape, before scaling and other draws; and
            the int32 labels [N], or None where the source has none.

        Raises:
            ValueError: for a split that there is not.

        Example:

        >>> from keras_vae import datasets
        >>> x, y = datasets.load("digits").arrays("test")
        >>> x.shape, x.dtype, y.shape
        ((360, 8, 8, 1), dtype('uint8'), (360,))
        """
        part = errors.lookup("split", split, self.readers)()
        return part.x, part.y
