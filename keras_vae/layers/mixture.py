"""Mixtures of distributions of one family."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae.checks import check_count, static_integer
from keras_vae.distributions import GumbelCategorical
from keras_vae.errors import invalid
from keras_vae.layers.distribution_layer import DistributionLayer, check_last_dimension
from keras_vae.layers.independent import IndependentLogistic, IndependentNormal, Shape, as_shape
from keras_vae.layers.support import Support
from keras_vae.layers.tensor_coercible import ConvertToTensorFn

tfd = tfp.distributions


@keras.saving.register_keras_serializable(package="keras_vae")
class MixtureSameFamily(DistributionLayer):
    """A mixture of the distributions that another distribution layer makes.

    The mixture is of whole events: all elements of a draw come from one component.

    Args:
        num_components: how many distributions are mixed, at least 1.
        component_layer: a distribution layer, which is called with `batch_shape + [num_components, P]`
            parameters.
        convert_to_tensor_fn, validate_args, seed, activity_regularizer: see `DistributionLayer`.

    Call arguments:
        inputs: `batch_shape + [params_size(num_components, P)]`: the logits of the components, then the P
            parameters of the first component, of the second, ...

    Example:

    >>> import numpy as np
    >>> layer = MixtureSameFamily(3, IndependentNormal(2))
    >>> p = layer(np.zeros([5, layer.num_params], "float32"))
    >>> layer.num_params, p.log_prob(np.zeros([5, 2], "float32")).shape
    (15, TensorShape([5]))
    """

    _arguments = ("num_components",)

    def __init__(
        self,
        num_components: int,
        component_layer: DistributionLayer,
        convert_to_tensor_fn: str | ConvertToTensorFn = tfd.Distribution.sample,
        validate_args: bool = False,
        **kwargs: Any,
    ):
        super().__init__(convert_to_tensor_fn, validate_args, **kwargs)
        self.num_components = check_count("num_components", num_components)
        if not isinstance(component_layer, DistributionLayer):
            raise invalid("component_layer", "a distribution layer", component_layer)
        self.component_layer = component_layer
        self.built = True  # The component's weights are its own to make.

    @property
    def support(self) -> Support:  # type: ignore[override]
        return self.component_layer.support

    @property
    def num_params(self) -> int:
        return self.params_size(self.num_components, self.component_layer.num_params)

    def distribution(self, params: tf.Tensor) -> tfd.Distribution:
        return self.new(params, self.num_components, self.component_layer, self.validate_args)

    @staticmethod
    def new(
        params: tf.Tensor,
        num_components: int,
        component_layer: Callable[[tf.Tensor], tfd.Distribution],
        validate_args: bool = False,
        name: str | None = None,
    ) -> tfd.Distribution:
        """The distribution with parameters `params`, `batch_shape + [params_size]`.

        `component_layer` is any function from parameters, `batch_shape + [num_components, P]`, to a
        distribution of batch shape `batch_shape + [num_components]`.
        """
        component_params = _known_num_params(component_layer)
        logits, components = split_mixture(params, num_components, component_params)
        return tfd.MixtureSameFamily(
            GumbelCategorical(logits=logits),
            component_layer(components),
            validate_args=validate_args,
            name=name or "MixtureSameFamily",
        )

    @staticmethod
    def params_size(num_components: int, component_params_size: int, name: str | None = None) -> int:
        """The number of parameters of one distribution whose components have `component_params_size` each."""
        return check_count("num_components", num_components) * (1 + static_integer(component_params_size))

    def get_config(self) -> dict[str, Any]:
        component_layer = keras.saving.serialize_keras_object(self.component_layer)
        return {**super().get_config(), "component_layer": component_layer}

    @classmethod
    def from_config(cls, config: dict[str, Any]):
        config = dict(config)
        if isinstance(config["component_layer"], dict):
            config["component_layer"] = keras.saving.deserialize_keras_object(config["component_layer"])
        return super().from_config(config)


class _MixtureOfIndependent(DistributionLayer):
    _arguments = ("num_components", "event_shape")

    def __init__(
        self,
        num_components: int,
        event_shape: Shape = (),
        convert_to_tensor_fn: str | ConvertToTensorFn = tfd.Distribution.sample,
        validate_args: bool = False,
        **kwargs: Any,
    ):
        super().__init__(convert_to_tensor_fn, validate_args, **kwargs)
        self.num_components = check_count("num_components", num_components)
        self.event_shape = as_shape(event_shape)

    @property
    def num_params(self) -> int:
        return self.params_size(self.num_components, self.event_shape)

    @staticmethod
    def params_size(num_components: int, event_shape: Shape = (), name: str | None = None) -> int:
        raise NotImplementedError


@keras.saving.register_keras_serializable(package="keras_vae")
class MixtureNormal(_MixtureOfIndependent):
    """A mixture of `IndependentNormal`, the head of a mixture density network.

    Args:
        num_components: how many distributions are mixed, at least 1.
        event_shape: shape of one draw; `()` for scalars.
        convert_to_tensor_fn, validate_args, seed, activity_regularizer: see `DistributionLayer`.

    Call arguments:
        inputs: `batch_shape + [params_size(num_components, event_shape)]`: the logits of the components, then
            the means and the scales before softplus of the first, of the second, ...

    Reference: Bishop, Mixture Density Networks, 1994.

    Example:

    >>> import numpy as np
    >>> layer = MixtureNormal(3, event_shape=2)
    >>> p = layer(np.zeros([5, layer.num_params], "float32"))
    >>> layer.num_params, p.event_shape
    (15, TensorShape([2]))
    """

    @staticmethod
    def new(
        params: tf.Tensor,
        num_components: int,
        event_shape: Shape = (),
        validate_args: bool = False,
        name: str | None = None,
    ) -> tfd.Distribution:
        """The distribution with parameters `params`, `batch_shape + [params_size]`."""
        return _new_mixture(IndependentNormal, params, num_components, event_shape, validate_args, name)

    @staticmethod
    def params_size(num_components: int, event_shape: Shape = (), name: str | None = None) -> int:
        """The number of parameters of one distribution."""
        return MixtureSameFamily.params_size(num_components, IndependentNormal.params_size(event_shape))


@keras.saving.register_keras_serializable(package="keras_vae")
class MixtureLogistic(_MixtureOfIndependent):
    """A mixture of `IndependentLogistic`.

    Args:
        num_components: how many distributions are mixed, at least 1.
        event_shape: shape of one draw; `()` for scalars.
        convert_to_tensor_fn, validate_args, seed, activity_regularizer: see `DistributionLayer`.

    Call arguments:
        inputs: `batch_shape + [params_size(num_components, event_shape)]`: the logits of the components, then
            the locations and the scales before softplus of the first, of the second, ...

    Example:

    >>> import numpy as np
    >>> layer = MixtureLogistic(3, event_shape=2)
    >>> p = layer(np.zeros([5, layer.num_params], "float32"))
    >>> layer.num_params, p.event_shape
    (15, TensorShape([2]))
    """

    @staticmethod
    def new(
        params: tf.Tensor,
        num_components: int,
        event_shape: Shape = (),
        validate_args: bool = False,
        name: str | None = None,
    ) -> tfd.Distribution:
        """The distribution with parameters `params`, `batch_shape + [params_size]`."""
        return _new_mixture(IndependentLogistic, params, num_components, event_shape, validate_args, name)

    @staticmethod
    def params_size(num_components: int, event_shape: Shape = (), name: str | None = None) -> int:
        """The number of parameters of one distribution."""
        return MixtureSameFamily.params_size(num_components, IndependentLogistic.params_size(event_shape))


def split_mixture(
    params: Any, num_components: int, component_params: int | None
) -> tuple[tf.Tensor, tf.Tensor]:
    """Splits `batch_shape + [K * (1 + P)]` into `batch_shape + [K]` logits and `batch_shape + [K, P]`."""
    params, num_components = tf.convert_to_tensor(params), check_count("num_components", num_components)
    if component_params is not None:
        expected = MixtureSameFamily.params_size(num_components, component_params)
        check_last_dimension(params, expected, f"{num_components} components")
    rest = params[..., num_components:]
    shape = tf.concat([tf.shape(params)[:-1], [num_components, component_params or -1]], axis=0)
    static = params.shape[:-1].concatenate([num_components, component_params])
    return params[..., :num_components], tf.ensure_shape(tf.reshape(rest, shape), static)


def _new_mixture(
    component: type[IndependentNormal] | type[IndependentLogistic],
    params: tf.Tensor,
    num_components: int,
    event_shape: Shape,
    validate_args: bool,
    name: str | None,
) -> tfd.Distribution:
    size = component.params_size(event_shape)
    logits, components = split_mixture(params, num_components, size)
    return tfd.MixtureSameFamily(
        GumbelCategorical(logits=logits),
        component.new(components, event_shape, validate_args),
        validate_args=validate_args,
        name=name or "MixtureSameFamily",
    )


def _known_num_params(component_layer: Any) -> int | None:
    try:
        return getattr(component_layer, "num_params", None)
    except NotImplementedError:
        return None
