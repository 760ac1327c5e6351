"""The contractive autoencoder."""

from typing import Any

import keras

from keras_vae.models.latent_variable_model import LatentVariableModel
from keras_vae.objectives import ContractiveReconstruction
from keras_vae.priors import Prior
from keras_vae.schedules import Schedule


@keras.saving.register_keras_serializable(package="keras_vae")
class ContractiveAutoencoder(LatentVariableModel):
    """The autoencoder whose code hardly moves with x: -log p(x|z) + weight * ||d c / d x||^2, in nats.

    c is the code, the posterior's mean, and the norm the exact squared Frobenius norm of its Jacobian. Only
    the directions in which the data vary resist it, so codes follow the data's manifold and ignore the rest.
    Like `DenoisingAutoencoder` with little Gaussian noise, but without noise and for the code itself; a step
    takes longer, by about a backward pass of the encoder for each latent dimension. Codes that may shrink
    together with a decoder that grows escape the penalty: give the encoder a bounded last activation.

    Args:
        encoder: see `Autoencoder`; an activation with a second derivative, as "tanh", learns most from the
            penalty. Batch normalization makes codes of one example depend on the others, and the derivative
            is then of the sum over the batch: use "layer" or "group".
        decoder, prior, num_samples, seed: see `Autoencoder`.
        weight: of the squared norm, a number >= 0, a `schedules.Schedule` or its short form. With 0 the model
            is the `Autoencoder`.

    Metrics: `loss` = `reconstruction` + `weighted_contraction`, in nats; `weight` is shown beside them.

    Raises:
        ValueError: as `Autoencoder`, for a weight below 0, and for an encoder that cannot be differentiated.

    Example:

    >>> import keras_vae
    >>> model = keras_vae.ContractiveAutoencoder.create((4,), 2, hidden=(8,), activation="tanh", weight=0.5)
    >>> model.objective.part_names
    ('reconstruction', 'weighted_contraction')

    Reference: Rifai, Vincent, Muller, Glorot & Bengio, Contractive Auto-Encoders: Explicit Invariance During
    Feature Extraction, 2011, Eq. 1 (the norm) and section 3 (the objective).
    """

    default_posterior = "deterministic"

    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        prior: Prior | None = None,
        weight: float | str | Schedule = 0.1,
        num_samples: int = 1,
        **kwargs: Any,
    ):
        super().__init__(encoder, decoder, prior, ContractiveReconstruction(weight, num_samples), **kwargs)

    @property
    def weight(self) -> keras.Variable:
        """The present weight of the penalty: read it, or assign to it between calls of `fit`."""
        return self.objective.current("weight")

    @weight.setter
    def weight(self, value: float) -> None:
        self.objective.weight = value
