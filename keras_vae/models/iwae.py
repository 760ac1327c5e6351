"""The importance-weighted autoencoder."""

from typing import Any

import keras

from keras_vae.models.latent_variable_model import LatentVariableModel
from keras_vae.objectives import IWAEBound
from keras_vae.priors import Prior
from keras_vae.schedules import Schedule


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
        annealing: weight of log p(z) - log q(z|x) in the importance weights, a number in [0, 1], a
            `schedules.Schedule`, or its short form such as "linear:0:1:10000", against posterior collapse.
            The loss is a bound where it is 1, and `annealing` is shown beside it where it is not throughout.

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
        annealing: float | str | Schedule = 1.0,
        **kwargs: Any,
    ):
        objective = IWAEBound(num_samples, gradient, baseline, annealing)
        super().__init__(encoder, decoder, prior, objective, **kwargs)
