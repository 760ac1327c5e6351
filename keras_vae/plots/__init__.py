"""Pictures of a variational autoencoder and of a search for one: arrays in, a matplotlib `Figure` out.

Nothing here knows a model, opens a window or touches matplotlib's global state, so every function
works without a display, in threads and in callbacks. `save` writes a figure to a PNG file and
`to_png` to bytes. Images are floats in [0, 1], clipped where they are not, or uint8.
"""

from keras_vae.plots.images import image_grid, manifold, reconstructions, traversals
from keras_vae.plots.latents import kl_per_dimension, latent_map, principal_components
from keras_vae.plots.rate_distortion import rate_distortion, search_progress
from keras_vae.plots.saving import save, to_png
from keras_vae.plots.training import training_curves

__all__ = [
    "image_grid",
    "kl_per_dimension",
    "latent_map",
    "manifold",
    "principal_components",
    "rate_distortion",
    "reconstructions",
    "save",
    "search_progress",
    "to_png",
    "training_curves",
    "traversals",
]
