"""An array as JSON text, by the rules of TensorFlow Serving; `json_reader` is the way back."""

import base64
import json

import numpy as np
import tensorflow as tf

from keras_vae.serving.extras import require
from keras_vae.serving.wire.json_reader import BASE64, SIGNIFICAND
from keras_vae.serving.wire.status import bad


def to_rows(array: np.ndarray, as_base64: bool = False) -> list[str]:
    """The JSON text of every item along the first axis; `to_text` joins them.

    A float is written in as few digits as give back the same float, also to a reader that rounds to double
    precision in between.

    Args:
        array: of rank >= 1; strings as `str` or `bytes`.
        as_base64: whether strings are bytes, to be written as `{"b64": "..."}`.

    Raises:
        RequestError: INVALID_ARGUMENT for a dtype that JSON has no words for, or bytes that are no UTF-8.

    Example:

    >>> to_rows(np.array([[0.1, np.nan], [1, 2]], np.float32))
    ['[0.1,NaN]', '[1.0,2.0]']
    """
    plain = _plain(array) if array.ndim > 1 else None
    if plain is not None:
        begin, end = "[" * (array.ndim - 1), "]" * (array.ndim - 1)
        rows = plain[array.ndim : -array.ndim].split(f"{end},{begin}")
        return [f"{begin}{row}{end}" for row in rows]
    return _nested(array, as_base64)


def _nested(array: np.ndarray, as_base64: bool) -> list[str]:
    """The same, put together from the text of every element."""
    texts = _texts(array.reshape(-1), as_base64)
    for axis in range(array.ndim - 1, 0, -1):
        size, count = array.shape[axis], int(np.prod(array.shape[:axis]))
        texts = [f"[{','.join(texts[row * size : (row + 1) * size])}]" for row in range(count)]
    return texts


def to_text(array: np.ndarray, as_base64: bool = False) -> str:
    """The JSON text of an array of any rank; arguments and errors are those of `to_rows`.

    Example:

    >>> to_text(np.array(3)), to_text(np.array([b"a"]), as_base64=True)
    ('3', '[{"b64": "YQ=="}]')
    """
    if array.ndim == 0:
        return _texts(array.reshape(-1), as_base64)[0]
    plain = _plain(array)
    return f"[{','.join(_nested(array, as_base64))}]" if plain is None else plain


def _texts(flat: np.ndarray, as_base64: bool) -> list[str]:
    """The JSON text of every element of a vector."""
    kind = tf.as_dtype(flat.dtype) if flat.dtype.kind not in "US" else tf.string
    if kind in SIGNIFICAND:
        return _float_texts(flat)
    if kind == tf.bool:
        return ["true" if value else "false" for value in flat.tolist()]
    if kind == tf.string:
        return [_string_text(value, as_base64) for value in flat.tolist()]
    if kind.is_integer and not kind.is_quantized:
        return list(map(str, flat.tolist()))
    raise bad(f"Failed to write JSON value for tensor type: {kind.name}")


def _plain(array: np.ndarray) -> str | None:
    """The text of orjson, where that is as it should be; None of what is no float, or not written well."""
    if array.size == 0 or array.dtype.kind in "USO" or tf.as_dtype(array.dtype) not in SIGNIFICAND:
        return None
    flat = array.reshape(-1)
    text = _written(flat)
    if _misread(flat, text).any():
        return None
    return text if array.ndim == 1 else _written(array)


def _written(floats: np.ndarray) -> str:
    orjson = require("orjson", "serving")
    if floats.dtype == tf.bfloat16.as_numpy_dtype:
        floats = floats.astype(np.float32)
    return orjson.dumps(np.ascontiguousarray(floats), option=orjson.OPT_SERIALIZE_NUMPY).decode()


def _misread(floats: np.ndarray, text: str) -> np.ndarray:
    """Which numbers of a text of floats would be read as others, or not at all.

    The shortest digits of 7.038531e-26 become its neighbour by way of float64, and those of the largest
    float32, 3.4028235e+38, are more than it. NaN and infinities are null.
    """
    read = np.array(require("orjson", "serving").loads(text), np.float64)
    with np.errstate(over="ignore"):
        return (read.astype(floats.dtype) != floats) | (np.abs(read) > tf.as_dtype(floats.dtype).max)


def _float_texts(flat: np.ndarray) -> list[str]:
    text = _written(flat)
    texts = text[1:-1].split(",") if flat.size else []
    for index in np.flatnonzero(_misread(flat, text)):
        # Exactly, or by the words that JavaScript has for it.
        texts[index] = json.dumps(float(flat[index]))
    return texts


def _string_text(value: str | bytes, as_base64: bool) -> str:
    data = value.encode() if isinstance(value, str) else value
    if as_base64:
        return json.dumps({BASE64: base64.b64encode(data).decode()})
    try:
        return json.dumps(data.decode(), ensure_ascii=False)
    except UnicodeDecodeError as error:
        raise bad(
            f"Bytes that are no UTF-8: {error}. Outputs of bytes need a name that ends in _bytes."
        ) from error
