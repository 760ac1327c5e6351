"""Requests and answers of TensorFlow Serving's REST API: JSON to NumPy and back, for server and client.

A request names its inputs once, `{"inputs": {"x": [...], "seed": [0, 1]}}` (column format), or in every
row, `{"instances": [{"x": [...]}, ...]}` (row format, where all inputs share the first axis). A signature of
a single input may leave out the name in both. The answer has the request's format: `{"outputs": ...}` or
`{"predictions": [...]}`, without names where the output is one.

Sources: https://www.tensorflow.org/tfx/serving/api_rest and `tensorflow_serving/util/json_tensor.cc`.
"""

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from keras_vae.serving.wire.json_reader import is_base64, shown, to_array
from keras_vae.serving.wire.json_writer import to_rows, to_text
from keras_vae.serving.wire.status import RequestError, bad

DEFAULT_SIGNATURE = "serving_default"

# Outputs of such a name are bytes rather than text.
BYTES_SUFFIX = "_bytes"

Specs = Mapping[str, tf.TensorSpec]

# What could be a number beyond the range of float64, which Python reads as infinite.
_LONG_NUMBER = re.compile(r"[eE]\+?0*[1-9]\d\d|\d{309}")


class PredictRequest(NamedTuple):
    """What the body of a predict request asks for.

    Attributes:
        inputs: arrays by the signature's names of its inputs; their shapes are not yet checked.
        signature: the signature's name.
        row_format: whether the request has "instances", and the answer "predictions".
    """

    inputs: dict[str, np.ndarray]
    signature: str
    row_format: bool


def decode_request(body: str | bytes, specs_of: Callable[[str], Specs]) -> PredictRequest:
    """Reads the body of a predict request.

    What TensorFlow Serving reads is read to the same arrays. Unlike there, a name in "inputs" that the
    signature does not have is an error. As there, keys beside "inputs", "instances" and "signature_name" mean
    nothing.

    Args:
        body: JSON in UTF-8.
        specs_of: gives the specifications of a signature's inputs by name; its errors pass through.

    Raises:
        RequestError: INVALID_ARGUMENT for what is no JSON or does not fit the signature's names and dtypes.

    Example:

    >>> specs = {"z": tf.TensorSpec([None, 2], tf.float32)}
    >>> decode_request('{"instances": [[0, 0.5], [1, 2]]}', lambda signature: specs)
    PredictRequest(inputs={'z': array([[0. , 0.5],
           [1. , 2. ]], dtype=float32)}, signature='serving_default', row_format=True)
    """
    document = _parse(body)
    signature = document.get("signature_name", "")
    if not isinstance(signature, str):
        raise bad(f"JSON Value: {shown(signature)} 'signature_name' key must be a string value.")
    signature = signature or DEFAULT_SIGNATURE
    specs = specs_of(signature)
    if "instances" in document and "inputs" in document:
        raise bad("Expecting only one of 'inputs' or 'instances' keys to exist")
    if "instances" in document:
        return PredictRequest(_inputs_of_rows(document["instances"], specs), signature, True)
    if "inputs" in document:
        return PredictRequest(_inputs_of_columns(document["inputs"], specs), signature, False)
    raise bad("Missing 'inputs' or 'instances' key")


def encode_request(inputs: Mapping[str, np.ndarray], signature: str = DEFAULT_SIGNATURE) -> bytes:
    """Writes a predict request in column format; bytes become base64, `str` stays text.

    Example:

    >>> encode_request({"seed": np.array([0, 1]), "count": np.array(2)}, "sample")
    b'{"signature_name": "sample", "inputs": {"seed": [0,1], "count": 2}}'
    """
    columns = (f"{json.dumps(name)}: {to_text(value, _has_bytes(value))}" for name, value in inputs.items())
    return f'{{"signature_name": {json.dumps(signature)}, "inputs": {{{", ".join(columns)}}}}}'.encode()


def encode_response(outputs: Mapping[str, np.ndarray], row_format: bool) -> bytes:
    """Writes the answer to a predict request, in the request's format.

    Args:
        outputs: arrays by name; strings whose name ends in `_bytes` become base64.
        row_format: as `PredictRequest.row_format`.

    Raises:
        RequestError: INVALID_ARGUMENT where an output cannot be written, or, in row format, where outputs do
            not share a first axis.

    Example:

    >>> encode_response({"mean": np.array([[0.5, np.inf]])}, row_format=True)
    b'{"predictions": [[0.5,Infinity]]}'
    >>> encode_response({"mean": np.zeros([1, 1]), "stddev": np.ones([1, 1])}, row_format=False)
    b'{"outputs": {"mean": [[0.0]], "stddev": [[1.0]]}}'
    """
    if not outputs:
        raise bad("Cannot convert empty tensor map to JSON")
    arrays = {name: np.asarray(outputs[name]) for name in sorted(outputs)}
    if row_format:
        return f'{{"predictions": [{",".join(_row_texts(arrays))}]}}'.encode()
    texts = {name: to_text(array, name.endswith(BYTES_SUFFIX)) for name, array in arrays.items()}
    return f'{{"outputs": {_object(texts) if len(texts) > 1 else next(iter(texts.values()))}}}'.encode()


