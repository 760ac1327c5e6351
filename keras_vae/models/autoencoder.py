"""The autoencoder."""

from typing import Any

import keras

from keras_vae.models.latent_variable_model import LatentVariableModel
from keras_vae.objectives import Reconstruction
from keras_vae.priors import Prior


@keras.saving.register_keras_serializable(package="keras_vae")
class Autoencoder(LatentVariableModel):
    """The autoencoder: minimises -log p(x|z) at the code z of x.

    For features, compression and as the baseline of the others: nothing shapes the codes but what
    reconstruction needs. To generate, call `fit_prior` after training. Prefer `RegularizedAutoencoder` or
    `VAE` where generating is the aim, and `DenoisingAutoencoder` where the code is as large as the data,
    since this one may then copy its input.

    Args:
        encoder: a Keras model from x, `[B] + event`, that ends in a distribution layer, usually
            `layers.IndependentDeterministic`; any with a mean will do.
        decoder: a Keras model from z, `[B] + latent`, that ends in a distribution layer over x.
        prior: what `sample` draws z from, a `priors.Prior` without weights to train; a standard normal if
            None. Training does not look at it.
        num_samples: draws of z per example and step; 1 with a deterministic posterior.
        seed: seed of those draws.

    Metrics: `loss` = `reconstruction`, in nats, summed over the event.

    Raises:
        ValueError: if the networks do not fit, for several draws of a deterministic code, and for a prior
            with weights to train.

    Example:

    >>> import keras_vae
    >>> model = keras_vae.Autoencoder.create((8, 8, 1), latent_size=2, hidden=(16,))
    >>> model.objective.part_names, model.latent_shape
    (('reconstruction',), (2,))

    Reference: Hinton & Salakhutdinov, Reducing the Dimensionality of Data with Neural Networks, 2006.
    """

    default_posterior = "deterministic"

    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        prior: Prior | None = None,
        num_samples: int = 1,
        **kwargs: Any,
    ):
        super().__init__(encoder, decoder, prior, Reconstruction(num_samples), **kwargs)
