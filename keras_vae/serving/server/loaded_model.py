"""A SavedModel that TensorFlow alone loads and runs, arrays in and out."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from google.protobuf import text_format
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

from keras_vae.serving.wire.signature_specs import is_by_rows, specs_of

SERVE = "serve"

Arrays = Mapping[str, np.ndarray]


class Expected(NamedTuple):
    """An input's specification in the words of NumPy, which compare in a microsecond."""

    dtype: np.dtype
    is_text: bool
    shape: tuple[int | None, ...] | None


@dataclass(frozen=True)
class Signature:
    """A signature of a loaded SavedModel.

    Attributes:
        name: its key, such as "serving_default".
        inputs: the arguments' specifications by name.
        outputs: the results' specifications by name.
        function: what runs it, tensors by name in and out; safe in many threads at once.
    """

    name: str
    inputs: Mapping[str, tf.TensorSpec]
    outputs: Mapping[str, tf.TensorSpec]
    function: Callable[..., Mapping[str, tf.Tensor]]

    @cached_property
    def row_wise(self) -> bool:
        """Whether rows of several requests may be joined: every input and output has a free first axis.

        A scalar or a seed of shape [2] rules it out. TensorFlow Serving does not look: with
        `--enable_batching` it refuses the requests that it cannot join.
        """
        specs = [*self.inputs.values(), *self.outputs.values()]
        return bool(self.inputs) and all(map(is_by_rows, specs))

    @cached_property
    def expected(self) -> dict[str, Expected]:
        """What each input has to be; a shape is None where any rank will do."""
        return {
            name: Expected(
                np.dtype(spec.dtype.as_numpy_dtype),
                spec.dtype == tf.string,
                None if spec.shape.rank is None else tuple(spec.shape.as_list()),
            )
            for name, spec in self.inputs.items()
        }

    def run(self, inputs: Arrays, outputs: Iterable[str] | None = None) -> dict[str, np.ndarray]:
        """Runs it on arrays whose names, dtypes and shapes are known to be right.

        Args:
            inputs: by name; strings as arrays of bytes objects.
            outputs: the names of the results wanted; all of them by default.

        Returns:
            The results by name.

        Raises:
            tf.errors.OpError: what TensorFlow says of the values, such as of an image that is none.
        """
        tensors = {name: tf.constant(array, self.inputs[name].dtype) for name, array in inputs.items()}
        results = self.function(**tensors)
        return {name: results[name].numpy() for name in (self.outputs if outputs is None else outputs)}


class LoadedModel:
    """A loaded SavedModel.

    Args:
        folder: the folder of one version, which holds `saved_model.pb` or, as text, `saved_model.pbtxt`.

    Attributes:
        model: what `tf.saved_model.load` gave.
        signatures: what it can run, by name.
        signature_defs: the signatures as the file describes them, for a request of metadata.

    Raises:
        Exception: of any type, as TensorFlow, protobuf and the system raise it for what is no SavedModel.
    """

    def __init__(self, folder: Path):
        self.signature_defs = _signature_defs(folder)
        # Signatures do not keep the variables alive; the loaded object does.
        self.model = tf.saved_model.load(str(folder), tags=[SERVE])
        self.signatures = {
            name: _signature(name, self.signature_defs[name], function)
            for name, function in self.model.signatures.items()
            if name in self.signature_defs
        }
        if not self.signatures:
            raise ValueError(f"{folder} holds a SavedModel without signatures.")


def _signature_defs(folder: Path) -> dict[str, meta_graph_pb2.SignatureDef]:
    """The signatures of the graph to be served, as its file holds them."""
    saved_model = saved_model_pb2.SavedModel()
    binary, text = folder / "saved_model.pb", folder / "saved_model.pbtxt"
    if text.exists() and not binary.exists():
        text_format.Parse(text.read_bytes(), saved_model)
    else:
        saved_model.ParseFromString(binary.read_bytes())
    for graph in saved_model.meta_graphs:
        if SERVE in graph.meta_info_def.tags:
            return dict(graph.signature_def)
    raise ValueError(f"{folder} holds no graph with the tag {SERVE!r}.")


def _signature(name: str, definition: meta_graph_pb2.SignatureDef, function: Any) -> Signature:
    return Signature(name, specs_of(definition.inputs), specs_of(definition.outputs), function)
