"""What the pictures accept: checks that come before anything is drawn."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_vae.checks import check_count
from keras_vae.errors import invalid

CHANNELS = (1, 3)


def numeric(argument: str, value: Any, rank: int, expected: str) -> np.ndarray:
    """Returns `value` as a finite, non-empty float array of `rank` dimensions, or raises."""
    array = _asarray(argument, value, expected)
    if array.ndim != rank or array.size == 0:
        raise invalid(argument, expected, describe(array))
    return _finite(argument, array, expected)


def as_images(argument: str, value: Any, image_shape: Sequence[int] | None = None) -> np.ndarray:
    """Returns `value` as float images [N, H, W, C] in [0, 1].

    Args:
        argument: the name that an error shows.
        value: [N, H, W, C] with 1 or 3 channels, [N, H, W], or [N, D] with `image_shape`.
        image_shape: (H, W) or (H, W, C) of flat images.
    """
    expected = "images of shape [N, H, W, C] with 1 or 3 channels, [N, H, W], or flat [N, D]"
    array = _asarray(argument, value, expected)
    if array.ndim == 2:
        array = _unflatten(argument, array, image_shape)
    if array.ndim == 3:
        array = array[..., np.newaxis]
    if array.ndim != 4 or array.shape[-1] not in CHANNELS or array.size == 0:
        raise invalid(argument, expected, describe(value))
    return _unit_range(argument, array)


def as_image_rows(argument: str, value: Any, image_shape: Sequence[int] | None = None) -> np.ndarray:
    """Returns `value` as a table of float images [rows, cols, H, W, C] in [0, 1]."""
    expected = (
        "a table of images of shape [rows, cols, H, W, C] with 1 or 3 channels, "
        "[rows, cols, H, W], or flat [rows, cols, D]"
    )
    array = _asarray(argument, value, expected)
    if array.ndim == 4 and array.shape[-1] in CHANNELS:
        hint = "This looks like [N, H, W, C]; reshape it to one row per latent dimension."
        raise invalid(argument, expected, describe(array), hint)
    if array.ndim not in (3, 4, 5) or array.size == 0:
        raise invalid(argument, expected, describe(array))
    rows, cols = array.shape[:2]
    flat = as_images(argument, array.reshape(rows * cols, *array.shape[2:]), image_shape)
    return flat.reshape(rows, cols, *flat.shape[1:])


def describe(value: Any) -> str:
    """What an error shows of an array: its shape and dtype, never its numbers."""
    array = np.asarray(value)
    return f"an array of shape {list(array.shape)} and dtype {array.dtype.name}"


def texts(argument: str, value: Sequence[Any] | None, count: int, of: str) -> list[str] | None:
    """Returns the `count` labels of `value` as strings, or None where there are none."""
    if value is None:
        return None
    if isinstance(value, str) or len(value) != count:
        received = value if isinstance(value, str) else f"{len(value)} labels"
        raise invalid(argument, f"one label per {of}, {count} in all", received)
    return [str(label) for label in value]


def _asarray(argument: str, value: Any, expected: str) -> np.ndarray:
    try:
        array = np.asarray(value)
    except (TypeError, ValueError) as error:
        raise invalid(argument, expected, type(value).__name__) from error
    # ml_dtypes' bfloat16, which mixed precision gives, is no NumPy floating type.
    if array.dtype.name == "bfloat16":
        return array.astype(np.float32)
    if array.dtype.kind not in "fiub":
        raise invalid(argument, expected, describe(array))
    return array


def _finite(argument: str, array: np.ndarray, expected: str) -> np.ndarray:
    array = array.astype(np.float64)
    if not np.all(np.isfinite(array)):
        wrong = int(np.sum(~np.isfinite(array)))
        raise invalid(argument, f"{expected}, all finite", f"{wrong} values that are NaN or inf")
    return array


def _unflatten(argument: str, array: np.ndarray, image_shape: Sequence[int] | None) -> np.ndarray:
    size = array.shape[1]
    if image_shape is None:
        hint = "Flat images need `image_shape=(H, W)` or `(H, W, C)`."
        raise invalid(argument, "images of shape [N, H, W, C] or [N, H, W]", describe(array), hint)
    shape = tuple(check_count("image_shape", side) for side in image_shape)
    if len(shape) not in (2, 3) or int(np.prod(shape)) != size:
        raise invalid("image_shape", f"(H, W) or (H, W, C) of {size} values", shape)
    return array.reshape(-1, *shape)


def _unit_range(argument: str, array: np.ndarray) -> np.ndarray:
    if array.dtype == np.uint8:
        return array.astype(np.float32) / 255.0
    if array.dtype.kind not in "fb":
        hint = "Convert the images with `images.astype('uint8')`, or divide them to reach [0, 1]."
        raise invalid(argument, "floats in [0, 1] or uint8", describe(array), hint)
    expected = "images with values in [0, 1]"
    return np.clip(_finite(argument, array, expected), 0.0, 1.0).astype(np.float32)
