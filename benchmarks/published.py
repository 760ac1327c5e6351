"""Reprints published figures: `python benchmarks/published.py ROW [--data-dir FOLDER]`.

Each row trains one model of 784-200-200-50 units, tanh, on dynamically binarised MNIST, and prints the
paper's test NLL beside the one measured here, with its standard error, epochs, minutes and seed.
The schedule is a short one for two cores; `--schedule paper` takes that of Burda et al. (2016), 3,280
epochs. With `--work` a run that was interrupted goes on where it was.
"""

import argparse
import json
import math
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np

import keras_vae
from keras_vae import datasets, evaluation

BURDA = "Burda et al., Importance Weighted Autoencoders, 2016, Table 1, one stochastic layer"
RAINFORTH = "Rainforth et al., Tighter Variational Bounds are Not Necessarily Better, 2018, Table 1"


@dataclass(frozen=True)
class Row:
    """One published figure and how to reach it.

    Args:
        model: name of a class of `keras_vae`.
        published: test NLL in nats, from `source`.
        source: paper and table.
        target: what the short schedule is to reach, in nats.
        epochs: epochs of the short schedule.
        options: arguments of the model.
    """

    model: str
    published: float
    source: str
    target: float
    epochs: int
    options: dict[str, Any] = field(default_factory=dict)


ROWS = {
    "vae-mnist": Row("VAE", 86.76, BURDA, 89.5, 300),
    "iwae-5-mnist": Row("IWAE", 85.54, BURDA, 87.04, 160, {"num_samples": 5}),
    "iwae-50-mnist": Row("IWAE", 84.78, BURDA, 86.28, 100, {"num_samples": 50}),
    "ciwae-mnist": Row("CIWAE", 84.57, RAINFORTH, 86.57, 100, {"beta": 0.05, "num_samples": 64}),
    "piwae-mnist": Row("PIWAE", 84.46, RAINFORTH, 86.46, 100, {"num_estimates": 8, "num_samples": 8}),
    "miwae-mnist": Row("MIWAE", 84.97, RAINFORTH, 86.97, 100, {"num_estimates": 8, "num_samples": 8}),
}


@dataclass(frozen=True)
class Schedule:
    """How long to train, and at what rate.

    Args:
        epochs: in all.
        batch_size: examples of a step.
        rate: a Keras learning rate schedule.
    """

    epochs: int
    batch_size: int
    rate: Any


def schedule(name: str, epochs: int, examples: int) -> Schedule:
    """The schedule of that name for so many training examples."""
    if name == "short":
        steps = math.ceil(examples / 100) * epochs
        return Schedule(epochs, 100, keras.optimizers.schedules.CosineDecay(2e-3, steps, alpha=0.01))
    # Burda et al., 2016, section 5: 3^i epochs at the rate 0.001 * 10^(-i / 7), for i = 0 to 7.
    ends = [sum(3**j for j in range(i + 1)) for i in range(8)]
    boundaries = [math.ceil(examples / 20) * end for end in ends[:-1]]
    rates = [1e-3 * 10 ** (-i / 7) for i in range(8)]
    return Schedule(ends[-1], 20, keras.optimizers.schedules.PiecewiseConstantDecay(boundaries, rates))


class Clock(keras.callbacks.Callback):
    """Adds up the minutes of training, in a file over interruptions if `path` is given."""

    per_execution = True

    def __init__(self, path: Path | None):
        super().__init__()
        self.path = path
        self.minutes = float(path.read_text()) if path is not None and path.exists() else 0.0

    def on_epoch_begin(self, epoch, logs=None):
        self._begin = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        self.minutes += (time.monotonic() - self._begin) / 60
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text(f"{self.minutes}\n")


def run(name: str, row: Row, args: argparse.Namespace) -> dict:
    """Trains and evaluates one row; returns what it measured."""
    keras.utils.set_random_seed(args.seed)
    options = {"binarize": "dynamic", "validation": 0, "seed": args.seed, "data_dir": args.data_dir}
    sizes = datasets.load("mnist", **options).sizes
    plan = schedule(args.schedule, args.epochs or row.epochs, sizes["train"])
    data = datasets.load("mnist", batch_size=plan.batch_size, **options)
    model = getattr(keras_vae, row.model).create(
        (28, 28, 1), latent_size=50, network="mlp", hidden=(200, 200), activation="tanh", **row.options
    )
    # Epsilon as in the paper.
    model.compile(optimizer=keras.optimizers.Adam(plan.rate, epsilon=1e-4))
    clock = Clock(args.work and args.work / f"{name}.minutes")
    callbacks = [clock]
    if args.work:
        callbacks.append(keras.callbacks.BackupAndRestore(args.work / name))
    model.fit(data.train, epochs=plan.epochs, verbose=args.verbose, callbacks=callbacks)
    if args.save:
        model.save(args.save)
    begin = time.monotonic()
    test = np.concatenate(list(data.test.as_numpy_iterator()))
    report = evaluation.evaluate(model, test, num_samples=args.num_samples, seed=args.seed)
    print(report)
    return {
        "row": name,
        "model": row.model,
        "options": row.options,
        "published": row.published,
        "source": row.source,
        "target": row.target,
        "schedule": args.schedule,
        "epochs": plan.epochs,
        "seed": args.seed,
        "training_minutes": clock.minutes,
        "evaluation_minutes": (time.monotonic() - begin) / 60,
        "nll": -report.log_likelihood.mean,
        "nll_standard_error": report.log_likelihood.standard_error,
        "report": report.to_dict(),
    }


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("row", choices=sorted(ROWS))
    parser.add_argument("--data-dir", help="folder with MNIST prepared by tensorflow-datasets")
    parser.add_argument("--schedule", choices=["short", "paper"], default="short")
    parser.add_argument("--epochs", type=int, help="of the short schedule, instead of the row's own")
    parser.add_argument("--num-samples", type=int, default=5000, help="importance samples per image")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--verbose", type=int, default=2)
    parser.add_argument("--work", type=Path, help="keep the state of training here, and go on from it")
    parser.add_argument("--save", type=Path, help="keep the trained model as this .keras file")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args()
    row = ROWS[args.row]
    print(f"{args.row}: {row.source}: {row.published} nats; to reach on the short schedule: {row.target}")
    measured = run(args.row, row, args)
    if args.json:
        args.json.write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")
    print(
        f"{args.row}: test NLL {measured['nll']:.2f} +- {measured['nll_standard_error']:.2f} nats "
        f"({args.num_samples} importance samples), published {row.published:.2f}; "
        f"{measured['epochs']} epochs, {measured['training_minutes']:.1f} min of training, "
        f"{measured['evaluation_minutes']:.1f} min of evaluation, seed {args.seed}"
    )


if __name__ == "__main__":
    main()
