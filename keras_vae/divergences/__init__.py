"""Pure functions that compare distributions."""

from keras_vae.divergences.kl import has_exact_kl, kl_divergence, kl_per_dimension

__all__ = ["has_exact_kl", "kl_divergence", "kl_per_dimension"]
