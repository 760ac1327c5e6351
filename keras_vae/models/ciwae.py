"""The autoencoder between the ELBO and the importance-weighted bound."""

from typing import Any

import keras

from keras_vae.models.latent_variable_model import LatentVariableModel
from keras_vae.objectives import CIWAEBound
from keras_vae.priors import Prior
from keras_vae.schedules import Schedule


@keras.saving.register_keras_serializable(package="keras_vae")
class CIWAE(LatentVariableModel):
    """The convex combination beta * ELBO + (1 - beta) * IWAE of the same K draws.

    Prefer it to `IWAE` where the encoder matters: a little of the ELBO keeps its gradient clear at no cost.

    Args:
        encoder, decoder, prior, seed: see `VAE`.
        beta: share of the ELBO, in [0, 1]: a number, a `schedules.Schedule` of the training step, or its
            short form. With 0 it is `IWAE`, with 1 the `VAE` with a sampled KL.
        num_samples: K, draws of z per example and step.
        gradient: of the encoder: "reparameterized" (default), "stl" or "dreg"; see `IWAE`.
        annealing: see `IWAE`.

    Metrics: `loss` = `negative_bound`, in nats; `reconstruction` and `kl` are the sampled terms of the ELBO,
    `beta` its present share.

    Example:

    >>> import keras_vae
    >>> model = keras_vae.CIWAE.create((8, 8, 1), 2, hidden=(16,), beta=0.05, num_samples=64)
    >>> model.beta.numpy()
    np.float32(0.05)

    Reference: Rainforth et al., Tighter Variational Bounds are Not Necessarily Better, 2018, section 5.
    """

    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        prior: Prior | None = None,
        beta: float | str | Schedule = 0.5,
        num_samples: int = 5,
        gradient: str = "reparameterized",
        annealing: float | str | Schedule = 1.0,
        **kwargs: Any,
    ):
        objective = CIWAEBound(beta, num_samples, gradient, annealing)
        super().__init__(encoder, decoder, prior, objective, **kwargs)

    @property
    def beta(self) -> keras.Variable:
        """The present share of the ELBO: read it, or assign to it between calls of `fit`."""
        return self.objective.current("beta")

    @beta.setter
    def beta(self, value: float) -> None:
        self.objective.beta = value
