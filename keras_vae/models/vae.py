"""The variational autoencoder."""

from typing import Any

import keras

from keras_vae.models.latent_variable_model import LatentVariableModel
from keras_vae.objectives import ELBO
from keras_vae.priors import Prior
from keras_vae.schedules import Schedule


@keras.saving.register_keras_serializable(package="keras_vae")
class VAE(LatentVariableModel):
    """The variational autoencoder: maximises the evidence lower bound on log p(x).

    The model to begin with. Prefer `BetaVAE` for disentangled latents or where the latent collapses.

    Args:
        encoder: a Keras model from x, `[B] + event`, that ends in a distribution layer.
        decoder: a Keras model from z, `[B] + latent`, that ends in a distribution layer over x.
        prior: a `priors.Prior` over z; a standard normal if None, and fair coins for a posterior of bits.
        kl: "auto" (exact where known), "exact" or "sampled".
        num_samples: draws of z per example and step.
        gradient: "pathwise", through the draws; "score", REINFORCE, for discrete latents; or "auto"
            (default), pathwise where the posterior allows it.
        baseline: control variate of "score"; see `objectives.ELBO`.
        annealing: weight of the KL, a number in [0, 1], a `schedules.Schedule` of the training step, or its
            short form: "linear:0:1:10000" warms up over as many steps, "cyclical:0:1:5000" does so again and
            again. Against posterior collapse. Once it is 1, the loss is the negative ELBO.
        free_bits: nats of every latent dimension that cost nothing, a number >= 0: a dimension whose mean KL
            over the batch is lower is left in peace. To the same end; needs a posterior and a prior of
            independent dimensions.
        seed: seed of those draws.

    Metrics: `loss` = `reconstruction` + `kl`, in nats; the loss is the negative ELBO. With annealing or free
    bits the second part is `weighted_kl`, and `kl` and `annealing` are shown beside it.

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
    Backpropagation and Approximate Inference in Deep Generative Models, 2014. Fu et al., Cyclical Annealing
    Schedule, 2019, Eq. 6 (annealing); Kingma et al., Improving Variational Inference with Inverse
    Autoregressive Flow, 2016, Eq. 15 (free bits).
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
        annealing: float | str | Schedule = 1.0,
        free_bits: float = 0.0,
        **kwargs: Any,
    ):
        objective = ELBO(kl, num_samples, gradient, baseline, annealing, free_bits)
        super().__init__(encoder, decoder, prior, objective, **kwargs)
