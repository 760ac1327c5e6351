"""The convex combination of the ELBO and the importance-weighted bound."""

from typing import Any

import keras
import tensorflow as tf

from keras_vae import schedules
from keras_vae.divergences.importance import importance_bound
from keras_vae.objectives.importance_weighted import ImportanceWeighted
from keras_vae.objectives.terms import Terms


@keras.saving.register_keras_serializable(package="keras_vae")
class CIWAEBound(ImportanceWeighted):
    """-(beta * (1/K) sum_k log w_k + (1 - beta) * log (1/K) sum_k w_k): between the ELBO and IWAE.

    With beta = 1 it is the sampled ELBO of K draws, with beta = 0 IWAE.

    Args:
        beta: share of the ELBO, in [0, 1]: a number, or a schedule of the training step.
        num_samples: K, draws of z per example.
        gradient: "reparameterized" (default), "stl" or "dreg"; see `ImportanceWeighted`.
        annealing: see `ImportanceWeighted`.

    Reported: `negative_bound` is the loss; `reconstruction`, `kl` and `beta` stand beside it.

    Reference: Rainforth et al., Tighter Variational Bounds are Not Necessarily Better, 2018, Eq. 14.
    """

    monitor_names = ("reconstruction", "kl", "beta")

    def __init__(
        self,
        beta: float | str | schedules.Schedule = 0.5,
        num_samples: int = 5,
        gradient: str = "reparameterized",
        annealing: float | str | schedules.Schedule = 1.0,
        **kwargs: Any,
    ):
        super().__init__(num_samples, gradient, annealing, **kwargs)
        self.beta = self.scheduled("beta", beta, low=0.0, high=1.0)

    def bound(self, log_weights: tf.Tensor) -> tf.Tensor:
        beta = tf.cast(self.current("beta"), log_weights.dtype)
        return beta * tf.reduce_mean(log_weights, axis=0) + (1.0 - beta) * importance_bound(log_weights)

    def second_weights(self, log_weights: tf.Tensor) -> tf.Tensor:
        # The bound's gradient has the weights beta/K + (1 - beta) w; the ELBO's share stays as it is in them,
        # the other is to have w^2. Where both are 0, so is what is multiplied.
        weights = tf.nn.softmax(log_weights, axis=0)
        beta = tf.cast(self.current("beta"), log_weights.dtype)
        elbo, iwae = beta / log_weights.shape[0], (1.0 - beta) * weights
        return tf.math.divide_no_nan(elbo + iwae * weights, elbo + iwae)

    def monitors(self, terms: Terms) -> dict[str, tf.Tensor]:
        return {**super().monitors(terms), "beta": self.current("beta")}
