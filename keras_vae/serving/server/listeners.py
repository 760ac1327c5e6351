"""What listens on a port: uvicorn for REST, grpcio for gRPC, each in threads of its own."""

import ipaddress
import math
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import uvicorn
from starlette.types import ASGIApp

# Calls of gRPC that wait at once; each takes a thread.
_GRPC_THREADS = 64
# What the option takes, an int of C.
_LARGEST_MESSAGE = 2**31 - 1


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine alone.

    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class RestListener:
    """An ASGI application under uvicorn. The port is taken at once, and connections wait for `start`.

    Args:
        app: what answers.
        host: the address.
        port: the port, 0 for a free one.
        drain_timeout: seconds that requests under way have at the end.

    Attributes:
        port: the port taken.

    Raises:
        OSError: if it cannot be taken.
    """

    def __init__(self, app: ASGIApp, host: str, port: int, drain_timeout: float):
        self._socket = _listening(host, port)
        self.port = self._socket.getsockname()[1]
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=math.ceil(drain_timeout),
        )
        self._server = _Uvicorn(config)
        self._thread = threading.Thread(
            target=self._server.run, args=([self._socket],), name="rest", daemon=True
        )

    def start(self) -> None:
        self._thread.start()
        self._server.ready.wait()

    def stop(self) -> None:
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join()
        self._socket.close()


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Only where the protocol is named does asyncio send at once, rather than 40 ms later (TCP_NODELAY).
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(2048)
    except OSError as error:
        listening.close()
        raise OSError(f"The address {host}:{port} cannot be taken: {error}") from error
    return listening


class _Uvicorn(uvicorn.Server):
    """A server that says when it answers."""

    def __init__(self, config: uvicorn.Config):
        super().__init__(config)
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        finally:
            self.ready.set()


class GrpcListener:
    """A gRPC server without services yet. The port is taken at once, and calls wait for `start`.

    Args:
        host: the address.
        port: the port, 0 for a free one.
        max_message: bytes of a request at most; gRPC itself takes none of 2 GiB.
        max_calls: calls at a time at most; further ones are told RESOURCE_EXHAUSTED.
        drain_timeout: seconds that calls under way have at the end.

    Attributes:
        server: where to add services.
        port: the port taken.

    Raises:
        OSError: if it cannot be taken.
    """

    def __init__(self, host: str, port: int, max_message: int, max_calls: int, drain_timeout: float):
        options = [
            ("grpc.max_receive_message_length", min(max_message, _LARGEST_MESSAGE)),
            ("grpc.max_send_message_length", -1),
            # Two servers on one port would share the calls between them.
            ("grpc.so_reuseport", 0),
        ]
        self._drain_timeout = drain_timeout
        self.server = grpc.server(
            ThreadPoolExecutor(_GRPC_THREADS, "grpc"), options=options, maximum_concurrent_rpcs=max_calls
        )
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            self.port = self.server.add_insecure_port(address)
        except RuntimeError as error:
            raise OSError(f"The address {address} cannot be taken: {error}") from error

    def start(self) -> None:
        self.server.start()

    def stop(self) -> None:
        self.server.stop(self._drain_timeout).wait()
