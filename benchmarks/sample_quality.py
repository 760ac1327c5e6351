"""The row of sample quality: autoencoders that generate from a mixture of normals fitted to their codes."""

import argparse
import json
import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

import keras_vae
from benchmarks import frechet
from benchmarks.clock import Clock
from keras_vae import datasets, layers

LATENT_SIZE = 16
NETWORK = {"network": "conv", "filters": (16, 32, 64), "dense": (128,)}
COMPONENTS = 10
SAMPLES, SETS, CHUNK = 10_000, 5, 1_000

# The authors' program, https://github.com/ParthaEth/Regularized_autoencoders-RAE-, configurations/config.py,
# weighs its penalties against the mean squared error of 32 * 32 pixels, or for the VAE against the sum of
# squared errors. Here the reconstruction is that sum, of a normal likelihood with scale 1 / sqrt(2), and the
# weights are theirs times 1,024; the VAE's, 0.312, is its likelihood's 2 * scale^2.
PIXELS = 32 * 32


@dataclass(frozen=True)
class Published:
    """Frechet Inception distances of the paper: of reconstructions, and of samples from two densities."""

    reconstruction: float
    normal: float
    mixture: float


@dataclass(frozen=True)
class Contestant:
    """A model of the comparison.

    Args:
        model: name of a class of `keras_vae`.
        published: from Table 1.
        rate: learning rate of the paper's schedule, from the authors' program.
        options: arguments of the model.
        scale: of the likelihood.
    """

    model: str
    published: Published
    rate: float
    options: dict[str, Any] = field(default_factory=dict)
    scale: float = math.sqrt(0.5)


CONTESTANTS = {
    "RAE-L2": Contestant(
        "RegularizedAutoencoder",
        Published(10.53, 22.22, 8.69),
        5e-4,
        # Theirs is the mean over the code, ours half of the sum.
        {"regularizer": "l2", "beta": 1e-4 * PIXELS * 2 / LATENT_SIZE, "weight": 1e-7 * PIXELS},
    ),
    "WAE": Contestant(
        "WAE",
        Published(10.03, 20.42, 9.39),
        1e-3,
        {"divergence": "mmd-imq", "weight": 3e-2 * PIXELS},
    ),
    "VAE": Contestant("VAE", Published(18.26, 19.21, 17.66), 1e-4, scale=math.sqrt(0.312 / 2)),
}


