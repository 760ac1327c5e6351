"""Training speed of autoencoders, this library's and its peers', measured in turns in one call.

python benchmarks/train_speed.py --python torch,torch_compile,pythae=PEERS/bin/python

See benchmarks/README.md for how to install the peers and how to read the report.
"""

import argparse
import contextlib
import dataclasses
import json
import math
import os
import signal
import statistics
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

if not __package__:  # run as a file: make the package `benchmarks` importable
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks import controller, machine, protocol, results
from benchmarks.contenders import CONTENDERS
from benchmarks.contenders.models import MODELS
from benchmarks.controller import Limits, Round, Warmed, Worker, WorkerError
from benchmarks.protocol import Job

REFERENCE = "keras_vae"
DATA = ("synthetic", "mnist")
DEVICES = ("cpu", "auto")


@dataclasses.dataclass(frozen=True)
class Network:
    """Sizes of an encoder, mirrored by the decoder; ReLU throughout.

    Args:
        hidden: units of the dense layers.
        latent_size: latent dimensions.
        examples: images of an epoch, unless the command line says otherwise.
        filters: channels of the convolutions before the dense layers.
        models: what is trained on it.
    """

    hidden: tuple[int, ...]
    latent_size: int
    examples: int
    filters: tuple[int, ...] = ()
    models: tuple[str, ...] = tuple(MODELS)

    def __str__(self) -> str:
        convolutions = f"{'-'.join(map(str, self.filters))} convolutions, " if self.filters else ""
        return convolutions + "-".join(map(str, (*self.hidden, self.latent_size)))


NETWORKS = {
    "mlp": Network(hidden=(512, 256), latent_size=32, examples=60_000),
    # A step takes ten times as long as the other's, so an epoch is shorter.
    "conv": Network(
        hidden=(160,),
        latent_size=32,
        examples=6_400,
        filters=(32, 64, 128),
        models=("vae", "iwae", "wae_mmd"),
    ),
}

# What may differ between two runs whose rows go into one table.
_NOT_MEASURED_BY = ("model", "network", "examples", "python", "json", "resume")


@dataclasses.dataclass
class Report:
    """All that was measured; what is printed and what `--json` writes."""

    options: dict[str, Any]
    machine: str
    contenders: dict[str, Warmed] = dataclasses.field(default_factory=dict)
    left_out: dict[str, tuple[str, str]] = dataclasses.field(default_factory=dict)
    rounds: list[Round] = dataclasses.field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Returns plain data."""
        speeds = [one.speeds for one in self.rounds]
        return {
            "options": self.options,
            "machine": self.machine,
            "contenders": {
                name: {
                    **{key: value for key, value in warmed.start.items() if key != "seconds"},
                    "start_seconds": warmed.start["seconds"],
                    "compile_seconds": warmed.compile_seconds,
                    "warmup": warmed.warmup,
                    "epochs": warmed.epochs,
                }
                for name, warmed in self.contenders.items()
            },
            "left_out": self.left_out,
            "rounds": [dataclasses.asdict(one) for one in self.rounds],
            "steps_per_second": _as_dicts(results.speeds(speeds)) if speeds else {},
            "ratios": _as_dicts(_ratios(speeds)) if speeds else {},
            "flags": self.flags(),
        }

    def drop(self, error: WorkerError) -> None:
        """Takes a contender out, with what was measured of it."""
        name = error.contender
        self.left_out[name] = (error.kind, str(error))
        self.contenders.pop(name, None)
        for one in self.rounds:
            one.measurements.pop(name, None)

    def flags(self) -> dict[str, list[str]]:
        """Returns what makes a contender's numbers doubtful, by contender."""
        if not self.contenders:
            return {}
        found: dict[str, list[str]] = {name: [] for name in self.contenders}
        if MODELS[self.options["model"]].comparable:
            losses = {name: warmed.warmup["losses"] for name, warmed in self.contenders.items()}
            tolerance = self.options["loss_tolerance"] / 100
            for name, text in results.loss_flags(losses, tolerance).items():
                found[name].append(text)
        for key in ("device", "parameters", "steps"):
            values = {n: {**w.start, **w.warmup}[key] for n, w in self.contenders.items()}
            for name, value in results.odd_ones(values).items():
                found[name].append(f"{key} {value}, unlike the others")
        return {name: texts for name, texts in found.items() if texts}


