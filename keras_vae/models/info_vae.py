"""The InfoVAE."""

from typing import Any

import keras

from keras_vae.divergences import SampleDistance
from keras_vae.models.latent_variable_model import LatentVariableModel
from keras_vae.objectives import InfoELBO
from keras_vae.priors import Prior
from keras_vae.schedules import Schedule


@keras.saving.register_keras_serializable(package="keras_vae")
class InfoVAE(LatentVariableModel):
    """The VAE with less of its KL and a distance of aggregate posterior and prior instead.

    Minimises -E[log p(x|z)] + (1 - alpha) * KL + (alpha + scale - 1) * D(q(z), p(z)). Prefer it to `VAE`
    where a strong decoder ignores the latent: the distance does not punish information in z. alpha = 1 is the
    MMD-VAE; alpha = 0 with scale = 1 is the `VAE`. For codes without noise see `WAE`.

    Args:
        encoder, decoder, kl, num_samples, seed: see `VAE`.
        prior: see `VAE`; one with weights needs reparameterised draws.
        alpha: weight of the mutual information, a number <= 1, a `schedules.Schedule`, or its short form:
            "linear:1:0:10000" anneals the KL.
        scale: the paper's lambda, likewise, with alpha + scale >= 1. The paper chooses it so that D weighs as
            much as the reconstruction: 10 for small events, 1000 for images.
        divergence: D, see `WAE`.

    Metrics: `loss` = `reconstruction` + `weighted_kl` + `weighted_divergence`; `kl`, `divergence`, `alpha`,
    `scale` and what the distance reports are shown beside them.

    Raises:
        ValueError: for networks that do not fit and arguments out of range.

    Example:

    >>> import keras_vae
    >>> model = keras_vae.InfoVAE.create((8, 8, 1), latent_size=2, hidden=(16,), alpha=1.0, scale=100.0)
    >>> model.objective.part_names
    ('reconstruction', 'weighted_kl', 'weighted_divergence')

    Reference: Zhao et al., InfoVAE: Balancing Learning and Inference in Variational Autoencoders, 2019,
    Eq. 6.
    """

    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        prior: Prior | None = None,
        alpha: float | str | Schedule = 0.0,
        scale: float | str | Schedule = 10.0,
        divergence: str | SampleDistance = "mmd-imq",
        kl: str = "auto",
        num_samples: int = 1,
        **kwargs: Any,
    ):
        objective = InfoELBO(alpha, scale, divergence, kl, num_samples)
        super().__init__(encoder, decoder, prior, objective, **kwargs)
