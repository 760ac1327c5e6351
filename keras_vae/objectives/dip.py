"""The objective of the DIP-VAE, in both of its forms."""

from typing import Any

import keras
import tensorflow as tf

from keras_vae import schedules
from keras_vae.divergences import aggregate_covariance
from keras_vae.errors import lookup
from keras_vae.objectives.distance_to_prior import of_every_example
from keras_vae.objectives.elbo import ELBO
from keras_vae.objectives.terms import Terms

_KINDS = {"i": "i", "ii": "ii"}


@keras.saving.register_keras_serializable(package="keras_vae")
class DisentangledELBO(ELBO):
    """The negative ELBO + lambda_od * sum_(i != j) C_ij^2 + lambda_d * sum_i (C_ii - 1)^2.

    C, the covariance of the inferred latent over the batch, is held to the identity. The latents lose their
    correlations without being asked to carry less of x, as a higher beta would ask.

    Args:
        kind: "i": C = Cov[mu(x)], of the posteriors' means; "ii": C = Cov[mu(x)] + E[Cov(z|x)], of the latent
            itself. Prefer "ii" where more latents are offered than the data need: with "i" the superfluous
            ones are driven to means of variance 1.
        lambda_od: weight of the off-diagonal, a number >= 0 or a schedule of the training step.
        lambda_d: the same for the diagonal. The paper has 10 * lambda_od for "i", lambda_od for "ii".
        kl, num_samples, annealing, free_bits: see `ELBO`.

    Raises:
        ValueError: for arguments out of range; from `parts` for a posterior without mean or covariance.

    Reported: `reconstruction`, `kl`, `off_diagonal` and `diagonal` add up to the loss, the last two weighted.
    The mean over the batch divides by B; C is weighted by the examples' weights, where they have some.

    Reference: Kumar et al., Variational Inference of Disentangled Latent Concepts from Unlabeled
    Observations, 2018, Eq. 6 (i) and 7 (ii).
    """

    part_names = ("reconstruction", "kl", "off_diagonal", "diagonal")
    differentiates_draws = True

    def __init__(
        self,
        kind: str = "i",
        lambda_od: float | str | schedules.Schedule = 10.0,
        lambda_d: float | str | schedules.Schedule = 100.0,
        kl: str = "auto",
        num_samples: int = 1,
        annealing: float | str | schedules.Schedule = 1.0,
        free_bits: float = 0.0,
        **kwargs: Any,
    ):
        super().__init__(kl, num_samples, annealing=annealing, free_bits=free_bits, **kwargs)
        self.kind = lookup("kind", kind, _KINDS)
        self.lambda_od = self.scheduled("lambda_od", lambda_od, low=0.0)
        self.lambda_d = self.scheduled("lambda_d", lambda_d, low=0.0)

    def parts(self, terms: Terms) -> dict[str, tf.Tensor]:
        covariance = aggregate_covariance(terms.q, self.kind == "i", terms.sample_weight)
        variances = tf.linalg.diag_part(covariance)
        off_diagonal = tf.linalg.set_diag(covariance, tf.zeros_like(variances))
        penalties = {
            "off_diagonal": self.current("lambda_od") * tf.reduce_sum(off_diagonal**2),
            "diagonal": self.current("lambda_d") * tf.reduce_sum((variances - 1.0) ** 2),
        }
        return {
            **super().parts(terms),
            **{name: of_every_example(value, terms) for name, value in penalties.items()},
        }
