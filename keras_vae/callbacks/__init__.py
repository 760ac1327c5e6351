"""Keras callbacks that watch a variational autoencoder learn.

`CollapseReport` follows how much of the latent is used, `NaNGuard` stops at the first loss that is not finite
and says where it came from, `TensorBoardImages` and `EmbeddingProjector` write what TensorBoard shows. They
are called once per execution or once per epoch, so training stays fast.
"""

from keras_vae.callbacks.collapse_report import CollapseReport
from keras_vae.callbacks.embedding_projector import EmbeddingProjector
from keras_vae.callbacks.nan_guard import NaNGuard
from keras_vae.callbacks.tensorboard_images import TensorBoardImages

__all__ = ["CollapseReport", "EmbeddingProjector", "NaNGuard", "TensorBoardImages"]
