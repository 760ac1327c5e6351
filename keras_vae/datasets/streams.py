"""Data sets too large for memory: read, shuffled and transformed as they pass."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from keras_vae.datasets.parts import ArrayPart, Part, collect
from keras_vae.datasets.resident import draw_seed, finish, passes
from keras_vae.datasets.transforms import (
    BYTE_LEVELS,
    DRAWS,
    Statistics,
    Transform,
)

SHUFFLED_EXAMPLES, SHUFFLED_BYTES = 10_000, 2**28
# How many examples tell whether bytes mean black and white.
LOOKED_AT = 256


@dataclass(frozen=True, eq=False)
class Stream:
    """One split that is read anew every pass; the streaming sibling of `Resident`.

    Args:
        part: the examples.
        fixed: what is done to an example once and for all (a fixed binarisation), or None.
        cache: the file to keep decoded examples in, or None.
        seed: of orders and draws.
    """

    part: Part
    fixed: Callable[[tf.Tensor], tf.Tensor] | None
    cache: str | None
    seed: int

    def examples(self, seed: int | None) -> tf.data.Dataset:
        """The stored examples, before the transform; in the order of the files without a seed."""
        examples = self.part.stream(seed)
        if self.fixed is None:
            return examples
        fixed = self.fixed
        return examples.map(
            lambda columns: {**columns, "x": fixed(columns["x"])},
            num_parallel_calls=tf.data.AUTOTUNE,
        )

    def read(self) -> ArrayPart:
        return collect(self.examples(None), self.part.size)

    def statistics(self) -> Statistics:
        batches = self.examples(None).batch(256).as_numpy_iterator()
        return Statistics.of(columns["x"] for columns in batches)

    def to_dataset(
        self, transform: Transform, labels: bool, batch_size: int, shuffle: bool, fresh: bool
    ) -> tf.data.Dataset:
        # A cache keeps the order of its first pass, so the files' order is left alone then.
        by_file = shuffle and self.cache is None
        examples = self.examples(self.seed if by_file else None)
        if self.cache is not None:
            examples = examples.cache(self.cache)
        if shuffle:
            examples = examples.shuffle(self._buffer(), self.seed, reshuffle_each_iteration=True)
        epochs = passes(fresh).flat_map(lambda epoch: tf.data.Dataset.from_tensors(epoch).repeat())

        @tf.autograph.experimental.do_not_convert
        def element(batch: tf.Tensor, columns: dict[str, tf.Tensor], epoch: tf.Tensor) -> Any:
            x = transform(columns["x"], draw_seed(self.seed, epoch, batch))
            return (x, columns["y"]) if labels else x

        numbers = tf.data.Dataset.counter()
        batches = tf.data.Dataset.zip(numbers, examples.batch(batch_size), epochs)
        batches = batches.map(element, num_parallel_calls=tf.data.AUTOTUNE)
        return finish(batches, -(-self.part.size // batch_size))

    def _buffer(self) -> int:
        affordable = SHUFFLED_BYTES // math.prod(self.part.shape)
        return max(1, min(self.part.size, SHUFFLED_EXAMPLES, affordable))


def stretch_example(image: tf.Tensor) -> tf.Tensor:
    """Bytes 0 and 1 to 0 and 255; an `InvalidArgumentError` for others, which would overflow."""
    message = (
        f"An image has a byte above 1, where the first {LOOKED_AT} training examples have only 0 and 1 and "
        "were taken for black and white. Keep the examples in memory, where all of them decide: load with "
        "cache=True and a memory_limit that they fit in."
    )
    black_or_white = tf.debugging.assert_less_equal(image, tf.constant(1, tf.uint8), message)
    with tf.control_dependencies([black_or_white]):
        return image * tf.constant(255, tf.uint8)


def threshold_example(image: tf.Tensor) -> tf.Tensor:
    """Intensities above 0.5 to 255, the others to 0."""
    ones, _ = DRAWS["threshold"](tf.cast(image, tf.float32), BYTE_LEVELS, tf.constant([0, 0]))
    return tf.cast(ones * BYTE_LEVELS, tf.uint8)


def static_example(seed: int) -> Callable[[tf.Tensor], tf.Tensor]:
    """A Bernoulli draw, to bytes 0 and 255, that depends on the image and the seed alone.

    So it is the same in every pass, in whatever order the images come.
    """

    def draw(image: tf.Tensor) -> tf.Tensor:
        content = tf.strings.to_hash_bucket_fast(tf.io.serialize_tensor(image), 2**31 - 1)
        ones, _ = DRAWS["dynamic"](tf.cast(image, tf.float32), BYTE_LEVELS, draw_seed(seed, 0, content))
        return tf.cast(ones * BYTE_LEVELS, tf.uint8)

    return draw


# The fixed binarisations by name, each made for a seed.
FIXED: dict[str, Callable[[int], Callable[[tf.Tensor], tf.Tensor]]] = {
    "static": static_example,
    "threshold": lambda seed: threshold_example,
}


def are_zero_one(part: Part) -> bool:
    """Whether the bytes of a part mean black and white, judged by its first examples."""
    highest = (
        part.stream(None)
        .take(LOOKED_AT)
        .reduce(tf.constant(0, tf.uint8), lambda most, columns: tf.maximum(most, tf.reduce_max(columns["x"])))
    )
    return int(highest) == 1
