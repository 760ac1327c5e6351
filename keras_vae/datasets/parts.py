"""Splits before any transform: examples in memory, or a recipe to read them."""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from keras_vae import errors

Arrays = tuple[np.ndarray, np.ndarray | None]


class Part(Protocol):
    """One split of a source that is read on demand; see `ArrayPart` for the words."""

    @property
    def size(self) -> int: ...

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def labelled(self) -> bool: ...

    def cap(self, count: int, seed: int) -> "Part":
        """At most `count` of the examples."""

    def hold_out(self, count: int, seed: int) -> tuple["Part", "Part"]:
        """Two parts without a common example, the second of `count` examples."""

    def read(self) -> "ArrayPart":
        """All examples, decoded."""

    def stream(self, seed: int | None) -> tf.data.Dataset:
        """Decoded examples `{"x": uint8, "y": int32}` one by one (no "y" without labels), coarsely
        shuffled anew every pass with a seed, always in one order with None."""


@dataclass(frozen=True, eq=False)
class ArrayPart:
    """Examples in memory.

    Args:
        x: uint8 or float32, [N] + event shape.
        y: int32 [N], or None where there are no labels.
        stratify: whether to keep the proportions of the labels when dividing.
    """

    x: np.ndarray
    y: np.ndarray | None
    stratify: bool = False

    @property
    def size(self) -> int:
        return len(self.x)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.x.shape[1:]

    @property
    def labelled(self) -> bool:
        return self.y is not None

    def cap(self, count: int, seed: int) -> "ArrayPart":
        strata = self.y if self.stratify else None
        return self.take(divide(self.size, count, seed, strata)[1]) if count < self.size else self

    def hold_out(self, count: int, seed: int) -> tuple["ArrayPart", "ArrayPart"]:
        kept, held = divide(self.size, count, seed, self.y if self.stratify else None)
        return self.take(kept), self.take(held)

    def take(self, at: np.ndarray) -> "ArrayPart":
        return replace(self, x=self.x[at], y=None if self.y is None else self.y[at])

    def read(self) -> "ArrayPart":
        return self


@dataclass(frozen=True)
class Source:
    """What a name stands for: the parts "train" and perhaps "validation" and "test".

    Args:
        parts: the splits by name.
        class_names: the names of the labels 0, 1, ..., or None.
        num_classes: how many labels there are, or None where only the labels tell.
    """

    parts: Mapping[str, Any]
    class_names: tuple[str, ...] | None = None
    num_classes: int | None = None


def divide(
    size: int, count: int, seed: int, strata: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The indices below `size` in two: the last `count` of a seeded permutation, and the rest.

    Each comes sorted, so that examples keep the order of their source. With `strata`, every class
    has about the same fraction in both.

    Example:

    >>> kept, held = divide(10, 3, seed=0)
    >>> sorted([*kept.tolist(), *held.tolist()]) == list(range(10)), len(held)
    (True, 3)
    """
    order = np.random.default_rng(seed).permutation(size)
    if strata is not None:
        # Every class spread evenly over [0, 1), so that any tail holds its share of each.
        place = np.empty(size)
        for label in np.unique(strata):
            members = order[strata[order] == label]
            place[members] = (np.arange(len(members)) + 0.5) / len(members)
        order = order[np.argsort(place[order], kind="stable")]
    return np.sort(order[: size - count]), np.sort(order[size - count :])


def collect(examples: tf.data.Dataset, size: int) -> ArrayPart:
    """Reads streamed examples into memory, where they are kept once."""
    spec = examples.element_spec
    x = np.empty((size, *spec["x"].shape), spec["x"].dtype.as_numpy_dtype)
    y = np.empty(size, np.int32) if "y" in spec else None
    at = 0
    for batch in examples.batch(1024, num_parallel_calls=tf.data.AUTOTUNE).as_numpy_iterator():
        end = at + len(batch["x"])
        x[at:end] = batch["x"]
        if y is not None:
            y[at:end] = batch["y"]
        at = end
    if at != size:
        raise errors.invalid("name", f"a split of {size} examples", f"{at} examples")
    return ArrayPart(x, y)


def check_count(argument: str, value: object, least: int = 1) -> None:
    """Raises unless `value` is an integer of at least `least`."""
    integer = isinstance(value, (int, np.integer)) and not isinstance(value, (bool, np.bool_))
    if not integer or value < least:  # type: ignore[operator]
        raise errors.invalid(argument, f"an integer >= {least}", value)


def check_image_size(image_size: Any) -> tuple[int, int] | None:
    """Returns (height, width) of an `image_size` argument: None, an integer or a pair."""
    if image_size is None:
        return None
    pair = image_size if isinstance(image_size, (tuple, list)) else (image_size, image_size)
    if len(pair) != 2:
        raise errors.invalid("image_size", "an integer or (height, width)", image_size)
    for side in pair:
        check_count("image_size", side)
    return int(pair[0]), int(pair[1])


def fit_image(image: Any, image_size: tuple[int, int]) -> tf.Tensor:
    """Cuts the largest centred piece of the wanted aspect ratio and resizes it (antialiased).

    Args:
        image: uint8 or float32 [height, width, channels] or [N, height, width, channels].
        image_size: the wanted (height, width).

    Example:

    >>> fit_image(np.zeros((20, 10, 3), np.uint8), (5, 5)).shape
    TensorShape([5, 5, 3])
    """
    image = tf.convert_to_tensor(image)
    height, width = tf.unstack(tf.cast(tf.shape(image)[-3:-1], tf.float32))
    scale = tf.minimum(height / image_size[0], width / image_size[1])
    crop = tf.maximum(1, tf.cast(tf.round(scale * tf.cast(image_size, tf.float32)), tf.int32))
    top, left = (tf.shape(image)[-3] - crop[0]) // 2, (tf.shape(image)[-2] - crop[1]) // 2
    cut = image[..., top : top + crop[0], left : left + crop[1], :]
    resized = tf.image.resize(cut, image_size, antialias=True)
    if image.dtype == tf.uint8:
        resized = tf.cast(tf.clip_by_value(tf.round(resized), 0.0, 255.0), tf.uint8)
    return resized


def fit_array(x: np.ndarray, image_size: tuple[int, int] | None) -> np.ndarray:
    """`fit_image` for images [N, height, width, channels] in memory, in pieces."""
    if image_size is None or x.shape[1:3] == image_size:
        return x
    with tf.device("CPU:0"):
        fitted = [fit_image(x[i : i + 256], image_size).numpy() for i in range(0, len(x), 256)]
    return np.concatenate(fitted)


def in_pieces(x: np.ndarray, wanted: Callable[[np.ndarray], bool]) -> bool:
    """Whether `wanted` holds for every piece; a small first piece makes a likely no quick."""
    starts = [0, *range(64, len(x), 4096), len(x)]
    return all(wanted(x[start:end]) for start, end in itertools.pairwise(starts) if end > start)
