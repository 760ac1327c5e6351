"""A Poisson distribution whose sampler ends for every rate."""

from typing import Any

import tensorflow as tf
import tensorflow_probability as tfp

tfd = tfp.distributions


class Poisson(tfd.Poisson):
    """`tfd.Poisson` whose draws are NaN where the rate is not finite.

    TensorFlow's sampler rejects proposals until one is accepted, which for a rate of NaN or infinity never
    happens. Such rates are replaced by 1 for the sampler, and its draws by NaN.
    """

    def _sample_n(self, n: Any, seed: Any = None) -> tf.Tensor:
        log_rate = self._log_rate_parameter_no_checks()
        finite = log_rate < float("inf")  # not NaN either
        safe = tfd.Poisson(log_rate=tf.where(finite, log_rate, tf.zeros_like(log_rate)))
        return tf.where(finite, safe.sample(n, seed=seed), tf.constant(float("nan"), log_rate.dtype))
