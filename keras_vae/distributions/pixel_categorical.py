"""A categorical over the integers, whose draws have a mean."""

import tensorflow as tf
import tensorflow_probability as tfp
from tensorflow_probability.python.internal import dtype_util

tfd = tfp.distributions


class PixelCategorical(tfd.Categorical):
    """A categorical whose classes are the integers `0, ..., num_classes - 1`, drawn as floats.

    `tfd.Categorical` with what data on an ordered scale need: `mean` and `variance` of the integer, and
    values of any dtype in `log_prob`. Prefer it where the distribution of a pixel has any shape, and there
    are the data to learn it from: it knows nothing of 100 and 101 being close.

    Args:
        logits: `batch_shape + [num_classes]`.
        dtype: dtype of the draws; that of the logits if None.

    Reference: van den Oord et al., Pixel Recurrent Neural Networks, ICML 2016, section 2.2.

    Example:

    >>> p = PixelCategorical(logits=tf.math.log([0.5, 0.25, 0.25]))
    >>> p.mean().numpy().item(), p.variance().numpy().item(), p.prob(2).numpy().item()
    (0.75, 0.6875, 0.25)
    """

    def __init__(
        self,
        logits,
        dtype=None,
        validate_args: bool = False,
        allow_nan_stats: bool = True,
        name: str = "PixelCategorical",
    ):
        parameters = dict(locals())
        logits = tf.convert_to_tensor(logits, dtype_util.common_dtype([logits], dtype_hint=tf.float32))
        super().__init__(
            logits=logits,
            dtype=dtype or logits.dtype,
            validate_args=validate_args,
            allow_nan_stats=allow_nan_stats,
            name=name,
        )
        self._parameters = self._no_dependency(parameters)

    @classmethod
    def _parameter_properties(cls, dtype, num_classes=None):
        properties = super()._parameter_properties(dtype, num_classes)
        return {"logits": properties["logits"]}

    def _log_prob(self, value):
        return super()._log_prob(tf.cast(value, tf.int32))

    def _mean(self):
        return tf.cast(self._moment(0.0, 1), self.dtype)

    def _variance(self):
        mean = self._moment(0.0, 1)[..., tf.newaxis]
        return tf.cast(self._moment(mean, 2), self.dtype)

    def _moment(self, centre, power: int):
        probs = tf.nn.softmax(self.logits)
        classes = tf.cast(tf.range(tf.shape(probs)[-1]), probs.dtype)
        return tf.reduce_sum(probs * (classes - centre) ** power, axis=-1)
