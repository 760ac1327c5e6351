"""A mixture of one-hot categoricals."""

import tensorflow as tf
import tensorflow_probability as tfp

tfd = tfp.distributions


class OneHotCategoricalMixture(tfd.MixtureSameFamily):
    """A mixture of `tfd.OneHotCategorical`, with `log_mean` and `mode`.

    Args:
        mixture_distribution: `tfd.Categorical`, batch shape `batch_shape`, over k components.
        components_distribution: `tfd.OneHotCategorical`, batch shape `batch_shape + [k]`.

    Example:

    >>> p = OneHotCategoricalMixture(
    ...     tfd.Categorical(probs=[0.5, 0.5]), tfd.OneHotCategorical(probs=[[0.8, 0.2], [0.6, 0.4]])
    ... )
    >>> tf.exp(p.log_mean()).numpy().round(3).tolist(), p.mode().numpy().tolist()
    ([0.69..., 0.30...], [1, 0])
    """

    def log_mean(self) -> tf.Tensor:
        """The logarithms of the probabilities of the classes, `batch_shape + [d]`."""
        weights = tf.nn.log_softmax(self.mixture_distribution.logits_parameter())
        classes = tf.nn.log_softmax(self.components_distribution.logits_parameter())
        return tf.reduce_logsumexp(weights[..., tf.newaxis] + classes, axis=-2)

    def _mean(self):
        return tf.exp(self.log_mean())

    def _mode(self):
        mean = self.log_mean()
        return tf.one_hot(tf.argmax(mean, axis=-1), tf.shape(mean)[-1], dtype=self.dtype)
