"""The row of semi-supervised classification: the generative model M2 on MNIST with a hundred labels."""

import argparse
import math
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

import keras_vae
from benchmarks.clock import Clock
from keras_vae import datasets

LABELS = 100
BATCH_SIZE = 200


@dataclass(frozen=True)
class FewLabels:
    """The published error of M2 with a hundred labels, and how to reach it.

    Args:
        source: paper and table.
        published: test error, a share.
        target: what the short schedule is to reach, a share.
        epochs: of the short schedule.
        alpha: weight of the classifier's loss.
        labelled_per_batch: labelled examples of a batch of 200.
    """

    source: str
    published: float
    target: float
    epochs: int
    alpha: float
    labelled_per_batch: int
    # Options of the command line that this row has no use for.
    unused = ("num_samples",)

    @property
    def reference(self) -> str:
        """The published figure with its unit."""
        return f"error {100 * self.published:.2f} %"

    @property
    def goal(self) -> str:
        """What the short schedule is to reach."""
        return f"at most {100 * self.target:.2f} %"

    def run(self, name: str, args: argparse.Namespace) -> dict[str, Any]:
        """Trains and tests; returns what it measured."""
        splits = datasets.load("mnist", validation=0, data_dir=args.data_dir)
        x, y = splits.arrays("train")
        test, labels = splits.arrays("test")
        data = datasets.semi_supervised(
            x.reshape(len(x), -1),
            y,
            num_labels=LABELS,
            labelled_per_batch=self.labelled_per_batch,
            batch_size=BATCH_SIZE,
            seed=args.seed,
            binarize="dynamic",
        )
        keras.utils.set_random_seed(args.seed)
        model = keras_vae.SemiSupervisedVAE.create(
            (x[0].size,), 50, num_classes=10, hidden=(500,), activation="softplus", alpha=self.alpha
        )
        epochs = 3000 if args.schedule == "paper" else args.epochs or self.epochs
        steps = epochs * math.ceil(len(x) / BATCH_SIZE)
        rate: Any = 3e-4 if args.schedule == "paper" else keras.optimizers.schedules.CosineDecay(1e-3, steps)
        model.compile(optimizer=keras.optimizers.Adam(rate))
        state = args.work and args.work / f"{name}-seed-{args.seed}"
        clock = Clock(state and state.parent / f"{state.name}.minutes")
        callbacks: list[keras.callbacks.Callback] = [clock]
        if state:
            callbacks.append(keras.callbacks.BackupAndRestore(state))
        history = model.fit(data, epochs=epochs, verbose=args.verbose, callbacks=callbacks)
        if args.save:
            model.save(args.save)
        begin = time.monotonic()
        found = model.classify(test.reshape(len(test), -1).astype("float32") / 255.0)
        wrong = np.argmax(found, axis=1) != labels
        return {
            "row": name,
            "model": "SemiSupervisedVAE, M2",
            "published": self.published,
            "source": self.source,
            "target": self.target,
            "schedule": args.schedule,
            "epochs": epochs,
            "seed": args.seed,
            "alpha": self.alpha,
            "batch_size": BATCH_SIZE,
            "labelled_per_batch": self.labelled_per_batch,
            "training_minutes": clock.minutes,
            "evaluation_minutes": (time.monotonic() - begin) / 60,
            "error": float(wrong.mean()),
            "last_loss": {key: values[-1] for key, values in history.history.items()},
        }

    def line(self, measured: Mapping[str, Any]) -> str:
        """What was measured, in a line."""
        return (
            f"test error {100 * measured['error']:.2f} % with {LABELS} labels, published "
            f"{100 * measured['published']:.2f} %; {measured['epochs']} epochs, "
            f"{measured['training_minutes']:.1f} min of training, seed {measured['seed']}"
        )

    def cell(self, measured: Sequence[Mapping[str, Any]]) -> str:
        """The error of one seed, or of several and their deviation."""
        values = [100 * one["error"] for one in measured]
        spread = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
        return f"{statistics.fmean(values):.2f}{spread} %"
