"""`keras-vae demo`."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from keras_vae.cli import steps
from keras_vae.runs import DatasetConfig, ModelConfig, RunConfig, TrainingConfig

CONFIG = RunConfig(
    # 1280 examples to train on: twenty whole batches, and so one program less to compile.
    dataset=DatasetConfig("digits", binarize="threshold", validation=157),
    model=ModelConfig("vae", latent_size=8, options={"hidden": [256, 128], "activation": "gelu"}),
    training=TrainingConfig(epochs=60, batch_size=64, learning_rate=2e-3),
)


def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the run.")] = Path("runs/demo"),
    export_to: Annotated[
        Path, typer.Option("--export-to", help="Folder and name of the SavedModels.")
    ] = Path("saved_models/digits"),
    epochs: Annotated[int, typer.Option("--epochs", help="Passes over the data.", min=1)] = (
        CONFIG.training.epochs
    ),
    seed: Annotated[int, typer.Option("--seed", help="Of weights, order and draws.", min=0)] = 0,
    num_samples: Annotated[
        int, typer.Option("--num-samples", help="Draws per example for the test log-likelihood.", min=1)
    ] = steps.NUM_SAMPLES,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a run that is there.")] = False,
) -> None:
    """Train on small hand-written digits, test, draw pictures and export, in about a minute."""
    config = replace(CONFIG, training=replace(CONFIG.training, epochs=epochs), seed=seed)
    run = steps.train(config, output, overwrite)
    steps.evaluate(run, num_samples)
    steps.draw(run)
    steps.export(run, export_to)
    typer.echo(f"Run: {run.folder}")
