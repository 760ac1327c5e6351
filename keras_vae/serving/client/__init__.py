"""A client of served models: NumPy in and out, over REST or gRPC."""

from keras_vae.serving.client.client import Client
from keras_vae.serving.client.errors import ServerUnreachable, ServingError
from keras_vae.serving.client.metadata import Metadata, SignatureSpecs
from keras_vae.serving.client.options import TLS
from keras_vae.serving.client.retries import Retries

__all__ = ["TLS", "Client", "Metadata", "Retries", "ServerUnreachable", "ServingError", "SignatureSpecs"]
