"""The tensors of a signature as TensorFlow's specifications."""

from collections.abc import Mapping

import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2


def specs_of(tensors: Mapping[str, meta_graph_pb2.TensorInfo]) -> dict[str, tf.TensorSpec]:
    """The specifications of a signature's inputs or outputs by name, sorted."""
    return {
        name: tf.TensorSpec(tf.TensorShape(info.tensor_shape), tf.as_dtype(info.dtype), name)
        for name, info in sorted(tensors.items())
    }


def is_by_rows(spec: tf.TensorSpec) -> bool:
    """Whether a tensor has an axis of any size first, along which requests may be joined or split.

    Example:

    >>> is_by_rows(tf.TensorSpec([None, 4])), is_by_rows(tf.TensorSpec([2])), is_by_rows(tf.TensorSpec([]))
    (True, False, False)
    """
    return bool(spec.shape.rank) and spec.shape[0] is None
