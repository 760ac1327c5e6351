"""Independent vectors one after another."""

from collections.abc import Sequence

import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae.distributions.draws import fold_in

tfd = tfp.distributions


class SideBySide(tfd.Distribution):
    """Independent vectors one after another in one event.

    `tfd.Blockwise` with variances, and with seeds of the parts that are the same on every device.

    Args:
        parts: distributions of vectors, with the same batch shape and dtype.
        validate_args, allow_nan_stats, name: see `tfd.Distribution`.

    Example:

    >>> coin, normal = tfd.OneHotCategorical([0.0, 0.0], dtype=tf.float32), tfd.MultivariateNormalDiag([5.0])
    >>> SideBySide([coin, normal]).mean().numpy().tolist()
    [0.5, 0.5, 5.0]
    """

    def __init__(
        self,
        parts: Sequence[tfd.Distribution],
        validate_args: bool = False,
        allow_nan_stats: bool = True,
        name: str = "SideBySide",
    ):
        parameters = dict(locals())
        self._parts = tuple(parts)
        kinds = {part.reparameterization_type for part in parts}
        super().__init__(
            dtype=self._parts[0].dtype,
            reparameterization_type=kinds.pop() if len(kinds) == 1 else tfd.NOT_REPARAMETERIZED,
            validate_args=validate_args,
            allow_nan_stats=allow_nan_stats,
            parameters=parameters,
            name=name,
        )

    @property
    def parts(self) -> tuple[tfd.Distribution, ...]:
        """The distributions of the vectors."""
        return tuple(self._parts)

    @property
    def sizes(self) -> list[int]:
        """Their numbers of dimensions."""
        return [part.event_shape[0] for part in self._parts]

    def _batch_shape(self):
        return self._parts[0].batch_shape

    def _batch_shape_tensor(self):
        return self._parts[0].batch_shape_tensor()

    def _event_shape(self):
        return tf.TensorShape([sum(self.sizes)])

    def _event_shape_tensor(self):
        return tf.constant([sum(self.sizes)])

    def _sample_n(self, n, seed=None):
        seed = tfp.random.sanitize_seed(seed)
        return tf.concat([part.sample(n, fold_in(seed, i)) for i, part in enumerate(self._parts)], axis=-1)

    def _log_prob(self, x):
        values = tf.split(x, self.sizes, axis=-1)
        return tf.add_n([part.log_prob(value) for part, value in zip(self._parts, values, strict=True)])

    def _mean(self):
        return tf.concat([part.mean() for part in self._parts], axis=-1)

    def _variance(self):
        return tf.concat([part.variance() for part in self._parts], axis=-1)
