"""Warm-up requests: what a server runs once, before it says that a model is available.

The first call of a signature is the slowest: TensorFlow optimises and plans the graph then. TensorFlow
Serving makes that call itself for every request in `assets.extra/tf_serving_warmup_requests` of a version's
folder, a TFRecord file of `PredictionLog` messages (its guide "SavedModel Warmup").

A request that fails keeps the whole model from loading, and a server that was started with
`--enable_batching` refuses many: it batches every signature of every model, and refuses inputs of rank 0 or
of unequal first axes (`ComputeTensorBatchSize` in its batching_util.h). That rules out all signatures with a
`seed`, `count`, `steps` or `num_samples`. So the server of `write_configuration` does not batch unless asked
to, and then does not warm up either; `write(..., batching=True)` makes a file for other servers that batch.
"""

import os
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from keras_vae.errors import invalid
from keras_vae.serving.extras import require
from keras_vae.serving.wire.json_tensors import DEFAULT_SIGNATURE
from keras_vae.serving.wire.signature_specs import is_by_rows

if TYPE_CHECKING:
    from keras_vae.serving.servables import Servable

EXTRA_ASSETS = "assets.extra"
FILE = "tf_serving_warmup_requests"
# Servers refuse to load a model with more: kMaxNumRecords in saved_model_warmup_util.h.
MOST_REQUESTS = 1000


def write(
    folder: str | os.PathLike,
    name: str,
    servable: "Servable",
    batch_sizes: Sequence[int] = (1, 8),
    batching: bool = False,
) -> Path | None:
    """Writes warm-up requests for the signatures of a servable into the folder of its version.

    Inputs are zeros, and image files black PNGs of the model's size; a number, such as `count` or
    `num_samples`, is the batch size, at least 2.

    Args:
        folder: of the version, which holds the SavedModel.
        name: of the servable, such as "mnist_encoder", as in the requests' `model_spec`.
        servable: whose signatures to warm up.
        batch_sizes: one request of each size for every signature.
        batching: whether to leave out the signatures that a server with `--enable_batching` refuses.

    Returns:
        The file's path; None, with a warning, where the package `tensorflow-serving-api` is missing.

    Raises:
        ValueError: for batch sizes below 1, or more requests than a server accepts, 1000.
    """
    sizes = list(batch_sizes)
    if not sizes or any(size < 1 for size in sizes):
        raise invalid("batch_sizes", "some integers >= 1", batch_sizes)
    chosen = {
        key: specs
        for key, specs in servable.inputs.items()
        if not batching or all(map(is_by_rows, specs.values()))
    }
    if len(chosen) * len(sizes) > MOST_REQUESTS:
        hint = f"Servers run no more than {MOST_REQUESTS} requests."
        raise invalid("batch_sizes", f"fewer sizes for {len(chosen)} signatures", batch_sizes, hint)
    try:
        require("tensorflow_serving.apis.prediction_log_pb2", "serving")
    except ImportError as error:
        warnings.warn(f"{name} is written without warm-up requests. {error}", stacklevel=2)
        return None
    path = Path(folder) / EXTRA_ASSETS / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as records:
        for key, specs in chosen.items():
            for record in _records(name, key, specs, sizes, servable.image_shape):
                records.write(record)
    return path


def replay(folder: str | os.PathLike, model: Any = None) -> list[tuple[str, dict[str, tf.Tensor]]]:
    """Runs every warm-up request of a version, as a server does.

    Args:
        folder: of the version.
        model: what `tf.saved_model.load` gave for this folder, to warm it up; None to load it here.

    Returns:
        The signature and the outputs of each request, in the order of the file; nothing without a file.

    Raises:
        ValueError: if a request names a signature that the model lacks.
        ImportError: without the package `tensorflow-serving-api`.
    """
    path = Path(folder) / EXTRA_ASSETS / FILE
    if not path.is_file():
        return []
    if model is None:
        model = tf.saved_model.load(str(folder))
    done = []
    for request in requests(path):
        key = request.model_spec.signature_name or DEFAULT_SIGNATURE
        if key not in model.signatures:
            raise invalid("folder", f"a model with the signature {key!r}", str(folder))
        arguments = {
            argument: tf.constant(tf.make_ndarray(value)) for argument, value in request.inputs.items()
        }
        done.append((key, model.signatures[key](**arguments)))
    return done


def requests(path: str | os.PathLike) -> Iterator[Any]:
    """The `PredictRequest` messages of a warm-up file; records of other methods are passed over."""
    logs = require("tensorflow_serving.apis.prediction_log_pb2", "serving")
    for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
        log = logs.PredictionLog.FromString(record)
        if log.HasField("predict_log"):
            yield log.predict_log.request


def _records(
    name: str,
    key: str,
    specs: Mapping[str, tf.TensorSpec],
    sizes: Iterable[int],
    image_shape: tuple[int, int, int] | None,
) -> list[bytes]:
    """The serialised requests of a signature, each once: not every signature has an axis of any size."""
    inputs = (
        {argument: _tensor(spec, size, image_shape) for argument, spec in specs.items()} for size in sizes
    )
    return list(dict.fromkeys(_record(name, key, tensors) for tensors in inputs))


def _record(name: str, key: str, inputs: Mapping[str, Any]) -> bytes:
    log = require("tensorflow_serving.apis.prediction_log_pb2", "serving").PredictionLog()
    request = log.predict_log.request
    request.model_spec.name = name
    request.model_spec.signature_name = key
    for argument, tensor in inputs.items():
        request.inputs[argument].CopyFrom(tensor)
    # The order of a map's entries is otherwise left open; an export is to be the same bytes every time.
    return log.SerializeToString(deterministic=True)


def _tensor(spec: tf.TensorSpec, batch_size: int, image_shape: tuple[int, int, int] | None) -> Any:
    """A `TensorProto` that a signature takes; one value stands for them all."""
    if spec.shape.rank == 0:
        # Two points are the fewest of an interpolation, and any number of draws will do.
        return tf.make_tensor_proto(max(batch_size, 2), dtype=spec.dtype)
    first, *rest = spec.shape.as_list()
    shape = [batch_size if first is None else first, *(1 if size is None else size for size in rest)]
    value = _png(image_shape) if spec.dtype == tf.string else np.zeros([], spec.dtype.as_numpy_dtype)
    return tf.make_tensor_proto(value, dtype=spec.dtype, shape=shape)


def _png(shape: tuple[int, int, int] | None) -> bytes:
    return b"" if shape is None else tf.io.encode_png(tf.zeros(shape, tf.uint8)).numpy()
