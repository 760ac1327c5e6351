"""A distribution that can be drawn from and has no density to speak of."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae.distributions import draws

tfd = tfp.distributions

# Of the moments: pairs of opposite points of the noise, and the seed they are drawn by.
_PAIRS, _SEED = 64, (7, 7)


class Implicit(tfd.Distribution):
    """What a function makes of standard normal noise: z = f(params, noise).

    Draws are reparameterised: they carry gradients to `params` and to whatever weights f has. There is no
    `log_prob`, and objectives that need one refuse it.

    `mean`, `variance` and `stddev` are those over 128 points of the noise that are always the same, 64 normal
    draws and their opposites. So they are deterministic, the mean is exact where f is affine in the noise,
    and else off by some tenth of the deviation. Where draws fall into clusters the mean may lie between them.

    Args:
        function: f, from `params`, `batch_shape + [P]`, and noise, `[n] + batch_shape + [noise_size]`, to
            draws, `[n] + batch_shape + event_shape`.
        params: `batch_shape + [P]`.
        noise_size: numbers of noise for one draw.
        event_shape: shape of one draw.
        validate_args: whether `params` must be finite, checked at run time; not supported under XLA.
        allow_nan_stats, name: see `tfd.Distribution`.

    Example:

    >>> q = Implicit(lambda params, noise: params + 2.0 * noise, tf.constant([[3.0]]), 1, (1,))
    >>> q.mean().numpy().tolist(), q.sample(5, seed=(0, 1)).shape
    ([[3.0]], TensorShape([5, 1, 1]))

    Reference: Mohamed & Lakshminarayanan, Learning in Implicit Generative Models, 2016, section 2.
    """

    def __init__(
        self,
        function: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
        params: tf.Tensor,
        noise_size: int,
        event_shape: tuple[int, ...],
        validate_args: bool = False,
        allow_nan_stats: bool = True,
        name: str = "Implicit",
    ):
        parameters = dict(locals())
        self._function = function
        self._params = tf.convert_to_tensor(params)
        self._noise_size, self._shape = noise_size, tuple(event_shape)
        super().__init__(
            dtype=self._params.dtype,
            reparameterization_type=tfd.FULLY_REPARAMETERIZED,
            validate_args=validate_args,
            allow_nan_stats=allow_nan_stats,
            parameters=parameters,
            name=name,
        )

    def _batch_shape(self):
        return self._params.shape[:-1]

    def _batch_shape_tensor(self):
        return tf.shape(self._params)[:-1]

    def _event_shape(self):
        return tf.TensorShape(self._shape)

    def _event_shape_tensor(self):
        return tf.constant(self._shape, tf.int32)

    def _sample_n(self, n, seed=None):
        shape = tf.concat([[n], self._batch_shape_tensor(), [self._noise_size]], axis=0)
        # Of float32 whatever the type of the draws, so that these are the same in every precision.
        noise = tf.cast(draws.normal(shape, tfp.random.sanitize_seed(seed)), self.dtype)
        return self._of(noise)

    def _mean(self):
        return tf.reduce_mean(self._at_points(), axis=0)

    def _variance(self):
        return tf.math.reduce_variance(self._at_points(), axis=0)

    def _at_points(self) -> tf.Tensor:
        """Draws at the fixed points of the noise, `[128] + batch_shape + event_shape`."""
        half = draws.normal([_PAIRS, self._noise_size], tf.constant(_SEED))
        points = tf.cast(tf.concat([half, -half], axis=0), self.dtype)
        ones = np.ones(self._params.shape.rank - 1, np.int32)
        points = tf.reshape(points, tf.concat([[2 * _PAIRS], ones, [self._noise_size]], axis=0))
        shape = tf.concat([[2 * _PAIRS], self._batch_shape_tensor(), [self._noise_size]], axis=0)
        return self._of(tf.broadcast_to(points, shape))

    def _of(self, noise: tf.Tensor) -> tf.Tensor:
        result = self._function(self._params, noise)
        shape = tf.concat([tf.shape(noise)[:-1], self._shape], axis=0)
        return tf.ensure_shape(tf.reshape(result, shape), [None, *self.batch_shape, *self._shape])

    def _parameter_control_dependencies(self, is_init):
        if not self.validate_args:
            return []
        return [tf.debugging.assert_all_finite(self._params, "Argument `params` must be finite.")]
