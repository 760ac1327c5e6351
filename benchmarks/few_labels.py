"""The row of semi-supervised classification: the generative model M2 on MNIST with a hundred labels."""

import argparse
import math
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import keras
import numpy as np

import keras_vae
from benchmarks.clock import Clock
from keras_vae import datasets, schedules

LABELS = 100


@dataclass(frozen=True)
class Settings:
    """How to train.

    Args:
        epochs: in all.
        batch_size: examples of a step.
        labelled_per_batch: how many of them have labels.
        alpha: weight of the classifier's loss.
        first_weight: weight of both divergences for four fifths of the steps, from which it falls to 1. Where
            z is dear, the class has to explain the data; otherwise z does, and the class means nothing.
        rate: learning rate, that of the first step if it decays.
        decays: whether the rate falls to 0, by half a cosine.
    """

    epochs: int
    batch_size: int
    labelled_per_batch: int
    alpha: float
    first_weight: float
    rate: float
    decays: bool


SHORT = Settings(40, 100, 5, alpha=1.0, first_weight=5.0, rate=1e-3, decays=True)
# The rate of Kingma et al., section 4, their alpha, and as many labelled examples as come to a batch of 500.
PAPER = Settings(3000, 500, 1, alpha=0.1, first_weight=1.0, rate=3e-4, decays=False)


@dataclass(frozen=True)
class FewLabels:
    """The published error of M2 with a hundred labels, and how to reach it.

    Args:
        source: paper and table.
        published: test error, a share.
        target: what the short schedule is to reach, a share.
    """

    source: str
    published: float
    target: float
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
        plan = PAPER if args.schedule == "paper" else replace(SHORT, epochs=args.epochs or SHORT.epochs)
        splits = datasets.load("mnist", validation=0, data_dir=args.data_dir)
        x, y = splits.arrays("train")
        test, labels = splits.arrays("test")
        data = datasets.semi_supervised(
            x.reshape(len(x), -1),
            y,
            num_labels=LABELS,
            labelled_per_batch=plan.labelled_per_batch,
            batch_size=plan.batch_size,
            seed=args.seed,
            binarize="dynamic",
        )
        keras.utils.set_random_seed(args.seed)
        steps = plan.epochs * math.ceil(len(x) / plan.batch_size)
        fall = math.ceil(steps / 5)
        model = keras_vae.SemiSupervisedVAE.create(
            (x[0].size,),
            50,
            num_classes=10,
            hidden=(500,),
            activation="softplus",
            alpha=plan.alpha,
            annealing=schedules.Linear(plan.first_weight, 1.0, fall, delay=steps - fall),
        )
        rate: Any = plan.rate
        if plan.decays:
            rate = keras.optimizers.schedules.CosineDecay(plan.rate, steps)
        model.compile(optimizer=keras.optimizers.Adam(rate))
        state = args.work and args.work / f"{name}-seed-{args.seed}"
        clock = Clock(state and state.parent / f"{state.name}.minutes")
        callbacks: list[keras.callbacks.Callback] = [clock]
        if state:
            callbacks.append(keras.callbacks.BackupAndRestore(state))
        history = model.fit(data, epochs=plan.epochs, verbose=args.verbose, callbacks=callbacks)
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
            "seed": args.seed,
            **asdict(plan),
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