def _as_dicts(spreads: Mapping[str, results.Spread]) -> dict[str, dict[str, float]]:
    return {name: dataclasses.asdict(spread) for name, spread in spreads.items()}


def _ratios(speeds: Sequence[Mapping[str, float]]) -> dict[str, results.Spread]:
    return results.ratios(speeds, REFERENCE) if REFERENCE in speeds[0] else {}


def at_least(kind: type, smallest: float) -> Any:
    """Returns an argparse type: a finite number of `kind` that is at least `smallest`."""

    def parse(text: str) -> Any:
        value = kind(text)
        if not (math.isfinite(value) and value >= smallest):
            raise argparse.ArgumentTypeError(f"expected a number >= {smallest}, received {text}")
        return value

    parse.__name__ = kind.__name__  # argparse names it when `kind` itself refuses the text
    return parse


def interpreters(text: str) -> dict[str, str]:
    """Parses `NAME[,NAME...]=PATH`."""
    names, separator, path = text.partition("=")
    unknown = [name for name in names.split(",") if name not in CONTENDERS]
    if not separator or unknown:
        raise argparse.ArgumentTypeError(
            f"expected NAME[,NAME...]=PATH with names of {', '.join(CONTENDERS)}, received {text}"
        )
    if not os.access(path, os.X_OK) or os.path.isdir(path):
        raise argparse.ArgumentTypeError(f"expected the path of an interpreter, received {path}")
    return dict.fromkeys(names.split(","), os.path.abspath(path))


def contender_names(text: str) -> list[str]:
    """Parses `NAME[,NAME...]`."""
    names = text.split(",")
    unknown = [name for name in names if name not in CONTENDERS]
    if unknown or len(set(names)) < len(names):
        raise argparse.ArgumentTypeError(
            f"expected different names of {', '.join(CONTENDERS)}, received {text}"
        )
    return names


def _names(text: str, known: Iterable[str]) -> list[str]:
    names = list(known) if text == "all" else text.split(",")
    unknown = [name for name in names if name not in known]
    if unknown or len(set(names)) < len(names):
        raise argparse.ArgumentTypeError(
            f"expected all, or different names of {', '.join(known)}, received {text}"
        )
    return names


def model_names(text: str) -> list[str]:
    """Parses `NAME[,NAME...]`, or `all`."""
    return _names(text, MODELS)


def network_names(text: str) -> list[str]:
    """Parses `NAME[,NAME...]`, or `all`."""
    return _names(text, NETWORKS)


def rows_of(networks: Sequence[str], models: Sequence[str]) -> list[tuple[str, str]]:
    """Returns each network with those of the models that are trained on it.

    Raises:
        ValueError: for a network with none of them.
    """
    rows = [(network, [m for m in models if m in NETWORKS[network].models]) for network in networks]
    for network, chosen in rows:
        if not chosen:
            known = ", ".join(NETWORKS[network].models)
            raise ValueError(f"expected a model of network {network}: {known}; received {', '.join(models)}")
    return [(network, model) for network, chosen in rows for model in chosen]


def new_file(text: str) -> Path:
    """Parses the path of a file to write, whose folder must be there before hours are spent."""
    path = Path(text)
    if path.is_dir() or not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"expected a file in an existing folder, received {text}")
    return path


