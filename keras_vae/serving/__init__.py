"""Trained models as SavedModels: encoder, decoder and the whole, versioned, with named and seeded signatures.

What is exported needs TensorFlow alone to run: no keras_vae, no Python, no state that a call changes.
"""

from keras_vae.serving.client import TLS, Client, Retries, ServerUnreachable, ServingError
from keras_vae.serving.conversion.litert import to_litert
from keras_vae.serving.conversion.onnx import to_onnx
from keras_vae.serving.deployment.configuration import write_configuration
from keras_vae.serving.export import export

__all__ = [
    "TLS",
    "Client",
    "Retries",
    "ServerUnreachable",
    "ServingError",
    "export",
    "to_litert",
    "to_onnx",
    "write_configuration",
]
