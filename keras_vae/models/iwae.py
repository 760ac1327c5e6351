"""The importance-weighted autoencoder."""

from typing import Any

import keras

from keras_vae.models.latent_variable_model import LatentVariableModel
from keras_vae.objectives import IWAEBound
from keras_vae.priors import Prior


@keras.saving.register_keras_serializable(package="keras_vae")
class IWAE(LatentVariableModel):
    """The importance-weighted autoencoder: maximises log (1/K) sum_k p(x, z_k) / q(z_k|x).

    The same networks as the `VAE` under a tighter bound. Prefer it for a high log-likelihood and for
    posteriors that the encoder's family cannot describe; K draws cost K times the decoder.

    Args:
        encoder, decoder, prior, seed: see `VAE`.
        num_samples: K, draws of z per example and step.
        gradient: how the encoder learns. "reparameterized" is the paper's. "dreg" has no bias either and a
            smaller variance, the more so the larger K; "stl" has a small variance and a bias. Posteriors
            that cannot be reparameterised, such as Bernoulli, take "vimco" or "score".
        baseline: of "score"; see `objectives.IWAEBound`.

    Metrics: `loss` = `negative_bound`, in nats, whatever the gradient; `reconstruction` and `kl` are the
    sampled terms of the plain ELBO, for comparison.

    Example:

    >>> import keras_vae
    >>> model = keras_vae.IWAE.create((8, 8, 1), latent_size=2, hidden=(16,), num_samples=5, gradient="dreg")
    >>> model.objective.num_samples
    5

    Reference: Burda et al., Importance Weighted Autoencoders, 2016, Eq. 8; Tucker et al., Doubly
    Reparameterized Gradient Estimators for Monte Carlo Objectives, 2019, Eq. 8; Mnih & Rezende, Variational
    Inference for Monte Carlo Objectives, 2016, Eq. 9.
    """

    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        prior: Prior | None = None,
        num_samples: int = 5,
        gradient: str = "reparameterized",
        baseline: str = "auto",
        **kwargs: Any,
    ):
        super().__init__(encoder, decoder, prior, IWAEBound(num_samples, gradient, baseline), **kwargs)