def parser() -> argparse.ArgumentParser:
    """Returns the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0] if __doc__ else None,
        epilog="contenders: " + "; ".join(f"{name}: {c.what}" for name, c in CONTENDERS.items()),
    )
    add = parser.add_argument
    add(
        "--contenders",
        type=contender_names,
        default=list(CONTENDERS),
        metavar="NAME[,NAME...]",
        help="who takes part, in this order (default: all)",
    )
    add(
        "--python",
        type=interpreters,
        action="append",
        default=[],
        metavar="NAME[,NAME...]=PATH",
        help="interpreter of these contenders (default: the running one); may be repeated",
    )
    add(
        "--model",
        type=model_names,
        default=["vae"],
        metavar="NAME[,NAME...]",
        help=f"what is trained, one after the other: all, or some of {', '.join(MODELS)} (default: vae)",
    )
    add(
        "--network",
        type=network_names,
        default=["mlp"],
        metavar="NAME[,NAME...]",
        help="encoder and decoder, one after the other: all, or some of "
        + "; ".join(f"{name}: {n}, {len(n.models)} models" for name, n in NETWORKS.items())
        + " (default: mlp)",
    )
    add("--data", choices=DATA, default="synthetic", help="mnist needs tensorflow-datasets")
    add(
        "--examples",
        type=at_least(int, 1),
        default=None,
        help="number of images (default: "
        + ", ".join(f"{n.examples} for {name}" for name, n in NETWORKS.items())
        + ")",
    )
    add("--batch-size", type=at_least(int, 1), default=128)
    add("--rounds", type=at_least(int, 1), default=9, help="turns of every contender")
    add(
        "--seconds",
        type=at_least(float, 0.0),
        default=3.0,
        help="length of a measurement, rounded to whole epochs, at least one",
    )
    add(
        "--warmup-epochs",
        type=at_least(int, 2),
        default=2,
        help="epochs before the first measurement; their losses are compared",
    )
    add("--threads", type=at_least(int, 1), default=None, help="CPUs to use (default: all)")
    add("--device", choices=DEVICES, default="cpu", help="auto: use an accelerator if present")
    add(
        "--foreign",
        type=at_least(float, 0.0),
        default=5.0,
        metavar="PERCENT",
        help="share of the machine others may use before a round is repeated",
    )
    add("--repeats", type=at_least(int, 0), default=2, help="repeats of a disturbed round")
    add(
        "--loss-tolerance",
        type=at_least(float, 0.0),
        default=5.0,
        metavar="PERCENT",
        help="distance from the median loss above which a contender is flagged",
    )
    add("--seed", type=at_least(int, 0), default=0)
    add("--json", type=new_file, default=None, metavar="FILE", help="write everything measured")
    add("--resume", action="store_true", help="keep what the file of --json has of these rows")
    return parser


def say(line: str) -> None:
    """Prints at once, so that a reader of a pipe can follow."""
    print(line, flush=True)


def take_part(
    report: Report,
    job: Job,
    pythons: Mapping[str, str],
    options: argparse.Namespace,
    folder: Path,
    closing: contextlib.ExitStack,
) -> None:
    """Starts and warms up one contender after the other; who cannot take part is noted."""
    environment = controller.environment(os.environ, folder, job, options.device)
    for name in options.contenders:
        worker = Worker(name, pythons.get(name, sys.executable), environment, folder)
        closing.callback(worker.close)
        try:
            warmed = controller.warm(worker, job, options.warmup_epochs, options.seconds)
        except WorkerError as error:
            worker.close()
            report.drop(error)
            say(failure_line(error))
        else:
            report.contenders[name] = warmed
            say(f"{name}: ready")


def failure_line(error: WorkerError) -> str:
    """Returns why a contender does not take part, in one line; `notes` tells the whole."""
    last = (str(error).strip().splitlines() or [""])[-1]
    return f"{error.contender}: {error.kind} ({last})"


def run_rounds(report: Report, count: int, limits: Limits) -> None:
    """Measures; a contender that fails on the way leaves the report and the others go on."""
    while report.contenders and len(report.rounds) < count:
        try:
            one = controller.run_round(len(report.rounds) + 1, report.contenders, limits, say)
        except WorkerError as error:
            report.drop(error)
            say(failure_line(error))
        else:
            report.rounds.append(one)
            say(round_line(one, limits))


def round_line(one: Round, limits: Limits) -> str:
    """Returns the speeds of a round in one line."""
    speeds = "  ".join(f"{name} {speed:.1f}" for name, speed in one.speeds.items())
    watched = f"others used {100 * one.foreign:.1f} %" if one.usages else "machine not watched"
    busy = f", idle workers {100 * one.idle:.1f} % of a CPU" if one.idle > limits.idle else ""
    return f"round {one.number}: {speeds} steps/s  ({watched}{busy})"


def contender_table(report: Report) -> str:
    """Returns what each contender is and how its training began."""
    rows = [
        [
            name,
            " ".join(f"{package} {version}" for package, version in w.start["versions"].items()),
            w.start["device"],
            str(w.start["parameters"]),
            f"{w.start['seconds']:.1f}",
            f"{w.warmup['call_seconds']:.1f}",
            f"{w.compile_seconds:.1f}",
            f"{w.warmup['losses'][0]:.2f}",
            f"{w.warmup['losses'][-1]:.2f}",
        ]
        for name, w in report.contenders.items()
    ]
    header = [
        "contender",
        "versions",
        "device",
        "parameters",
        "start s",
        "warm-up s",
        "compile s",
        "first loss",
        "last loss",
    ]
    return results.table(header, rows)


def speed_table(report: Report) -> str:
    """Returns the medians and the ratios."""
    speeds = results.speeds([one.speeds for one in report.rounds])
    ratios = _ratios([one.speeds for one in report.rounds])
    rows = []
    for name, speed in speeds.items():
        turns = [one.measurements[name] for one in report.rounds]
        outside = results.spread([turn.call_seconds - turn.seconds for turn in turns]).median
        ratio = ratios.get(name)
        rows.append(
            [name]
            + [f"{value:.1f}" for value in (speed.low, speed.median, speed.high)]
            + [f"{ratio.median:.2f}" if ratio else "-"]
            + [f"{ratio.low:.2f} to {ratio.high:.2f}" if ratio else "-"]
            + [f"{outside:.2f}"]
        )
    header = [
        "steps/s",
        "min",
        "median",
        "max",
        f"{REFERENCE} / it",
        "min to max",
        "outside s",
    ]
    return results.table(header, rows)


def summary(measured: Sequence[Mapping[str, Any]]) -> str:
    """Returns the ratios of all rows, their geometric mean and the least of them.

    Args:
        measured: what `Report.to_json` returns, one a row.
    """
    ratios = {" ".join(_row(one)): one["ratios"] for one in measured}
    peers = list(dict.fromkeys(peer for of_model in ratios.values() for peer in of_model))
    rows = [
        [name] + [f"{of_model[peer]['median']:.2f}" if peer in of_model else "-" for peer in peers]
        for name, of_model in ratios.items()
    ]
    medians = {p: [of_model[p]["median"] for of_model in ratios.values() if p in of_model] for p in peers}
    rows.append(["geometric mean"] + [f"{statistics.geometric_mean(medians[p]):.2f}" for p in peers])
    rows.append(["least"] + [f"{min(medians[p]):.2f}" for p in peers])
    return results.table([f"{REFERENCE} / it", *peers], rows)


def _row(measured: Mapping[str, Any]) -> tuple[str, str]:
    return measured["options"]["network"], measured["options"]["model"]


def notes(report: Report, limits: Limits) -> list[str]:
    """Returns what the reader must know before using the numbers."""
    lines = [f"FLAG {name}: {text}" for name, texts in report.flags().items() for text in texts]
    lines += [f"LEFT OUT {name}: {kind}: {text}" for name, (kind, text) in report.left_out.items()]
    disturbed = [str(one.number) for one in report.rounds if one.foreign > limits.foreign]
    if disturbed:
        lines.append(f"DISTURBED rounds, in the medians all the same: {', '.join(disturbed)}")
    idle = max((one.idle for one in report.rounds), default=0.0)
    if idle > limits.idle:
        lines.append(f"FLAG a waiting worker used {100 * idle:.1f} % of a CPU")
    if any(not one.usages for one in report.rounds):
        lines.append("FLAG without /proc nobody watched whether other processes were busy")
    if report.rounds and REFERENCE not in report.contenders:
        lines.append(f"No ratios: {REFERENCE} did not take part.")
    return lines


def describe_job(job: Job, options: argparse.Namespace) -> str:
    """Returns what is trained, in one line."""
    return (
        f"{job.model} ({MODELS[job.model].what}), {job.network} {NETWORKS[job.network]} and mirrored, relu, "
        f"float32, "
        f"Adam {job.learning_rate:g}, batch {job.batch_size}, "
        f"{options.examples} images ({options.data}), threads: {job.threads or 'all'}"
    )


def check_sizes(report: Report) -> None:
    """Sees that all contenders train as many parameters.

    Raises:
        SystemExit: if they do not, and the model is one of which they should.
    """
    sizes = {name: warmed.start["parameters"] for name, warmed in report.contenders.items()}
    if MODELS[report.options["model"]].same_size and len(set(sizes.values())) > 1:
        raise SystemExit(f"The contenders do not train the same network; their parameters: {sizes}.")


def run(options: argparse.Namespace) -> Report:
    """Measures one model and prints as it goes."""
    limits = Limits(foreign=options.foreign / 100, repeats=options.repeats)
    report = Report(
        options={key: _plain(value) for key, value in vars(options).items()},
        machine=machine.describe(),
    )
    pythons = {name: path for one in options.python for name, path in one.items()}
    with contextlib.ExitStack() as closing:
        folder = closing.enter_context(controller.workspace())
        network = NETWORKS[options.network]
        job = Job(
            model=options.model,
            network=options.network,
            hidden=network.hidden,
            latent_size=network.latent_size,
            filters=network.filters,
            batch_size=options.batch_size,
            learning_rate=1e-3,
            data=str(folder / "images.npy"),
            seed=options.seed,
            threads=options.threads,
        )
        say(f"{report.machine}\n{describe_job(job, options)}\n")
        controller.write_images(options.data, options.examples, options.seed, Path(job.data))
        take_part(report, job, pythons, options, folder, closing)
        if report.contenders:
            say(f"\n{contender_table(report)}\n")
            check_sizes(report)
        run_rounds(report, options.rounds, limits)
    if report.contenders and report.rounds:
        say(f"\n{speed_table(report)}\n")
    for line in notes(report, limits):
        say(line)
    return report


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


def earlier_rows(file: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Returns the rows of a file measured on this machine as `options` say, without a failure."""
    if not file.exists():
        return []
    read = json.loads(file.read_text(encoding="utf-8"))
    here = (machine.describe(), _comparable(vars(options)))
    return [
        row
        for row in read.get("models", [read])
        if (row["machine"], _comparable(row["options"])) == here and row["rounds"] and not _failed(row)
    ]


