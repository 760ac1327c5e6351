"""The autoencoder of several importance-weighted bounds."""

from typing import Any

import keras

from keras_vae.models.latent_variable_model import LatentVariableModel
from keras_vae.objectives import MIWAEBound
from keras_vae.priors import Prior
from keras_vae.schedules import Schedule


@keras.saving.register_keras_serializable(package="keras_vae")
class MIWAE(LatentVariableModel):
    """The mean of M importance-weighted bounds of K draws each.

    Prefer it to `IWAE` where an encoder as good as the decoder is wanted and M * K draws can be paid: many
    draws in one bound drown the encoder's gradient in noise, many bounds average the noise away.

    Args:
        encoder, decoder, prior, seed: see `VAE`.
        num_estimates: M, bounds per example. With 1 it is `IWAE`.
        num_samples: K, draws of z per bound. With 1 it is the `VAE` with M draws and a sampled KL.
        gradient: of the encoder: "reparameterized" (default), "stl" or "dreg"; see `IWAE`.
        annealing: see `IWAE`.

    Metrics: `loss` = `negative_bound`, in nats; `reconstruction` and `kl` are the sampled terms of the ELBO.

    Example:

    >>> import keras_vae
    >>> model = keras_vae.MIWAE.create((8, 8, 1), 2, hidden=(16,), num_estimates=4, num_samples=5)
    >>> model.objective.num_samples  # draws per example
    20

    Reference: Rainforth et al., Tighter Variational Bounds are Not Necessarily Better, 2018, Eq. 8.
    """

    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        prior: Prior | None = None,
        num_estimates: int = 8,
        num_samples: int = 8,
        gradient: str = "reparameterized",
        annealing: float | str | Schedule = 1.0,
        **kwargs: Any,
    ):
        objective = MIWAEBound(num_estimates, num_samples, gradient, annealing)
        super().__init__(encoder, decoder, prior, objective, **kwargs)
