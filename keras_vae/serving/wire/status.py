"""How requests and versions fare: gRPC's codes, TensorFlow Serving's HTTP statuses, states of versions."""

import enum
from dataclasses import dataclass


class Code(enum.IntEnum):
    """The status codes of gRPC, by its numbers."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16

    @property
    def http(self) -> int:
        """The HTTP status that TensorFlow Serving answers with, e.g. 400 for INVALID_ARGUMENT."""
        return _HTTP[self]

    @classmethod
    def of_http(cls, status: int) -> "Code":
        """The code that an HTTP status stands for; where several share it, the most usual.

        Example:

        >>> Code.of_http(404).name, Code.of_http(418).name, Code.of_http(502).name
        ('NOT_FOUND', 'INVALID_ARGUMENT', 'UNAVAILABLE')
        """
        if status in _OF_HTTP:
            return _OF_HTTP[status]
        if 200 <= status < 300:
            return cls.OK
        return cls.INVALID_ARGUMENT if 400 <= status < 500 else cls.UNKNOWN


# The mapping of tensorflow_serving/model_servers/http_server.cc.
_HTTP = {
    Code.OK: 200,
    Code.CANCELLED: 499,
    Code.UNKNOWN: 500,
    Code.INVALID_ARGUMENT: 400,
    Code.DEADLINE_EXCEEDED: 504,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.PERMISSION_DENIED: 403,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.FAILED_PRECONDITION: 400,
    Code.ABORTED: 409,
    Code.OUT_OF_RANGE: 400,
    Code.UNIMPLEMENTED: 501,
    Code.INTERNAL: 500,
    Code.UNAVAILABLE: 503,
    Code.DATA_LOSS: 500,
    Code.UNAUTHENTICATED: 401,
}

_OF_HTTP = {
    400: Code.INVALID_ARGUMENT,
    401: Code.UNAUTHENTICATED,
    403: Code.PERMISSION_DENIED,
    404: Code.NOT_FOUND,
    408: Code.DEADLINE_EXCEEDED,
    409: Code.ABORTED,
    429: Code.RESOURCE_EXHAUSTED,
    499: Code.CANCELLED,
    500: Code.INTERNAL,
    501: Code.UNIMPLEMENTED,
    # Proxies answer so where no server stands behind them.
    502: Code.UNAVAILABLE,
    503: Code.UNAVAILABLE,
    504: Code.DEADLINE_EXCEEDED,
}


class RequestError(Exception):
    """A request that cannot be served.

    Args:
        code: what kind of failure; the HTTP status follows from it.
        message: what was wrong, for the sender of the request.

    Example:

    >>> error = RequestError(Code.NOT_FOUND, "Servable not found for request: Latest(mnist)")
    >>> error.code.http, str(error)
    (404, 'Servable not found for request: Latest(mnist)')
    """

    def __init__(self, code: Code, message: str):
        super().__init__(message)
        self.code = code
        self.message = message


def bad(message: str) -> RequestError:
    """Returns (does not raise) the error for a request that is not well formed."""
    return RequestError(Code.INVALID_ARGUMENT, message)


class State(enum.IntEnum):
    """The states of a version, by the numbers of `tensorflow_serving/apis/get_model_status.proto`."""

    UNKNOWN = 0
    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclass(frozen=True)
class VersionStatus:
    """What a server tells of a version.

    Attributes:
        version: its number.
        state: whether it serves.
        code: why it failed, where it did.
        message: the failure's words.
    """

    version: int
    state: State
    code: Code = Code.OK
    message: str = ""
