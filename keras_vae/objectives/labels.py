"""What y is: a condition of the networks, or classes, known for some examples and not for others."""

import types
import warnings
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_vae.errors import invalid
from keras_vae.probes import probe

# In the place of a class that is not known.
UNLABELLED = -1

_MIXED = "datasets.semi_supervised(x, y, batch_size) puts labelled examples into every batch."


@dataclass(frozen=True)
class Condition:
    """What a model asks of y, the second thing that `fit` takes.

    Args:
        shape: of one condition; () for class numbers.
        dtype: "int32" for class numbers, else a float type.
        num_classes: where known, class numbers are 0 to num_classes - 1.
        unknown: whether -1 may stand for a class that is not known.
        required: whether training needs it.
    """

    shape: tuple[int | None, ...]
    dtype: str = "float32"
    num_classes: int | None = None
    unknown: bool = False
    required: bool = True

    @property
    def is_label(self) -> bool:
        return self.dtype.startswith("int")

    @property
    def _described(self) -> str:
        if not self.is_label:
            return f"numbers of shape [batch] + {self.shape}"
        most = " and up" if self.num_classes is None else f" to {self.num_classes - 1}"
        unknown = f", {UNLABELLED} where unknown" if self.unknown else ""
        return f"class numbers 0{most}{unknown}, of shape [batch] + {self.shape}"

    def probe(self) -> tf.Tensor:
        """Two conditions of zeros."""
        return probe(self.shape, self.dtype)

    def cast(self, y: Any) -> tf.Tensor:
        """y as the networks take it; for y that was checked before."""
        return tf.cast(tf.convert_to_tensor(y), self.dtype)

    def check(self, y: Any, name: str = "y") -> None:
        """Holds labels or conditions against what is asked, before anything is computed.

        Raises:
            ValueError: where y is missing, or its shape, type or values are not those asked for.
        """
        if y is None:
            raise self._missing(name)
        if tf.is_tensor(y) and not hasattr(y, "numpy"):
            self.check_spec(y, name)
            return
        y = np.asarray(y)
        if not (np.issubdtype(y.dtype, np.number) or y.dtype == bool):
            raise invalid(name, self._described, f"dtype {y.dtype}")
        self._check_shape(y.shape, name)
        if self.is_label:
            self._check_classes(y, name)
        elif not np.isfinite(y).all():
            raise invalid(name, "finite numbers", "NaN or infinity")

    def check_spec(self, spec: Any, name: str = "y") -> None:
        """The same for the specification of a `tf.data` element, whose values are not at hand."""
        if spec is None:
            raise self._missing(name)
        self._check_shape(tuple(spec.shape), name)

    def check_data(self, x: Any, y: Any, first: Any = None) -> None:
        """The same for what `fit` is given: arrays x and y, or x a data set or generator of both.

        What only Keras knows, such as loaders of other libraries, is left to it.

        Args:
            first: labels of the first batch of x whose examples are not in memory, where it has any.
        """
        if isinstance(x, tf.data.Dataset):
            spec = x.element_spec
            y = spec[1] if isinstance(spec, tuple) and len(spec) > 1 else None
            stored = _stored_labels(x)
            if y is not None:
                self.check_spec(y)
            if stored is not None:
                self.check(stored)
            elif first is not None:
                self.check(first)
        elif isinstance(x, np.ndarray | tf.Tensor):
            if y is not None:
                self.check(y)
        elif isinstance(x, keras.utils.PyDataset | types.GeneratorType):
            y = first
            if y is not None:
                self.check(y)
        else:
            return
        if y is None and self.required:
            raise self._missing("y")

    def check_known(self, x: Any, y: Any, batch_size: int | None, first: Any = None) -> None:
        """What `fit` asks beyond `check_data`, for the same arguments: that some classes are known.

        Raises where labels are asked for and all are unknown; warns where many batches will have none, or
        where the first has none of batches that nobody has counted.
        """
        if not self.unknown:
            return
        stored = _stored_labels(x) if isinstance(x, tf.data.Dataset) else y
        if stored is None:
            if first is not None and self.required and not np.any(np.asarray(first) != UNLABELLED):
                warnings.warn(
                    f"The first batch has no labelled example and teaches the classifier nothing. {_MIXED}",
                    stacklevel=5,
                )
            return
        share = float(np.mean(np.asarray(stored) != UNLABELLED))
        if share == 0.0 and self.required:
            raise invalid("y", "some examples with a label", f"{UNLABELLED}, unknown, for all of them")
        size = 32 if batch_size is None else batch_size
        if y is not None and 0.0 < share * size < 1.0:
            warnings.warn(
                f"Of {size} examples in a batch, {share * size:.2g} have a label on average, so that most "
                f"batches have none and teach the classifier nothing. {_MIXED}",
                stacklevel=5,
            )

    def _missing(self, name: str) -> ValueError:
        hint = "Pass it as the second argument of fit, as y= elsewhere, or as (x, y) batches of a data set."
        return invalid(name, self._described, "None", hint)

    def _check_shape(self, shape: tuple[int | None, ...], name: str) -> None:
        if tf.TensorShape(shape).is_compatible_with((None, *self.shape)):
            return
        hint = ""
        if self.is_label and len(shape) == 2:
            hint = "Take y[:, 0]." if shape[1] == 1 else "Of one-hot vectors, take y.argmax(axis=1)."
        raise invalid(name, self._described, f"shape {shape}", hint)

    def _check_classes(self, y: np.ndarray, name: str) -> None:
        low = UNLABELLED if self.unknown else 0
        high = np.inf if self.num_classes is None else self.num_classes - 1
        if y.size and not ((y >= low) & (y <= high) & (np.mod(y, 1) == 0)).all():
            hint = ""
            if y.min() == UNLABELLED and not self.unknown:
                hint = "A class that is not known is for a semi-supervised model, which tells it from x."
            raise invalid(name, self._described, f"values from {y.min():g} to {y.max():g}", hint)


