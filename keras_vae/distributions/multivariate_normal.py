"""Multivariate normals and mixtures of them, with draws that are fast under XLA on CPUs too."""

import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae.distributions import draws
from keras_vae.distributions.small_matrices import apply

tfd = tfp.distributions


class MultivariateNormalTriL(tfd.MultivariateNormalTriL):
    """`tfd.MultivariateNormalTriL` with another generator behind stateless seeds.

    See `keras_vae.distributions.draws`.

    Args:
        loc: means, `batch_shape + [D]`.
        scale_tril: lower Cholesky factors of the covariances, `batch_shape + [D, D]`.
        validate_args, allow_nan_stats, name: see `tfd.Distribution`.

    Example:

    >>> MultivariateNormalTriL(tf.zeros([2]), tf.eye(2)).sample(3, seed=(0, 1)).shape
    TensorShape([3, 2])
    """

    def _call_sample_n(self, sample_shape, seed, **kwargs):
        if seed is None or isinstance(seed, int):  # a stateful one
            return super()._call_sample_n(sample_shape, seed, **kwargs)
        shape = tf.reshape(tf.cast(sample_shape, tf.int32), [-1])  # () is one draw
        sizes = [shape, self.batch_shape_tensor(), self.event_shape_tensor()]
        noise = draws.normal(tf.concat(sizes, axis=0), tfp.random.sanitize_seed(seed), self.dtype)
        return self.loc + apply(self.scale.to_dense(), noise)


class MultivariateNormalMixture(tfd.MixtureSameFamily):
    """Multivariate normals with full covariances, mixed: sum_k softmax(logits)_k N(z; loc_k, L_k L_k').

    A draw is not reparameterised: it carries no gradient by the weights. Sum over the components, by
    `mixture_distribution` and `components_distribution`, where one is needed.

    Args:
        logits: log-weights up to a constant, `batch_shape + [K]`.
        loc: means, `batch_shape + [K, D]`.
        scale_tril: lower Cholesky factors, `batch_shape + [K, D, D]`.
        validate_args, name: see `tfd.Distribution`.

    Example:

    >>> mixture = MultivariateNormalMixture([0.0, 0.0], [[-3.0], [3.0]], [[[1.0]], [[1.0]]])
    >>> mixture.mean().numpy().tolist(), mixture.covariance().numpy().tolist()
    ([0.0], [[10.0]])
    """

    def __init__(
        self,
        logits: tf.Tensor,
        loc: tf.Tensor,
        scale_tril: tf.Tensor,
        validate_args: bool = False,
        name: str = "MultivariateNormalMixture",
    ):
        parameters = dict(locals())
        super().__init__(
            tfd.Categorical(logits=logits, validate_args=validate_args),
            MultivariateNormalTriL(loc, scale_tril, validate_args=validate_args),
            validate_args=validate_args,
            name=name,
        )
        self._parameters = parameters

    @classmethod
    def _parameter_properties(cls, dtype, num_classes=None):
        properties = tfp.util.ParameterProperties
        return {
            "logits": properties(event_ndims=1),
            "loc": properties(event_ndims=2),
            "scale_tril": properties(event_ndims=3),
        }

    def _sample_n(self, n, seed):
        if seed is None or isinstance(seed, int):  # a stateful one
            return super()._sample_n(n, seed)
        which, noise = tfp.random.split_seed(seed)
        shape = tf.concat([[n], self.batch_shape_tensor()], axis=0)
        # The component at which the cumulative weights pass a uniform draw. Rounding may leave their sum
        # below it, so the last is not compared.
        cumulative = tf.cumsum(self.mixture_distribution.probs_parameter(), axis=-1)[..., :-1]
        uniform = draws.uniform(tf.concat([shape, [1]], axis=0), which, self.dtype)
        index = tf.reduce_sum(tf.cast(uniform >= cumulative, tf.int32), axis=-1)
        count = self.mixture_distribution.logits_parameter().shape[-1]
        chosen = tf.one_hot(index, count, dtype=self.dtype)
        components = self.components_distribution
        loc = tf.reduce_sum(chosen[..., None] * components.loc, axis=-2)
        scale = tf.reduce_sum(chosen[..., None, None] * components.scale.to_dense(), axis=-3)
        noise = draws.normal(tf.concat([shape, self.event_shape_tensor()], axis=0), noise, self.dtype)
        return loc + apply(scale, noise)
