"""Reprints published figures: `python benchmarks/published.py ROW [--data-dir FOLDER]`.

A row of test NLL trains one model of 784-200-200-50 units, tanh, on dynamically binarised MNIST, and prints
the paper's test NLL beside the one measured here, with its standard error, epochs, minutes and seed.
The schedule is a short one for two cores; `--schedule paper` takes that of Burda et al. (2016), 3,280
epochs. The row m2-mnist classifies with a hundred labels; its long schedule are 3,000 epochs at one rate.
The row rae-mnist compares the samples of three models; `--schedule paper` are its paper's 100 epochs.
With `--work` a run that was interrupted goes on where it was. `--table FOLDER` prints what the files
`FOLDER/*.json`, each written by `--json`, have measured.
"""

import argparse
import json
import math
import os
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
if not __package__:  # run as a file: make the package `benchmarks` importable
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import keras
import numpy as np

import keras_vae
from benchmarks.clock import Clock
from benchmarks.few_labels import FewLabels
from benchmarks.sample_quality import SampleQuality
from keras_vae import datasets, evaluation, schedules

BURDA = "Burda et al., Importance Weighted Autoencoders, 2016, Table 1, one stochastic layer"
RAINFORTH = "Rainforth et al., Tighter Variational Bounds are Not Necessarily Better, 2018, Table 1"
GHOSH = "Ghosh et al., From Variational to Deterministic Autoencoders, 2020, Table 1, MNIST, GMM"
KINGMA = "Kingma et al., Semi-supervised Learning with Deep Generative Models, 2014, Table 1, M2, N = 100"
NUM_SAMPLES = 5000


FIVE = {"num_samples": 5}
EIGHT_OF_EIGHT = {"num_estimates": 8, "num_samples": 8}
CIWAE = {"beta": 0.05, "num_samples": 64}


@dataclass(frozen=True)
class Stage:
    """A part of a short schedule: a model of the networks that the part before has trained.

    Args:
        name: rows that have stages of one name and all before in common train them once, with `--work`.
        model: name of a class of `keras_vae`.
        options: its arguments.
        share: of the row's epochs.
        rate: of Adam, at first.
        falls: share of the row's epochs over which it falls to a hundredth; `share` if None.
    """

    name: str
    model: str
    options: dict[str, Any]
    share: float
    rate: float
    falls: float | None = None


def with_dreg(name: str, model: str, options: Mapping[str, Any], share: float, rate: float) -> Stage:
    """A stage with doubly reparameterised gradients: of the same bound, with less noise in the encoder's."""
    return Stage(name, model, {**options, "gradient": "dreg"}, share, rate)


# Steps with five samples take a fraction of the time that those with fifty and more do.
FIRST = Stage("iwae-5-first", "IWAE", FIVE, 0.8, 2e-3, falls=1.0)
SECOND = with_dreg("iwae-5", "IWAE", FIVE, 0.2, 1e-3)


@dataclass(frozen=True)
class Row:
    """One published test NLL and how to reach it.

    Args:
        model: name of a class of `keras_vae`.
        published: test NLL in nats, from `source`.
        source: paper and table.
        target: what the short schedule is to reach, in nats.
        epochs: epochs of the short schedule, those of the last of three stages apart.
        options: arguments of the model.
        warm_up: share of the short schedule over which the weight of the KL rises from 0 to 1. Without, a
            short schedule leaves most latent dimensions unused.
        stages: of the short schedule; by default the model is trained in one.
    """

    model: str
    published: float
    source: str
    target: float
    epochs: int
    options: dict[str, Any] = field(default_factory=dict)
    warm_up: float = 0.25
    stages: tuple[Stage, ...] = ()
    # Options of the command line that the row has no use for.
    unused = ()

    @property
    def reference(self) -> str:
        """The published figure with its unit."""
        return f"{self.published:.2f} nats"

    @property
    def goal(self) -> str:
        """What the short schedule is to reach."""
        return f"at most {self.target:.2f}"

    def run(self, name: str, args: argparse.Namespace) -> dict[str, Any]:
        """Trains and evaluates; returns what it measured."""
        return run(name, self, args)

    def line(self, measured: Mapping[str, Any]) -> str:
        """What was measured, in a line."""
        return (
            f"test NLL {measured['nll']:.2f} +- {measured['nll_standard_error']:.2f} nats "
            f"({measured['num_samples']} importance samples), published {self.published:.2f}; "
            f"{measured['epochs']} epochs, {measured['training_minutes']:.1f} min of training, "
            f"{measured['evaluation_minutes']:.1f} min of evaluation, seed {measured['seed']}"
        )

    def cell(self, measured: Sequence[Mapping[str, Any]]) -> str:
        """The NLL of one seed and its standard error over images, or of several and their deviation."""
        values = [one["nll"] for one in measured]
        spread = measured[0]["nll_standard_error"] if len(values) == 1 else statistics.stdev(values)
        return f"{statistics.fmean(values):.2f} ± {spread:.2f}"


