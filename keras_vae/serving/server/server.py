"""The embedded server: TensorFlow Serving's two APIs over one predictor."""

import logging
import os
import threading
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from keras_vae.errors import invalid
from keras_vae.serving.deployment import warmup
from keras_vae.serving.server.batching import Batcher, Batching
from keras_vae.serving.server.folders import servables_in
from keras_vae.serving.server.grpc import add_services
from keras_vae.serving.server.listeners import GrpcListener, RestListener, is_loopback
from keras_vae.serving.server.loaded_model import Arrays, LoadedModel, Signature
from keras_vae.serving.server.metrics import Metrics
from keras_vae.serving.server.prediction import Limits, Predictor
from keras_vae.serving.server.rest import RestApi
from keras_vae.serving.server.runners import Direct, Results, Runner
from keras_vae.serving.server.versions import Versions

log = logging.getLogger(__name__)

# Requests at a time to signatures that cannot be joined.
_DIRECT_THREADS = 8


class Server:
    """Serves exported models for development and tests, as TensorFlow Serving does in production.

    Requests of REST and gRPC are TensorFlow Serving's, so the same client talks to both. Models come from
    folders that hold a folder for each version; a new version is taken up while requests go on.

    It runs in threads of this process from `start` to `stop`, or within a `with` block.

    Args:
        folders: each the folder of a servable, or the common beginning of several, as given to `export`:
            "saved_models/mnist" serves `mnist_encoder`, `mnist_decoder` and `mnist_model` where they exist.
        rest_port: port of the REST API; 0 takes a free one, None leaves it out.
        grpc_port: port of the gRPC API, likewise.
        host: the address to listen on; the default can be reached from this machine alone.
        batching: how requests are joined; None runs each on its own.
        limits: what a request may ask for.
        num_versions: how many of the latest versions of each servable to serve.
        labels: numbers of versions by label, by servable.
        poll_interval: seconds between looks for new versions; 0 looks only at the start.
        warm_up: whether a version first runs the warm-up requests that came with it.
        drain_timeout: seconds that requests under way have to finish when the server stops.

    Attributes:
        rest_port: the port of the REST API.
        grpc_port: the port of the gRPC API.
        predictor: answers requests within this process, without a transport.

    Raises:
        ValueError: for a folder without servables, or an argument out of range.
        ImportError: without the extra `serving`.

    Example:

    >>> import tempfile
    >>> import numpy as np, tensorflow as tf
    >>> spec = tf.TensorSpec([None], name="x")
    >>> double = tf.function(lambda x: {"y": 2.0 * x}, input_signature=[spec])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tf.saved_model.save(tf.Module(), f"{folder}/double/1", signatures=double)
    ...     with Server(f"{folder}/double", rest_port=0, grpc_port=None) as server:
    ...         answer = server.predictor.predict("double", {"x": np.array([1, 2], np.float32)})
    >>> answer.outputs["y"].tolist(), answer.version
    ([2.0, 4.0], 1)
    """

    def __init__(
        self,
        folders: str | os.PathLike | Iterable[str | os.PathLike],
        rest_port: int | None = 8501,
        grpc_port: int | None = 8500,
        host: str = "127.0.0.1",
        *,
        batching: Batching | None = Batching(),  # noqa: B008 - it is frozen
        limits: Limits = Limits(),  # noqa: B008
        num_versions: int = 1,
        labels: Mapping[str, Mapping[str, int]] | None = None,
        poll_interval: float = 1.0,
        warm_up: bool = True,
        drain_timeout: float = 10.0,
    ):
        if rest_port is None and grpc_port is None:
            raise invalid("rest_port", "a port for REST or for gRPC or for both", None)
        if not drain_timeout >= 0:
            raise invalid("drain_timeout", "seconds >= 0", drain_timeout)
        self.host, self.rest_port, self.grpc_port = host, rest_port, grpc_port
        self._servables = servables_in(folders)
        self._batching, self._drain_timeout = batching, drain_timeout
        self._running, self._lock = 0, threading.Lock()
        self._threads = ThreadPoolExecutor(_DIRECT_THREADS, thread_name_prefix="direct")
        self._metrics = Metrics(list(self._servables), lambda: self.predictor.in_flight)
        versions = Versions(
            self._servables,
            self._runner,
            _warm if warm_up else lambda folder, loaded: None,
            num_versions=num_versions,
            labels=labels,
            poll_interval=poll_interval,
        )
        self.predictor = Predictor(versions, limits)
        self._started = False
        self._rest: RestListener | None = None
        self._grpc: GrpcListener | None = None

    @property
    def models(self) -> list[str]:
        """The names of the servables."""
        return list(self._servables)

    @property
    def app(self) -> RestApi:
        """The REST API as an ASGI application of its own, for tests without a socket."""
        return RestApi(self.predictor, self._metrics)

    def start(self) -> Self:
        """Loads the models and listens; returns when requests are answered. A server starts once.

        Raises:
            OSError: if a port is taken or the address is not of this machine.
            RuntimeError: if it was started before.
        """
        if self._started:
            raise RuntimeError("A server starts once; make another one.")
        self._started = True
        if not is_loopback(self.host):
            log.warning(
                "Listening on %s, where other machines may ask: there is no encryption and no password.",
                self.host,
            )
        try:
            # Ports first: they fail at once, and models take seconds to load.
            if self.rest_port is not None:
                self._rest = RestListener(self.app, self.host, self.rest_port, self._drain_timeout)
                self.rest_port = self._rest.port
            if self.grpc_port is not None:
                limits = self.predictor.limits
                self._grpc = GrpcListener(
                    self.host, self.grpc_port, limits.max_body, limits.max_in_flight, self._drain_timeout
                )
                add_services(self._grpc.server, self.predictor, self._metrics)
                self.grpc_port = self._grpc.port
            self.predictor.versions.start()
            for listener in self._listeners():
                listener.start()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Takes no more requests, lets those under way finish, and unloads the models."""
        stopping = [threading.Thread(target=listener.stop) for listener in self._listeners()]
        for thread in stopping:
            thread.start()
        for thread in stopping:
            thread.join()
        self._rest = self._grpc = None
        self.predictor.versions.stop()
        self._threads.shutdown(wait=False, cancel_futures=True)

    @property
    def running(self) -> int:
        """Runs of TensorFlow under way: nothing ends them early, so after `stop` some may be left."""
        return self._running

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _listeners(self) -> list["RestListener | GrpcListener"]:
        return [listener for listener in (self._rest, self._grpc) if listener is not None]

    def _runner(self, model: str, signature: Signature) -> Runner:
        def run(inputs: Arrays) -> Results:
            started = time.perf_counter()
            with self._lock:
                self._running += 1
            try:
                results = signature.run(inputs)
            finally:
                with self._lock:
                    self._running -= 1
            self._metrics.run(model, time.perf_counter() - started)
            return results

        if self._batching is None or not signature.row_wise:
            return Direct(run, self._threads)
        return Batcher(run, self._batching, partial(self._metrics.batch, model, signature.name))


def _warm(folder: Path, loaded: LoadedModel) -> None:
    warmup.replay(folder, loaded.model)
