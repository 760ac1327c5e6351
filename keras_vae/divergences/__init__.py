"""Pure functions that compare distributions."""

from keras_vae.divergences.kl import exact_kl_or_none, kl_divergence, kl_per_dimension

__all__ = ["exact_kl_or_none", "kl_divergence", "kl_per_dimension"]
