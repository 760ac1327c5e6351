"""Reprints published figures: `python benchmarks/published.py ROW [--data-dir FOLDER]`.

Each row trains one model as its paper did, on a shortened schedule by default, and prints the paper's figure
beside the one measured here, with its standard error, epochs, minutes and seed.
"""

import argparse
import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


@dataclass(frozen=True)
class Row:
    """One published figure and how to reach it.

    Args:
        published: test NLL in nats, from `source`.
        source: paper and table.
        target: what the short schedule is to reach, in nats.
        epochs: epochs of the short schedule.
        build: makes the model.
        batch_size: examples per step.
        learning_rate: of Adam at the start; it falls to a hundredth along half a cosine.
    """

    published: float
    source: str
    target: float
    epochs: int
    build: Callable
    batch_size: int = 100
    learning_rate: float = 2e-3


def _vae():
    import keras_vae

    return keras_vae.VAE.create(
        (28, 28, 1), latent_size=50, network="mlp", hidden=(200, 200), activation="tanh"
    )


ROWS = {
    "vae-mnist": Row(
        published=86.76,
        source="Burda et al. 2016, Importance Weighted Autoencoders, Table 1, VAE, k = 1, one layer",
        target=89.5,
        epochs=160,
        build=_vae,
    ),
}


def run(name: str, row: Row, args: argparse.Namespace) -> dict:
    """Trains and evaluates one row; returns what it measured."""
    import keras
    import numpy as np

    from keras_vae import datasets, evaluation

    keras.utils.set_random_seed(args.seed)
    epochs = args.epochs or row.epochs
    data = datasets.load(
        "mnist",
        binarize="dynamic",
        validation=0,
        batch_size=row.batch_size,
        seed=args.seed,
        data_dir=args.data_dir,
    )
    steps = math.ceil(data.sizes["train"] / row.batch_size) * epochs
    model = row.build()
    rate = keras.optimizers.schedules.CosineDecay(row.learning_rate, steps, alpha=0.01)
    model.compile(optimizer=keras.optimizers.Adam(rate, epsilon=1e-4, beta_1=0.9, beta_2=0.999))
    start = time.monotonic()
    model.fit(data.train, epochs=epochs, verbose=args.verbose)
    trained = time.monotonic() - start
    if args.save:
        model.save(args.save)
    test = np.concatenate(list(data.test.as_numpy_iterator()))
    report = evaluation.evaluate(model, test, num_samples=args.num_samples, seed=args.seed)
    print(report)
    return {
        "row": name,
        "published": row.published,
        "source": row.source,
        "target": row.target,
        "epochs": epochs,
        "seed": args.seed,
        "training_minutes": trained / 60,
        "total_minutes": (time.monotonic() - start) / 60,
        "nll": -report.log_likelihood.mean,
        "nll_standard_error": report.log_likelihood.standard_error,
        "report": report.to_dict(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("row", choices=sorted(ROWS))
    parser.add_argument("--data-dir", help="folder with MNIST prepared by tensorflow-datasets")
    parser.add_argument("--epochs", type=int, help="instead of the row's own")
    parser.add_argument("--num-samples", type=int, default=5000, help="importance samples per image")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--verbose", type=int, default=2)
    parser.add_argument("--save", type=Path, help="keep the trained model as this .keras file")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args()
    row = ROWS[args.row]
    print(f"{args.row}: {row.source}: {row.published} nats; to reach here: {row.target}")
    measured = run(args.row, row, args)
    if args.json:
        args.json.write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")
    print(
        f"{args.row}: test NLL {measured['nll']:.2f} +- {measured['nll_standard_error']:.2f} nats "
        f"({args.num_samples} importance samples), published {row.published:.2f}; "
        f"{measured['epochs']} epochs, {measured['training_minutes']:.1f} min of training, "
        f"{measured['total_minutes']:.1f} min with evaluation, seed {args.seed}"
    )


if __name__ == "__main__":
    main()
