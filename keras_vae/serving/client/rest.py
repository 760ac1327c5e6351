"""TensorFlow Serving's REST API by httpx. Import it only where the extra `serving` is installed."""

import gzip
import json
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import quote

import numpy as np

from keras_vae.serving.client.errors import Unreachable
from keras_vae.serving.client.metadata import Metadata, SignatureSpecs
from keras_vae.serving.client.options import TLS, Address
from keras_vae.serving.client.transport import COMPRESSED_FROM, Arrays, Target
from keras_vae.serving.extras import require
from keras_vae.serving.wire.json_tensors import decode_response, encode_request
from keras_vae.serving.wire.status import Code, RequestError, State, VersionStatus

T = TypeVar("T")

httpx = require("httpx", "serving")


class RestTransport:
    """A pool of connections to one server.

    Args:
        address: of scheme "http" or "https".
        tls: certificates, for "https".
        headers: sent with every request.
        compress: whether large bodies are sent compressed, until a server refuses one.
        wire: httpx's transport instead of the network, for tests.
    """

    def __init__(
        self, address: Address, tls: TLS, headers: Mapping[str, str], compress: bool, wire: Any = None
    ):
        self._compress = compress
        # Whole addresses: joined with a base, "mnist:predict" would be one of its own, of scheme "mnist".
        self._models = f"{address.scheme}://{address.host}{address.path}/v1/models/"
        self._client = httpx.Client(
            verify=tls.context() if address.secure else True,
            headers=dict(headers),
            transport=wire,
        )

    def predict(
        self, target: Target, signature: str, inputs: Arrays, specs: SignatureSpecs, timeout: float
    ) -> dict[str, np.ndarray]:
        body = encode_request(inputs, signature)
        answer = self._post(f"{_path(target)}:predict", body, timeout)
        return _read(answer, lambda content: decode_response(content, specs.outputs))

    def metadata(self, target: Target, timeout: float) -> Metadata:
        answer = self._send("GET", f"{_path(target)}/metadata", timeout)
        return _read(answer, lambda content: Metadata.of_json(target.servable, json.loads(content)))

    def status(self, target: Target, timeout: float) -> list[VersionStatus]:
        return _read(self._send("GET", _path(target), timeout), _statuses)

    def close(self) -> None:
        self._client.close()

    def _post(self, path: str, body: bytes, timeout: float) -> Any:
        if self._compress and len(body) >= COMPRESSED_FROM:
            started = time.monotonic()
            headers = {"Content-Encoding": "gzip"}
            answer = self._send("POST", path, timeout, gzip.compress(body, compresslevel=1), headers)
            # Servers that do not know of compression find no JSON in it.
            if answer.status_code not in (400, 415):
                return answer
            plain = self._send("POST", path, timeout - (time.monotonic() - started), body)
            self._compress = plain.status_code == answer.status_code
            return plain
        return self._send("POST", path, timeout, body)

    def _send(
        self,
        method: str,
        path: str,
        timeout: float,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        headers = {"Content-Type": "application/json", **(headers or {})} if body is not None else {}
        try:
            return self._client.request(
                method, self._models + path, content=body, headers=headers, timeout=max(timeout, 1e-3)
            )
        except httpx.TimeoutException as error:
            words = f"No answer in {timeout:.3g} seconds ({type(error).__name__})."
            raise RequestError(Code.DEADLINE_EXCEEDED, words) from error
        except httpx.ConnectError as error:
            raise Unreachable(str(error), again="CERTIFICATE" not in str(error).upper()) from error
        except httpx.DecodingError as error:
            raise RequestError(Code.INTERNAL, f"The answer cannot be unpacked: {error}") from error
        except httpx.TransportError as error:
            words = f"The connection broke: {type(error).__name__}: {error}"
            raise RequestError(Code.UNAVAILABLE, words) from error


def _path(target: Target) -> str:
    name = quote(target.servable, safe="")
    if target.version is None:
        return name
    kind = "labels" if isinstance(target.version, str) else "versions"
    return f"{name}/{kind}/{quote(str(target.version), safe='')}"


def _read(answer: Any, parse: Callable[[bytes], T]) -> T:
    """What an answer says; raises the server's error where it is one."""
    if answer.status_code != 200:
        raise RequestError(Code.of_http(answer.status_code), _words(answer))
    try:
        return parse(answer.content)
    except Exception as error:  # protobuf's parser has errors of its own
        words = f"The answer is not TensorFlow Serving's: {type(error).__name__}: {error}"
        raise RequestError(Code.INTERNAL, words) from error


def _words(answer: Any) -> str:
    try:
        return str(answer.json()["error"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {answer.status_code} {answer.reason_phrase}: {answer.text[:500]}".rstrip(": ")


def _statuses(content: bytes) -> list[VersionStatus]:
    return [
        VersionStatus(
            int(entry["version"]),
            State[entry["state"]],
            Code[entry["status"]["error_code"]],
            entry["status"]["error_message"],
        )
        for entry in json.loads(content)["model_version_status"]
    ]
