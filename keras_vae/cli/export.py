"""`keras-vae export`."""

from pathlib import Path
from typing import Annotated

import typer

from keras_vae.cli import steps
from keras_vae.runs import Run


def export(
    run: Annotated[Path, typer.Argument(help="Folder of a run.", show_default=False)],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Folder and name: NAME_encoder and NAME_decoder are written, each with its next version.",
            show_default="saved_models/RUN",
        ),
    ] = None,
) -> None:
    """Export encoder and decoder of a run as versioned SavedModels for TensorFlow Serving."""
    steps.export(Run.open(run), output or Path("saved_models") / run.resolve().name)
