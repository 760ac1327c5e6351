"""`keras-vae serve`."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from keras_vae.cli.library import load_library
from keras_vae.errors import invalid

_NOTE = "For development. In production, serve the same folders by TensorFlow Serving."


def serve(
    folders: Annotated[
        list[Path],
        typer.Argument(
            help="saved_models/NAME for NAME_encoder, NAME_decoder and NAME_model, or one such folder.",
            show_default=False,
        ),
    ],
    rest_port: Annotated[
        int, typer.Option("--rest-port", help="Port of the REST API; 0 takes a free one.", min=0, max=65535)
    ] = 8501,
    grpc_port: Annotated[
        int, typer.Option("--grpc-port", help="Port of the gRPC API; 0 takes a free one.", min=0, max=65535)
    ] = 8500,
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on. 0.0.0.0 lets other machines ask.")
    ] = "127.0.0.1",
    max_batch_size: Annotated[
        int, typer.Option("--max-batch-size", help="Rows of requests that are run together.", min=1)
    ] = 64,
    batch_timeout: Annotated[
        float,
        typer.Option("--batch-timeout", help="Milliseconds to wait, when busy, for more requests.", min=0),
    ] = 2.0,
    batching: Annotated[
        bool, typer.Option("--batching/--no-batching", help="Run requests together, or each alone.")
    ] = True,
    num_versions: Annotated[
        int, typer.Option("--num-versions", help="Serve so many of the latest versions.", min=1)
    ] = 1,
    labels: Annotated[
        list[str] | None,
        typer.Option("--label", help="A label of a version, as SERVABLE:LABEL=VERSION.", show_default=False),
    ] = None,
    poll: Annotated[
        float,
        typer.Option("--poll", help="Seconds between looks for new versions; 0 looks once.", min=0),
    ] = 1.0,
    timeout: Annotated[
        float, typer.Option("--timeout", help="Seconds that a request may take.", min=0.001)
    ] = 30.0,
    max_rows: Annotated[
        int, typer.Option("--max-rows", help="Rows that a request may bring, or ask for.", min=1)
    ] = 16384,
    max_draws: Annotated[
        int, typer.Option("--max-draws", help="Rows times samples that a request may ask for.", min=1)
    ] = 2**22,
    max_in_flight: Annotated[
        int, typer.Option("--max-in-flight", help="Requests at a time; more are told to come again.", min=1)
    ] = 1024,
    max_body: Annotated[
        float, typer.Option("--max-body", help="Megabytes that a request may have.", min=0.001)
    ] = 64.0,
    warm_up: Annotated[
        bool, typer.Option("--warm-up/--no-warm-up", help="Run a version's warm-up requests first.")
    ] = True,
) -> None:
    """Serve exported models with TensorFlow Serving's REST and gRPC APIs, for development.

    In production, serve the same folders by TensorFlow Serving: here is no encryption and no password.

    New versions are taken up while it runs. Ctrl-C or SIGTERM ends it when open requests are answered.
    """
    labelled = parse_labels(labels or [])
    load_library()
    from keras_vae.serving.server import Batching, Limits, Server

    server = Server(
        folders,
        rest_port,
        grpc_port,
        host,
        batching=Batching(max_batch_size, batch_timeout / 1000) if batching else None,
        limits=Limits(timeout, max_rows, max_draws, max_in_flight, round(max_body * 2**20)),
        num_versions=num_versions,
        labels=labelled,
        poll_interval=poll,
        warm_up=warm_up,
    )
    with _ended() as ended, server:
        for line in _lines(server):
            typer.echo(line)
        ended.wait()
        typer.echo("Stopping when the requests under way are finished.")
    if server.running:
        # Python would wait for their threads, however long they take.
        typer.echo(f"Runs cut off that took longer than the time to finish: {server.running}")
        sys.stdout.flush()
        os._exit(0)


def parse_labels(labels: list[str]) -> dict[str, dict[str, int]]:
    """The numbers of versions by label, by servable.

    Raises:
        ValueError: if one is not of the form SERVABLE:LABEL=VERSION.

    Example:

    >>> parse_labels(["mnist_decoder:stable=1", "mnist_decoder:canary=2"])
    {'mnist_decoder': {'stable': 1, 'canary': 2}}
    """
    parsed: dict[str, dict[str, int]] = {}
    for each in labels:
        servable, _, rest = each.partition(":")
        label, _, version = rest.partition("=")
        if not (servable and label and version.isascii() and version.isdecimal()):
            raise invalid("label", "SERVABLE:LABEL=VERSION, such as mnist_decoder:stable=1", each)
        parsed.setdefault(servable, {})[label] = int(version)
    return parsed


def _lines(server: Any) -> Iterator[str]:
    yield _NOTE
    for model in server.models:
        for status in server.predictor.versions.status(model):
            reason = f": {status.message}" if status.message else ""
            yield f"{model} version {status.version}: {status.state.name}{reason}"
    yield f"REST: http://{server.host}:{server.rest_port}/v1/models/{server.models[0]}"
    yield f"gRPC: {server.host}:{server.grpc_port}"


@contextmanager
def _ended() -> Iterator[threading.Event]:
    """An event that Ctrl-C and SIGTERM set, so that the server can finish what it has begun."""
    event = threading.Event()
    before = {each: signal.signal(each, lambda *_: event.set()) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield event
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