@dataclass(frozen=True)
class SampleQuality:
    """The published order of models by the quality of their samples, and how to look for it.

    Args:
        source: paper and table.
        epochs: epochs of the short schedule.
        contestants: the models by their published names, best samples first.
    """

    source: str
    epochs: int
    contestants: Mapping[str, Contestant] = field(default_factory=lambda: CONTESTANTS)
    # Options of the command line that this row has no use for.
    unused = ("num_samples", "save")

    @property
    def reference(self) -> str:
        """The paper's distances."""
        found = {name: one.published.mixture for name, one in self.contestants.items()}
        return f"{ordered(found)} (FID)"

    @property
    def goal(self) -> str:
        """What the short schedule is to reach."""
        return "same order"

    def run(self, name: str, args: argparse.Namespace) -> dict[str, Any]:
        """Trains and judges every model; returns what it measured."""
        validation = 10_000 if args.schedule == "paper" else 0
        splits = datasets.load("mnist", validation=validation, batch_size=100, data_dir=args.data_dir)
        (x, y), (test, labels) = (unit(*splits.arrays(split)) for split in ("train", "test"))
        features = frechet.train(x, y, (test, labels), args.work and args.work / f"{name}-features.keras")
        print(f"features: {frechet.FEATURES} units of a classifier, test accuracy {features.accuracy:.4f}")
        seen = features(test)
        distance = distance_to(seen, features)
        models = {}
        state = f"{name}-{args.schedule}-{self._epochs(args)}-seed-{args.seed}"
        for label, contestant in self.contestants.items():
            place = args.work and args.work / state / label
            models[label] = once(
                place and place / "measured.json",
                lambda c=contestant, p=place: self._measure(c, splits, x, test, distance, p, args),
            )
            print(f"{label}: {json.dumps(models[label])}", flush=True)
        return {
            "row": name,
            "source": self.source,
            "schedule": args.schedule,
            "epochs": self._epochs(args),
            "batch_size": 100,
            "seed": args.seed,
            "network": NETWORK,
            "latent_size": LATENT_SIZE,
            "features": f"{frechet.FEATURES} units of a classifier trained here",
            "classifier_accuracy": features.accuracy,
            # What a perfect model would get: as many training images as there are samples.
            "training_images": distance(x[:SAMPLES]),
            "samples": SAMPLES,
            "models": models,
            "published": {label: asdict(one.published) for label, one in self.contestants.items()},
            "training_minutes": sum(one["training_minutes"] for one in models.values()),
            "evaluation_minutes": sum(one["evaluation_minutes"] for one in models.values()),
        }

    def line(self, measured: Mapping[str, Any]) -> str:
        """What was measured, in a line."""
        verdict = "the published order" if self.in_order(measured) else "NOT the published order"
        return (
            f"{self.cell([measured])}: {verdict}; reconstructions "
            f"{ordered({k: v['reconstruction'] for k, v in measured['models'].items()})}; "
            f"{measured['training_images']:.2f} for training images; {measured['epochs']} epochs, "
            f"{measured['training_minutes']:.1f} min of training, "
            f"{measured['evaluation_minutes']:.1f} min of evaluation, seed {measured['seed']}"
        )

    def in_order(self, measured: Mapping[str, Any]) -> bool:
        """Whether the models stand in the published order, by the mean over the sets of samples."""
        means = [statistics.fmean(measured["models"][label]["mixture"]) for label in self.contestants]
        return means == sorted(means)

    def cell(self, measured: list[Mapping[str, Any]]) -> str:
        """The distances of samples from the mixture and their standard deviation over sets and seeds."""
        values = {
            label: [value for one in measured for value in one["models"][label]["mixture"]]
            for label in self.contestants
        }
        spread = {label: statistics.stdev(of_model) for label, of_model in values.items()}
        return ordered({k: statistics.fmean(v) for k, v in values.items()}, spread)

    def _epochs(self, args: argparse.Namespace) -> int:
        # 100 epochs of batches of 100: the authors' configurations/config.py.
        return 100 if args.schedule == "paper" else args.epochs or self.epochs

    def _measure(
        self,
        contestant: Contestant,
        splits: datasets.Splits,
        x: np.ndarray,
        test: np.ndarray,
        distance: Callable[[np.ndarray], float],
        place: Path | None,
        args: argparse.Namespace,
    ) -> dict[str, Any]:
        """Trains one model and takes its distances."""
        keras.utils.set_random_seed(args.seed)
        model = getattr(keras_vae, contestant.model).create(
            splits.image_shape,
            LATENT_SIZE,
            likelihood=layers.HomoscedasticNormal(splits.image_shape, scale=contestant.scale),
            **NETWORK,
            **contestant.options,
        )
        epochs = self._epochs(args)
        clock = Clock(place and place / "minutes")
        callbacks: list[keras.callbacks.Callback] = [clock]
        rate: Any = contestant.rate
        if args.schedule == "short":
            rate = keras.optimizers.schedules.CosineDecay(1e-3, epochs * math.ceil(len(x) / 100), alpha=0.01)
        else:
            callbacks.append(keras.callbacks.ReduceLROnPlateau("val_loss", factor=0.5, patience=5))
        if place:
            callbacks.append(keras.callbacks.BackupAndRestore(place / "backup"))
        model.compile(optimizer=keras.optimizers.Adam(rate))
        history = model.fit(
            splits.train,
            epochs=epochs,
            validation_data=splits.validation,
            callbacks=callbacks,
            verbose=args.verbose,
        )
        begin = time.monotonic()
        found: dict[str, Any] = {
            "reconstruction": distance(np.concatenate([model.reconstruct(one) for one in chunks(test)]))
        }
        # The paper draws from the prior that a model was trained with, and for those without from one normal.
        if isinstance(model, keras_vae.RegularizedAutoencoder):
            model.fit_prior(x, num_components=1, seed=args.seed)
        found["normal"] = sample_distances(model, distance, args.seed)
        model.fit_prior(x, num_components=COMPONENTS, seed=args.seed)
        found["mixture"] = sample_distances(model, distance, args.seed)
        found["last_loss"] = {name: values[-1] for name, values in history.history.items()}
        found["training_minutes"] = clock.minutes
        found["evaluation_minutes"] = (time.monotonic() - begin) / 60
        return found


def unit(x: np.ndarray, y: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
    """Images of bytes as numbers in [0, 1], with their labels."""
    return x.astype(np.float32) / 255.0, y


def chunks(x: np.ndarray) -> list[np.ndarray]:
    """Pieces of at most `CHUNK` examples, since a whole set's feature maps would take gigabytes."""
    return [x[start : start + CHUNK] for start in range(0, len(x), CHUNK)]


def distance_to(
    seen: np.ndarray, features: Callable[[np.ndarray], np.ndarray]
) -> Callable[[np.ndarray], float]:
    """The distance of images to those with features `seen`; images are clipped to [0, 1]."""
    return lambda images: frechet.frechet_distance(features(np.clip(images, 0.0, 1.0)), seen)


def sample_distances(model: Any, distance: Callable[[np.ndarray], float], seed: int) -> list[float]:
    """The distances of `SETS` sets of samples: decoded means of draws from the prior."""
    per_set = SAMPLES // CHUNK
    return [
        distance(
            np.concatenate(
                [
                    model.sample(CHUNK, seed=(seed * SETS + number) * per_set + chunk, mean=True)
                    for chunk in range(per_set)
                ]
            )
        )
        for number in range(SETS)
    ]


def ordered(values: Mapping[str, float], spread: Mapping[str, float] | None = None) -> str:
    """Names and values, smallest first.

    Example:

    >>> ordered({"VAE": 2.0, "RAE": 1.0})
    'RAE 1.00 < VAE 2.00'
    """
    return " < ".join(
        f"{name} {values[name]:.2f}" + (f" ± {spread[name]:.2f}" if spread else "")
        for name in sorted(values, key=values.__getitem__)
    )


def once(file: Path | None, compute: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """`compute()`, or what it returned before, if `file` has that."""
    if file is not None and file.exists():
        return json.loads(file.read_text(encoding="utf-8"))
    computed = compute()
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(computed, indent=1) + "\n", encoding="utf-8")
    return computed
