"""The variational autoencoder."""

from typing import Any

import keras

from keras_vae.models.latent_variable_model import LatentVariableModel
from keras_vae.objectives import ELBO
from keras_vae.priors import Prior


@keras.saving.register_keras_serializable(package="keras_vae")
class VAE(LatentVariableModel):
    """The variational autoencoder: maximises the evidence lower bound on log p(x).

    The model to begin with. Prefer `BetaVAE` for disentangled latents or where the latent collapses.

    Args:
        encoder: a Keras model from x, `[B] + event`, that ends in a distribution layer.
        decoder: a Keras model from z, `[B] + latent`, that ends in a distribution layer over x.
        prior: a `priors.Prior` over z; a standard normal if None.
        kl: "auto" (exact where known), "exact" or "sampled".
        num_samples: draws of z per example and step.
        gradient: "pathwise", through the draws; "score", REINFORCE, for discrete latents; or "auto"
            (default), pathwise where the posterior allows it.
        baseline: control variate of "score"; see `objectives.ELBO`.
        seed: seed of those draws.

    Metrics: `loss` = `reconstruction` + `kl`, in nats; the loss is the negative ELBO.

    Example:

    >>> import keras, keras_vae, numpy as np
    >>> from keras_vae import layers
    >>> encoder = keras.Sequential([
    ...     keras.Input((4,)), keras.layers.Dense(4), layers.IndependentNormal(2)])
    >>> decoder = keras.Sequential([
    ...     keras.Input((2,)), keras.layers.Dense(4), layers.IndependentBernoulli(4)])
    >>> vae = keras_vae.VAE(encoder, decoder)
    >>> vae.compile(optimizer="adam")
    >>> history = vae.fit(np.eye(4, dtype="float32"), epochs=2, verbose=0)
    >>> sorted(history.history)
    ['kl', 'loss', 'reconstruction']
    >>> vae.encode(np.eye(4)).event_shape
    TensorShape([2])

    Reference: Kingma & Welling, Auto-Encoding Variational Bayes, 2014, Eq. 3; Rezende et al., Stochastic
    Backpropagation and Approximate Inference in Deep Generative Models, 2014.
    """

    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        prior: Prior | None = None,
        kl: str = "auto",
        num_samples: int = 1,
        gradient: str = "auto",
        baseline: str = "auto",
        **kwargs: Any,
    ):
        super().__init__(encoder, decoder, prior, ELBO(kl, num_samples, gradient, baseline), **kwargs)
