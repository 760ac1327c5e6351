"""Encoders and decoders by kind of input: multilayer perceptrons, convolutions, residual convolutions.

Each is a functional Keras model that ends in a distribution layer. They are there for convenience;
any Keras model that ends in one serves. `build` makes a pair by name.
"""

from keras_vae.networks.build import build, build_classifier, option_names
from keras_vae.networks.conv import conv_decoder, conv_encoder
from keras_vae.networks.mlp import mlp_decoder, mlp_encoder
from keras_vae.networks.resnet import resnet_decoder, resnet_encoder
from keras_vae.networks.spectral import spectrally_normalized

__all__ = [
    "build",
    "build_classifier",
    "conv_decoder",
    "conv_encoder",
    "mlp_decoder",
    "mlp_encoder",
    "option_names",
    "resnet_decoder",
    "resnet_encoder",
    "spectrally_normalized",
]
