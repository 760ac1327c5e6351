"""The continuous Bernoulli, with a sampler that stays inside [0, 1]."""

import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae.distributions import draws

tfd = tfp.distributions

# Below this logit the quantile is a series: the closed form divides two numbers that both go to 0, and its
# gradient with respect to the logit cancels to nothing.
_SMALL_LOGIT = 1e-2


class ContinuousBernoulli(tfd.ContinuousBernoulli):
    """The density on [0, 1] proportional to `probs^x (1 - probs)^(1 - x)`.

    `tfd.ContinuousBernoulli`, whose density and moments are accurate, with another sampler: TFP's draws can
    lie a rounding error above 1, where the density is 0, or at 0 for logits that put no mass there; and its
    gradients are noise for logits near 0.

    Args:
        logits: batch of `log(probs / (1 - probs))`.
        probs: the alternative to `logits`.

    Reference: Loaiza-Ganem & Cunningham, The continuous Bernoulli: fixing a pervasive error in variational
    autoencoders, NeurIPS 2019.

    Example:

    >>> x = ContinuousBernoulli(logits=[-1e5, 0.0, 1e5]).sample(1000, seed=1)
    >>> bool(tf.reduce_all((x >= 0.0) & (x <= 1.0)))
    True
    """

    def _sample_n(self, n, seed=None):
        logits = self._logits_parameter_no_checks()
        shape = tf.concat([[n], tf.shape(logits)], axis=0)
        seed = tfp.random.sanitize_seed(seed, salt="continuous_bernoulli")
        uniform = draws.uniform(shape, seed, logits.dtype)
        # For a positive logit, x is 1 minus a draw with the logit negated.
        # (Not `tf.abs`, whose gradient at 0 is 0.)
        small_end = _quantile_of_falling(uniform, tf.where(logits > 0.0, logits, -logits))
        return tf.cast(tf.where(logits > 0.0, 1.0 - small_end, small_end), self.dtype)


def _quantile_of_falling(p: tf.Tensor, rate: tf.Tensor) -> tf.Tensor:
    """The p-quantile of the density on [0, 1] proportional to `exp(-rate x)`, `rate >= 0`."""
    is_small = rate < _SMALL_LOGIT
    slope = 0.5 * p * (1.0 - p)
    series = p - rate * slope + tf.square(rate) * slope * (1.0 - 2.0 * p) / 3.0
    safe_rate = tf.where(is_small, 1.0, rate)
    closed = -tf.math.log1p(p * tf.math.expm1(-safe_rate)) / safe_rate
    return tf.clip_by_value(tf.where(is_small, series, closed), 0.0, 1.0)
