"""The DIP-VAE."""

from typing import Any

import keras

from keras_vae.models.latent_variable_model import LatentVariableModel
from keras_vae.objectives import DisentangledELBO
from keras_vae.priors import Prior
from keras_vae.schedules import Schedule


@keras.saving.register_keras_serializable(package="keras_vae")
class DIPVAE(LatentVariableModel):
    """The VAE whose inferred latents are kept uncorrelated and of variance 1: disentangled inferred prior.

    Minimises the negative ELBO + lambda_od * sum_(i != j) C_ij^2 + lambda_d * sum_i (C_ii - 1)^2, with C a
    covariance over the batch. Prefer it to `BetaVAE` for disentangled latents at little cost in
    reconstruction, and to `BetaTCVAE` for being cheap and free of the size of the data; it sees correlations
    only, not every dependence. lambda_od = lambda_d = 0 is the `VAE`.

    Args:
        encoder: see `VAE`; for kind "ii" with a posterior of independent scalars or a multivariate normal.
        decoder, prior, kl, num_samples, annealing, free_bits, seed: see `VAE`. A prior other than the
            standard normal is at odds with the aim of variance 1.
        kind: "i", C is the covariance of the posteriors' means; "ii", of the latent itself.
        lambda_od, lambda_d: weights of the off-diagonal and the diagonal: numbers >= 0, schedules, or their
            short forms.

    Metrics: `loss` = `reconstruction` + `kl` + `off_diagonal` + `diagonal`, the last two with their weights.

    Raises:
        ValueError: for networks that do not fit and arguments out of range.

    Example:

    >>> import keras_vae
    >>> vae = keras_vae.DIPVAE.create((8, 8, 1), latent_size=2, hidden=(16,), kind="ii", lambda_d=10.0)
    >>> vae.objective.part_names
    ('reconstruction', 'kl', 'off_diagonal', 'diagonal')

    Reference: Kumar et al., Variational Inference of Disentangled Latent Concepts from Unlabeled
    Observations, 2018, Eq. 6 and 7.
    """

    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        prior: Prior | None = None,
        kind: str = "i",
        lambda_od: float | str | Schedule = 10.0,
        lambda_d: float | str | Schedule = 100.0,
        kl: str = "auto",
        num_samples: int = 1,
        annealing: float | str | Schedule = 1.0,
        free_bits: float = 0.0,
        **kwargs: Any,
    ):
        objective = DisentangledELBO(kind, lambda_od, lambda_d, kl, num_samples, annealing, free_bits)
        super().__init__(encoder, decoder, prior, objective, **kwargs)
