"""How a client reaches a server: the address and TLS."""

import ssl
from dataclasses import dataclass, fields
from os import PathLike
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from keras_vae.errors import invalid, lookup

_SCHEMES = {"http": False, "https": True, "grpc": False, "grpcs": True}


class Address(NamedTuple):
    """A server's address in parts.

    Attributes:
        scheme: "http", "https", "grpc" or "grpcs".
        host: the name or number, with the port where there is one.
        path: what stands before `/v1/models`, or nothing.
        secure: whether TLS is spoken.
    """

    scheme: str
    host: str
    path: str
    secure: bool


def parse_url(url: str) -> Address:
    """The parts of a server's address.

    Raises:
        ValueError: if the scheme is unknown, the host is missing, or gRPC is given a path or no port.

    Example:

    >>> parse_url("grpcs://models.example.org:8500")
    Address(scheme='grpcs', host='models.example.org:8500', path='', secure=True)
    """
    expected = "an address such as 'http://localhost:8501' or 'grpc://localhost:8500'"
    try:
        parts = urlsplit(url)
        port = parts.port
    except (AttributeError, TypeError, ValueError) as error:
        raise invalid("url", expected, url) from error
    if parts.username is not None or parts.password is not None:
        # Not repeated: errors end up in logs.
        received = f"{parts.scheme}://...@{parts.hostname}"
        raise invalid("url", "an address without user and password", received, "Send them by headers=.")
    if not parts.scheme or not parts.hostname or parts.query or parts.fragment:
        raise invalid("url", expected, url)
    secure = lookup("url", parts.scheme, _SCHEMES)
    if parts.scheme.startswith("grpc") and (port is None or parts.path.strip("/")):
        raise invalid("url", "a host and a port for gRPC, and no path", url, "TF Serving's port is 8500.")
    return Address(parts.scheme, parts.netloc, parts.path.rstrip("/"), secure)


@dataclass(frozen=True)
class TLS:
    """Certificates for `https://` and `grpcs://`; files in PEM format.

    Args:
        ca: whom to trust instead of the system's authorities, e.g. a self-signed server's certificate.
        certificate: the client's own certificate, where the server asks for one.
        key: its private key.

    Raises:
        ValueError: if a file does not exist, or one of certificate and key comes without the other.
    """

    ca: str | PathLike | None = None
    certificate: str | PathLike | None = None
    key: str | PathLike | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            path = getattr(self, field.name)
            if path is not None and not Path(path).is_file():
                raise invalid(field.name, "a PEM file", str(path))
        if (self.certificate is None) != (self.key is None):
            missing = "key" if self.key is None else "certificate"
            raise invalid(missing, "certificate and key together", None)

    def context(self) -> ssl.SSLContext:
        """For HTTP."""
        context = ssl.create_default_context(cafile=self.ca)
        if self.certificate is not None:
            context.load_cert_chain(self.certificate, self.key)
        return context

    def pem(self, name: str) -> bytes | None:
        """A file's content, for gRPC."""
        path = getattr(self, name)
        return None if path is None else Path(path).read_bytes()
