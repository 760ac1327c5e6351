"""`keras-vae evaluate`."""

from pathlib import Path
from typing import Annotated

import typer

from keras_vae.cli import steps
from keras_vae.runs import Run


def evaluate(
    run: Annotated[Path, typer.Argument(help="Folder of a run.", show_default=False)],
    num_samples: Annotated[
        int, typer.Option("--num-samples", help="Draws per example for the log-likelihood.", min=1)
    ] = steps.NUM_SAMPLES,
    split: Annotated[
        str | None,
        typer.Option(
            "--split", help="train, validation or test.", show_default="the last of these that there is"
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option("--batch-size", help="Examples at once.", show_default="the library's", min=1),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of the draws.", min=0)] = 0,
    data_dir: Annotated[
        str | None, typer.Option("--data-dir", help="Folder of prepared data.", show_default="the run's")
    ] = None,
) -> None:
    """Test a run: ELBO and its parts, log-likelihood, active units.

    Figures are in nats, averaged over the examples; they go to metrics.json in the run as well.
    """
    steps.evaluate(Run.open(run), num_samples, split, batch_size, seed, data_dir)
