"""Independent coins as prior, for binary latents."""

import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae import distributions
from keras_vae.checks import check_number
from keras_vae.errors import invalid
from keras_vae.layers.independent import Shape
from keras_vae.priors.prior import Prior

tfd = tfp.distributions


@keras.saving.register_keras_serializable(package="keras_vae")
class Bernoulli(Prior):
    """Independent bits: p(z) = prod_i Bernoulli(z_i; probs).

    The prior of `IndependentBernoulli` posteriors, whose KL to it is known in closed form. Draws are 0.0 and
    1.0.

    Args:
        event_shape: shape of one latent.
        probs: probability of a one, between 0 and 1, of every bit; with `learned`, at first.
        learned: whether every bit has a probability of its own that is learned with the model.

    Raises:
        ValueError: if `probs` is no number strictly between 0 and 1.

    Example:

    >>> Bernoulli(3)().log_prob([0.0, 1.0, 1.0]).numpy().round(4)  # 3 log(1/2)
    np.float32(-2.0794)

    Reference: Mnih & Gregor, Neural Variational Inference and Learning in Belief Networks, 2014, section 2.
    """

    def __init__(self, event_shape: Shape, probs: float = 0.5, learned: bool = False, **kwargs: Any):
        super().__init__(event_shape, **kwargs)
        if not isinstance(learned, bool):
            raise invalid("learned", "True or False", learned)
        self.probs, self.learned = check_number("probs", probs, above=0.0, below=1.0), learned
        self._logit = math.log(self.probs) - math.log1p(-self.probs)
        if learned:
            # Of a Python float Keras would make a float32 first.
            start = keras.initializers.Constant(np.float64(self._logit))
            self.logits = self.add_weight(name="logits", shape=self.event_shape, initializer=start)

    def distribution(self) -> tfd.Distribution:
        if self.learned:
            logits = tf.convert_to_tensor(self.logits)
        else:
            logits = tf.fill(self.event_shape, tf.constant(self._logit, self.compute_dtype))
        bits = distributions.Bernoulli(logits, dtype=logits.dtype)
        return tfd.Independent(bits, len(self.event_shape))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "probs": self.probs, "learned": self.learned}
