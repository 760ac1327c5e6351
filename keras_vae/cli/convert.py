"""`keras-vae convert`."""

from pathlib import Path
from typing import Annotated

import typer

from keras_vae.cli import steps
from keras_vae.runs import Run


def convert(
    run: Annotated[Path, typer.Argument(help="Folder of a run.", show_default=False)],
    target: Annotated[
        str, typer.Option("--to", help="litert, formerly TensorFlow Lite, for phones; or onnx.")
    ] = "litert",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Folder and name: NAME_encoder and NAME_decoder are written, with the format's suffix.",
            show_default="saved_models/RUN",
        ),
    ] = None,
    quantization: Annotated[
        str | None,
        typer.Option(
            "--quantization",
            help="Smaller weights for litert: float16 or int8.",
            show_default="float32",
        ),
    ] = None,
) -> None:
    """Convert the encoder and the decoder of a run for runtimes other than TensorFlow."""
    steps.convert(Run.open(run), output or Path("saved_models") / run.resolve().name, target, quantization)
