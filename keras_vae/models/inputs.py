"""Containers of numbers as NumPy arrays: data frames, series, sparse matrices, HDF5 datasets and lists."""

from typing import Any

import numpy as np
import tensorflow as tf

from keras_vae.errors import invalid

# A dense array of more bytes than this is not made of a sparse matrix or a file.
DENSE_BYTES = 2**32


def as_array(name: str, value: Any) -> Any:
    """The NumPy array of a container of numbers; everything else, such as a data set, unchanged.

    Takes pandas and polars data frames and series, SciPy's sparse matrices and arrays, HDF5 datasets,
    variables, and nested lists of numbers. Missing values become NaN, which the checks of the data
    then report.

    Raises:
        ValueError: for text and other columns that are no numbers, ragged lists, and sparse matrices or files
            that are too large as dense arrays.
    """
    if value is None or isinstance(value, np.ndarray | tf.Tensor | str | bytes | dict | tuple):
        return value
    if isinstance(value, tf.Variable) or type(value).__module__.startswith("keras.src.backend"):
        return tf.convert_to_tensor(value)
    if isinstance(value, list):
        return _of_list(name, value)
    if hasattr(value, "toarray") and hasattr(value, "nnz"):
        _check_size(name, value)
        return value.toarray()
    if hasattr(value, "to_numpy") and hasattr(value, "shape"):
        return _of_frame(name, value)
    if type(value).__module__.partition(".")[0] == "h5py" and hasattr(value, "dtype"):
        _check_size(name, value)
        return value[...]
    return value


def as_arrays(name: str, data: Any) -> Any:
    """`as_array` of data, or of each member of a tuple (x, y, sample_weight)."""
    if not isinstance(data, tuple) or hasattr(data, "_fields"):
        return as_array(name, data)
    return tuple(as_array(name, member) for member in data)


def _of_list(name: str, value: list) -> Any:
    """The array of a list of numbers, however nested; a list of arrays stays as it is."""
    first: Any = value
    while isinstance(first, list) and first:
        first = first[0]
    if not isinstance(first, int | float | np.number | np.bool_):
        return value
    try:
        return np.asarray(value)
    except ValueError:
        hint = "Pad the rows to one length."
        raise invalid(name, "lists of one length", "lists of different lengths", hint) from None


def _of_frame(name: str, frame: Any) -> np.ndarray:
    columns = getattr(frame, "columns", None)
    if columns is None:
        return _of_series(name, frame)
    if len(set(map(str, columns))) < len(list(columns)):
        raise invalid(name, "columns of different names", f"columns {list(columns)}")
    names = list(columns)
    series = [_of_series(f"{name}[{column!r}]", frame[column]) for column in names]
    if not series:
        raise invalid(name, "at least one column", "a data frame without columns")
    return np.stack(series, axis=1)


def _of_series(name: str, series: Any) -> np.ndarray:
    values = series.to_numpy()
    # Dates and durations are numbers to NumPy, but none of any data.
    if values.dtype.kind in "biuf":
        return values
    # Nullable columns come as objects.
    try:
        if values.dtype.kind in "mMc":
            raise TypeError
        known = [np.nan if _is_missing(value) else value for value in values.tolist()]
        if not any(isinstance(value, str | bytes) for value in known):
            return np.asarray(known, np.float64)
    except (TypeError, ValueError):
        pass
    raise invalid(
        name,
        "numbers",
        f"a column of dtype {series.dtype}",
        "Leave the column out, or encode it, for instance by pandas.get_dummies or keras.utils.FeatureSpace.",
    )


def _is_missing(value: Any) -> bool:
    return value is None or type(value).__name__ in ("NAType", "NaTType")


def _check_size(name: str, value: Any) -> None:
    size = int(np.prod(value.shape)) * np.dtype(value.dtype).itemsize
    if size > DENSE_BYTES:
        raise invalid(
            name,
            f"data of at most {DENSE_BYTES / 2**30:g} GiB as a dense array",
            f"{type(value).__name__} of shape {tuple(value.shape)}, {size / 2**30:.1f} GiB",
            "Pass a keras.utils.PyDataset that makes dense batches.",
        )
