"""What a servable can be asked: its signatures, as a server describes them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import tensorflow as tf
from google.protobuf import json_format
from tensorflow.core.protobuf import meta_graph_pb2

from keras_vae.serving.wire.signature_specs import specs_of


@dataclass(frozen=True)
class SignatureSpecs:
    """A signature's inputs and outputs, dtype and shape by name; None in a shape is any size."""

    inputs: Mapping[str, tf.TensorSpec]
    outputs: Mapping[str, tf.TensorSpec]


@dataclass(frozen=True)
class Metadata:
    """A version of a servable.

    Attributes:
        servable: its name.
        version: its number.
        signatures: by name.
    """

    servable: str
    version: int
    signatures: Mapping[str, SignatureSpecs]

    @classmethod
    def of_definitions(
        cls, servable: str, version: int, definitions: Mapping[str, meta_graph_pb2.SignatureDef]
    ) -> "Metadata":
        """From the signatures of a SavedModel, without TensorFlow's own, `__saved_model_...`."""
        signatures = {
            name: SignatureSpecs(specs_of(definition.inputs), specs_of(definition.outputs))
            for name, definition in definitions.items()
            if not name.startswith("__")
        }
        return cls(servable, version, signatures)

    @classmethod
    def of_json(cls, servable: str, document: Mapping[str, Any]) -> "Metadata":
        """From the answer of `GET /v1/models/NAME/metadata`.

        Raises:
            KeyError, ValueError, TypeError: or what protobuf raises, for an answer of another form.
        """
        definitions = {
            name: json_format.ParseDict(value, meta_graph_pb2.SignatureDef(), ignore_unknown_fields=True)
            for name, value in document["metadata"]["signature_def"]["signature_def"].items()
        }
        return cls.of_definitions(servable, int(document["model_spec"]["version"]), definitions)
