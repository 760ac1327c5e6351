"""The normal distribution, with draws that are fast under XLA on CPUs too."""

import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae.distributions import draws

tfd = tfp.distributions


class Normal(tfd.Normal):
    """`tfd.Normal` with another generator behind stateless seeds; see `keras_vae.distributions.draws`.

    Args:
        loc: mean.
        scale: standard deviation, above 0.
        validate_args, allow_nan_stats, name: see `tfd.Distribution`.

    Example:

    >>> Normal([0.0, 1.0], 2.0).sample(3, seed=(0, 1)).shape
    TensorShape([3, 2])
    """

    def _sample_n(self, n, seed=None):
        if seed is None or isinstance(seed, int):  # a stateful one
            return super()._sample_n(n, seed)
        shape = tf.concat([[n], self.batch_shape_tensor()], axis=0)
        noise = draws.normal(shape, tfp.random.sanitize_seed(seed), self.dtype)
        return self.loc + self.scale * noise
