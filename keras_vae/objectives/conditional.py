"""The objective of the conditional VAE."""

from typing import Any

import keras
import tensorflow as tf

from keras_vae import schedules
from keras_vae.objectives.elbo import ELBO
from keras_vae.objectives.gradients import check_prior_draws
from keras_vae.objectives.terms import Terms


@keras.saving.register_keras_serializable(package="keras_vae")
class ConditionalELBO(ELBO):
    """alpha * (-E_q[log p(x|z, y)] + KL(q(z|x, y) || p(z|y))) - (1 - alpha) * E_p(z|y)[log p(x|z, y)].

    Args:
        alpha: share of the conditional ELBO, from 0 to 1, or a schedule that stays there. What is left goes
            to the second term, of the Gaussian stochastic neural network, which draws z as prediction does:
            from the prior. With 1, the default, the objective is the negative conditional ELBO.
        kl, num_samples, gradient, baseline, annealing, free_bits: see `ELBO`.

    Raises:
        ValueError: for arguments out of range; and, unless alpha is the number 1, from `parts` for a prior
            with weights to train that no draw leads a gradient to.

    Reported: `reconstruction`, `kl` and, unless alpha is the number 1, `prediction` are the three terms as
    they enter the loss, alpha included; then `alpha` shows beside them.

    Reference: Sohn et al., Learning Structured Output Representation using Deep Conditional Generative
    Models, 2015, Eq. 4 (conditional ELBO), Eq. 6 (the network's) and Eq. 7 (both).
    """

    def __init__(
        self,
        alpha: float | str | schedules.Schedule = 1.0,
        kl: str = "auto",
        num_samples: int = 1,
        gradient: str = "auto",
        baseline: str = "auto",
        annealing: float | str | schedules.Schedule = 1.0,
        free_bits: float = 0.0,
        **kwargs: Any,
    ):
        super().__init__(kl, num_samples, gradient, baseline, annealing, free_bits, **kwargs)
        self.alpha = self.scheduled("alpha", alpha, low=0.0, high=1.0)
        self._predicts = not (isinstance(self.alpha, schedules.Constant) and self.alpha.value == 1.0)
        if self._predicts:
            self.part_names = (*self.part_names, "prediction")
            self.monitor_names = (*self.monitor_names, "alpha")

    def parts(self, terms: Terms) -> dict[str, tf.Tensor]:
        parts = super().parts(terms)
        if not self._predicts:
            return parts
        check_prior_draws(terms)
        prediction = -tf.reduce_mean(terms.at(terms.prior_z).log_px, axis=0)
        alpha = tf.cast(self.current("alpha"), prediction.dtype)
        weighted = {name: alpha * part for name, part in parts.items()}
        return {**weighted, "prediction": (1.0 - alpha) * prediction}

    def monitors(self, terms: Terms) -> dict[str, tf.Tensor]:
        return super().monitors(terms) | ({"alpha": self.current("alpha")} if self._predicts else {})
