"""The logistic distribution rounded to integers."""

import math
from collections.abc import Callable
from typing import Any

import tensorflow as tf
import tensorflow_probability as tfp
from tensorflow_probability.python.internal import dtype_util

from keras_vae.checks import is_number
from keras_vae.errors import invalid

tfd = tfp.distributions

# Integers of the support that a sum over all of it takes at once: memory is this many times the batch.
_CHUNK = 16


class DiscretizedLogistic(tfd.AutoCompositeTensorDistribution):
    """The integer in `[low, high]` nearest to a draw from a logistic distribution.

    The mass of an integer x is that of its bin of the logistic, `[x - 1/2, x + 1/2]`; the bins of `low` and
    `high` also take the tails:

        P(x) = sigmoid(a) - sigmoid(b),  a = (x + 1/2 - loc) / scale,  b = (x - 1/2 - loc) / scale

    which is computed as `log P = log sigmoid(a) + log sigmoid(-b) + log(1 - exp(-1 / scale))`, finite and
    with finite gradients however far x is in a tail and however small the scale.

    Prefer it to a normal for 8-bit images: it is a mass, so that log-likelihoods are those of the data
    themselves (bits per dimension), and need no dequantization.

    Args:
        loc: batch of centres, in the units of the integers.
        scale: positive, broadcasts with `loc`; the standard deviation of the logistic is
            `pi / sqrt(3) * scale`.
        low, high: the smallest and the largest integer.

    Raises:
        ValueError: unless `low` and `high` are integers and `low < high`.

    Reference: Salimans et al., PixelCNN++, ICLR 2017, equations 1 and 2.

    Example:

    >>> p = DiscretizedLogistic(loc=[3.2, 300.0], scale=[0.01, 2.0])
    >>> p.mean().numpy().round(3).tolist(), p.mode().numpy().tolist()
    ([3.0, 255.0], [3.0, 255.0])
    >>> bool(abs(tf.reduce_sum(p.prob(tf.range(256.0)[:, None]), 0) - 1.0).numpy().max() < 1e-5)
    True
    """

    def __init__(
        self,
        loc: Any,
        scale: Any,
        low: int = 0,
        high: int = 255,
        validate_args: bool = False,
        allow_nan_stats: bool = True,
        name: str = "DiscretizedLogistic",
    ):
        parameters = dict(locals())
        low, high = check_range(low, high)
        with tf.name_scope(name) as name:
            dtype = dtype_util.common_dtype([loc, scale], dtype_hint=tf.float32)
            self._loc = tf.convert_to_tensor(loc, dtype=dtype, name="loc")
            self._scale = tf.convert_to_tensor(scale, dtype=dtype, name="scale")
            self._low, self._high = low, high
            super().__init__(
                dtype=self._loc.dtype,
                reparameterization_type=tfd.NOT_REPARAMETERIZED,
                validate_args=validate_args,
                allow_nan_stats=allow_nan_stats,
                parameters=parameters,
                name=name,
            )

    @classmethod
    def _parameter_properties(cls, dtype, num_classes=None):
        positive = tfp.util.ParameterProperties(
            default_constraining_bijector_fn=lambda: tfp.bijectors.Softplus(low=1e-5)
        )
        return {"loc": tfp.util.ParameterProperties(), "scale": positive}

    @property
    def loc(self) -> tf.Tensor:
        return self._loc

    @property
    def scale(self) -> tf.Tensor:
        return self._scale

    @property
    def low(self) -> int:
        return self._low

    @property
    def high(self) -> int:
        return self._high

    def _event_shape_tensor(self):
        return tf.constant([], tf.int32)

    def _event_shape(self):
        return tf.TensorShape([])

    def _log_prob(self, x):
        x = tf.cast(x, self.dtype)
        below = tf.math.log_sigmoid((x + 0.5 - self.loc) / self.scale)
        above = tf.math.log_sigmoid((self.loc - x + 0.5) / self.scale)
        width = tf.math.log(-tf.math.expm1(-1.0 / self.scale))
        # The three are finite everywhere, so no branch not taken sends a NaN into the gradient.
        not_lowest, not_highest = x > self.low, x < self.high
        return (
            tf.where(not_highest, below, 0.0)
            + tf.where(not_lowest, above, 0.0)
            + tf.where(not_lowest & not_highest, width, 0.0)
        )

    def _cdf(self, x):
        x = tf.math.floor(tf.cast(x, self.dtype))
        inside = tf.math.sigmoid((x + 0.5 - self.loc) / self.scale)
        return tf.where(x < self.low, 0.0, tf.where(x >= self.high, 1.0, inside))

    def _sample_n(self, n, seed=None):
        return self._nearest(tfd.Logistic(self.loc, self.scale).sample(n, seed=seed))

    def _mean(self):
        centre = self._centre()
        return centre + self._offset(centre)

    def _variance(self):
        centre = self._centre()

        def term(k, above, below):
            distance = k - centre[..., tf.newaxis]
            return tf.where(distance > 0, (2 * distance - 1) * above, (1 - 2 * distance) * below)

        return self._sum_over_support(term) - tf.square(self._offset(centre))

    def _mode(self):
        # Inside, the mass falls with the distance from loc; the two ends have tails of their own.
        ends = [tf.cast(end, self.dtype) for end in (self.low, self.high)]
        best = ends[0] + tf.zeros_like(self.loc + self.scale)
        inner = tf.clip_by_value(self._nearest(self.loc), min(self.low + 1, self.high), self.high)
        for candidate in (inner, ends[1]):
            better = self._log_prob(candidate) > self._log_prob(best)
            best = tf.where(better, candidate, best)
        return best

    def _centre(self):
        return self._nearest(self.loc) + tf.zeros_like(self.scale)

    def _nearest(self, x):
        return tf.clip_by_value(tf.round(x), float(self.low), float(self.high))

    def _offset(self, centre):
        """E[X] - centre = sum of P(X >= k) above the centre - sum of P(X < k) up to it.

        Both are small for a narrow distribution, where `sum_k P(X >= k)` would lose it among the units.
        """
        return self._sum_over_support(
            lambda k, above, below: tf.where(k > centre[..., tf.newaxis], above, -below)
        )

    def _sum_over_support(self, term: Callable[..., tf.Tensor]) -> tf.Tensor:
        """Sums `term(k, P(X >= k), P(X < k))` over k = low + 1, ..., high, a chunk of them at a time."""
        loc, scale = self.loc[..., tf.newaxis], self.scale[..., tf.newaxis]
        offsets = tf.range(1, _CHUNK + 1)
        num_chunks = -(-(self.high - self.low) // _CHUNK)

        def add_chunk(chunk, total):
            k = tf.cast(self.low + chunk * _CHUNK + offsets, self.dtype)
            distance = (loc - k + 0.5) / scale
            values = term(k, tf.math.sigmoid(distance), tf.math.sigmoid(-distance))
            return chunk + 1, total + tf.reduce_sum(tf.where(k <= self.high, values, 0.0), axis=-1)

        start = tf.zeros_like(self.loc + self.scale)
        _, total = tf.while_loop(
            lambda chunk, _: chunk < num_chunks,
            add_chunk,
            (tf.constant(0), start),
            maximum_iterations=num_chunks,
        )
        return total

    def _default_event_space_bijector(self):
        return None

    def _parameter_control_dependencies(self, is_init):
        if not (self.validate_args and is_init):
            return []
        return [tf.debugging.assert_positive(self.scale, "`scale` must be positive.")]

    def _sample_control_dependencies(self, x):
        if not self.validate_args:
            return []
        x = tf.cast(x, self.dtype)
        message = f"Values must be integers in [{self.low}, {self.high}]."
        inside = (x >= self.low) & (x <= self.high) & tf.equal(x, tf.round(x))
        return [tf.debugging.Assert(tf.reduce_all(inside), [message])]


def check_range(low: int, high: int) -> tuple[int, int]:
    """The two as integers; raises `ValueError` unless `low < high`."""
    whole = all(is_number(end) and math.isfinite(end) and int(end) == end for end in (low, high))
    if not whole or low >= high:
        raise invalid("high", "integers low < high", f"low={low!r}, high={high!r}")
    return int(low), int(high)
