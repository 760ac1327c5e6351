"""What a client raises where a server could not, or would not, answer."""

from keras_vae.serving.wire.status import Code, RequestError


class Unreachable(RequestError):
    """Between transport and connection: no answer came, so none of the server's words either.

    Args:
        message: what the network said.
        again: whether to ask again may help; a certificate that is not trusted will not be later.
    """

    def __init__(self, message: str, again: bool = True):
        super().__init__(Code.UNAVAILABLE, message)
        self.again = again


class ServingError(RuntimeError):
    """A server's refusal, or a failure on the way.

    Args:
        code: what kind of failure, by gRPC's names; over REST as the HTTP status tells it.
        message: the server's own words.
        url: the server.
        model: the servable that was asked, such as "mnist_decoder".
        version: the number or label that was asked for, or None for the latest.

    Example:

    >>> error = ServingError(Code.NOT_FOUND, "Servable not found", "http://localhost:8501", "mnist", 3)
    >>> print(error)
    mnist, version 3, at http://localhost:8501: NOT_FOUND: Servable not found
    """

    def __init__(self, code: Code, message: str, url: str, model: str, version: int | str | None = None):
        self.code, self.message, self.url, self.model, self.version = code, message, url, model, version
        asked = "" if version is None else f", version {version},"
        super().__init__(f"{model}{asked} at {url}: {code.name}: {message}")

    def __reduce__(self) -> tuple:
        return type(self), (self.code, self.message, self.url, self.model, self.version)


class ServerUnreachable(ServingError):
    """No connection to the server: nobody listens at the address, its name is unknown, or TLS failed."""
