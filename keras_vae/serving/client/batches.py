"""Large arrays in several requests."""

from collections.abc import Mapping, Sequence

import numpy as np

from keras_vae.errors import invalid
from keras_vae.serving.client.metadata import SignatureSpecs
from keras_vae.serving.wire.signature_specs import is_by_rows

Arrays = Mapping[str, np.ndarray]

SEED = "seed"

# Scalars that say how many rows are made: what comes with them by rows belongs to those, all at once.
COUNTS = ("count", "steps")


def split(inputs: Arrays, specs: SignatureSpecs, batch_size: int | None) -> list[Arrays]:
    """The inputs in parts of at most `batch_size` rows.

    Rows are what lies along a first axis of any size; other inputs go with every part. A seed goes as it is
    with the first part, and folded with the part's number with the others: else all parts would draw alike.
    Where an input says how many rows to make, nothing is split.

    Raises:
        ValueError: if row-wise inputs have different numbers of rows, so that nobody knows how to split them.
    """
    rows = {name: len(inputs[name]) for name, spec in specs.inputs.items() if is_by_rows(spec)}
    counted = any(name in COUNTS for name in specs.inputs)
    if batch_size is None or counted or max(rows.values(), default=0) <= batch_size:
        return [inputs]
    if len(set(rows.values())) > 1:
        raise invalid("inputs", "equally many rows, to be split into batches", rows)
    return [
        {name: _part(name, array, start, batch_size, name in rows) for name, array in inputs.items()}
        for start in range(0, next(iter(rows.values())), batch_size)
    ]


def _part(name: str, array: np.ndarray, start: int, size: int, by_rows: bool) -> np.ndarray:
    if by_rows:
        return array[start : start + size]
    if name == SEED and array.shape == (2,):
        return fold(array, start // size)
    return array


def fold(seed: np.ndarray, number: int) -> np.ndarray:
    """A seed of its own for each number, int32 `[2]`; for 0 the seed itself.

    Example:

    >>> fold(np.array([1, 2], np.int32), 0), fold(np.array([1, 2], np.int32), 7)
    (array([1, 2], dtype=int32), array([-1469706855,  1375241888], dtype=int32))
    """
    if number == 0:
        return seed
    words = seed.astype(np.int32).view(np.uint32).tolist()
    return np.random.SeedSequence(words, spawn_key=(number,)).generate_state(2, np.uint32).view(np.int32)


def join(results: Sequence[Arrays], parts: Sequence[Arrays], specs: SignatureSpecs) -> dict[str, np.ndarray]:
    """The outputs of all parts, joined along the first axis.

    Raises:
        ValueError: if an output has not one row for every row of the inputs.
    """
    if len(results) == 1:
        return dict(results[0])
    name = next(name for name, spec in specs.inputs.items() if is_by_rows(spec))
    for result, part in zip(results, parts, strict=True):
        for output, array in result.items():
            if array.ndim == 0 or len(array) != len(part[name]):
                received = f"{output} of shape {array.shape} for {len(part[name])} rows of {name}"
                raise invalid("batch_size", "None where outputs are not made row by row", received)
    return {output: np.concatenate([result[output] for result in results]) for output in results[0]}
