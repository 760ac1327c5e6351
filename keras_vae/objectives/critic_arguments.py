"""Checks of what objectives with a critic are built from."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import keras
import tensorflow as tf

from keras_vae.checks import check_count
from keras_vae.errors import invalid
from keras_vae.priors import Prior

# A model, widths of the hidden layers of an MLP, or the default widths.
Critic: TypeAlias = keras.Model | Sequence[int] | None

KL_MODES = {"auto": "auto", "exact": "exact", "sampled": "sampled"}


def hidden_widths(critic: Any) -> tuple[int, ...] | None:
    if critic is None:
        return None
    if not isinstance(critic, Sequence) or isinstance(critic, str):
        raise invalid("critic", "a Keras model, widths of hidden layers, or None", critic)
    return tuple(check_count("critic", width) for width in critic)


def check_remedies(is_mlp: bool, adversarial_loss: str, gradient_penalty: float, spectral_norm: Any) -> None:
    """Raises where the critic's slope is not bounded though it must be, or is asked to be and cannot."""
    if not isinstance(spectral_norm, bool):
        raise invalid("spectral_norm", "True or False", spectral_norm)
    if is_mlp and adversarial_loss == "wasserstein" and not (gradient_penalty or spectral_norm):
        raise invalid(
            "gradient_penalty",
            "a number > 0, or spectral_norm=True, for a critic of differences of scores",
            gradient_penalty,
            "Without either its scores grow without end.",
        )
    if spectral_norm and not is_mlp:
        raise invalid(
            "spectral_norm",
            "False for a critic of your own",
            True,
            "Wrap its layers in keras.layers.SpectralNormalization.",
        )


def check_fixed(prior: Prior) -> None:
    """Raises `ValueError` for a prior with weights that no draw would lead a gradient to."""
    if prior.trainable_variables:
        raise invalid(
            "prior",
            "one without weights to train, for a critic of z",
            type(prior).__name__,
            "Set `prior.trainable = False`.",
        )


def check_takes(critic: keras.Model, shape: tuple[int | None, ...]) -> None:
    """Raises `ValueError` unless a critic takes values of this shape, as far as it says."""
    takes = getattr(critic, "input_shape", None) if critic.built else None
    if isinstance(takes, tuple) and not tf.TensorShape(takes[1:]).is_compatible_with(shape):
        raise invalid("critic", f"a model of values of shape [batch] + {shape}", f"one of {takes}")
