"""The beta-VAE."""

from typing import Any

import keras

from keras_vae.models.latent_variable_model import LatentVariableModel
from keras_vae.objectives import BetaELBO
from keras_vae.priors import Prior
from keras_vae.schedules import Schedule


@keras.saving.register_keras_serializable(package="keras_vae")
class BetaVAE(LatentVariableModel):
    """The VAE whose KL has a weight, beta; with `capacity`, one whose KL is held at a target.

    Prefer beta > 1 for disentangled latents, beta < 1 for sharper reconstructions, and a schedule that rises
    from 0 to 1 ("warm-up") against posterior collapse. With beta = 1 it is the `VAE`.

    Args:
        encoder, decoder, prior, kl, num_samples, gradient, baseline, free_bits, seed: see `VAE`; free bits go
            without a capacity.
        beta: a number >= 0, a `schedules.Schedule` of the training step, or its short form such as
            "linear:0:1:10000".
        capacity: None, or nats as a number or schedule: the loss becomes reconstruction
            + beta * |KL - capacity|.

    Metrics: `loss` = `reconstruction` + `weighted_kl`; `kl`, `beta` and `capacity` are shown beside them.

    Example:

    >>> import keras_vae
    >>> vae = keras_vae.BetaVAE.create((8, 8, 1), latent_size=2, hidden=(16,), beta=4.0)
    >>> vae.beta.assign(2.0).numpy()
    np.float32(2.0)

    Reference: Higgins et al., beta-VAE: Learning Basic Visual Concepts with a Constrained Variational
    Framework, 2017, Eq. 4; Burgess et al., Understanding disentangling in beta-VAE, 2018, Eq. 8.
    """

    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        prior: Prior | None = None,
        beta: float | str | Schedule = 4.0,
        capacity: float | str | Schedule | None = None,
        kl: str = "auto",
        num_samples: int = 1,
        gradient: str = "auto",
        baseline: str = "auto",
        free_bits: float = 0.0,
        **kwargs: Any,
    ):
        objective = BetaELBO(beta, capacity, kl, num_samples, gradient, baseline, free_bits)
        super().__init__(encoder, decoder, prior, objective, **kwargs)

    @property
    def beta(self) -> keras.Variable:
        """The present weight of the KL: read it, or assign to it between calls of `fit`."""
        return self.objective.current("beta")

    @beta.setter
    def beta(self, value: float) -> None:
        self.objective.beta = value
