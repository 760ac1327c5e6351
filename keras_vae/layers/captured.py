"""The variables that the functions and distributions given to a layer use, so that Keras trains them."""

import functools
import types
from collections.abc import Iterable, Iterator
from typing import Any

import keras
import tensorflow as tf

_WRAPPER = "_keras_vae_variable"


class _Adopted(keras.Variable):
    """A Keras variable whose storage is a `tf.Variable` of the user's."""

    def __init__(self, variable: tf.Variable):
        super().__init__(
            variable,
            dtype=variable.dtype.name,
            trainable=variable.trainable,
            autocast=False,
            name=variable.name.split(":")[0].replace("/", "_") or "variable",
        )

    def _convert_to_tensor(self, value: Any, dtype: Any = None) -> Any:
        return value if isinstance(value, tf.Variable) else super()._convert_to_tensor(value, dtype)


def adopt_variables(layer: keras.layers.Layer, *sources: Any) -> None:
    """Makes the variables that `sources` use weights of `layer`: trained, saved and exported with it.

    Args:
        layer: not yet built.
        sources: functions, whose closures, defaults, bound objects and globals are searched; distributions
            and other `tf.Module`s; `tf.Variable`s and `keras.Variable`s; Keras layers, for the weights they
            have by now.
    """
    adopted = [_keras_variable(variable) for variable in _unique(_variables(sources, set(), 0))]
    known = {id(variable) for variable in layer.variables}
    for variable in adopted:
        if id(variable) not in known:
            layer._track_variable(variable)
    # The list itself is kept for SavedModels, which look for attributes.
    layer._adopted_variables = adopted


def _keras_variable(variable: Any) -> keras.Variable:
    """One Keras variable for each `tf.Variable`, or a model with two users of one would train it twice."""
    if not isinstance(variable, tf.Variable):
        return variable
    wrapper = getattr(variable, _WRAPPER, None)
    if wrapper is None:
        with tf.init_scope():
            wrapper = _Adopted(variable)
        setattr(variable, _WRAPPER, wrapper)
    return wrapper


def _unique(variables: Iterable[Any]) -> list[Any]:
    return list({id(variable): variable for variable in variables}.values())


def _variables(source: Any, seen: set[int], depth: int) -> Iterator[Any]:
    if id(source) in seen or depth > 8:
        return
    seen.add(id(source))
    if isinstance(source, tf.Variable | keras.Variable):
        # TensorFlow's integers and strings are state of something else.
        if tf.as_dtype(source.dtype).is_floating:
            yield source
        return
    if isinstance(source, keras.layers.Layer):
        yield from source.weights
        return
    if isinstance(source, tf.Module):
        for variable in source.variables:
            yield from _variables(variable, seen, depth + 1)
        return
    for part in _parts(source):
        yield from _variables(part, seen, depth + 1)


def _parts(source: Any) -> Iterable[Any]:
    if isinstance(source, dict):
        return source.values()
    if isinstance(source, list | tuple | set):
        return source
    if isinstance(source, functools.partial):
        return (source.func, source.args, source.keywords)
    if isinstance(source, types.MethodType):
        return (source.__self__, source.__func__)
    if isinstance(source, types.FunctionType):
        return _parts_of_function(source)
    return ()


def _parts_of_function(fn: types.FunctionType) -> list[Any]:
    parts = [fn.__defaults__, fn.__kwdefaults__]
    for cell in fn.__closure__ or ():
        try:
            parts.append(cell.cell_contents)
        except ValueError:  # Not assigned yet.
            continue
    names = _global_names(fn.__code__)
    # The functions of libraries use no variables of the user's; their globals are many.
    if (fn.__module__ or "").split(".")[0] not in ("keras", "tensorflow", "tensorflow_probability"):
        parts.extend(fn.__globals__[name] for name in names if name in fn.__globals__)
    return parts


def _global_names(code: types.CodeType) -> set[str]:
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _global_names(constant)
    return names
