"""Examples that stay in memory, with the one definition of their order and of their draws."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from keras_vae.datasets.bits import random_bits

# A seed is two int32: what is drawn under (a mix of the user's seed and the epoch), and for what: a
# batch's number, or the order. The generator scrambles both, so neighbours are independent.
_ORDER = -1
# Odd and without structure, so that small seeds and epochs do not meet in the mix.
_SEED_STEP, _EPOCH_STEP = 0x9E3779B1, 0x85EBCA6B


def draw_seed(seed: int, epoch: int | tf.Tensor, what: int | tf.Tensor) -> tf.Tensor:
    """The int32 [2] seed of the draws for one purpose of one epoch; plain int32 arithmetic."""
    mixed = tf.constant(_wrap(seed * _SEED_STEP)) + tf.cast(epoch, tf.int32) * _wrap(_EPOCH_STEP)
    return tf.stack([mixed, tf.cast(what, tf.int32)])


def _wrap(value: int) -> int:
    return (value + 2**31) % 2**32 - 2**31


def passes(fresh: bool) -> tf.data.Dataset:
    """A dataset of one int32: the number of passes made over it before; always 0 unless `fresh`."""
    if not fresh:
        return tf.data.Dataset.from_tensors(tf.constant(0))
    with tf.device("CPU:0"):  # tf.data runs there, and could not reach a counter on a GPU
        count = tf.Variable(-1, dtype=tf.int32, trainable=False)
    return tf.data.Dataset.range(1).map(lambda _: count.assign_add(1))


def finish(dataset: tf.data.Dataset, steps: int) -> tf.data.Dataset:
    """Declares the number of batches and prefetches.

    The state is the pass counter alone, and a restored iterator carries its own pass number: so
    iterator checkpoints may leave the counter out.
    """
    options = tf.data.Options()
    options.experimental_external_state_policy = tf.data.experimental.ExternalStatePolicy.IGNORE
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(steps))
    return dataset.prefetch(tf.data.AUTOTUNE).with_options(options)


@dataclass(frozen=True, eq=False)
class Resident:
    """One split in memory: what to store, in which order to take it, and what to make of it.

    `to_dataset` makes the tf.data pipeline. A training loop may instead keep `x` on the device and
    gather inside one XLA program: `transform(x[order(epoch)[i * B:(i + 1) * B]], batch_seed(epoch,
    i))` is batch `i` of the pipeline's pass number `epoch`, to the last draw.

    Args:
        x: uint8, or float32, [N] + event shape, as stored.
        y: int32 [N], or None.
        transform: (stored batch [B] + event shape, int32 [2] seed) -> float32 batch; pure.
        batch_size: examples a batch; the last batch holds what is left.
        shuffle: a new order every epoch, or always the stored one.
        seed: of the orders and draws.
        fresh: new draws every epoch, for training. False: the draws of a batch are always the
            same, so that two evaluations agree; without a shuffle, then, those of an example.

    Example:

    >>> from keras_vae.datasets.transforms import Transform
    >>> x = np.arange(10, dtype=np.uint8).reshape(10, 1)
    >>> resident = Resident(x, None, Transform(scale="bytes"), 4, shuffle=True, seed=0)
    >>> [len(batch) for batch in resident.to_dataset()]
    [4, 4, 2]
    """

    x: np.ndarray
    y: np.ndarray | None
    transform: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
    batch_size: int
    shuffle: bool
    seed: int
    fresh: bool = True

    @property
    def steps(self) -> int:
        """Batches an epoch."""
        return -(-len(self.x) // self.batch_size)

    def order(self, epoch: int | tf.Tensor) -> tf.Tensor:
        """The int32 [N] order of the examples in an epoch; XLA-compatible."""
        if not self.shuffle:
            return tf.range(len(self.x))
        # Sorting random keys, since tf.random's shuffle does not compile.
        keys = random_bits([len(self.x)], draw_seed(self.seed, epoch, _ORDER))
        return tf.math.top_k(keys, len(self.x)).indices

    def batch_seed(self, epoch: int | tf.Tensor, batch: int | tf.Tensor) -> tf.Tensor:
        """The int32 [2] seed of batch number `batch` of an epoch; XLA-compatible."""
        return draw_seed(self.seed, epoch if self.fresh else 0, batch)

    def to_dataset(self) -> tf.data.Dataset:
        """Batches `x`, or `(x, y)`, that carry this object as their attribute `resident`.

        The n-th pass over the dataset is epoch n. A new call starts again at epoch 0.
        """
        with tf.device("CPU:0"):  # else the whole split would be copied to the GPU
            x = tf.convert_to_tensor(self.x)
            y = None if self.y is None else tf.convert_to_tensor(self.y)

        rest = len(self.x) % self.batch_size
        padding = self.batch_size - rest if rest else 0

        # One wide element an epoch, then unbatched: every function of a pipeline is prepared anew
        # for every pass, so there are few and small ones; without autograph they trace twice as fast.
        @tf.autograph.experimental.do_not_convert
        def rows(epoch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            order = tf.pad(self.order(epoch), [[0, padding]]) if padding else self.order(epoch)
            return tf.reshape(order, [self.steps, self.batch_size]), tf.fill([self.steps], epoch)

        @tf.autograph.experimental.do_not_convert
        def element(batch: tf.Tensor, row: tuple[tf.Tensor, tf.Tensor]) -> Any:
            at, epoch = row
            at = at[: len(self.x) - tf.cast(batch, tf.int32) * self.batch_size]
            inputs = self.transform(tf.gather(x, at), self.batch_seed(epoch, batch))
            return inputs if y is None else (inputs, tf.gather(y, at))

        batches = passes(self.fresh or self.shuffle).map(rows).unbatch().enumerate()
        dataset = finish(batches.map(element, num_parallel_calls=tf.data.AUTOTUNE), self.steps)
        dataset.resident = self
        return dataset