def decode_response(body: str | bytes, specs: Specs) -> dict[str, np.ndarray]:
    """Reads the answer to a predict request, of either format.

    Args:
        body: JSON in UTF-8.
        specs: the specifications of the signature's outputs by name.

    Raises:
        RequestError: INVALID_ARGUMENT where the answer does not fit the signature.

    Example:

    >>> decode_response('{"outputs": [0.5, NaN]}', {"mean": tf.TensorSpec([None], tf.float32)})
    {'mean': array([0.5, nan], dtype=float32)}
    """
    document = _parse(body)
    if "predictions" in document:
        # Answers may be empty; requests in row format may not.
        return _inputs_of_rows(document["predictions"], specs) if document["predictions"] else _empty(specs)
    if "outputs" in document:
        return _inputs_of_columns(document["outputs"], specs)
    raise bad(f"JSON Value: {shown(document)} has neither 'outputs' nor 'predictions'")


def _parse(body: str | bytes) -> dict[str, Any]:
    try:
        text = body if isinstance(body, str) else body.decode()
        if _LONG_NUMBER.search(text):
            document = json.loads(text, parse_float=_float, parse_int=_int)
        else:
            document = json.loads(text)
    except RecursionError as error:
        raise bad("JSON Parse error: lists nested too deeply") from error
    except ValueError as error:
        raise bad(f"JSON Parse error: {error}") from error
    if not isinstance(document, dict):
        raise bad(f"JSON Value: {shown(document)} Is not object")
    return document


def _float(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise ValueError("Number too big to be stored in double.")
    return value


def _int(digits: str) -> int:
    _float(digits)
    return int(digits)


def _inputs_of_columns(value: Any, specs: Specs) -> dict[str, np.ndarray]:
    if not isinstance(value, dict) or is_base64(value):
        return {
            _only_name(specs, "inputs is a plain value/list"): to_array(value, next(iter(specs.values())))
        }
    for name in specs:
        if name not in value:
            raise bad(f"Missing named input: {name} in 'inputs' object.")
    for name in value:
        if name not in specs:
            raise bad(f"JSON object: does not have named input: {name}. Expected: {_names(specs)}.")
    return {name: to_array(value[name], spec) for name, spec in specs.items()}


def _inputs_of_rows(rows: Any, specs: Specs) -> dict[str, np.ndarray]:
    if not isinstance(rows, list):
        raise bad(f"JSON Value: {shown(rows)} Expecting 'instances' to be an list/array")
    if not rows:
        raise bad("No values in 'instances' array")
    named = _is_named(rows[0])
    for index, row in enumerate(rows):
        if _is_named(row) != named:
            expected, received = ("object", "list") if named else ("value/list", "object")
            raise bad(f"Expecting {expected} but got {received} at item {index} of input list")
    if not named:
        return {_only_name(specs, "instances is a plain list"): _stack(rows, next(iter(specs.values())))}
    for index, row in enumerate(rows):
        if row.keys() != specs.keys():
            raise bad(
                f"Failed to process element: {index} of 'instances' list. "
                f"JSON object: {shown(row)} keys must be equal to: {_names(specs)}"
            )
    return {name: _stack([row[name] for row in rows], spec) for name, spec in specs.items()}


def _stack(values: list[Any], spec: tf.TensorSpec) -> np.ndarray:
    try:
        return to_array(values, spec)
    except RequestError as error:
        raise RequestError(
            error.code, f"Failed to process 'instances' list. Error: {error.message}"
        ) from error


def _is_named(row: Any) -> bool:
    return isinstance(row, dict) and not is_base64(row)


def _only_name(specs: Specs, form: str) -> str:
    if len(specs) != 1:
        raise bad(f"{form}, but expecting an object as multiple tensors are required: {_names(specs)}")
    return next(iter(specs))


def _names(specs: Specs) -> str:
    return ",".join(sorted(specs))


def _empty(specs: Specs) -> dict[str, np.ndarray]:
    return {name: to_array([], spec) for name, spec in specs.items()}


def _row_texts(arrays: dict[str, np.ndarray]) -> list[str]:
    sizes = {}
    for name, array in arrays.items():
        if array.ndim == 0:
            raise bad(f"Tensor name: {name} has no shape information: a scalar has no rows; ask by 'inputs'.")
        sizes[name] = len(array)
        expected = next(iter(sizes.values()))
        if len(array) != expected:
            raise bad(f"Tensor name: {name} has inconsistent batch size: {len(array)} expecting: {expected}")
    columns = {name: to_rows(array, name.endswith(BYTES_SUFFIX)) for name, array in arrays.items()}
    if len(columns) == 1:
        return next(iter(columns.values()))
    return [_object(dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True)]


def _object(texts: Mapping[str, str]) -> str:
    return f"{{{', '.join(f'{json.dumps(name)}: {text}' for name, text in texts.items())}}}"


def _has_bytes(array: np.ndarray) -> bool:
    return array.dtype.kind == "S" or (
        array.dtype.kind == "O" and any(isinstance(item, bytes) for item in array.flat)
    )
