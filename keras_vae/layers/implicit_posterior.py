"""A posterior of any shape: what a network makes of features and noise."""

from collections.abc import Callable
from math import prod
from typing import Any

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae.checks import check_count
from keras_vae.distributions import Implicit
from keras_vae.errors import invalid
from keras_vae.layers.distribution_layer import DistributionLayer, check_last_dimension
from keras_vae.layers.independent import Shape, as_shape
from keras_vae.layers.tensor_coercible import ConvertToTensorFn

tfd = tfp.distributions


@keras.saving.register_keras_serializable(package="keras_vae")
class ImplicitPosterior(DistributionLayer):
    """The universal approximator posterior z = f(x, noise): draws of any distribution, without a density.

    f is an MLP on the features of x and standard normal noise. Its first layer is split: the `Dense` in front
    of this layer is the part that sees the features, this layer adds the part that sees the noise. So

        h_1 = activation(inputs + A noise),  h_i = activation(B_i h_(i-1) + b_i),  z = C h_n + c.

    A posterior may then have several modes, correlations, any shape; what keeps it in bounds must do without
    its density: a critic or a distance between samples, as in `AdversarialAutoencoder`, `AdversarialWAE` and
    `WAE`. Objectives with a KL or importance weights refuse it. Prefer `IndependentNormal` where its scale
    and place are all that is wanted, and `MultivariateNormalTriL` where correlations are.

    Draws carry gradients to the inputs and to the weights here. `mean` and `stddev` are deterministic and
    taken over fixed points of the noise, see `distributions.Implicit`: a model's reconstruction of x is that
    of the mean code, which may lie between the modes.

    Args:
        event_shape: shape of one draw; `()` for scalars.
        noise_size: numbers of noise for one draw, at least 1; as many as the event has elements if None. With
            fewer, draws lie on a surface of that dimension.
        hidden: widths of the layers h, at least one.
        activation: name of a Keras activation, or a registered function. With "linear" the posterior is a
            normal whose covariance is the same for all x.
        convert_to_tensor_fn, validate_args, seed, activity_regularizer: see `DistributionLayer`.

    Call arguments:
        inputs: `batch_shape + [hidden[0]]`: the features' share of the first layer before its activation.

    Raises:
        ValueError: for sizes that are no positive integers, no hidden layer, or an unknown activation.

    Example:

    >>> import numpy as np
    >>> layer = ImplicitPosterior(2, hidden=(8,))
    >>> q = layer(np.zeros([3, layer.num_params], "float32"))
    >>> layer.num_params, q.sample(5, seed=(0, 1)).shape, len(layer.trainable_weights)
    (8, TensorShape([5, 3, 2]), 3)

    Reference: Makhzani et al., Adversarial Autoencoders, 2015, section 2.1, "Universal approximator
    posterior".
    """

    _arguments = ("event_shape", "noise_size", "hidden")

    def __init__(
        self,
        event_shape: Shape = (),
        noise_size: int | None = None,
        hidden: Shape = (64, 64),
        activation: str | Callable | None = "relu",
        convert_to_tensor_fn: str | ConvertToTensorFn = tfd.Distribution.sample,
        validate_args: bool = False,
        **kwargs: Any,
    ):
        super().__init__(convert_to_tensor_fn, validate_args, **kwargs)
        self.event_shape = as_shape(event_shape)
        size = prod(self.event_shape)
        self.noise_size = size if noise_size is None else check_count("noise_size", noise_size)
        self.hidden = as_shape(hidden, "hidden")
        if not self.hidden:
            raise invalid("hidden", "at least one width", hidden)
        self.activation = _activation(activation)
        widths = (self.noise_size, *self.hidden, size)
        self.dense = [
            # The inputs bring the first layer's bias.
            keras.layers.Dense(units, use_bias=i > 0, dtype=self.dtype_policy, name=f"dense_{i}")
            for i, units in enumerate(widths[1:])
        ]
        for layer, units in zip(self.dense, widths, strict=False):
            layer.build((None, units))
        self.built = True

    @property
    def num_params(self) -> int:
        return self.params_size(self.hidden)

    def distribution(self, params: Any) -> tfd.Distribution:
        sizes = (self.event_shape, self.noise_size, self.hidden)
        return self.new(params, *sizes, self._codes, self.validate_args)

    @staticmethod
    def new(
        params: tf.Tensor,
        event_shape: Shape,
        noise_size: int,
        hidden: Shape,
        function: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
        validate_args: bool = False,
        name: str | None = None,
    ) -> tfd.Distribution:
        """The distribution of `function(params, noise)`; see `distributions.Implicit`.

        `params` are `batch_shape + [params_size]`, and `function` gives the elements of the event.
        """
        params = tf.convert_to_tensor(params)
        check_last_dimension(params, ImplicitPosterior.params_size(hidden), f"hidden {as_shape(hidden)}")
        shape = as_shape(event_shape)
        return Implicit(function, params, noise_size, shape, validate_args, name=name or "Implicit")

    @staticmethod
    def params_size(hidden: Shape = (64, 64), name: str | None = None) -> int:
        """The number of parameters of one distribution: the width of the first hidden layer."""
        return as_shape(hidden, "hidden")[0]

    def _codes(self, params: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
        x = params + self.dense[0](noise)
        for layer in self.dense[1:]:
            x = layer(self.activation(x))
        return x

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "activation": keras.activations.serialize(self.activation)}


def _activation(identifier: Any) -> Callable:
    hint = "A layer would be shared; give the name." if isinstance(identifier, keras.layers.Layer) else ""
    try:
        if not hint:
            return keras.activations.get(identifier)
    except ValueError:
        pass
    raise invalid("activation", "the name of a Keras activation, or a function", identifier, hint)
