"""`keras-vae sample`."""

from pathlib import Path
from typing import Annotated

import typer

from keras_vae.cli.library import load_library
from keras_vae.runs import Run


def sample(
    run: Annotated[Path, typer.Argument(help="Folder of a run.", show_default=False)],
    num: Annotated[int, typer.Option("--num", help="How many.", min=1)] = 64,
    seed: Annotated[int, typer.Option("--seed", help="The same seed gives the same samples.", min=0)] = 0,
    mean: Annotated[
        bool, typer.Option("--mean/--draw", help="The mean of p(x|z), or a draw from it.")
    ] = True,
    label: Annotated[
        int | None,
        typer.Option(
            "--label", help="The class to draw from a conditional model.", min=0, show_default="each in turn"
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="A .png for a picture, or a .npy for the array \\[num] + event.",
            show_default="RUN/pictures/samples.png",
        ),
    ] = None,
) -> None:
    """Draw new data from the model of a run, with latents from the prior."""
    opened = Run.open(run)
    target = output or opened.pictures / "samples.png"
    from keras_vae.runs.sampling import check_output, save_samples

    check_output(target)
    load_library()
    typer.echo(save_samples(opened, target, num, seed, mean, label))
