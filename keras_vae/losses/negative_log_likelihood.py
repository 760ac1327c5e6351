"""Minus the log-likelihood of the data under the distribution that a model returns."""

from typing import Any

import keras
import tensorflow as tf
import tensorflow_probability as tfp
from keras.src.backend.common.symbolic_scope import in_symbolic_scope

from keras_vae.errors import invalid

tfd = tfp.distributions


@keras.saving.register_keras_serializable(package="keras_vae")
class NegativeLogLikelihood(keras.losses.Loss):
    """-log p(y_true) in nats, summed over the event, for models that end in a distribution layer.

    `lambda y, p: -p.log_prob(y)` as a loss that is saved with its model, takes data of any dtype and
    distributions of any precision, and says so where shapes do not fit rather than broadcasting them.

    Args:
        reduction: over the batch; see `keras.losses.Loss`.
        name, dtype: of the loss.

    Call arguments:
        y_true: `batch_shape + event_shape`.
        y_pred: a `tfd.Distribution`, whose batch shape broadcasts to `batch_shape`.
        sample_weight: broadcasts with `batch_shape`.

    Raises:
        ValueError: if `y_pred` is a tensor, or if `y_true` is known not to have the shape of a draw from it.
            Sizes known only at run time are compared then, except under XLA.

    Example:

    >>> import numpy as np
    >>> loss = NegativeLogLikelihood()
    >>> loss(np.zeros([3, 2]), tfd.Independent(tfd.Laplace(tf.zeros([3, 2]), 0.5), 1)).numpy().item()
    0.0
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "negative_log_likelihood",
        dtype: Any = None,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self._reduce = _Values(name=name, reduction=reduction, dtype=dtype)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> tf.Tensor:
        # Keras would cast y_pred to the dtype of the loss, and a cast distribution is only a tensor.
        values = self.call(y_true, y_pred)
        mask = getattr(y_pred, "_keras_mask", None)
        if mask is not None:
            values._keras_mask = mask
        return self._reduce(values, values, sample_weight)

    def call(self, y_true: Any, y_pred: Any) -> tf.Tensor:
        """The loss of every example, `batch_shape`."""
        if isinstance(y_pred, tfd.Distribution):
            y_true, dtype = tf.convert_to_tensor(y_true), tf.as_dtype(y_pred.dtype)
            # An integer dtype is that of the draws; grey values would be cut to 0 and 1 in it.
            if dtype.is_floating or not y_true.dtype.is_floating:
                y_true = tf.cast(y_true, dtype)
            return -y_pred.log_prob(_fitting(y_true, y_pred))
        if in_symbolic_scope():
            # Before it trains under a `tf.distribute` strategy, Keras calls losses with placeholders of the
            # outputs, for their variables.
            return tf.zeros(tf.shape(y_pred)[:1], self.dtype)
        raise invalid(
            "y_pred",
            "a tfd.Distribution",
            f"a {type(y_pred).__name__} of shape {getattr(y_pred, 'shape', None)}",
            "End the model with a distribution layer of keras_vae.layers.",
        )


class _Values(keras.losses.Loss):
    """Reduces values as any Keras loss would."""

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        return y_pred


def _fitting(y_true: tf.Tensor, p: tfd.Distribution) -> tf.Tensor:
    """`y_true`, whose shape is the event shape of p behind one that the batch shape of p broadcasts to.

    Raises:
        ValueError: where that is known to be otherwise. What is not known is asserted at run time.
    """
    batch, event, shape = p.batch_shape, p.event_shape, y_true.shape
    if shape.rank is None or batch.rank is None or event.rank is None:
        return y_true
    expected = batch.concatenate(event)
    extra = shape.rank - expected.rank
    fits, known = extra >= 0, True
    for i, (size, of_p) in enumerate(zip(shape[max(extra, 0) :], expected, strict=False)):
        if of_p == 1 and i < batch.rank:  # the one that broadcasts
            continue
        if size is not None and of_p is not None:
            fits &= size == of_p
        elif size == 1 and extra:
            fits = False  # the column [N, 1] beside N scalars
        else:
            known = False
    if not fits:
        raise invalid("y_true", f"shape {expected}, batch and event of y_pred", f"shape {shape}")
    if known:
        return y_true
    sizes, of_p = tf.shape(y_true), tf.concat([p.batch_shape_tensor(), p.event_shape_tensor()], axis=0)
    broadcasts = tf.equal(of_p, 1) & (tf.range(expected.rank) < batch.rank)
    equal = tf.reduce_all(tf.equal(sizes[extra:], of_p) | broadcasts)
    message = "`y_true` must have the shape of a draw from y_pred, batch and event:"
    with tf.control_dependencies([tf.debugging.Assert(equal, [message, sizes, of_p])]):
        return tf.identity(y_true)
