"""Inputs held against a signature before they travel."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from keras_vae.errors import invalid

Arrays = dict[str, np.ndarray]


def check_inputs(inputs: Any, specs: Mapping[str, tf.TensorSpec]) -> Arrays:
    """The inputs as arrays of the signature's dtypes.

    Floats of any precision become the signature's, and so do integers where floats are wanted; integers are
    never made of floats.

    Args:
        inputs: values by name; the value alone where the signature has one input.
        specs: the signature's inputs.

    Raises:
        ValueError: naming the input, for a missing or unknown name, another kind of values, another shape,
            NaN and infinity, or an integer out of the dtype's range.

    Example:

    >>> check_inputs([[1, 2]], {"z": tf.TensorSpec([None, 2], tf.float32)})
    {'z': array([[1., 2.]], dtype=float32)}
    """
    if not isinstance(inputs, Mapping):
        if len(specs) != 1:
            raise invalid("inputs", f"a dictionary with {_names(specs)}", type(inputs).__name__)
        inputs = {next(iter(specs)): inputs}
    if inputs.keys() != specs.keys():
        raise invalid("inputs", _names(specs), _names(inputs))
    return {name: _checked(name, inputs[name], spec) for name, spec in specs.items()}


def _names(inputs: Mapping[str, Any]) -> str:
    return ", ".join(sorted(map(repr, inputs))) or "no inputs"


def _checked(name: str, value: Any, spec: tf.TensorSpec) -> np.ndarray:
    try:
        # As a NumPy string of fixed width, bytes would lose the zeros at their end.
        array = np.array(value, object) if spec.dtype == tf.string else np.asarray(value)
    except ValueError as error:
        raise invalid(name, f"an array of {spec.dtype.name}", "lists of unequal lengths") from error
    _check_shape(name, array, spec.shape)
    if spec.dtype == tf.string:
        return _strings(name, array)
    if spec.dtype.is_floating:
        return _floats(name, array, spec.dtype)
    if spec.dtype.is_integer:
        return _integers(name, array, spec.dtype)
    if array.dtype != spec.dtype.as_numpy_dtype:
        raise invalid(name, f"dtype {spec.dtype.name}", f"dtype {array.dtype}")
    return array


def _check_shape(name: str, array: np.ndarray, expected: tf.TensorShape) -> None:
    if expected.is_compatible_with(array.shape):
        return
    rows_missing = expected.rank and expected[0] is None and expected[1:].is_compatible_with(array.shape)
    hint = "Add a batch dimension." if rows_missing else ""
    raise invalid(name, f"shape {expected}, where None is any size", f"shape {array.shape}", hint)


def _strings(name: str, array: np.ndarray) -> np.ndarray:
    for item in array.flat:
        if not isinstance(item, str | bytes):
            raise invalid(name, "text or bytes", f"a {type(item).__name__}")
    return array


def _floats(name: str, array: np.ndarray, dtype: tf.DType) -> np.ndarray:
    # ml_dtypes' bfloat16 has the kind of raw memory.
    if array.dtype.kind not in "fiub" and array.dtype != tf.bfloat16.as_numpy_dtype:
        raise invalid(name, "numbers", f"dtype {array.dtype}")
    with np.errstate(over="ignore"):
        floats = array.astype(dtype.as_numpy_dtype)
    finite = np.isfinite(floats)
    if not finite.all():
        place = tuple(map(int, np.argwhere(~finite)[0]))
        raise invalid(name, f"finite numbers of {dtype.name}", f"{array[place]} at {list(place)}")
    return floats


def _integers(name: str, array: np.ndarray, dtype: tf.DType) -> np.ndarray:
    if array.dtype.kind not in "iu":
        raise invalid(name, f"integers ({dtype.name})", f"dtype {array.dtype}")
    if array.size and not (dtype.min <= array.min() and array.max() <= dtype.max):
        raise invalid(name, f"integers of {dtype.name}", f"values from {array.min()} to {array.max()}")
    return array.astype(dtype.as_numpy_dtype)
