"""The mean of several importance-weighted bounds."""

from typing import Any

import keras
import tensorflow as tf

from keras_vae import schedules
from keras_vae.checks import check_count
from keras_vae.divergences.importance import importance_bound
from keras_vae.objectives.importance_weighted import ImportanceWeighted


@keras.saving.register_keras_serializable(package="keras_vae")
class MIWAEBound(ImportanceWeighted):
    """-(1/M) sum_m log (1/K) sum_k w_mk: the mean of M independent importance-weighted bounds.

    With M = 1 it is IWAE, with K = 1 the sampled ELBO of M draws. Between the two it trades the tightness of
    the bound for the encoder's gradient, whose signal-to-noise ratio goes as sqrt(M / K).

    Args:
        num_estimates: M, bounds per example.
        num_samples: K, draws of z per bound; `terms` holds M * K.
        gradient: "reparameterized" (default), "stl" or "dreg"; see `ImportanceWeighted`.
        annealing: see `ImportanceWeighted`.

    Reference: Rainforth et al., Tighter Variational Bounds are Not Necessarily Better, 2018, Eq. 8.
    """

    def __init__(
        self,
        num_estimates: int = 8,
        num_samples: int = 8,
        gradient: str = "reparameterized",
        annealing: float | str | schedules.Schedule = 1.0,
        **kwargs: Any,
    ):
        self.num_estimates = check_count("num_estimates", num_estimates)
        self.draws = check_count("num_samples", num_samples)
        super().__init__(self.num_estimates * self.draws, gradient, annealing, **kwargs)

    def bound(self, log_weights: tf.Tensor) -> tf.Tensor:
        return tf.reduce_mean(importance_bound(self.grouped(log_weights)), axis=0)

    def second_weights(self, log_weights: tf.Tensor) -> tf.Tensor:
        return tf.reshape(tf.nn.softmax(self.grouped(log_weights), axis=0), tf.shape(log_weights))

    def grouped(self, values: tf.Tensor) -> tf.Tensor:
        """`[K * M, B]` to `[K, M, B]`."""
        return tf.reshape(values, [self.draws, self.num_estimates, tf.shape(values)[1]])

    def arguments(self) -> dict[str, Any]:
        return {**super().arguments(), "num_samples": self.draws}
