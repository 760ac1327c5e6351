"""The objective of the Wasserstein autoencoder whose distance is a critic's."""

from typing import Any

import keras
import tensorflow as tf

from keras_vae import schedules
from keras_vae.objectives.critic import CriticObjective
from keras_vae.objectives.critic_arguments import Critic, check_fixed
from keras_vae.objectives.terms import Terms


@keras.saving.register_keras_serializable(package="keras_vae")
class AdversarialWasserstein(CriticObjective):
    """-E_q[log p(x|z)] + weight * W, with W = max_D E_p[D(z)] - E_q[D(z)] over D that are 1-Lipschitz.

    By duality W is the Wasserstein-1 distance, in units of z, of the prior p(z) from the aggregate posterior
    q(z): what it costs to carry the one's mass to the other, cost being the distance. The critic D climbs
    towards the maximum, so W is a bound from below with `spectral_norm`. A penalty P holds the slope softly,
    at up to 1 + W / (2 P), which makes W too large by that factor.

    Args:
        weight: of W, a number >= 0 or a schedule of the training step. The reconstruction is summed over the
            event: the right weight grows with it.
        critic: from z, `[B] + latent`, to `[B, 1]`; see `CriticObjective` for this and for r1,
            gradient_penalty, spectral_norm, critic_steps, num_samples. A critic of your own must be
            Lipschitz by itself where `gradient_penalty` is 0.

    Reported: `reconstruction` and `weighted_divergence` add up to the loss; `divergence` is W, `critic_loss`
    is -W, and the penalty is the critic's alone.

    Raises:
        ValueError: for an MLP as critic with neither `gradient_penalty` nor `spectral_norm`; for a prior with
            weights to train.

    Reference: Tolstikhin et al., Wasserstein Auto-Encoders, 2018, Eq. 4; Arjovsky et al., Wasserstein GAN,
    2017, Eq. 2; Gulrajani et al., Improved Training of Wasserstein GANs, 2017, Eq. 3.
    """

    part_names = ("reconstruction", "weighted_divergence")
    monitor_names = ("divergence", "weight", "critic_accuracy")

    def __init__(
        self,
        weight: float | str | schedules.Schedule = 10.0,
        critic: Critic = None,
        r1: float = 0.0,
        gradient_penalty: float = 10.0,
        spectral_norm: bool = False,
        critic_steps: int = 5,
        num_samples: int = 1,
        **kwargs: Any,
    ):
        loss = "wasserstein"
        super().__init__(
            critic, loss, r1, gradient_penalty, spectral_norm, critic_steps, num_samples, **kwargs
        )
        self.weight = self.scheduled("weight", weight, low=0.0)

    def compared(self, terms: Terms) -> tuple[tf.Tensor, tf.Tensor]:
        return terms.prior_z, terms.z

    def parts(self, terms: Terms) -> dict[str, tf.Tensor]:
        return {
            "reconstruction": -tf.reduce_mean(terms.log_px, axis=0),
            "weighted_divergence": self.current("weight") * self._divergence(terms),
        }

    def monitors(self, terms: Terms) -> dict[str, tf.Tensor]:
        figures = {"divergence": self._divergence(terms), "weight": self.current("weight")}
        return {**figures, **super().monitors(terms)}

    def _divergence(self, terms: Terms) -> tf.Tensor:
        def divergence():
            check_fixed(terms.prior)
            return tf.reduce_mean(self.score(terms.prior_z) - self.score(self.draws(terms)), axis=0)

        return terms.once("divergence", divergence)
