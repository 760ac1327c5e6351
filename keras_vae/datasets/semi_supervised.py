"""Few labels among many examples, some of them in every batch."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import tensorflow as tf

from keras_vae.checks import is_count
from keras_vae.datasets.arrays import as_labels, derived_seed, from_arrays
from keras_vae.datasets.bits import random_bits
from keras_vae.datasets.resident import Resident, draw_seed
from keras_vae.errors import invalid

# What the orders of labelled and of other examples are drawn for, beside `Resident`'s own.
_LABELLED, _OTHERS = -2, -3
# Labelled examples of a batch, where nobody says how many: one in so many.
_ONE_IN = 8


def semi_supervised(
    x: Any,
    y: Any,
    num_labels: int | None = None,
    labelled_per_batch: int | None = None,
    *,
    batch_size: int = 128,
    seed: int = 0,
    **options: Any,
) -> tf.data.Dataset:
    """Batches that each hold labelled examples, for a `SemiSupervisedVAE`.

    An epoch has as many examples as the data. Labelled ones come up again and again in random order; of the
    others, as many as the batches have room for, in a new random order every epoch.

    Args:
        x: data, `[N] + event shape`; see `from_arrays`.
        y: class numbers `[N]`, -1 where unknown.
        num_labels: keep so many labels, as many of each class, drawn with `seed`, and hide all others: a
            multiple of the number of classes. None keeps all.
        labelled_per_batch: labelled examples of a batch; an eighth of it if None.
        batch_size: examples a batch; the last batch holds what is left.
        seed: of the labels that are kept, the orders and the draws.
        **options: `binarize`, `scale`, `dequantize` and `statistics`; see `from_arrays`.

    Returns:
        Batches of (x float32, y int32), with the attribute `resident`.

    Raises:
        ValueError: for labels that are none, no labelled example, more labels than there are, counts out of
            range, and `shuffle=False`.

    Example:

    >>> data = semi_supervised(np.zeros([100, 2]), np.arange(100) % 10, num_labels=10, batch_size=20)
    >>> [int((y >= 0).numpy().sum()) for _, y in data]
    [2, 2, 2, 2, 2]
    """
    known = np.asarray(y)
    if known.dtype.kind not in "bui" or known.ndim != 1:
        raise invalid("y", "class numbers [N], -1 where unknown", f"{known.dtype} of shape {known.shape}")
    # One more than each, so that -1 passes for a label.
    labels = as_labels("y", known.astype(np.int64) + 1, len(np.asarray(x))) - 1
    if num_labels is not None:
        labels = _hidden(labels, num_labels, seed)
    if not (labels >= 0).any():
        raise invalid("y", "some examples with a label", "-1, unknown, for all of them")
    if options.get("shuffle") not in (None, True):
        raise invalid("shuffle", "True, since batches draw their examples", options["shuffle"])
    plain = from_arrays(x, batch_size=batch_size, seed=seed, **options).resident
    share = max(1, batch_size // _ONE_IN) if labelled_per_batch is None else labelled_per_batch
    if not is_count(share) or share > batch_size:
        raise invalid("labelled_per_batch", f"an integer from 1 to {batch_size}", labelled_per_batch)
    stored = {item.name: getattr(plain, item.name) for item in fields(plain)}
    mixed = {"y": labels, "shuffle": True, "labelled_per_batch": int(share)}
    return _Mixed(**{**stored, **mixed}).to_dataset()


@dataclass(frozen=True, eq=False)
class _Mixed(Resident):
    """A `Resident` whose batches begin with labelled examples."""

    labelled_per_batch: int = 1

    def order(self, epoch: int | tf.Tensor) -> tf.Tensor:
        known = np.asarray(self.y) >= 0
        labelled, others = np.flatnonzero(known), np.flatnonzero(~known)
        place = np.arange(len(self.x)) % self.batch_size
        first = place < (self.labelled_per_batch if len(others) else self.batch_size)
        taken = tf.concat(
            [
                self._taken(labelled, first.sum(), epoch, _LABELLED),
                self._taken(others, (~first).sum(), epoch, _OTHERS),
            ],
            axis=0,
        )
        # Where each place of the epoch finds its example among the two.
        return tf.gather(taken, np.where(first, first.cumsum() - 1, first.sum() + (~first).cumsum() - 1))

    def _taken(self, rows: np.ndarray, count: int, epoch: int | tf.Tensor, what: int) -> tf.Tensor:
        """`count` of these rows in random order, all of them before any again."""
        if not count:
            return tf.zeros([0], tf.int32)
        keys = random_bits([len(rows)], draw_seed(self.seed, epoch, what))
        shuffled = tf.gather(rows.astype(np.int32), tf.math.top_k(keys, len(rows)).indices)
        return tf.tile(shuffled, [-(-count // len(rows))])[:count]


def _hidden(labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """The labels with -1 in the place of all but `count`, as many of each class."""
    classes = np.unique(labels[labels >= 0])
    if not is_count(count) or count % max(len(classes), 1):
        raise invalid("num_labels", f"a multiple of the {len(classes)} classes", count)
    rng = np.random.default_rng(derived_seed(seed, 2))
    kept = np.full_like(labels, -1)
    for number in classes:
        rows = np.flatnonzero(labels == number)
        if len(rows) < count // len(classes):
            raise invalid("num_labels", f"at most {len(rows) * len(classes)}, as class {number} has", count)
        chosen = rng.choice(rows, count // len(classes), replace=False)
        kept[chosen] = number
    return kept
