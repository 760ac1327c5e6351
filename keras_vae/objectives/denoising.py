"""The objective of the denoising autoencoder."""

from typing import Any

import keras
import tensorflow as tf

from keras_vae import corruptions
from keras_vae.objectives.reconstruction import Reconstruction


@keras.saving.register_keras_serializable(package="keras_vae")
class DenoisingReconstruction(Reconstruction):
    """-E[log p(x|z)] with z the code of x with noise: the clean x from a corrupted one, in nats.

    Noise is fresh in every step. Validation is of the same quantity, with noise that is the same every time.
    Outside of `fit` and `evaluate`, as in `encode`, the encoder sees x as it is.

    Args:
        corruption: a `corruptions.Corruption`, or its short form: "gaussian:0.3", "masking:0.3",
            "salt-and-pepper:0.3:0:1".
        num_samples: see `Reconstruction`.

    Reference: Vincent, Larochelle, Bengio & Manzagol, Extracting and Composing Robust Features with Denoising
    Autoencoders, 2008, Eq. 5.
    """

    def __init__(
        self, corruption: str | corruptions.Corruption = "masking:0.3", num_samples: int = 1, **kwargs: Any
    ):
        super().__init__(num_samples, **kwargs)
        self.corruption = corruptions.get(corruption)

    def corrupt(self, x: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        return self.corruption(x, seed)
