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
        ValueError: if `y_pred` is a tensor, or if `y_true` has not the shape of a draw from it.

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
            y_true = tf.cast(tf.convert_to_tensor(y_true), y_pred.dtype)
            _check_shapes(y_true, y_pred)
            return -y_pred.log_prob(y_true)
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


def _check_shapes(y_true: tf.Tensor, p: tfd.Distribution) -> None:
    expected = p.batch_shape.concatenate(p.event_shape)
    if y_true.shape.rank is None or expected.rank is None:
        return
    try:
        fits = tf.broadcast_static_shape(y_true.shape, expected).is_compatible_with(y_true.shape)
    except ValueError:
        fits = False
    if not fits:
        raise invalid("y_true", f"shape {expected}, batch and event of y_pred", f"shape {y_true.shape}")
