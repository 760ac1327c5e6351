"""The body of an HTTP request, unpacked and no larger than allowed."""

import zlib

from starlette.requests import Request

from keras_vae.serving.wire.status import Code, RequestError

# The window of zlib, with the header and trailer of gzip.
_GZIP = 16 + zlib.MAX_WBITS


class BodyTooLarge(RequestError):
    """A body over the limit: 413, of which TensorFlow Serving's codes know nothing."""

    http = 413

    def __init__(self, limit: int):
        super().__init__(Code.RESOURCE_EXHAUSTED, f"The request's body is larger than {limit} bytes.")


async def read_body(request: Request, limit: int) -> bytes:
    """The body of a request; one that is gzip by its `Content-Encoding` is unpacked.

    Args:
        request: the request.
        limit: bytes of it at most, as sent and as unpacked.

    Raises:
        BodyTooLarge: as soon as more is announced, sent or unpacked.
        RequestError: INVALID_ARGUMENT for what is no gzip.
        starlette.requests.ClientDisconnect: if the sender goes away meanwhile.
    """
    announced = request.headers.get("content-length", "")
    # Python refuses to make an integer of thousands of digits.
    if announced.isdecimal() and (len(announced) > 18 or int(announced) > limit):
        raise BodyTooLarge(limit)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise BodyTooLarge(limit)
    if "gzip" in request.headers.get("content-encoding", "").lower():
        return unpack(bytes(body), limit)
    return bytes(body)


def unpack(body: bytes, limit: int) -> bytes:
    """Unpacks gzip, and stops at a limit, because a few bytes may stand for very many.

    >>> import gzip
    >>> unpack(gzip.compress(b"{}"), 10)
    b'{}'
    >>> unpack(gzip.compress(bytes(10**6)), 10)
    Traceback (most recent call last):
    ...
    keras_vae.serving.server.body.BodyTooLarge: The request's body is larger than 10 bytes.
    """
    stream = zlib.decompressobj(_GZIP)
    try:
        unpacked = stream.decompress(body, limit + 1)
    except zlib.error as error:
        raise RequestError(Code.INVALID_ARGUMENT, f"The request's body is no gzip: {error}") from error
    if len(unpacked) > limit:
        raise BodyTooLarge(limit)
    if not stream.eof:
        raise RequestError(Code.INVALID_ARGUMENT, "The request's body is a truncated gzip.")
    return unpacked
