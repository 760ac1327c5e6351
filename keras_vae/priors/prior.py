"""The base of the priors."""

from typing import Any

import keras
import tensorflow_probability as tfp

from keras_vae.layers.independent import Shape, as_shape

tfd = tfp.distributions


class Prior(keras.layers.Layer):
    """A distribution over the latent: `prior()` gives it.

    A subclass makes its weights in `__init__` and its distribution in `distribution`. Being a Keras layer it
    is trained, saved and counted with the model that owns it. It stays in float32 (or float64) under any
    dtype policy.

    Args:
        event_shape: shape of one latent.
    """

    def __init__(self, event_shape: Shape, **kwargs: Any):
        dtype = keras.dtype_policies.get(kwargs.pop("dtype", None))
        super().__init__(dtype=dtype.variable_dtype, **kwargs)
        self.event_shape = as_shape(event_shape)
        self.built = True

    def add_weight(self, *args: Any, **kwargs: Any) -> keras.Variable:
        """A weight, in full precision wherever it is read, as inside the call of a half-precision model."""
        return super().add_weight(*args, **{"autocast": False, **kwargs})

    def distribution(self) -> tfd.Distribution:
        """The prior, batch shape `[]` and event shape `event_shape`."""
        raise NotImplementedError

    def __call__(self) -> tfd.Distribution:
        return self.distribution()

    def given(self, y: Any) -> tfd.Distribution:
        """The prior for examples with conditions y, `[B] + condition`, or None; the same for all, here."""
        del y
        return self()

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "event_shape": self.event_shape}
