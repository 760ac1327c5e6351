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
            help=(
                "Folder and name: NAME_encoder, NAME_decoder and NAME_model are written, each with its next "
                "version."
            ),
            show_default="saved_models/RUN",
        ),
    ] = None,
    images: Annotated[
        str,
        typer.Option(
            "--images",
            help=(
                "How images go in and out: float32, as the model takes them; uint8, 0 to 255; or encoded, "
                "PNG and JPEG in, PNG out."
            ),
        ),
    ] = "float32",
    anomaly_score: Annotated[
        str | None,
        typer.Option(
            "--anomaly-score",
            help="negative_elbo, reconstruction or negative_log_likelihood.",
            show_default="the first that the model has",
        ),
    ] = None,
) -> None:
    """Export a run as versioned SavedModels for TensorFlow Serving.

    The encoder, the decoder, and the whole model: reconstructions, log-likelihoods and anomaly scores.
    """
    folder = output or Path("saved_models") / run.resolve().name
    steps.export(Run.open(run), folder, images, anomaly_score)
