"""Keras losses of models that end in a distribution."""

from keras_vae.losses.negative_log_likelihood import NegativeLogLikelihood

__all__ = ["NegativeLogLikelihood"]
