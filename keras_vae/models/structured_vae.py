"""The structured VAE."""

from typing import Any

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae.errors import invalid
from keras_vae.models.latent_variable_model import LatentVariableModel
from keras_vae.objectives import StructuredELBO
from keras_vae.priors import GaussianMixtureGraph, GraphicalModel, Prior
from keras_vae.schedules import Schedule

tfd = tfp.distributions


@keras.saving.register_keras_serializable(package="keras_vae")
class StructuredVAE(LatentVariableModel):
    """The VAE whose prior is a conjugate graphical model that takes part in recognition.

    The encoder gives evidence about z, psi(z; x) = N(z; m(x), s(x)^2), for each dimension and time by itself;
    what the data have in common is the prior's to know, and inference in it gives the posterior,

        q(z, k|x) proportional to p(z, k|theta) psi(z; x)

    Prefer it to the `VAE` with a learned prior where the structure is what is sought: clusters
    (`priors.GaussianMixtureGraph`), or dynamics by which to predict (`priors.LinearDynamicalSystem`).

    Ordinary steps train theta with the networks; with the Bayesian versions of those priors theta have a
    posterior that natural gradient steps improve. `encode` gives q(z|x); `elbo` and `log_likelihood` are of
    the prior that `prior()` gives.

    Args:
        encoder: a Keras model from x, `[B] + event`, that ends in `layers.IndependentNormal`: the potentials.
            For sequences z is `[B, T, D]`, from any network: one that looks at each time by itself leaves the
            rest to the graph.
        decoder: a Keras model from z, `[B] + latent`, that ends in a distribution layer over x.
        prior: a `priors.GraphicalModel`.
        num_samples: draws of z per example and step; of each component where the posterior is a mixture.
        annealing: weight of the KL, a number in [0, 1], a `schedules.Schedule` of the training step, or its
            short form, "linear:0:1:10000", against posterior collapse.
        seed: seed of those draws.

    Metrics: `loss` = `reconstruction` + `kl`, in nats; the loss is the negative ELBO of all that is unknown,
    and `kl` has the share of an example in the parameters' divergence. With annealing the second part is
    `weighted_kl`, and `kl` and `annealing` are shown beside it.

    Raises:
        ValueError: for a prior that is no graphical model, and potentials that are not independent normals.

    Example:

    >>> import keras_vae
    >>> from keras_vae import priors
    >>> prior = priors.GaussianMixtureGraph(2, num_components=3)
    >>> vae = keras_vae.StructuredVAE.create((4,), latent_size=2, hidden=(8,), prior=prior)
    >>> vae.prior.responsibilities(vae.encode(tf.zeros([5, 4]))).shape
    TensorShape([5, 3])

    Reference: Johnson, Duvenaud, Wiltschko, Datta & Adams, Composing graphical models with neural networks
    for structured representations and fast inference, 2016, Algorithm 1.
    """

    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        prior: GraphicalModel,
        num_samples: int = 1,
        annealing: float | str | Schedule = 1.0,
        **kwargs: Any,
    ):
        if not isinstance(prior, GraphicalModel):
            hint = "VAE takes every other prior."
            raise invalid("prior", "a graphical model, such as priors.GaussianMixtureGraph", prior, hint)
        super().__init__(encoder, decoder, prior, StructuredELBO(num_samples, annealing), **kwargs)

    @classmethod
    def create(
        cls,
        input_shape: tuple[int, ...],
        latent_size: int,
        *args: Any,
        prior: GraphicalModel | None = None,
        num_components: int = 10,
        **kwargs: Any,
    ):
        """Builds the model in one line; see `VAE.create`.

        Args:
            input_shape: shape of one example.
            latent_size: number of latent dimensions.
            prior: a `priors.GraphicalModel`; None for a `GaussianMixtureGraph`.
            num_components: of that mixture.
            *args, **kwargs: see `VAE.create`.
        """
        chosen = GaussianMixtureGraph(latent_size, num_components) if prior is None else prior
        return super().create(input_shape, latent_size, *args, prior=chosen, **kwargs)

    def _posterior(self, x: tf.Tensor, y: tf.Tensor | None, training: bool) -> tfd.Distribution:
        return self.prior.posterior(super()._posterior(x, y, training))

    @property
    def encoding_layers(self) -> list[keras.layers.Layer]:
        return [*super().encoding_layers, self.prior]

    def fit_prior(self, *args: Any, **kwargs: Any) -> Prior:
        """Refused: the prior is part of recognition, and cannot be replaced after training."""
        raise invalid("fit_prior", "a model whose prior stands apart from its encoder", type(self).__name__)
