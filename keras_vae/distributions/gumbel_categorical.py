"""The categorical distribution of class numbers, with draws that are fast under XLA on CPUs too."""

import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae.distributions import draws

tfd = tfp.distributions


class GumbelCategorical(tfd.Categorical):
    """`tfd.Categorical` with other draws, and another generator behind them, for stateless seeds.

    It chooses the components of mixtures. A draw is the largest of the logits with Gumbel noise; see
    `keras_vae.distributions.draws` for the generator.

    Args:
        logits: log-probabilities of the classes up to a constant, `batch_shape + [K]`.
        probs: the alternative to `logits`.
        dtype: of the draws, int32 by default.
        validate_args, allow_nan_stats, name: see `tfd.Distribution`.

    Example:

    >>> GumbelCategorical([0.0, 0.0, 90.0]).sample(2, seed=(0, 1)).numpy().tolist()
    [2, 2]
    """

    def _sample_n(self, n, seed=None):
        if seed is None or isinstance(seed, int):  # a stateful one
            return super()._sample_n(n, seed)
        logits = self.logits_parameter()
        shape = tf.concat([[n], tf.shape(logits)], axis=0)
        uniform = draws.uniform(shape, tfp.random.sanitize_seed(seed), logits.dtype)
        # Classes without probability are never drawn. The noise of a 0 is -inf, which loses to any other.
        classes = tf.argmax(logits - tf.math.log(-tf.math.log(uniform)), axis=-1, output_type=tf.int32)
        return tf.cast(classes, self.dtype)
