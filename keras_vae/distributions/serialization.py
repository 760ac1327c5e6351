"""Distributions as plain lists and names, and back, for files that hold no code."""

import sys
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae.errors import invalid

tfd = tfp.distributions

_KIND = "distribution"


def serialize_distribution(distribution: tfd.Distribution) -> dict[str, Any]:
    """The config of a distribution: its class's public name and its parameters as lists of numbers.

    Args:
        distribution: a public class of `tfp.distributions` or of `keras_vae.distributions`, whose parameters
            are numbers, arrays, tensors with values, dtypes, strings, or such distributions in turn. The
            values of variables are written, not that they are variables.

    Returns:
        A dict for `deserialize_distribution`, which JSON can hold.

    Raises:
        ValueError: for a class of yours and for parameters that are functions, bijectors or tensors of a
            graph.

    Example:

    >>> config = serialize_distribution(tfd.Independent(tfd.Normal(tf.range(2.0), 2.0), 1))
    >>> config["parameters"]["distribution"]["parameters"]["loc"]
    {'value': [0.0, 1.0], 'dtype': 'float32'}
    >>> deserialize_distribution(config).mean().numpy().tolist()
    [0.0, 1.0]
    """
    name = _public_name(type(distribution))
    if name is None:
        raise _not_serializable(f"an object of class {type(distribution).__name__}")
    parameters = {
        key: _serialize(value, f"the parameter `{key}` of {name}")
        for key, value in distribution.parameters.items()
        if value is not None and key != "self"
    }
    return {_KIND: name, "parameters": parameters}


def deserialize_distribution(config: dict[str, Any]) -> tfd.Distribution:
    """The distribution of that config; see `serialize_distribution`.

    Raises:
        ValueError: for names other than those of public distributions: nothing else is made from a config.
    """
    name = config.get(_KIND)
    kinds = _public_classes(name) if isinstance(name, str) else []
    if not kinds:
        raise invalid("config", "the config of a distribution of tfp.distributions", config)
    parameters = config.get("parameters", {})
    return kinds[0](**{key: _deserialize(value) for key, value in parameters.items()})


def is_distribution_config(config: Any) -> bool:
    """Whether `config` is what `serialize_distribution` returns."""
    return isinstance(config, dict) and _KIND in config


def _public_classes(name: str) -> list[type]:
    """Ours before TFP's: a class of ours by the name of one of TFP's is that distribution, only better."""
    modules = (sys.modules["keras_vae.distributions"], tfd)
    kinds = [getattr(module, name) for module in modules if name in module.__all__]
    return [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, tfd.Distribution)]


def _public_name(kind: type) -> str | None:
    # Not `kind is public`: TFP puts a private class in the place of `Independent` for some inner
    # distributions, and a distribution layer one that also is a tensor. Both keep the name and the module.
    name = kind.__name__.lstrip("_")
    return name if any(public.__module__ == kind.__module__ for public in _public_classes(name)) else None


def _serialize(value: Any, what: str) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tfd.Distribution):
        return serialize_distribution(value)
    if isinstance(value, tf.DType):
        return {"dtype": value.name}
    if isinstance(value, list | tuple):
        return [_serialize(item, what) for item in value]
    array = _array(value)
    if array is None or array.dtype.kind not in "biuf":
        raise _not_serializable(f"{what}, {value!r}")
    return {"value": array.tolist(), "dtype": array.dtype.name}


def _array(value: Any) -> np.ndarray | None:
    if isinstance(value, np.ndarray | np.generic):
        return np.asarray(value)
    if isinstance(value, tf.Variable | keras.Variable):
        value = tf.convert_to_tensor(value)
    return tf.get_static_value(value) if isinstance(value, tf.Tensor) else None


def _deserialize(config: Any) -> Any:
    if isinstance(config, list):
        return [_deserialize(item) for item in config]
    if not isinstance(config, dict):
        return config
    if is_distribution_config(config):
        return deserialize_distribution(config)
    dtype = tf.as_dtype(config["dtype"])
    return tf.constant(config["value"], dtype) if "value" in config else dtype


def _not_serializable(received: str) -> ValueError:
    return invalid(
        "distribution",
        "a public class of tfp.distributions with constant parameters, to be saved",
        received,
        "Give a Keras layer, such as a prior of keras_vae, or a function registered with "
        "keras.saving.register_keras_serializable, that returns the distribution.",
    )
