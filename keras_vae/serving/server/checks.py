"""Requests against signatures: names, dtypes, shapes and sizes, before anything is run."""

import math
from collections.abc import Collection, Mapping

import numpy as np
import tensorflow as tf

from keras_vae.serving.server.loaded_model import Signature
from keras_vae.serving.wire.status import bad

# Scalars of the library's signatures that say how many rows to make, so that one small number cannot take all
# memory.
_DRAWS = "num_samples"
_COUNTS = ("count", _DRAWS, "steps")


def check_inputs(
    signature: Signature, inputs: Mapping[str, np.ndarray], max_rows: int, max_draws: float = math.inf
) -> None:
    """Checks names, dtypes, shapes and sizes against a signature, so that a joined run fails for no one.

    Values are not looked at: NaN goes through, as in TensorFlow Serving.

    Args:
        signature: what is asked.
        inputs: by name.
        max_rows: rows at most, given or asked for.
        max_draws: rows times `num_samples` at most.

    Raises:
        RequestError: INVALID_ARGUMENT, saying what was expected and what was received.
    """
    if inputs.keys() != signature.inputs.keys():
        extra = ",".join(sorted(inputs.keys() - signature.inputs.keys()))
        missing = ",".join(sorted(signature.inputs.keys() - inputs.keys()))
        raise bad(
            f"Inputs do not match signature {signature.name}. Sent extra: {{{extra}}}. "
            f"Missing but required: {{{missing}}}."
        )
    draws, most = 1, 1
    for name, expected in signature.expected.items():
        array = inputs[name]
        if array.dtype != expected.dtype and not (expected.is_text and array.dtype.kind in "OSU"):
            raise bad(f"Input {name} has dtype {_name(array.dtype)}. Expected: {_name(expected.dtype)}.")
        if not _fits(array.shape, expected.shape):
            shape = signature.inputs[name].shape
            raise bad(
                f"Input {name} has shape {list(array.shape)}. Expected: {shape}, where None is any size."
            )
        counts = name in _COUNTS and array.dtype.kind in "iu"
        rows = len(array) if array.ndim else int(array) if counts else 0
        if rows > max_rows:
            raise bad(
                f"Input {name} asks for {rows} rows. Expected: at most {max_rows}; send several requests."
            )
        if name == _DRAWS:
            draws = rows
        elif array.ndim:
            most = max(most, rows)
    if draws * most > max_draws:
        raise bad(
            f"{most} rows with {_DRAWS} {draws} are {draws * most} draws. Expected: at most {max_draws}; "
            "send several requests."
        )


def check_outputs(signature: Signature, outputs: Collection[str]) -> None:
    """Checks the names of the results wanted.

    Raises:
        RequestError: INVALID_ARGUMENT for a name that is unknown or comes twice.
    """
    known = ",".join(sorted(signature.outputs))
    for name in outputs:
        if name not in signature.outputs:
            raise bad(
                f"output tensor alias not found in signature: {name} "
                f"Outputs expected to be in the set {{{known}}}."
            )
        if list(outputs).count(name) > 1:
            raise bad(f"duplicate output tensor alias: {name}")


def _fits(shape: tuple[int, ...], expected: tuple[int | None, ...] | None) -> bool:
    if expected is None:
        return True
    sizes = zip(shape, expected, strict=False)
    return len(shape) == len(expected) and all(wanted in (None, size) for size, wanted in sizes)


def _name(dtype: np.dtype) -> str:
    return "string" if dtype.kind in "OSU" else tf.as_dtype(dtype).name
