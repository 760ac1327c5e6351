"""What is known and believed of the classes of a batch, and sums over all of them."""

from typing import NamedTuple

import tensorflow as tf

from keras_vae.objectives.labels import is_labelled


class Classes(NamedTuple):
    """What is known and believed of the classes of a batch.

    labels: `[B]`, -1 where unknown.
    log_qy: log q(y|x), `[B, K]`.
    share: the weight of every class in the loss of an example, `[B, K]`.
    kl: -log p(y) where y is known, KL(q(y|x) || p(y)) elsewhere, `[B]`.
    """

    labels: tf.Tensor
    log_qy: tf.Tensor
    share: tf.Tensor
    kl: tf.Tensor


def classes_of(labels: tf.Tensor, log_qy: tf.Tensor, log_py: tf.Tensor) -> Classes:
    """The table of labels `[B]`, -1 where unknown, log q(y|x) `[B, K]` and log p(y) `[K]`."""
    known = is_labelled(labels)[:, tf.newaxis]
    share = known * tf.one_hot(labels, log_qy.shape[1]) + (1.0 - known) * tf.exp(log_qy)
    kl = tf.reduce_sum(share * ((1.0 - known) * log_qy - log_py), axis=1)
    return Classes(labels, log_qy, share, kl)


def averaged(values: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    """`[K * B]`, class by class, averaged with the classes' shares, `[B, K]`: `[B]`."""
    by_class = tf.reshape(values, [tf.shape(share)[1], -1])
    return tf.reduce_sum(tf.cast(share, values.dtype) * tf.transpose(by_class), axis=1)
