"""`keras-vae configure`."""

from pathlib import Path
from typing import Annotated

import typer


def configure(
    folder: Annotated[
        Path, typer.Argument(help="Folder of exported servables; all in it are served.")
    ] = Path("saved_models"),
    name: Annotated[str, typer.Option("--name", help="Of the service.")] = "keras-vae",
    num_versions: Annotated[
        int, typer.Option("--num-versions", help="Serve so many of the latest versions.", min=1)
    ] = 1,
    batching: Annotated[
        bool,
        typer.Option(
            "--batching/--no-batching", help="Join requests; signatures with a seed are refused then."
        ),
    ] = False,
    max_batch_size: Annotated[
        int, typer.Option("--max-batch-size", help="Examples of joined requests at most.", min=1)
    ] = 128,
    image: Annotated[
        str | None,
        typer.Option(
            "--image", help="Container image of the server.", show_default="a release of tensorflow/serving"
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files that are there and differ.")
    ] = False,
) -> None:
    """Write what TensorFlow Serving, Docker Compose and Kubernetes need to serve what was exported."""
    from keras_vae.serving.deployment.configuration import IMAGE, write_configuration

    written = write_configuration(
        folder,
        name=name,
        num_versions=num_versions,
        batching=batching,
        max_batch_size=max_batch_size,
        image=image or IMAGE,
        overwrite=overwrite,
    )
    for path in written.values():
        typer.echo(path)
