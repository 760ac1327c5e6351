"""The categorical distribution of one-hot vectors, with draws that are fast under XLA on CPUs too."""

import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae.distributions import draws

tfd = tfp.distributions


class OneHotCategorical(tfd.OneHotCategorical):
    """`tfd.OneHotCategorical` with another generator behind its draws; see `keras_vae.distributions.draws`.

    A stateless seed gives the same draws in eager code, in a graph and under XLA. Probabilities are met up to
    2^-24.

    Args:
        logits: log-probabilities of the classes up to a constant, `batch_shape + [K]`.
        probs: the alternative to `logits`.
        dtype: of the draws, int32 by default.
        validate_args, allow_nan_stats, name: see `tfd.Distribution`.

    Example:

    >>> OneHotCategorical([0.0, 0.0, 9.0]).sample(2, seed=(0, 1)).numpy().tolist()
    [[0, 0, 1], [0, 0, 1]]
    """

    def _sample_n(self, n, seed=None):
        probs = tf.cast(self.probs_parameter(), tf.float32)
        shape = tf.concat([[n], tf.shape(probs)[:-1], [1]], axis=0)
        bits = tf.bitwise.bitwise_and(draws.bits(shape, tfp.random.sanitize_seed(seed)), 2**24 - 1)
        uniform = tf.cast(bits, tf.float32) * 2.0**-24
        # The class is the number of upper ends, but the last, that the uniform number has reached.
        reached = uniform >= tf.cumsum(probs, axis=-1)[..., :-1]
        classes = tf.reduce_sum(tf.cast(reached, tf.int32), axis=-1)
        return tf.one_hot(classes, probs.shape[-1], dtype=self.dtype)
