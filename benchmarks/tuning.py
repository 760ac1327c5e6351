"""Prints what a search over latent size and beta finds on MNIST: `python benchmarks/tuning.py`.

Twenty trials of a beta-VAE (784-400, relu) over latent sizes 2 to 64 and beta 0.25 to 16, logarithmic, on
a number of binarised training images, compared on 2,000 held out. Printed are the table, the front, the
minutes in trials, how far the best and the worst log-likelihood are apart, and where the time went: Keras'
`fit`, the held-out figures, the tuner. With `--workers 1 2` the same search is run by a chief and so many
workers, each a process that keeps to one CPU, and the speed-up is printed.
"""

import argparse
import itertools
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
ROOT = Path(__file__).resolve().parent.parent
SEARCH = [
    "--dataset",
    "mnist",
    "--binarize",
    "static",
    "--validation",
    "2000",
    "--objective",
    "rate-distortion",
]
SEARCH += ["--option", "hidden=[400]", "--seed", "0"]


def command(args: argparse.Namespace, folder: Path) -> list[str]:
    """The command line of the search."""
    program = "import sys; from keras_vae.cli import main; sys.argv[0] = 'keras-vae'; main()"
    sizes = ["--max-trials", args.trials, "--epochs", args.epochs, "--max-examples", args.examples + 2000]
    data = ["--data-dir", args.data_dir] if args.data_dir else []
    return [sys.executable, "-c", program, "tune", *SEARCH, *map(str, [*sizes, *data, "--output", folder])]


def alone(args: argparse.Namespace, folder: Path) -> None:
    """One process on the whole machine."""
    subprocess.run(command(args, folder), check=True, cwd=ROOT)
    from keras_vae.tuning import Search

    found = Search.open(folder)
    front = found.front()
    falls = all(a.figures["distortion"] > b.figures["distortion"] for a, b in itertools.pairwise(front))
    nll = [-trial.figures["val_log_likelihood"] for trial in found.completed]
    timed = [(trial.seconds, one) for trial in found.completed for one in trial.executions]
    fit = sum(one["fit_seconds"] for _, one in timed)
    evaluation = sum(one["evaluation_seconds"] for _, one in timed)
    total = sum(seconds for seconds, _ in timed)
    tuner = total - fit - evaluation
    print(f"{len(found.completed)} of {len(found.trials)} trials, {total / 60:.1f} minutes")
    print(
        f"front of {len(front)} trials, distortion {'falls' if falls else 'DOES NOT FALL'} as the rate rises"
    )
    print(f"NLL at beta = 1: best {min(nll):.2f}, worst {max(nll):.2f}, {max(nll) - min(nll):.2f} nats apart")
    print(f"time in trials: fit {fit:.0f} s, held-out figures {evaluation:.0f} s, tuner {tuner:.1f} s")
    computing = evaluation * compiled_share(found)
    share = (computing + tuner) / total
    print(f"without compiling, held-out figures {computing:.0f} s: all that is not fit {100 * share:.1f} %")


def compiled_share(found: Any) -> float:
    """How much of the time of a first evaluation a second one takes, for which nothing is compiled."""
    import numpy as np

    from keras_vae import evaluation

    model = found.load_model()
    # What the pixels are makes no difference to the time.
    x = np.random.default_rng(0).integers(0, 2, (2000, *model.data_shape)).astype("float32")
    seconds = []
    for _ in range(2):
        begin = time.monotonic()
        evaluation.evaluate(model, x, num_samples=100)
        seconds.append(time.monotonic() - begin)
    return seconds[1] / seconds[0]


def together(args: argparse.Namespace, workers: int, folder: Path) -> float:
    """Seconds that a chief and so many workers take, each worker on a CPU of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = ["--address", "127.0.0.1", "--port", str(port)]
    cpus = sorted(os.sched_getaffinity(0))
    begin = time.monotonic()
    processes = [
        subprocess.Popen(
            [*command(args, folder), *place, "--role", "chief"], cwd=ROOT, stdout=subprocess.DEVNULL
        )
    ]
    for number in range(workers):
        cpu = cpus[number % len(cpus)]
        part = [*place, "--role", "worker", "--tuner-id", f"worker-{number}"]
        line = ["taskset", "-c", str(cpu), *command(args, folder), *part]
        processes.append(subprocess.Popen(line, cwd=ROOT, stdout=subprocess.DEVNULL))
    codes = [process.wait() for process in processes]
    if any(codes):
        raise SystemExit(f"exit codes {codes}")
    return time.monotonic() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data-dir", help="folder with MNIST prepared by tensorflow-datasets")
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--examples", type=int, default=20_000, help="training images")
    parser.add_argument("--output", type=Path, help="keep the folder of the search here")
    parser.add_argument("--workers", type=int, nargs="*", default=[], help="compare so many workers instead")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        if not args.workers:
            alone(args, args.output or Path(scratch) / "search")
            return
        seconds = {count: together(args, count, Path(scratch) / f"search-{count}") for count in args.workers}
        first = next(iter(seconds.values()))
        for count, taken in seconds.items():
            print(f"{count} workers: {taken / 60:.1f} minutes, speed-up {first / taken:.2f}")


if __name__ == "__main__":
    main()
