"""The regularized autoencoder."""

from typing import Any

import keras

from keras_vae.errors import invalid, lookup
from keras_vae.models.latent_variable_model import LatentVariableModel
from keras_vae.networks.spectral import spectrally_normalized
from keras_vae.objectives import RegularizedReconstruction
from keras_vae.priors import Prior
from keras_vae.schedules import Schedule

# To each regularizer, what it is to the objective.
_REGULARIZERS = {"l2": "l2", "gp": "gp", "sn": "none", "none": "none"}


@keras.saving.register_keras_serializable(package="keras_vae")
class RegularizedAutoencoder(LatentVariableModel):
    """The deterministic counterpart of the VAE: -log p(x|z) + beta * 0.5 * |c|^2 + weight * R, in nats.

    c is the code, the posterior's mean; its norm keeps codes together as the VAE's KL does, and R keeps the
    decoder smooth as the VAE's noise does. To generate, call `fit_prior` after training: a density fitted to
    the codes takes the place of the prior. Prefer it to `VAE` for samples as sharp as its reconstructions;
    there is no bound on log p(x).

    Args:
        encoder, decoder, prior, num_samples, seed: see `Autoencoder`. With "sn" the model's decoder is a copy
            of the one given.
        beta: weight of the code's norm, a number >= 0, a `schedules.Schedule` or its short form.
        regularizer: what R is. "l2" (RAE-L2): the sum of squares of the decoder's trainable weights. "gp"
            (RAE-GP): the squared Frobenius norm of the Jacobian of the decoder's mean by z, exact; a step
            takes longer by about a forward pass for each latent dimension. "sn" (RAE-SN): 0, and the dense
            and convolutional layers of the decoder have spectral norm 1 instead. "none": 0.
        weight: of R for "l2" and "gp", a number >= 0 or a schedule; 1e-6 if None; None for the others.

    Metrics: `loss` = `reconstruction` + `weighted_code_norm` + `weighted_regularizer` ("l2" and "gp"), in
    nats; `beta` and `weight` are shown beside them.

    Raises:
        ValueError: as `Autoencoder`, for weights below 0, an unknown regularizer, a weight where there is
            nothing to weigh, and a decoder without layers to normalise or weights to penalise.

    Example:

    >>> import keras_vae
    >>> model = keras_vae.RegularizedAutoencoder.create((8, 8, 1), 2, hidden=(16,), regularizer="gp")
    >>> model.objective.part_names
    ('reconstruction', 'weighted_code_norm', 'weighted_regularizer')

    Reference: Ghosh, Sajjadi, Vergari, Black & Scholkopf, From Variational to Deterministic Autoencoders,
    2020, section 3, section 3.1 (regularizers) and section 4 (ex-post density estimation).
    """

    default_posterior = "deterministic"

    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        prior: Prior | None = None,
        beta: float | str | Schedule = 1e-2,
        regularizer: str = "l2",
        weight: float | str | Schedule | None = None,
        num_samples: int = 1,
        **kwargs: Any,
    ):
        kind = lookup("regularizer", regularizer, _REGULARIZERS)
        objective = RegularizedReconstruction(beta, kind, weight, num_samples)
        if regularizer == "sn":
            if not isinstance(decoder, keras.Model):
                raise invalid("decoder", "a Keras model that ends in a distribution layer", decoder)
            decoder = spectrally_normalized(decoder)
        super().__init__(encoder, decoder, prior, objective, **kwargs)
        self.regularizer = regularizer

    @property
    def beta(self) -> keras.Variable:
        """The present weight of the code's norm: read it, or assign to it between calls of `fit`."""
        return self.objective.current("beta")

    @beta.setter
    def beta(self, value: float) -> None:
        self.objective.beta = value

    @property
    def weight(self) -> keras.Variable | None:
        """The present weight of the decoder's penalty, to read or to assign to; None where there is none."""
        return None if self.objective.weight is None else self.objective.current("weight")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "regularizer": self.regularizer}
