"""The objective of the adversarial autoencoder."""

from typing import Any

import keras
import tensorflow as tf

from keras_vae import schedules
from keras_vae.objectives.critic import CriticObjective
from keras_vae.objectives.critic_arguments import Critic, check_fixed
from keras_vae.objectives.terms import Terms


@keras.saving.register_keras_serializable(package="keras_vae")
class AdversarialReconstruction(CriticObjective):
    """-E_q[log p(x|z)] + weight * E_q[g(D(z))]: a critic D tells z of the prior from z of the encoder.

    g is the loss by which the encoder deceives the critic, log(1 + exp(-D)) for "non-saturating", in nats
    there. At the best critic its minimum is where the codes of all data together, the aggregate posterior,
    have the prior's distribution. Posteriors need no density: deterministic, normal and any other will do.

    Args:
        weight: of the adversarial part, a number >= 0 or a schedule of the training step.
        critic: from z, `[B] + latent`, to `[B, 1]`; see `CriticObjective` for this and for
            adversarial_loss, r1, gradient_penalty, spectral_norm, critic_steps, num_samples.

    Raises:
        ValueError: for a prior with weights to train, which this objective would give no gradient.

    Reference: Makhzani et al., Adversarial Autoencoders, 2015, section 2 and Eq. 1.
    """

    part_names = ("reconstruction", "weighted_adversarial")
    monitor_names = ("adversarial", "weight", "critic_accuracy")

    def __init__(
        self,
        weight: float | str | schedules.Schedule = 1.0,
        critic: Critic = None,
        adversarial_loss: str = "non-saturating",
        r1: float = 0.0,
        gradient_penalty: float = 0.0,
        spectral_norm: bool = False,
        critic_steps: int = 1,
        num_samples: int = 1,
        **kwargs: Any,
    ):
        super().__init__(
            critic,
            adversarial_loss,
            r1,
            gradient_penalty,
            spectral_norm,
            critic_steps,
            num_samples,
            **kwargs,
        )
        self.weight = self.scheduled("weight", weight, low=0.0)

    def compared(self, terms: Terms) -> tuple[tf.Tensor, tf.Tensor]:
        return terms.prior_z, terms.z

    def parts(self, terms: Terms) -> dict[str, tf.Tensor]:
        check_fixed(terms.prior)
        return {
            "reconstruction": -tf.reduce_mean(terms.log_px, axis=0),
            "weighted_adversarial": self.current("weight") * self._adversarial(terms),
        }

    def monitors(self, terms: Terms) -> dict[str, tf.Tensor]:
        figures = {"adversarial": self._adversarial(terms), "weight": self.current("weight")}
        return {**figures, **super().monitors(terms)}

    def _adversarial(self, terms: Terms) -> tf.Tensor:
        return terms.once("adversarial", lambda: self.generator_loss(self.draws(terms)))
