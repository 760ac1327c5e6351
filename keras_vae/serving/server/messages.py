"""Answers of both transports as the messages of TensorFlow Serving's API."""

from collections.abc import Iterable
from typing import Any

from google.protobuf import json_format
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2

from keras_vae.serving.server.version import Version
from keras_vae.serving.wire.json_tensors import DEFAULT_SIGNATURE
from keras_vae.serving.wire.status import Code, RequestError, VersionStatus

SIGNATURE_DEF = "signature_def"

# Methods of the API other than predict, with the `method_name` of a signature that serves them.
METHODS = {
    "classify": ("classification", "tensorflow/serving/classify"),
    "regress": ("regression", "tensorflow/serving/regress"),
}


def status_response(statuses: Iterable[VersionStatus]) -> Any:
    """A `GetModelStatusResponse`."""
    response = get_model_status_pb2.GetModelStatusResponse()
    for each in statuses:
        version = response.model_version_status.add(version=each.version, state=int(each.state))
        version.status.error_code = int(each.code)
        version.status.error_message = each.message
    return response


def metadata_response(opened: Version) -> Any:
    """A `GetModelMetadataResponse` with the signatures of an opened version."""
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    response.model_spec.name = opened.name
    response.model_spec.version.value = opened.number
    response.metadata[SIGNATURE_DEF].Pack(_signature_def_map(opened))
    return response


def metadata_document(opened: Version) -> dict[str, Any]:
    """The same as the REST API shows it."""
    spec = metadata_response(opened).model_spec
    return {
        "model_spec": document(spec),
        "metadata": {SIGNATURE_DEF: document(_signature_def_map(opened))},
    }


def document(message: Any) -> dict[str, Any]:
    """A message as JSON, fields that are unset included."""
    return json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )


def refuse_method(opened: Version, method: str, signature: str) -> RequestError:
    """Returns (does not raise) why a version does not classify or regress.

    Models of this library have no such signatures; of others this server runs only those for predict.
    """
    noun, expected = METHODS[method]
    name = signature or DEFAULT_SIGNATURE
    definitions = opened.loaded.signature_defs if opened.loaded else {}
    if name not in definitions:
        return RequestError(Code.INVALID_ARGUMENT, f"No signature was found with the name: {name}")
    found = definitions[name].method_name
    if found != expected:
        return RequestError(
            Code.INVALID_ARGUMENT,
            f"Expected {noun} signature method_name to be {expected}. Was: {found}",
        )
    return RequestError(Code.UNIMPLEMENTED, f"This server does not {method}; TensorFlow Serving does.")


def _signature_def_map(opened: Version) -> Any:
    definitions = get_model_metadata_pb2.SignatureDefMap()
    for name, definition in (opened.loaded.signature_defs if opened.loaded else {}).items():
        definitions.signature_def[name].CopyFrom(definition)
    return definitions
