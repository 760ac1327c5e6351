"""The critic that adversarial objectives make themselves where the user brings none."""

from typing import Any

import keras

from keras_vae.networks import _arguments
from keras_vae.networks._arguments import Sizes
from keras_vae.networks.ends import flat


def mlp_critic(
    input_shape: Sizes,
    hidden: Sizes = (256, 256),
    spectral_norm: bool = False,
    use_bias: bool = True,
    name: str = "critic",
) -> keras.Model:
    """Dense layers with leaky rectifiers from values of any shape, flattened, to one score: `[B, 1]`.

    It stays in float32 under any dtype policy, since its gradients by the values are small.

    Args:
        input_shape: shape of one value.
        hidden: widths of the hidden layers, named "hidden_0", "hidden_1", ...
        spectral_norm: whether every weight matrix is divided by its largest singular value, estimated anew in
            every training call (Miyato et al., 2018). Rectifiers are 1-Lipschitz, so the whole is too.
        use_bias: whether the score has a bias; differences of scores do not see it.
        name: the model's name.

    Example:

    >>> import numpy as np
    >>> mlp_critic(2, hidden=(8,))(np.zeros([5, 2], "float32")).shape
    TensorShape([5, 1])
    """

    def dense(units: int, name: str, **kwargs: Any) -> keras.layers.Layer:
        if not spectral_norm:
            return keras.layers.Dense(units, dtype="float32", name=name, **kwargs)
        inner = keras.layers.Dense(units, dtype="float32", **kwargs)
        return keras.layers.SpectralNormalization(inner, dtype="float32", name=name)

    inputs = keras.Input(_arguments.shape("input_shape", input_shape), dtype="float32", name="values")
    x = flat(inputs)
    for i, units in enumerate(_arguments.sizes("hidden", hidden)):
        x = dense(units, f"hidden_{i}", activation="leaky_relu")(x)
    return keras.Model(inputs, dense(1, "score", use_bias=use_bias)(x), name=name)
