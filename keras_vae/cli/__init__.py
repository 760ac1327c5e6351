"""The command line: one file a command, over `keras_vae.runs` and `keras_vae.serving`.

Nothing here is imported by the library, and nothing here imports TensorFlow before a command needs it.
"""

from keras_vae.cli.app import app, main

__all__ = ["app", "main"]
