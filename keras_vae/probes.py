"""The batch of zeros that tells what a network returns."""

from collections.abc import Iterable

import tensorflow as tf


def probe(shape: Iterable[int | None], dtype: str = "float32") -> tf.Tensor:
    """Two examples of zeros. Sizes left open, such as the length of a sequence, are tried with 8.

    >>> probe((None, 3)).shape
    TensorShape([2, 8, 3])
    """
    return tf.zeros([2, *(8 if size is None else size for size in shape)], dtype)
