"""The denoising autoencoder."""

from typing import Any

import keras

from keras_vae.corruptions import Corruption
from keras_vae.models.latent_variable_model import LatentVariableModel
from keras_vae.objectives import DenoisingReconstruction
from keras_vae.priors import Prior


@keras.saving.register_keras_serializable(package="keras_vae")
class DenoisingAutoencoder(LatentVariableModel):
    """The autoencoder that mends its input: -log p(x|z) of the clean x at the code z of a corrupted x.

    The code has to hold what the elements of x tell of each other, not copies of them: prefer it to
    `Autoencoder` for features, for large codes, and where noisy or incomplete inputs are to be mended.

    Args:
        encoder, decoder, prior, num_samples, seed: see `Autoencoder`.
        corruption: the noise of training and validation, a `corruptions.Corruption` or its short form:
            "gaussian:stddev", "masking:rate" or "salt-and-pepper:rate:low:high". With a rate or a standard
            deviation of 0 the model is the `Autoencoder`.

    Metrics: `loss` = `reconstruction`, of the clean x from the corrupted, in nats.

    Raises:
        ValueError: as `Autoencoder`, and for an unknown corruption or one with a rate outside [0, 1).

    Example:

    >>> import keras_vae
    >>> model = keras_vae.DenoisingAutoencoder.create((8, 8, 1), 2, hidden=(16,), corruption="masking:0.5")
    >>> model.objective.corruption
    Masking(rate=0.5)

    Reference: Vincent, Larochelle, Bengio & Manzagol, Extracting and Composing Robust Features with Denoising
    Autoencoders, 2008, Eq. 5.
    """

    default_posterior = "deterministic"

    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        prior: Prior | None = None,
        corruption: str | Corruption = "masking:0.3",
        num_samples: int = 1,
        **kwargs: Any,
    ):
        super().__init__(encoder, decoder, prior, DenoisingReconstruction(corruption, num_samples), **kwargs)
