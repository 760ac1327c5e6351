"""A user's own arrays, checked and stored the way every other data set is."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from keras_vae import errors
from keras_vae.datasets.options import Options
from keras_vae.datasets.parts import in_pieces
from keras_vae.datasets.resident import Resident
from keras_vae.datasets.transforms import Statistics, binarize_fixed


def from_arrays(
    x: Any,
    y: Any = None,
    *,
    binarize: str | None = None,
    scale: str = "unit",
    dequantize: bool = False,
    batch_size: int = 128,
    shuffle: bool | None = None,
    seed: int = 0,
    training: bool = True,
    statistics: Statistics | None = None,
) -> tf.data.Dataset:
    """A `tf.data.Dataset` of batches of arrays, transformed like the data sets of `load`.

    Args:
        x: [N] + event shape. Bytes (any integers in 0..255), booleans or integers in {0, 1}, or
            floats in [0, 1]; any finite floats when `scale` is "standard". Floats that are bytes
            divided by 255 are stored as bytes.
        y: integer labels [N], or None.
        binarize: see `load`.
        scale: see `load`.
        dequantize: see `load`; needs bytes.
        batch_size: examples a batch; the last batch holds what is left.
        shuffle: a new order every epoch, or the order of `x`; None shuffles in training alone.
        seed: of orders and draws.
        training: False makes the random draws the same in every pass, for evaluation, and keeps
            the order of `x`, by which they are drawn.
        statistics: moments for `scale="standard"`, those of the training set when these are
            others; taken from `x` when None.

    Returns:
        Batches of float32 x, or of (x, y int32), with the attribute `resident` (a `Resident`).

    Raises:
        ValueError: for empty or non-numeric data, NaN, values out of range, labels that are not
            N integers >= 0, and unknown or clashing options, such as a shuffle without training.

    Example:

    >>> dataset = from_arrays(np.array([[0, 255], [255, 0]]), batch_size=2, shuffle=False)
    >>> next(iter(dataset)).numpy()
    array([[0., 1.],
           [1., 0.]], dtype=float32)
    """
    if shuffle and not training:
        hint = "In another order every example would get other draws."
        raise errors.invalid("shuffle", "False or None where `training` is False", shuffle, hint)
    shuffled = bool(training if shuffle is None else shuffle)
    options = Options(binarize, scale, dequantize, batch_size, shuffled, seed)
    stored, binary = as_stored({"x": x}, {"x": "x"}, real=scale == "standard")
    labels = None if y is None else as_labels("y", y, len(stored["x"]))
    if scale == "standard" and statistics is None:
        statistics = statistics_of(stored["x"])
    return resident(
        stored["x"],
        labels,
        options,
        binary=binary,
        statistics=statistics,
        shuffle=shuffled,
        seed=derived_seed(seed),
        fresh=training,
    ).to_dataset()


def resident(
    x: np.ndarray,
    y: np.ndarray | None,
    options: Options,
    *,
    binary: bool,
    statistics: Statistics | None,
    shuffle: bool,
    seed: int,
    fresh: bool,
) -> Resident:
    """The `Resident` of stored examples; the fixed binarisations are applied here, once."""
    if options.dequantize and x.dtype != np.uint8:
        raise errors.invalid("dequantize", "False for values that are not bytes", True)
    if options.binarize is not None and options.fixed:
        x = binarize_fixed(x, options.binarize, seed)
    transform = options.transform(binary, statistics)
    return Resident(x, y, transform, int(options.batch_size), bool(shuffle), seed, fresh)


def statistics_of(x: np.ndarray) -> Statistics:
    """The moments of stored examples, in pieces."""
    return Statistics.of(x[start : start + 1024] for start in range(0, len(x), 1024))


def derived_seed(seed: int, *path: int) -> int:
    """An independent int32 seed for each path below a user's seed, of any size."""
    state = np.random.SeedSequence([int(seed), *path]).generate_state(1)
    return int(state[0] & 0x7FFFFFFF)


