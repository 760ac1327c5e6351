"""A JSON value as an array: nested lists to NumPy, by the rules of TensorFlow Serving.

The rules are those of `tensorflow_serving/util/json_tensor.cc`: a list's items are alike in shape, integers
and truth values are never made of other things, a number too large for its dtype is refused, bytes are
`{"b64": "..."}`, and NaN, Infinity and -Infinity are numbers. `json_writer` is the way back.
"""

import base64
import binascii
import json
from collections.abc import Callable
from itertools import chain
from typing import Any

import numpy as np
import tensorflow as tf

from keras_vae.serving.wire.status import Code, RequestError, bad

BASE64 = "b64"

# Bits of a significand: integers beyond them would be rounded.
SIGNIFICAND = {tf.bfloat16: 8, tf.float16: 11, tf.float32: 24, tf.float64: 53}
_KINDS = {dict: "Object", list: "Array", str: "String", bool: "Bool", int: "Number", float: "Number"}


def shown(value: Any) -> str:
    """A JSON value for a message, at most 120 characters of it."""
    text = json.dumps(value)
    return text if len(text) <= 120 else f"{text[:117]}..."


def is_base64(value: Any) -> bool:
    """Whether a value is `{"b64": "..."}`, bytes in base64."""
    return isinstance(value, dict) and value.keys() == {BASE64} and isinstance(value[BASE64], str)


def to_array(value: Any, spec: tf.TensorSpec) -> np.ndarray:
    """The array that a JSON value, a scalar or nested lists, stands for.

    The shape is the value's own; where a list is empty, the axes within it are those of `spec`. Whether the
    shape fits `spec` is not checked.

    Args:
        value: what `json.loads` gave.
        spec: dtype and shape of the signature; strings become arrays of `bytes` of dtype object.

    Raises:
        RequestError: INVALID_ARGUMENT for lists of unequal lengths, a value of another type than
            `spec.dtype`, or one that it cannot hold; UNIMPLEMENTED for a dtype that JSON has no words for.

    Example:

    >>> to_array([[1, 2.5]], tf.TensorSpec([None, 2], tf.float32))
    array([[1. , 2.5]], dtype=float32)
    >>> to_array([1.0], tf.TensorSpec([None], tf.int32))
    Traceback (most recent call last):
    ...
    keras_vae.serving.wire.status.RequestError: JSON Value: 1.0 Type: Number is not of expected type: int32
    """
    flat, shape = _flatten(value)
    array = _converter(spec.dtype)(flat, spec.dtype)
    if not flat:
        shape = _complete(shape, spec.shape)
    return array.reshape(shape)


def _flatten(value: Any) -> tuple[list[Any], list[int]]:
    """The leaves and the shape, found level by level: loops in C, where a request has 100,000 numbers."""
    leaves, shape = [value], list[int]()
    while leaves and isinstance(leaves[0], list):
        for leaf in leaves if set(map(type, leaves)) != {list} else ():
            if not isinstance(leaf, list):
                raise bad(
                    f"JSON Value: {shown(leaf)} found at level: {len(shape)}, where the first item is a list."
                )
        lengths = set(map(len, leaves))
        if len(lengths) > 1:
            other = next(len(leaf) for leaf in leaves if len(leaf) != len(leaves[0]))
            raise bad(
                f"Encountered list at unexpected size: {other} at level: {len(shape)} "
                f"expected size: {len(leaves[0])}"
            )
        shape.append(len(leaves[0]))
        leaves = list(chain.from_iterable(leaves))
    if list in set(map(type, leaves)):
        raise bad(f"Encountered list at unexpected level: {len(shape)}, where the first item is a value.")
    return leaves, shape


def _complete(shape: list[int], expected: tf.TensorShape) -> list[int]:
    """The shape of empty lists, `[0]` say, with the axes that only the signature knows."""
    known = None if expected.rank is None else expected.as_list()
    if known is None or len(known) <= len(shape):
        return shape
    return shape + [0 if size is None else size for size in known[len(shape) :]]


def _converter(dtype: tf.DType) -> Callable[[list[Any], tf.DType], np.ndarray]:
    if dtype in SIGNIFICAND:
        return _floats
    if dtype.is_integer and not dtype.is_quantized:
        return _integers
    if dtype in (tf.bool, tf.string):
        return _truths if dtype == tf.bool else _strings
    raise RequestError(Code.UNIMPLEMENTED, f"Conversion of JSON Value to type: {dtype.name}")


def _check_types(flat: list[Any], dtype: tf.DType, *allowed: type) -> set[type]:
    """The types of the leaves; raises for the first that is not allowed. A bool is no int here."""
    types = set(map(type, flat))
    if not types <= set(allowed):
        value = next(leaf for leaf in flat if type(leaf) not in allowed)
        kind = _KINDS.get(type(value), "Null")
        raise bad(f"JSON Value: {shown(value)} Type: {kind} is not of expected type: {dtype.name}")
    return types


def _lossy(value: Any, dtype: tf.DType) -> RequestError:
    return bad(f"Cannot convert JSON value: {shown(value)} to {dtype.name} without loss of precision.")


def _floats(flat: list[Any], dtype: tf.DType) -> np.ndarray:
    types = _check_types(flat, dtype, int, float)
    largest_integer = 2 ** SIGNIFICAND[dtype] - 1
    if int in types:
        for value in flat:
            # Beyond 64 bits TensorFlow Serving reads an integer as a decimal.
            if type(value) is int and abs(value) > largest_integer and -(2**63) <= value < 2**64:
                raise _lossy(value, dtype)
    exact = np.array(flat, np.float64)
    with np.errstate(over="ignore"):
        array = exact.astype(dtype.as_numpy_dtype)
    too_large = np.isinf(array) & np.isfinite(exact)
    if too_large.any():
        raise _lossy(flat[int(np.argmax(too_large))], dtype)
    return array


def _integers(flat: list[Any], dtype: tf.DType) -> np.ndarray:
    _check_types(flat, dtype, int)
    for value in (min(flat), max(flat)) if flat else ():
        if not dtype.min <= value <= dtype.max:
            raise bad(f"JSON Value: {shown(value)} Type: Number is not of expected type: {dtype.name}")
    return np.array(flat, dtype.as_numpy_dtype)


def _truths(flat: list[Any], dtype: tf.DType) -> np.ndarray:
    _check_types(flat, dtype, bool)
    return np.array(flat, bool)


def _strings(flat: list[Any], dtype: tf.DType) -> np.ndarray:
    _check_types(flat, dtype, str, dict)
    array = np.empty(len(flat), object)
    try:
        array[:] = [_base64_bytes(leaf) if isinstance(leaf, dict) else leaf.encode() for leaf in flat]
    except UnicodeEncodeError as error:  # JSON may hold half of a surrogate pair
        raise bad(f"JSON Value is no text: {error}") from error
    return array


def _base64_bytes(value: dict[str, Any]) -> bytes:
    if not is_base64(value):
        raise bad(f"JSON Value: {shown(value)} not formatted correctly for base64 data")
    # The command `base64` breaks its lines.
    text = "".join(value[BASE64].split()).rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise bad(f"Unable to base64 decode: {error}") from error
