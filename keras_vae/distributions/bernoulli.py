"""The Bernoulli distribution, whose log-probability takes one logarithm."""

import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae.distributions import draws

tfd = tfp.distributions


class Bernoulli(tfd.Bernoulli):
    """`tfd.Bernoulli`, at half the cost of its `log_prob` given logits, and with faster draws under XLA.

    The logits must be finite: TFP allows infinite ones, whose log-probability of the sure outcome is 0, and
    pays for that with a second logarithm.

    Args:
        logits: log-odds of a one.
        probs: the alternative to `logits`.
        dtype: of the draws, int32 by default.
        validate_args, allow_nan_stats, name: see `tfd.Distribution`.

    Example:

    >>> round(float(Bernoulli(logits=2.0).log_prob(1.0)), 4)
    -0.1269
    """

    def _log_prob(self, event):
        if self.logits is None:
            return super()._log_prob(event)
        logits = tf.convert_to_tensor(self.logits)
        event = tf.cast(event, logits.dtype)
        shape = tf.broadcast_dynamic_shape(tf.shape(event), tf.shape(logits))
        return -tf.nn.sigmoid_cross_entropy_with_logits(
            labels=tf.broadcast_to(event, shape), logits=tf.broadcast_to(logits, shape)
        )

    def _sample_n(self, n, seed=None):
        if seed is None or isinstance(seed, int):  # a stateful one
            return super()._sample_n(n, seed)
        probs = self._probs_parameter_no_checks()
        shape = tf.concat([[n], tf.shape(probs)], axis=0)
        uniform = draws.uniform(shape, tfp.random.sanitize_seed(seed), probs.dtype)
        return tf.cast(uniform < probs, self.dtype)
