"""`to_onnx`: a model for runtimes other than TensorFlow's."""

import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_vae.runs import files
from keras_vae.serving.conversion.check import check_results
from keras_vae.serving.conversion.parts import SIGNATURE, check_path, servable_of, unsupported
from keras_vae.serving.extras import require

if TYPE_CHECKING:
    from keras_vae import LatentVariableModel

SUFFIX = ".onnx"
# The newest set of operations that tf2onnx writes.
OPSET = 18


def to_onnx(model: "LatentVariableModel", path: str | os.PathLike, part: str = "encoder") -> Path:
    """Writes the encoder or the decoder of a model as an ONNX file.

    The graph takes and gives what `export`'s `serving_default` does, by the same names, with batches of any
    size:

        encoder: `x` `[batch] + event` to `mean` and `stddev`, `[batch] + latent`
        decoder: `z` `[batch] + latent` to `mean`, `[batch] + event`

    and takes `y` where the part is conditional. Its results are the model's to about 1e-5; before it
    is written, those of a few random inputs are compared, to 1e-3. Run it with
    `onnxruntime.InferenceSession(path).run(None, {"x": x})`.

    Args:
        model: a model of this library.
        path: of the file, which ends in `.onnx`; an old one is replaced.
        part: "encoder" or "decoder".

    Returns:
        The path.

    Raises:
        ValueError: for a bad argument, a model with operations that ONNX lacks, which it names, or one that
            ONNX Runtime computes otherwise than TensorFlow; no file is written then.
        ImportError: without the packages `tf2onnx`, `onnx` and `onnxruntime`, naming the extra to install.
    """
    target = check_path(path, SUFFIX)
    onnx, tf2onnx, onnxruntime = require_packages()
    servable = servable_of(model, part)
    function = servable.functions[SIGNATURE]
    with _quiet():
        proto, _ = tf2onnx.convert.from_function(
            function, input_signature=function.input_signature, opset=OPSET
        )
    # What it cannot translate, tf2onnx leaves in the graph as it is.
    unknown = {node.op_type for node in _nodes(proto.graph) if not onnx.defs.has(node.op_type, node.domain)}
    if unknown:
        raise unsupported(unknown, "ONNX")
    _name_batch(proto.graph)
    onnx.checker.check_model(proto)
    contents = proto.SerializeToString()
    check_results(servable, lambda inputs: _run(onnxruntime, contents, inputs), "ONNX")
    return files.write(target, lambda draft: draft.write_bytes(contents))


def require_packages() -> tuple[Any, Any, Any]:
    """`onnx`, `tf2onnx` and `onnxruntime`, or the `ImportError` that names the extra to install."""
    return require("onnx", "convert"), require("tf2onnx", "convert"), require("onnxruntime", "convert")


def _run(onnxruntime: Any, contents: bytes, inputs: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
    session = onnxruntime.InferenceSession(contents)
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, dict(inputs)), strict=True))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps tf2onnx from telling about its work; what goes wrong is raised."""
    logger = logging.getLogger("tf2onnx")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def _nodes(graph: Any) -> Iterable[Any]:
    """The nodes of a graph and of the branches and loops in it."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _nodes(inner)


def _name_batch(graph: Any) -> None:
    """Gives the one axis of any size the same name everywhere."""
    for value in (*graph.input, *graph.output):
        axes = value.type.tensor_type.shape.dim
        if axes and not axes[0].HasField("dim_value"):
            axes[0].dim_param = "batch"
