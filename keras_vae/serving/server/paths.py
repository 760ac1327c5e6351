"""The paths of the REST API, by the patterns of TensorFlow Serving's `http_rest_api_util.cc`."""

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote

from starlette.requests import Request

from keras_vae.serving.wire.status import Code, RequestError, bad

_MODEL = r"([^/:]+)"
_VERSION = r"(?:/versions/(\d+)|/labels/([^/:]+))?"
_FLAGS = re.IGNORECASE | re.ASCII
_ASK = re.compile(f"/v1/models/{_MODEL}{_VERSION}:(classify|regress|predict)", _FLAGS)
_LOOK = re.compile(f"/v1/models(?:/{_MODEL})?{_VERSION}(?:/(metadata))?", _FLAGS)
_LARGEST_VERSION = 2**63 - 1


@dataclass(frozen=True)
class Target:
    """What a path names."""

    model: str = ""
    version: int | None = None
    label: str | None = None
    verb: str = ""

    @classmethod
    def of(cls, model: str | None, version: str | None, label: str | None, verb: str | None) -> "Target":
        if version is not None and (len(version) > 19 or int(version) > _LARGEST_VERSION):
            raise bad(f"Failed to convert version: {version} to numeric.")
        return cls(
            unquote(model or ""),
            None if version is None else int(version),
            None if label is None else unquote(label),
            verb or "",
        )


def target_of(request: Request) -> Target:
    """What the path of a request names, raw as it came: TensorFlow Serving takes no query.

    Raises:
        RequestError: NOT_FOUND outside `/v1/`, else INVALID_ARGUMENT.
    """
    raw = request.scope.get("raw_path") or quote(request.scope["path"]).encode()
    query = request.scope.get("query_string")
    path = raw.decode("latin-1") + (f"?{query.decode('latin-1')}" if query else "")
    pattern = {"POST": _ASK, "GET": _LOOK}.get(request.method)
    match = pattern.fullmatch(path) if pattern else None
    if match:
        model, version, label, verb = match.groups()
        # The pattern takes letters of any case, as TensorFlow Serving's does, but what they name does not.
        if verb is None or verb.islower():
            return Target.of(model, version, label, verb)
        if request.method == "GET":
            return Target.of(model, version, label, None)
    if not path.lower().startswith("/v1/"):
        raise RequestError(Code.NOT_FOUND, f"Not found: {request.method} {path}")
    raise bad(f"Malformed request: {request.method} {path}")
