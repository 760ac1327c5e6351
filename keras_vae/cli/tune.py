"""`keras-vae tune`."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from keras_vae.cli import parsing, steps
from keras_vae.cli.library import load_library
from keras_vae.errors import invalid
from keras_vae.runs import ModelConfig, RunConfig

if TYPE_CHECKING:
    from keras_vae.tuning.distributed import Distribution

BASE, SEARCH, MACHINES, OUTPUT = "What is searched", "Search", "Several machines", "Output"


def _option(*names: str, panel: str, help: str, **options: Any) -> Any:
    return typer.Option(*names, rich_help_panel=panel, help=help, **options)


def tune(
    output: Annotated[
        Path, _option("--output", "-o", panel=OUTPUT, help="Folder of the search; one of the same goes on.")
    ],
    config: Annotated[
        Path | None,
        _option(
            "--config", panel=BASE, help="JSON file with all that is not searched, as a run's config.json."
        ),
    ] = None,
    dataset: Annotated[
        str | None, _option("--dataset", panel=BASE, help="As of train.", show_default="digits")
    ] = None,
    binarize: Annotated[str | None, _option("--binarize", panel=BASE, help="As of train.")] = None,
    validation: Annotated[
        str | None,
        _option("--validation", panel=BASE, help="Examples held out, by which trials are compared."),
    ] = None,
    max_examples: Annotated[
        int | None, _option("--max-examples", panel=BASE, help="At most so many of each split.")
    ] = None,
    data_dir: Annotated[
        str | None, _option("--data-dir", panel=BASE, help="Folder of prepared data.")
    ] = None,
    model: Annotated[
        str | None, _option("--model", panel=BASE, help="As of train.", show_default="beta-vae")
    ] = None,
    network: Annotated[str | None, _option("--network", panel=BASE, help="mlp, conv or resnet.")] = None,
    likelihood: Annotated[str | None, _option("--likelihood", panel=BASE, help="As of train.")] = None,
    option: Annotated[
        list[str] | None,
        _option(
            "--option", panel=BASE, help="An argument of model or network as NAME=VALUE; may be given again."
        ),
    ] = None,
    batch_size: Annotated[int | None, _option("--batch-size", panel=BASE, help="Examples a step.")] = None,
    space: Annotated[
        list[str] | None,
        _option(
            "--space",
            panel=SEARCH,
            help="A range as NAME=LOW:HIGH, NAME=LOW:HIGH:log or NAME=VALUE,VALUE,...; may be given again. "
            "Names are latent_size, model, network, likelihood, posterior, prior, batch_size, learning_rate, "
            "optimizer, warm_up (epochs in which the weight of the KL rises), or any argument of model or "
            "network, such as beta.",
            show_default="latent_size=2:64:log beta=0.25:16:log",
        ),
    ] = None,
    objective: Annotated[
        str,
        _option(
            "--objective",
            panel=SEARCH,
            help="elbo (at beta 1), log-likelihood, linear-probe, anomaly-auroc, or rate-distortion, whose "
            "answer is a Pareto front; all of held-out examples.",
        ),
    ] = "elbo",
    tuner: Annotated[
        str, _option("--tuner", panel=SEARCH, help="random, bayesian, hyperband or grid.")
    ] = "random",
    max_trials: Annotated[
        int | None,
        _option("--max-trials", panel=SEARCH, help="Trials in all.", show_default="20; all for grid"),
    ] = None,
    epochs: Annotated[
        int | None, _option("--epochs", panel=SEARCH, help="Of a trial.", show_default="the config's")
    ] = None,
    patience: Annotated[
        int | None,
        _option(
            "--patience",
            panel=SEARCH,
            help="Stop a trial after so many epochs without a better held-out ELBO, counted from when the "
            "weight of the KL has settled.",
            show_default="never",
        ),
    ] = None,
    executions_per_trial: Annotated[
        int,
        _option("--executions-per-trial", panel=SEARCH, help="Trainings of each, with seeds of their own."),
    ] = 1,
    num_samples: Annotated[
        int, _option("--num-samples", panel=SEARCH, help="Draws per held-out example for the log-likelihood.")
    ] = 100,
    max_held_out: Annotated[
        int, _option("--max-held-out", panel=SEARCH, help="Held-out examples to compare by, at most.")
    ] = 2000,
    anomaly_class: Annotated[
        int | None,
        _option("--anomaly-class", panel=SEARCH, help="Left out of training; the anomaly of anomaly-auroc."),
    ] = None,
    seed: Annotated[int, _option("--seed", panel=SEARCH, help="Of tuner and trials.")] = 0,
    role: Annotated[
        str | None,
        _option(
            "--role",
            panel=MACHINES,
            help="chief or worker: the same command on each machine, in a folder that all share.",
            show_default="KERASTUNER_TUNER_ID, where set",
        ),
    ] = None,
    address: Annotated[str | None, _option("--address", panel=MACHINES, help="The chief's address.")] = None,
    port: Annotated[int | None, _option("--port", panel=MACHINES, help="The chief's port.")] = None,
    tuner_id: Annotated[
        str | None, _option("--tuner-id", panel=MACHINES, help="A name for this worker, of its own.")
    ] = None,
    connect_timeout: Annotated[
        float,
        _option("--connect-timeout", panel=MACHINES, help="Seconds for which a worker looks for the chief."),
    ] = 60.0,
    tensorboard: Annotated[
        bool, _option("--tensorboard", panel=OUTPUT, help="Write logs for TensorBoard and its HParams.")
    ] = False,
    retrain: Annotated[
        bool,
        _option(
            "--retrain",
            panel=OUTPUT,
            help="Train the best config once more, as the run OUTPUT/best, and test it.",
        ),
    ] = False,
) -> None:
    """Search hyperparameters by a figure that means the same for every trial.

    A validation loss does not: the smallest beta always wins. Interrupted, the search goes on with the same
    command; with a larger --max-trials a finished one does.

    [dim]Example:[/dim] keras-vae tune --dataset mnist --objective rate-distortion --output searches/mnist
    """
    part = _part(role, address, port, tuner_id, connect_timeout)
    start = RunConfig(model=ModelConfig("beta-vae")) if config is None else RunConfig.load(config)
    chosen = parsing.overlay(
        start,
        dataset={
            "name": dataset,
            "binarize": binarize,
            "validation": parsing.share(validation),
            "max_examples": max_examples,
            "data_dir": data_dir,
        },
        model={"name": model, "network": network, "likelihood": likelihood},
        options=parsing.named_values(option),
        training={"batch_size": batch_size},
        seed=seed,
    )
    load_library()
    from keras_vae import tuning

    found = tuning.search(
        output,
        config=chosen,
        space=_space(space),
        objective=objective,
        tuner=tuner,
        max_trials=max_trials,
        epochs=epochs,
        patience=patience,
        executions_per_trial=executions_per_trial,
        num_samples=num_samples,
        max_held_out=max_held_out,
        anomaly_class=anomaly_class,
        seed=seed,
        tensorboard=tensorboard,
        distribution=part,
        say=typer.echo,
    )
    if part is not None and part.role == "worker":
        return  # the chief tells what was found
    _tell(found)
    if retrain:
        run = steps.train(found.best().config, output / "best", overwrite=True)
        steps.evaluate(run)
        steps.draw(run)


def _tell(found: Any) -> None:
    from keras_vae import tuning

    table = found.table()
    (found.folder / "table.txt").write_text(table + "\n", encoding="utf-8")
    typer.echo(f"\n{table}\n")
    best = found.best()
    if found.goal.is_front:
        shown = [{"trial": one.id, **one.values, **one.figures} for one in found.front()]
        typer.echo(f"Pareto front, by rate: trials {', '.join(one.id for one in found.front())}.")
        (found.folder / "front.json").write_text(json.dumps(shown, indent=1) + "\n", encoding="utf-8")
    typer.echo(f"Best {found.goal.metric}: trial {best.id}, {best.figures[found.goal.metric]:.4f}.")
    for path in tuning.draw_search(found).values():
        typer.echo(f"Picture: {path}")
    typer.echo(f"Model: {found.save_model(found.folder / 'best.keras')}")


def _space(texts: list[str] | None) -> dict[str, Any] | None:
    if texts is None:
        return None
    from keras_vae.tuning import space

    ranges = {}
    for text in texts:
        name, sign, written = text.partition("=")
        if not sign or not name.strip() or not written.strip():
            raise invalid("space", "NAME=LOW:HIGH, NAME=LOW:HIGH:log or NAME=VALUE,VALUE", text)
        ranges[name.strip()] = space.read(written)
    return ranges


def _part(
    role: str | None, address: str | None, port: int | None, tuner_id: str | None, timeout: float
) -> "Distribution | None":
    """This process's part in a search on several machines: as typed, else as the environment says."""
    typed = {"--address": address, "--port": port, "--tuner-id": tuner_id}
    if role is None:
        for name, value in typed.items():
            if value is not None:
                raise invalid(name, "to be given with --role", value)
        if "KERASTUNER_ORACLE_IP" not in os.environ:
            return None
    load_library()
    from keras_vae.tuning.distributed import Distribution

    if role is None:
        return Distribution.from_environment()
    for name in ("--address", "--port"):
        if typed[name] is None:
            raise invalid(name, "the chief's, with --role", None)
    names: dict[str, Any] = {
        "tuner_id": tuner_id or ("chief" if role == "chief" else f"worker-{os.getpid()}")
    }
    return Distribution(role=role, address=address, port=port, connect_timeout=timeout, **names)  # type: ignore[arg-type]
