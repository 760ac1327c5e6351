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
from keras_vae import datasets, layers, networks, schedules

LABELS = 100


@dataclass(frozen=True)
class Settings:
    """How to train.

    Args:
        epochs: in all.
        batch_size: examples of a step.
        labelled_per_batch: how many of them have labels.
        alpha: weight of the classifier's loss.
        rate: learning rate, that of the first step if it decays. High ones leave poor clusters sooner.
        decays: whether the rate falls to 0, by half a cosine.
        first_weight: weight of the divergence of z at first. Where z is dear, the class has to explain the
            data; otherwise z does, and the class means nothing.
        first_class_weight: the same of the divergence of the class. Where it is dear, q(y|x) is soft, and
            examples may yet change their class; far dearer than z, no example has any.
        fall: share of the steps, the last, in which both weights fall to 1. Slowly, the classes part one by
            one, those that are most alike last, as in deterministic annealing (Rose 1998).
        dropout: share of the pixels that the classifier does without in training.
    """

    epochs: int
    batch_size: int
    labelled_per_batch: int
    alpha: float
    rate: float
    decays: bool = False
    first_weight: float = 1.0
    first_class_weight: float = 1.0
    fall: float = 1.0
    dropout: float = 0.0

    def optimizer(self, steps: int) -> keras.optimizers.Optimizer:
        """Adam, for so many steps."""
        cosine = keras.optimizers.schedules.CosineDecay
        return keras.optimizers.Adam(cosine(self.rate, steps) if self.decays else self.rate)

    def model(self, size: int, steps: int) -> keras_vae.SemiSupervisedVAE:
        """M2 with one hidden layer of 500 units in each network, z of 50 dimensions, for so many steps."""
        fall = math.ceil(self.fall * steps)
        options = {"hidden": (500,), "activation": "softplus"}
        body = networks.build_classifier("mlp", (size,), 10, **options)
        classifier = keras.Sequential([keras.Input((size,)), layers.Dropout(self.dropout), body])
        encoder, decoder = networks.build(
            "mlp", (size,), 50, likelihood="bernoulli", num_classes=10, **options
        )
        _begin_with_scale_of_prior(encoder)
        return keras_vae.SemiSupervisedVAE(
            encoder,
            decoder,
            classifier,
            alpha=self.alpha,
            annealing=schedules.Linear(self.first_weight, 1.0, fall, delay=steps - fall),
            class_annealing=schedules.Linear(self.first_class_weight, 1.0, fall, delay=steps - fall),
        )


SHORT = Settings(
    epochs=30,
    batch_size=100,
    labelled_per_batch=20,
    alpha=1.0,
    rate=5e-3,
    decays=True,
    first_weight=5.0,
    first_class_weight=10.0,
    fall=0.8,
    dropout=0.3,
)
# The rate of Kingma et al., section 4, their alpha, and as many labelled examples as come to a batch of 500.
PAPER = Settings(epochs=3000, batch_size=500, labelled_per_batch=1, alpha=0.1, rate=3e-4)


def _begin_with_scale_of_prior(encoder: keras.Model) -> None:
    """Lets the scales of q(z|x, y) be about 1 at first, where those of a new encoder are softplus(0) = 0.69.

    So z says little at first, as where the encoder gives logarithms of variances, and the class comes before.
    """
    bias = encoder.get_layer("params").bias
    means = np.zeros(bias.shape[0] // 2)
    bias.assign(np.concatenate([means, np.full_like(means, np.log(np.expm1(1.0)))]))


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
        model = plan.model(x[0].size, steps)
        model.compile(optimizer=plan.optimizer(steps))
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