def is_labelled(y: tf.Tensor) -> tf.Tensor:
    """1 where an example has a label, 0 where it has none, `[B]`."""
    return tf.cast(tf.not_equal(tf.cast(y, tf.int32), UNLABELLED), tf.float32)


def labels_or_unknown(y: tf.Tensor | None, size: tf.Tensor) -> tf.Tensor:
    """The classes of a batch, `[B]`; -1 for all where there are none."""
    return tf.fill([size], UNLABELLED) if y is None else tf.cast(y, tf.int32)


def accuracy(y: tf.Tensor, logits: tf.Tensor, sample_weight: tf.Tensor | None) -> tuple[tf.Tensor, tf.Tensor]:
    """1 where the likeliest class is the label, `[B]`, and how much each example counts: 0 without one."""
    right = tf.cast(tf.argmax(logits, axis=1, output_type=tf.int32) == y, tf.float32)
    return right, is_labelled(y) * (1.0 if sample_weight is None else sample_weight)


def cross_entropy(y: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """-log of the probability of each example's class, `[B]`, in nats; 0 for examples without a label.

    Args:
        y: class numbers, `[B]`, -1 where unknown.
        logits: log-probabilities of the classes up to a constant, `[B, K]`.
    """
    known = is_labelled(y)
    classes = tf.where(known > 0.0, tf.cast(y, tf.int32), 0)
    return known * tf.nn.sparse_softmax_cross_entropy_with_logits(classes, tf.cast(logits, tf.float32))


def mean_over_labelled(values: tf.Tensor, y: tf.Tensor, sample_weight: tf.Tensor | None = None) -> tf.Tensor:
    """`[B]` values whose mean over the batch is their mean over its labelled examples; 0 where it has none.

    Args:
        values: `[B]`; those of examples without a label do not count.
        y: class numbers, `[B]`, -1 where unknown.
        sample_weight: `[B]`, or None: weights under which the batch will be reduced.
    """
    known = is_labelled(y)
    weight = known if sample_weight is None else known * sample_weight
    size = tf.cast(tf.size(known), tf.float32)
    return known * values * size / tf.maximum(tf.reduce_sum(tf.where(weight > 0.0, 1.0, 0.0)), 1.0)


def _stored_labels(data: tf.data.Dataset) -> Any:
    """All labels of a data set whose examples are in memory; None of others."""
    source = getattr(data, "resident", None)
    return None if source is None else source.y
