"""The Wasserstein autoencoder."""

from typing import Any

import keras

from keras_vae.divergences import SampleDistance
from keras_vae.models.latent_variable_model import LatentVariableModel
from keras_vae.objectives import WassersteinReconstruction
from keras_vae.priors import Prior
from keras_vae.schedules import Schedule


@keras.saving.register_keras_serializable(package="keras_vae")
class WAE(LatentVariableModel):
    """The Wasserstein autoencoder: the codes of all data together, not each one, are held to the prior.

    Minimises -log p(x|z) + weight * D(q(z), p(z)). Prefer it to `VAE` for sharp reconstructions from codes
    that can still be sampled, without noise in the code. D is estimated from a batch: take batches of 100 or
    more, and more for many latents.

    Args:
        encoder: a Keras model from x, `[B] + event`, that ends in a distribution layer, usually
            `layers.IndependentDeterministic` (the default of `create`); a noisy posterior works too.
        decoder: a Keras model from z, `[B] + latent`, that ends in a distribution layer over x.
        prior: a `priors.Prior` over z; a standard normal if None. One with weights needs reparameterised
            draws.
        divergence: D: "mmd-imq" (heavy tails, the first choice), "mmd-rbf", "sinkhorn" (debiased optimal
            transport), "sliced" (cheap for large batches), or an object with options:
            `divergences.MMD`, `divergences.Sinkhorn`, `divergences.SlicedWasserstein`.
        weight: of D, the paper's lambda: a number >= 0, a `schedules.Schedule`, or its short form. D has
            units of its own while the reconstruction is in nats summed over the event: 10 suits small events,
            images take 100 and more.
        num_samples: draws of z per example and step, and sets of draws from the prior.
        seed: seed of the draws.

    Metrics: `loss` = `reconstruction` + `weighted_divergence`; `divergence`, `weight` and, for Sinkhorn,
    `marginal_error` are shown beside them. A marginal error above Sinkhorn's `tolerance` says that it did not
    converge: raise its `epsilon` or `num_iterations`.

    Raises:
        ValueError: for networks that do not fit and arguments out of range.

    Example:

    >>> import keras_vae
    >>> from keras_vae.divergences import Sinkhorn
    >>> wae = keras_vae.WAE.create((8, 8, 1), latent_size=2, hidden=(16,), divergence=Sinkhorn(epsilon=0.5))
    >>> wae.objective.monitor_names
    ('divergence', 'weight', 'marginal_error')

    Reference: Tolstikhin et al., Wasserstein Auto-Encoders, 2018, Eq. 4 and Algorithm 2; Kolouri et al.,
    Sliced-Wasserstein Auto-Encoders, 2019; Patrini et al., Sinkhorn AutoEncoders, 2019.
    """

    default_posterior = "deterministic"

    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        prior: Prior | None = None,
        divergence: str | SampleDistance = "mmd-imq",
        weight: float | str | Schedule = 10.0,
        num_samples: int = 1,
        **kwargs: Any,
    ):
        objective = WassersteinReconstruction(divergence, weight, num_samples)
        super().__init__(encoder, decoder, prior, objective, **kwargs)
