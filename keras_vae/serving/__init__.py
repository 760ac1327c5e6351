"""Trained models as SavedModels: encoder and decoder, versioned, with named and seeded signatures.

What is exported needs TensorFlow alone to run: no keras_vae, no Python, no state that a call changes.
"""

from keras_vae.serving.export import export

__all__ = ["export"]
