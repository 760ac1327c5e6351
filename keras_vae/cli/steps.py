"""What commands share: a step of the library and the lines it prints."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import typer

from keras_vae.cli.library import load_library
from keras_vae.errors import invalid, lookup
from keras_vae.runs import Run, RunConfig

NUM_SAMPLES = 500


def train(config: RunConfig, folder: Path, overwrite: bool, verbose: int | None = None) -> Run:
    """Trains; where it is interrupted, says what there is before the interruption goes on."""
    load_library()
    from keras_vae import runs

    if verbose is None:
        # A bar redraws itself, which log files keep in full.
        verbose = 1 if sys.stdout.isatty() else 2
    began = time.time()
    try:
        return runs.train(config, folder, overwrite=overwrite, verbose=verbose)
    except KeyboardInterrupt:
        _tell_what_is_left(folder, began)
        raise


def _tell_what_is_left(folder: Path, began: float) -> None:
    try:
        run = Run.open(folder)
        epochs = len(run.history()["epoch"])
        # A run that was to be replaced is back in its place.
        finished = run.history_path.stat().st_mtime >= began
    except (OSError, ValueError, KeyError):
        finished = False
    if finished:
        typer.echo(f"\n{folder} holds the first {epochs} epochs, model included.", err=True)
    else:
        typer.echo("\nNo epoch was finished.", err=True)


def evaluate(
    run: Run,
    num_samples: int = NUM_SAMPLES,
    split: str | None = None,
    batch_size: int | None = None,
    seed: int = 0,
    data_dir: str | None = None,
) -> None:
    """Evaluates and prints the table."""
    run.check_model()
    load_library()
    from keras_vae import runs

    with _bar("Evaluating") as progress:
        report = runs.evaluate(
            run,
            split=split,
            num_samples=num_samples,
            batch_size=batch_size,
            seed=seed,
            data_dir=data_dir,
            progress=progress,
        )
    typer.echo(f"\n{report}\n")
    typer.echo(f"Metrics of the {run.metrics()['split']} split: {run.folder / 'metrics.json'}")


@contextmanager
def _bar(label: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on stderr, as a function of what is done and of all there is."""
    with typer.progressbar(length=1, label=label, file=sys.stderr) as bar:

        def progress(done: int, total: int) -> None:
            bar.length = total
            bar.update(done - bar.pos)

        yield progress


def draw(run: Run) -> None:
    """Draws the pictures and says where they are."""
    load_library()
    from keras_vae import runs

    for path in runs.draw_pictures(run).values():
        typer.echo(f"Picture: {path}")


def export(run: Run, folder: Path, images: str = "float32", anomaly_score: str | None = None) -> None:
    """Exports the model's servables and says where they are."""
    run.check_model()
    load_library()
    from keras_vae import serving
    from keras_vae.evaluation.anomaly import SCORES
    from keras_vae.runs.building import transform_of
    from keras_vae.serving.images import FORMATS

    # Before the model is read.
    lookup("images", images, FORMATS)
    if anomaly_score is not None:
        lookup("anomaly_score", anomaly_score, SCORES)
    transform = None if images == "float32" else transform_of(run.config)
    paths = serving.export(
        run.load_model(), folder, images=images, transform=transform, anomaly_score=anomaly_score, run=run
    )
    for part, path in paths.items():
        typer.echo(f"{part.capitalize()}: {path}")


def convert(run: Run, folder: Path, target: str, quantization: str | None = None) -> None:
    """Converts encoder and decoder and says where they are."""
    run.check_model()
    load_library()
    from keras_vae.serving.conversion import litert, onnx

    # What is missing or misspelt is told before the model is read.
    module: Any = lookup("to", target, {"litert": litert, "onnx": onnx})
    litert.check_quantization(quantization)
    if quantization is not None and module is not litert:
        raise invalid("quantization", "none for formats other than litert", quantization)
    write: Any = partial(litert.to_litert, quantization=quantization)
    if module is onnx:
        onnx.require_packages()
        write = onnx.to_onnx
    model = run.load_model()
    for part in ("encoder", "decoder"):
        path = folder.with_name(f"{folder.name}_{part}{module.SUFFIX}")
        typer.echo(f"{part.capitalize()}: {write(model, path, part=part)}")