def many_samples(
    name: str, model: str, published: float, source: str, target: float, options: dict, share: float = 0.1
) -> Row:
    """A row whose model goes on from the IWAE of five samples."""
    stages = (FIRST, SECOND, with_dreg(name, model, options, share, 5e-4))
    return Row(model, published, source, target, 300, options, stages=stages)


ROWS: dict[str, Any] = {
    "vae-mnist": Row("VAE", 86.76, BURDA, 88.26, 300),
    "iwae-5-mnist": Row("IWAE", 85.54, BURDA, 87.04, 300, FIVE, stages=(FIRST, SECOND)),
    "iwae-50-mnist": many_samples("iwae-50", "IWAE", 84.78, BURDA, 86.28, {"num_samples": 50}, share=0.15),
    "ciwae-mnist": many_samples("ciwae", "CIWAE", 84.57, RAINFORTH, 86.57, CIWAE),
    "piwae-mnist": many_samples("piwae", "PIWAE", 84.46, RAINFORTH, 86.46, EIGHT_OF_EIGHT),
    "miwae-mnist": many_samples("miwae", "MIWAE", 84.97, RAINFORTH, 86.97, EIGHT_OF_EIGHT, share=0.05),
    "m2-mnist": FewLabels(KINGMA, 0.1197, 0.08),
    "rae-mnist": SampleQuality(GHOSH, epochs=5),
}


@dataclass(frozen=True)
class Schedule:
    """How long to train, and at what rate.

    Args:
        epochs: in all.
        steps: in all.
        batch_size: examples of a step.
        rate: a Keras learning rate schedule.
    """

    epochs: int
    steps: int
    batch_size: int
    rate: Any


def schedule(name: str, epochs: int, examples: int) -> Schedule:
    """The schedule of that name for so many training examples."""
    if name == "short":
        return falling(2e-3, epochs, examples)
    # Burda et al., 2016, section 5: 3^i epochs at the rate 0.001 * 10^(-i / 7), for i = 0 to 7.
    ends = [sum(3**j for j in range(i + 1)) for i in range(8)]
    boundaries = [math.ceil(examples / 20) * end for end in ends[:-1]]
    rates = [1e-3 * 10 ** (-i / 7) for i in range(8)]
    steps = math.ceil(examples / 20) * ends[-1]
    rate = keras.optimizers.schedules.PiecewiseConstantDecay(boundaries, rates)
    return Schedule(ends[-1], steps, 20, rate)


def falling(rate: float, epochs: int, examples: int) -> Schedule:
    """Batches of 100 at a rate that falls to a hundredth along a cosine."""
    steps = math.ceil(examples / 100) * epochs
    return Schedule(epochs, steps, 100, keras.optimizers.schedules.CosineDecay(rate, steps, alpha=0.01))


def fit(
    model: keras.Model,
    data: Any,
    epochs: int,
    initial_epoch: int,
    state: Path | None,
    clock: Clock,
    args: argparse.Namespace,
) -> None:
    """Trains, going on from the state of a run that was interrupted."""
    backup = [keras.callbacks.BackupAndRestore(state)] if state else []
    model.fit(
        data, epochs=epochs, initial_epoch=initial_epoch, verbose=args.verbose, callbacks=[clock, *backup]
    )


