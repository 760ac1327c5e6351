"""The partially importance-weighted autoencoder."""

from typing import Any

import keras

from keras_vae.models.latent_variable_model import LatentVariableModel
from keras_vae.objectives import PIWAEBound
from keras_vae.priors import Prior
from keras_vae.schedules import Schedule


@keras.saving.register_keras_serializable(package="keras_vae")
class PIWAE(LatentVariableModel):
    """IWAE of all M * K draws for the decoder and the prior, MIWAE of M bounds for the encoder.

    The best of the three in its paper: the decoder learns from the tightest bound, the encoder from the
    clearest gradient. Its step costs a further pass back through the decoder.

    Args:
        encoder, decoder, prior, seed: see `VAE`.
        num_estimates: M, bounds per example of the encoder. With 1 it is `IWAE`.
        num_samples: K, draws of z in each of them.
        gradient: of the encoder: "reparameterized" (default), "stl" or "dreg"; see `IWAE`.
        annealing: see `IWAE`.

    Metrics: `loss` = `negative_bound`, the decoder's bound of M * K draws, in nats; `reconstruction` and `kl`
    are the sampled terms of the ELBO.

    Example:

    >>> import keras_vae
    >>> model = keras_vae.PIWAE.create((8, 8, 1), 2, hidden=(16,), num_estimates=4, num_samples=5)
    >>> model.objective.num_samples  # draws per example
    20

    Reference: Rainforth et al., Tighter Variational Bounds are Not Necessarily Better, 2018, section 5.
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
        objective = PIWAEBound(num_estimates, num_samples, gradient, annealing)
        super().__init__(encoder, decoder, prior, objective, **kwargs)
