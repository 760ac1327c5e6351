"""A converted part is run before it is written: it must compute what TensorFlow does."""

from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

from keras_vae.errors import invalid
from keras_vae.serving.conversion.parts import SIGNATURE
from keras_vae.serving.servable import Servable

Arrays = Mapping[str, np.ndarray]

# Rows of the examples, and the length of their axes of open size: more than one, since some runtimes
# broadcast where others do not.
_ROWS = 3
# What is tolerated, of 1 and more relative, else absolute. Runtimes sum in other orders and round their
# functions otherwise, 1e-5 in most models; a wrong operation is off by far more.
_TOLERANCE = 1e-3


def check_results(
    servable: Servable, run: Callable[[Arrays], Arrays], target: str, exact: bool = True
) -> None:
    """Compares what a converted part gives with what the part in memory gives, for random inputs.

    Args:
        servable: whose `serving_default` was converted.
        run: the converted part, from arrays to arrays by name.
        target: the format's name, for the error.
        exact: whether results are compared; otherwise, as with quantised weights, it is only asked that they
            have the same names and shapes and are finite where the part's are.

    Raises:
        ValueError: if they differ, or the converted part does not run.
    """
    inputs = examples(servable.inputs[SIGNATURE])
    expected = {
        name: value.numpy()
        for name, value in servable.call(
            SIGNATURE, **{name: tf.constant(value) for name, value in inputs.items()}
        ).items()
    }
    try:
        found = dict(run(inputs))
    except Exception as error:
        raise _differs(target, f"one that does not run: {error}") from error
    if {name: value.shape for name, value in found.items()} != {
        name: value.shape for name, value in expected.items()
    }:
        raise _differs(target, f"results of the names and shapes {_shapes(found)}, not {_shapes(expected)}")
    for name, value in expected.items():
        if not np.array_equal(np.isfinite(found[name]), np.isfinite(value)):
            raise _differs(target, f"`{name}`, in which other values are finite")
        if exact:
            difference = np.abs(found[name] - value) / np.maximum(1.0, np.abs(value))
            worst = np.max(np.where(np.isfinite(value), difference, 0.0), initial=0.0)
            if worst > _TOLERANCE:
                raise _differs(target, f"`{name}`, which differs by up to {worst:.2g}")


def examples(specs: Mapping[str, tf.TensorSpec]) -> dict[str, np.ndarray]:
    """Random inputs of a signature: numbers in [0, 1), as most data are, and zeros where integers are asked.

    >>> specs = {"x": tf.TensorSpec([None, 2], tf.float32), "y": tf.TensorSpec([None], tf.int32)}
    >>> {name: (value.shape, value.dtype.name) for name, value in examples(specs).items()}
    {'x': ((3, 2), 'float32'), 'y': ((3,), 'int32')}
    """
    random = np.random.default_rng(0)
    return {
        name: (random.random if spec.dtype.is_floating else np.zeros)(
            [_ROWS if size is None else size for size in spec.shape]
        ).astype(spec.dtype.as_numpy_dtype)
        for name, spec in specs.items()
    }


def _shapes(arrays: Arrays) -> str:
    return ", ".join(f"{name} {list(value.shape)}" for name, value in arrays.items())


def _differs(target: str, what: str) -> ValueError:
    hint = (
        f"The conversion to {target} is at fault: try other versions of its packages, or serve the model "
        "with TensorFlow: `keras_vae.serving.export` needs no conversion."
    )
    return invalid("model", f"layers that {target} computes as TensorFlow does", what, hint)