def build(kind: str, plan: Schedule, annealing: Any, options: Mapping[str, Any]) -> keras.Model:
    """A model of the papers' size, compiled."""
    model = getattr(keras_vae, kind).create(
        (28, 28, 1),
        latent_size=50,
        network="mlp",
        hidden=(200, 200),
        activation="tanh",
        annealing=annealing,
        **options,
    )
    model.compile(optimizer=optimizer(plan))
    return model


def optimizer(plan: Schedule) -> keras.optimizers.Optimizer:
    """Adam, with epsilon as in the paper."""
    return keras.optimizers.Adam(plan.rate, epsilon=1e-4)


@dataclass(frozen=True)
class Trained:
    """A trained model, the epochs and the minutes that it took."""

    model: keras.Model
    epochs: int
    minutes: float


def in_stages(
    stages: Sequence[Stage], epochs: int, data: Any, examples: int, annealing: Any, args: argparse.Namespace
) -> Trained:
    """Trains the model of the last stage, and those before it where `--work` does not hold them yet."""
    states = [args.work and args.work / f"{stage.name}-of-{epochs}-seed-{args.seed}" for stage in stages]
    files = [state and state.with_name(f"{state.name}.keras") for state in states]
    # What comes before the last that is kept is in it.
    last = max((number for number, file in enumerate(files) if file and file.exists()), default=None)
    model: Any = None if last is None else keras.saving.load_model(files[last])
    done, minutes = 0, 0.0
    for number, (stage, state, file) in enumerate(zip(stages, states, files, strict=True)):
        clock = Clock(state and state.with_name(f"{state.name}.minutes"))
        before, done = done, done + max(1, round(stage.share * epochs))
        if last is None or number > last:
            plan = falling(stage.rate, max(1, round((stage.falls or stage.share) * epochs)), examples)
            if model is None:
                model = build(stage.model, plan, annealing, stage.options)
            else:
                model = getattr(keras_vae, stage.model)(model.encoder, model.decoder, **stage.options)
                model.compile(optimizer=optimizer(plan))
            fit(model, data, done, before, state, clock, args)
            if file:
                model.save(file)
        minutes += clock.minutes
    return Trained(model, done, minutes)


def run(name: str, row: Row, args: argparse.Namespace) -> dict:
    """Trains and evaluates one row; returns what it measured."""
    keras.utils.set_random_seed(args.seed)
    options = {"binarize": "dynamic", "validation": 0, "seed": args.seed, "data_dir": args.data_dir}
    sizes = datasets.load("mnist", **options).sizes
    plan = schedule(args.schedule, args.epochs or row.epochs, sizes["train"])
    data = datasets.load("mnist", batch_size=plan.batch_size, **options)
    warm_up = row.warm_up if args.schedule == "short" else 0.0
    annealing = schedules.Linear(0.0, 1.0, round(warm_up * plan.steps)) if warm_up else 1.0
    stages = row.stages if args.schedule == "short" and plan.epochs > 1 else ()
    if stages:
        done = in_stages(stages, plan.epochs, data.train, sizes["train"], annealing, args)
    else:
        state = args.work and args.work / (name if args.seed == 0 else f"{name}-seed-{args.seed}")
        clock = Clock(state and state.parent / f"{state.name}.minutes")
        model = build(row.model, plan, annealing, row.options)
        fit(model, data.train, plan.epochs, 0, state, clock, args)
        done = Trained(model, plan.epochs, clock.minutes)
    model = done.model
    if args.save:
        model.save(args.save)
    begin = time.monotonic()
    test = np.concatenate(list(data.test.as_numpy_iterator()))
    num_samples = NUM_SAMPLES if args.num_samples is None else args.num_samples
    report = evaluation.evaluate(model, test, num_samples=num_samples, seed=args.seed)
    print(report)
    return {
        "row": name,
        "model": row.model,
        "options": row.options,
        "warm_up": warm_up,
        "stages": [asdict(stage) for stage in stages],
        "published": row.published,
        "source": row.source,
        "target": row.target,
        "schedule": args.schedule,
        "epochs": done.epochs,
        "seed": args.seed,
        "num_samples": num_samples,
        "training_minutes": done.minutes,
        "evaluation_minutes": (time.monotonic() - begin) / 60,
        "nll": -report.log_likelihood.mean,
        "nll_standard_error": report.log_likelihood.standard_error,
        "report": report.to_dict(),
    }


