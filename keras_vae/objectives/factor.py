"""The objective of the FactorVAE."""

from typing import Any

import keras
import tensorflow as tf

from keras_vae import schedules
from keras_vae.distributions.draws import fold_in
from keras_vae.divergences.permutation import permute_dimensions
from keras_vae.errors import lookup
from keras_vae.objectives.annealed import Annealed
from keras_vae.objectives.critic import CriticObjective
from keras_vae.objectives.critic_arguments import KL_MODES, Critic
from keras_vae.objectives.distance_to_prior import check_unweighted
from keras_vae.objectives.terms import Terms, merge_samples

# Folded into the seed of the permutations.
_PERMUTATION = 6


@keras.saving.register_keras_serializable(package="keras_vae")
class FactorELBO(Annealed, CriticObjective):
    """-E_q[log p(x|z)] + KL(q(z|x) || p(z)) + gamma * TC, with the total correlation as a critic sees it.

    TC = KL(q(z) || prod_j q(z_j)) of the aggregate posterior q(z), in nats, is the mean over q(z) of the log
    of the ratio of the two densities. The critic learns this log-ratio, its score D(z), by telling z from z
    whose dimensions were shuffled over the batch; so TC = E_q[D(z)], which may be below 0 while it learns.

    Args:
        gamma: weight of TC, a number >= 0 or a schedule of the training step. With 0 it is the `ELBO`.
        critic: from z, `[B] + latent`, to the log-ratio, `[B, 1]`; the paper's is `(1000,) * 6`. See
            `CriticObjective` for this and for r1, gradient_penalty, spectral_norm, critic_steps, num_samples.
            The penalties and spectral normalisation make the estimate of TC smaller.
        kl: "auto" (exact where known), "exact" or "sampled".
        annealing, free_bits: weight of the KL and nats of it that are free; see `Annealed`.

    The paper takes the permuted z from another batch; here it is the same, which needs no second one.

    Raises:
        ValueError: from `parts` for free bits of latent dimensions that are not independent, and for weights
            of examples, which shuffled z cannot have.

    Reference: Kim & Mnih, Disentangling by Factorising, 2018, Eq. 2 and 3, Algorithm 2.
    """

    part_names = ("reconstruction", "kl", "weighted_tc")
    monitor_names = ("total_correlation", "gamma", "critic_accuracy")

    def __init__(
        self,
        gamma: float | str | schedules.Schedule = 10.0,
        critic: Critic = None,
        r1: float = 0.0,
        gradient_penalty: float = 0.0,
        spectral_norm: bool = False,
        critic_steps: int = 1,
        kl: str = "auto",
        num_samples: int = 1,
        annealing: float | str | schedules.Schedule = 1.0,
        free_bits: float = 0.0,
        **kwargs: Any,
    ):
        # Only the logistic loss makes the score the log-ratio of densities.
        loss = "non-saturating"
        super().__init__(
            critic, loss, r1, gradient_penalty, spectral_norm, critic_steps, num_samples, **kwargs
        )
        self.gamma = self.scheduled("gamma", gamma, low=0.0)
        self.kl = lookup("kl", kl, KL_MODES)
        self.anneal(annealing, free_bits)

    def compared(self, terms: Terms) -> tuple[tf.Tensor, tf.Tensor]:
        check_unweighted(terms)
        shuffled = permute_dimensions(merge_samples(terms.z), fold_in(terms.seed, _PERMUTATION))
        return terms.z, tf.reshape(shuffled, tf.shape(terms.z))

    def parts(self, terms: Terms) -> dict[str, tf.Tensor]:
        return {
            "reconstruction": -tf.reduce_mean(terms.log_px, axis=0),
            **self.kl_part(self.free_kl(terms)),
            "weighted_tc": self.current("gamma") * self._total_correlation(terms),
        }

    def monitors(self, terms: Terms) -> dict[str, tf.Tensor]:
        figures = {"total_correlation": self._total_correlation(terms), "gamma": self.current("gamma")}
        return {**figures, **self.kl_monitors(terms), **super().monitors(terms)}

    def _total_correlation(self, terms: Terms) -> tf.Tensor:
        return terms.once("tc", lambda: tf.reduce_mean(self.score(self.draws(terms)), axis=0))
