"""Requests to a server as TensorFlow Serving knows them: predict, status, metadata."""

from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

import numpy as np

from keras_vae.errors import invalid, lookup
from keras_vae.serving.client.batches import join, split
from keras_vae.serving.client.errors import ServerUnreachable, ServingError, Unreachable
from keras_vae.serving.client.inputs import check_inputs
from keras_vae.serving.client.metadata import Metadata, SignatureSpecs
from keras_vae.serving.client.options import TLS, Address, parse_url
from keras_vae.serving.client.retries import Retries
from keras_vae.serving.client.transport import Arrays, Target, Transport
from keras_vae.serving.wire.json_tensors import DEFAULT_SIGNATURE
from keras_vae.serving.wire.status import RequestError, VersionStatus

T = TypeVar("T")

Version = int | str | None


class Connection:
    """A server's servables. Arguments and errors are those of `Client`."""

    def __init__(
        self,
        url: str,
        *,
        version: Version = None,
        batch_size: int | None = None,
        timeout: float = 60.0,
        retries: Retries | None = None,
        headers: Mapping[str, str] | None = None,
        tls: TLS | None = None,
        compress: bool = False,
    ):
        address = parse_url(url)
        check_version(version)
        if batch_size is not None and not (_is_integer(batch_size) and batch_size >= 1):
            raise invalid("batch_size", "an integer >= 1, or None for one request", batch_size)
        if not timeout > 0:
            raise invalid("timeout", "seconds > 0", timeout)
        check_headers(headers or {})
        if tls is not None and not address.secure:
            raise invalid("tls", f"None for {address.scheme}://", tls, "Use https:// or grpcs://.")
        self.url, self.version, self.batch_size, self.timeout = url, version, batch_size, timeout
        self._retries = Retries() if retries is None else retries
        self._transport = _transport(address, tls or TLS(), headers or {}, compress)
        # Shared by threads; two that miss at once ask twice, which does no harm.
        self._known: dict[Target, Metadata] = {}

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections; nothing can be asked any more."""
        self._transport.close()

    def predict(
        self, servable: str, inputs: Any, signature: str | None = None, version: Version = None
    ) -> dict[str, np.ndarray]:
        """Runs a signature.

        Args:
            servable: its name, such as "mnist_decoder".
            inputs: arrays, or what NumPy makes arrays of, by name; alone, where the signature has one input.
            signature: its name, by default "serving_default".
            version: number or label; by default the client's.

        Returns:
            The outputs by name.

        Raises:
            ValueError: if the inputs do not fit the signature; nothing is sent then.
            ServingError: if the server refuses.
        """
        target, signature = self._target(servable, version), signature or DEFAULT_SIGNATURE
        specs, arrays = self._checked(target, signature, inputs)
        parts = split(arrays, specs, self.batch_size)
        return join([self._run(target, signature, part, specs) for part in parts], parts, specs)

    def status(self, servable: str, version: Version = None) -> list[VersionStatus]:
        """How the versions of a servable, or the one asked for, fare."""
        target = self._target(servable, version)
        if isinstance(target.version, str):
            # Asked for a label, TensorFlow Serving tells of all versions.
            target = target._replace(version=self._fetch(target).version)
        return list(self._ask(target, lambda timeout: self._transport.status(target, timeout)))

    def metadata(self, servable: str, version: Version = None) -> Metadata:
        """The signatures of a servable; asked of the server each time."""
        return self._fetch(self._target(servable, version))

    def _input_names(self, servable: str, signature: str) -> Collection[str]:
        """The names of a signature's inputs; none where there is no such signature."""
        target = self._target(servable, None)
        signatures = (self._known.get(target) or self._fetch(target)).signatures
        return signatures[signature].inputs.keys() if signature in signatures else ()

    def _target(self, servable: str, version: Version) -> Target:
        if not isinstance(servable, str) or not servable:
            raise invalid("servable", "a servable's name", servable)
        check_version(version)
        return Target(servable, self.version if version is None else version)

    def _fetch(self, target: Target) -> Metadata:
        metadata = self._ask(target, lambda timeout: self._transport.metadata(target, timeout))
        self._known[target] = metadata
        return metadata

    def _checked(self, target: Target, signature: str, inputs: Any) -> tuple[SignatureSpecs, Arrays]:
        known = self._known.get(target)
        if known is not None:
            try:
                return _fit(known, signature, inputs)
            except ValueError:
                # The latest version, or a label's, may be another by now, one that these inputs fit.
                if isinstance(target.version, int):
                    raise
        return _fit(self._fetch(target), signature, inputs)

    def _run(self, target: Target, signature: str, inputs: Arrays, specs: SignatureSpecs) -> Arrays:
        def call(timeout: float) -> Arrays:
            return self._transport.predict(target, signature, inputs, specs, timeout)

        try:
            return self._ask(target, call)
        except ServingError:
            # Perhaps what is known of the servable is no longer so.
            self._known.pop(target, None)
            raise

    def _ask(self, target: Target, call: Callable[[float], T]) -> T:
        try:
            return self._retries.run(call, self.timeout)
        except Unreachable as error:
            words = f"No connection: {error.message}. Is a server running there, and is the address right?"
            if not error.again:
                words = f"No secure connection: {error.message}. Whom to trust is said by tls=TLS(ca=...)."
            raise ServerUnreachable(error.code, words, self.url, *target) from error
        except RequestError as error:
            raise ServingError(error.code, error.message, self.url, *target) from error


def _fit(metadata: Metadata, signature: str, inputs: Any) -> tuple[SignatureSpecs, Arrays]:
    specs = lookup("signature", signature, metadata.signatures)
    return specs, check_inputs(inputs, specs.inputs)


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def check_headers(headers: Mapping[str, str]) -> None:
    """Raises unless HTTP and gRPC can send them; a value is not repeated, because it may be a password."""
    for name, value in headers.items():
        if not (isinstance(value, str) and value == value.strip() and value.isprintable()):
            hint = "A token read from a file ends with a newline: strip() it."
            raise invalid("headers", f"printable text without spaces around it for {name!r}", "other", hint)


def check_version(version: Version) -> None:
    """Raises unless it is a version's number, a label or None."""
    if version is None or (isinstance(version, str) and version and not version.isdecimal()):
        return
    if not (_is_integer(version) and 0 <= int(version) < 2**63):
        raise invalid(
            "version",
            "a number from 0 to 2^63 - 1, a label such as 'stable', or None for the latest",
            version,
        )


def _transport(address: Address, tls: TLS, headers: Mapping[str, str], compress: bool) -> Transport:
    """REST or gRPC, imported only now: both need packages that are an extra."""
    if address.scheme.startswith("http"):
        from keras_vae.serving.client.rest import RestTransport

        return RestTransport(address, tls, headers, compress)
    from keras_vae.serving.client.grpc import GrpcTransport

    return GrpcTransport(address, tls, headers, compress)
