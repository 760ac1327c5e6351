"""Noise for the inputs of denoising autoencoders.

`get` turns a short string such as "masking:0.3" into one of them.
"""

from keras_vae.corruptions.corruption import Corruption
from keras_vae.corruptions.gaussian import Gaussian
from keras_vae.corruptions.identifiers import get
from keras_vae.corruptions.masking import Masking
from keras_vae.corruptions.salt_and_pepper import SaltAndPepper

__all__ = ["Corruption", "Gaussian", "Masking", "SaltAndPepper", "get"]