def as_stored(
    arrays: Mapping[str, Any], received: Mapping[str, str], real: bool = False
) -> tuple[dict[str, np.ndarray], bool]:
    """Checks arrays that belong together and makes them uint8, or float32 where that loses values.

    Args:
        arrays: by split, each [N, ...]; all are stored alike, by what all of them hold.
        received: by split, how an error calls the array.
        real: whether floats beyond [0, 1] are right.

    Returns:
        The arrays to store, and whether all values are 0 and 1.
    """
    checked = {key: _numeric(received[key], value) for key, value in arrays.items()}
    values = list(checked.values())
    if all(value.dtype.kind in "bui" for value in values):
        return _integers(checked, received)
    floats = {key: value.astype(np.float32, copy=False) for key, value in checked.items()}
    low, high = min(v.min() for v in floats.values()), max(v.max() for v in floats.values())
    if low < 0.0 or high > 1.0:
        if not real:
            raise errors.invalid(
                next(iter(received.values())),
                "floats in [0, 1] or bytes in 0..255",
                f"floats in [{low:g}, {high:g}]",
                "Divide by the largest value, cast to uint8, or pass scale='standard'.",
            )
        return floats, False
    if all(in_pieces(value, _are_bytes) for value in floats.values()):
        stored = {key: np.rint(value * 255.0).astype(np.uint8) for key, value in floats.items()}
        return stored, _are_binary(stored)
    return floats, False


def _numeric(received: str, value: Any) -> np.ndarray:
    try:
        array = np.asarray(value)
    except ValueError:
        array = np.empty((), object)
    if array.dtype.kind not in "buif":
        raise errors.invalid(received, "an array of real numbers", f"dtype {array.dtype}")
    if array.ndim < 2 or array.size == 0:
        hint = "The first axis counts the examples."
        raise errors.invalid(received, "examples [N, ...]", f"shape {array.shape}", hint)
    if array.dtype.kind == "f" and not in_pieces(array, lambda piece: np.isfinite(piece).all()):
        at = tuple(np.argwhere(~np.isfinite(array))[0].tolist())
        raise errors.invalid(received, "finite numbers", f"{array[at]} at {at}")
    return array


def _integers(
    arrays: dict[str, np.ndarray], received: Mapping[str, str]
) -> tuple[dict[str, np.ndarray], bool]:
    low, high = min(v.min() for v in arrays.values()), max(v.max() for v in arrays.values())
    if low < 0 or high > 255:
        raise errors.invalid(
            next(iter(received.values())), "integers in 0..255", f"integers in [{low}, {high}]"
        )
    return stretch({key: value.astype(np.uint8, copy=False) for key, value in arrays.items()})


def stretch(arrays: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], bool]:
    """Makes bytes of 0 and 1, which mean black and white, 0 and 255; says whether all are so."""
    if any(value.dtype != np.uint8 for value in arrays.values()):
        return arrays, False
    if max(value.max() for value in arrays.values()) == 1:
        return {key: value * np.uint8(255) for key, value in arrays.items()}, True
    return arrays, _are_binary(arrays)


def _are_binary(arrays: Mapping[str, np.ndarray]) -> bool:
    return all(
        in_pieces(value, lambda piece: ((piece == 0) | (piece == 255)).all()) for value in arrays.values()
    )


def _are_bytes(piece: np.ndarray) -> bool:
    scaled = piece * np.float32(255.0)
    # A byte over 255 comes back within 1e-5; a float that is none is rarely that near, always.
    return bool((np.abs(scaled - np.rint(scaled)) < 1e-4).all())


def as_labels(received: str, y: Any, size: int) -> np.ndarray:
    """Checks labels and returns them as int32 [N]."""
    try:
        labels = np.asarray(y)
    except ValueError:
        labels = np.empty((), object)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.dtype.kind not in "bui" or labels.shape != (size,):
        shown = f"{labels.dtype} of shape {labels.shape}"
        raise errors.invalid(received, f"integer labels of shape ({size},)", shown)
    if labels.min() < 0 or labels.max() > np.iinfo(np.int32).max:
        raise errors.invalid(received, "labels 0, 1, ...", f"a label {labels.min()}")
    return labels.astype(np.int32)
