"""The multivariate normal with a diagonal covariance, with draws that are fast under XLA on CPUs too."""

import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae.distributions import draws

tfd = tfp.distributions


class MultivariateNormalDiag(tfd.MultivariateNormalDiag):
    """`tfd.MultivariateNormalDiag` with another generator behind stateless seeds.

    See `keras_vae.distributions.draws`.

    Args:
        loc: means, `batch_shape + [D]`.
        scale_diag: standard deviations, `batch_shape + [D]`.
        validate_args, allow_nan_stats, name: see `tfd.Distribution`.

    Example:

    >>> MultivariateNormalDiag(tf.zeros([2]), tf.ones([2])).sample(3, seed=(0, 1)).shape
    TensorShape([3, 2])
    """

    def _call_sample_n(self, sample_shape, seed, **kwargs):
        if seed is None or isinstance(seed, int):  # a stateful one
            return super()._call_sample_n(sample_shape, seed, **kwargs)
        shape = tf.reshape(tf.cast(sample_shape, tf.int32), [-1])  # () is one draw
        sizes = [shape, self.batch_shape_tensor(), self.event_shape_tensor()]
        noise = draws.normal(tf.concat(sizes, axis=0), tfp.random.sanitize_seed(seed), self.dtype)
        scaled = self.scale.matvec(noise)
        return scaled if self.loc is None else self.loc + scaled