def _comparable(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _plain(value) for name, value in options.items() if name not in _NOT_MEASURED_BY}


def _failed(row: Mapping[str, Any]) -> bool:
    kinds = [kind for kind, _ in row["left_out"].values()]
    return protocol.FAILED in kinds or not row["contenders"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; 1 when a contender failed or none could take part."""
    command_line = parser()
    options = command_line.parse_args(arguments)
    try:
        rows = rows_of(options.network, options.model)
    except ValueError as error:
        command_line.error(f"argument --model: {error}")
    if options.resume and options.json is None:
        command_line.error("argument --resume: expected --json FILE, whose rows to keep")
    # Ends the workers and removes the folder, as the end of the program and Ctrl-C do.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    examples = options.examples
    known = {_row(one): one for one in (earlier_rows(options.json, options) if options.resume else [])}
    for row in rows:
        options.network, options.model = row
        options.examples = examples or NETWORKS[options.network].examples
        if row in known and known[row]["options"]["examples"] == options.examples:
            say(f"{' '.join(row)}: measured before")
            continue
        known[row] = run(options).to_json()
        if options.json is not None:  # after each, so that what was measured is kept
            plain = known[row] if len(known) == 1 else {"models": list(known.values())}
            options.json.write_text(json.dumps(plain, indent=1) + "\n", encoding="utf-8")
    if len(rows) > 1:
        say(f"\n{summary([known[row] for row in rows])}")
    return int(any(_failed(known[row]) for row in rows))


if __name__ == "__main__":
    sys.exit(main())