def read(file: Path) -> list[dict[str, Any]]:
    """What a file of `--json` has measured, one entry a seed."""
    found = json.loads(file.read_text(encoding="utf-8"))
    return found.get("seeds", [found])


def measure(name: str, args: argparse.Namespace) -> None:
    """Runs a row for every seed, and writes what was measured after each."""
    row = ROWS[name]
    print(f"{name}: {row.source}: {row.reference}; to reach on the short schedule: {row.goal}")
    before = read(args.json) if args.seeds > 1 and args.json and args.json.exists() else []
    measured = []
    for seed in range(args.seed, args.seed + args.seeds):
        args.seed = seed
        settings = {key: getattr(args, key) for key in ("schedule", "epochs", "num_samples", "seed")}
        wanted = {"row": name, "settings": settings}
        known = [one for one in before if {key: one.get(key) for key in wanted} == wanted]
        measured.append(known[0] if known else {**row.run(name, args), "settings": settings})
        if args.json:
            plain = measured[0] if args.seeds == 1 else {"row": name, "seeds": measured}
            args.json.write_text(json.dumps(plain, indent=1) + "\n", encoding="utf-8")
        print(f"{name}: {row.line(measured[-1])}", flush=True)
    if args.seeds > 1:
        print(f"{name}: {row.cell(measured)} over {args.seeds} seeds")


def table(folder: Path) -> str:
    """The README's table of what the files of a folder have measured, in the order of `ROWS`."""
    found: dict[str, list[dict[str, Any]]] = {}
    for file in sorted(folder.glob("*.json")):
        for one in read(file):
            if one.get("row") in ROWS:
                found.setdefault(one["row"], []).append(one)
    lines = [
        "| row | published | to reach | here | epochs | minutes | seeds |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in ROWS.items():
        if name in found:
            measured = found[name]
            epochs = ", ".join(sorted({f"{one['epochs']}" for one in measured}))
            minutes = statistics.fmean(one["training_minutes"] for one in measured)
            seeds = ", ".join(str(one["seed"]) for one in measured)
            cells = (name, row.reference, row.goal, row.cell(measured), epochs, f"{minutes:.0f}", seeds)
            lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("row", nargs="?", choices=sorted(ROWS))
    parser.add_argument(
        "--table", type=Path, metavar="FOLDER", help="print the table of FOLDER/*.json, train nothing"
    )
    parser.add_argument("--data-dir", help="folder with MNIST prepared by tensorflow-datasets")
    parser.add_argument("--schedule", choices=["short", "paper"], default="short")
    parser.add_argument("--epochs", type=int, help="of the short schedule, instead of the row's own")
    parser.add_argument(
        "--num-samples", type=int, help=f"importance samples per image, {NUM_SAMPLES} by default"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=1, help="train so many times, with seeds from --seed on")
    parser.add_argument("--verbose", type=int, default=2)
    parser.add_argument("--work", type=Path, help="keep the state of training here, and go on from it")
    parser.add_argument("--save", type=Path, help="keep the trained model as this .keras file")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line."""
    command_line = parser()
    args = command_line.parse_args(arguments)
    if (args.row is None) == (args.table is None):
        command_line.error("expected a row, or --table FOLDER")
    if args.table:
        if not args.table.is_dir():
            command_line.error(f"argument --table: expected a folder, received {args.table}")
        print(table(args.table))
        return
    unused = ROWS[args.row].unused + (("save",) if args.seeds > 1 else ())
    for name in unused:
        if getattr(args, name) is not None:
            command_line.error(f"--{name.replace('_', '-')} means nothing for these arguments")
    if args.seeds < 1:
        command_line.error(f"argument --seeds: expected a number >= 1, received {args.seeds}")
    measure(args.row, args)


if __name__ == "__main__":
    main()
