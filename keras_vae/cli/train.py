"""`keras-vae train`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from keras_vae.cli import parsing, steps
from keras_vae.runs import DatasetConfig, ModelConfig, RunConfig, TrainingConfig

DATA, MODEL, TRAINING, OUTPUT = "Data", "Model", "Training", "Output"


def _option(*names: str, panel: str, help: str, default: Any = None) -> Any:
    """An option that is None unless typed, so that it replaces a config's value only then."""
    shown = "" if default is None else rf" [dim]\[default: {default}][/dim]"
    return typer.Option(*names, rich_help_panel=panel, help=help + shown, show_default=False)


def train(
    dataset: Annotated[
        str | None,
        _option(
            "--dataset",
            panel=DATA,
            help="digits (embedded), a name of tensorflow-datasets such as mnist, a folder of images, or a "
            ".npy or .npz file.",
            default=DatasetConfig.name,
        ),
    ] = None,
    binarize: Annotated[
        str | None,
        _option("--binarize", panel=DATA, help="dynamic (a new draw each epoch), static or threshold."),
    ] = None,
    scale: Annotated[
        str | None,
        _option(
            "--scale",
            panel=DATA,
            help=r"unit \[0, 1], bytes 0..255, symmetric \[-1, 1] or standard (mean 0, deviation 1).",
            default="what the likelihood needs",
        ),
    ] = None,
    dequantize: Annotated[
        bool | None,
        _option("--dequantize/--no-dequantize", panel=DATA, help="Add uniform noise to bytes.", default="no"),
    ] = None,
    validation: Annotated[
        str | None,
        _option(
            "--validation",
            panel=DATA,
            help="Fraction or number of training examples held out; 0 for none.",
            default=DatasetConfig.validation,
        ),
    ] = None,
    image_size: Annotated[
        int | None,
        _option("--image-size", panel=DATA, help="Height and width in pixels.", default="as stored"),
    ] = None,
    max_examples: Annotated[
        int | None,
        _option("--max-examples", panel=DATA, help="At most so many of each split.", default="all"),
    ] = None,
    data_dir: Annotated[
        str | None,
        _option("--data-dir", panel=DATA, help="Folder of prepared data.", default="TFDS_DATA_DIR"),
    ] = None,
    model: Annotated[
        str | None,
        _option(
            "--model",
            panel=MODEL,
            help="vae, beta-vae, beta-tcvae, factor-vae, dipvae, info-vae; iwae, miwae, piwae, ciwae; "
            "autoencoder, denoising-autoencoder, sparse-autoencoder, contractive-autoencoder, "
            "regularized-autoencoder; wae, adversarial-wae, adversarial-autoencoder or adversarial-vae; "
            "structured-vae; with the data's classes, conditional-vae, semi-supervised-vae or "
            "semi-supervised-adversarial-autoencoder.",
            default=ModelConfig.name,
        ),
    ] = None,
    latent_size: Annotated[
        int | None,
        _option(
            "--latent-size", panel=MODEL, help="Number of latent dimensions.", default=ModelConfig.latent_size
        ),
    ] = None,
    network: Annotated[
        str | None,
        _option("--network", panel=MODEL, help="mlp, conv or resnet.", default=ModelConfig.network),
    ] = None,
    likelihood: Annotated[
        str | None,
        _option(
            "--likelihood",
            panel=MODEL,
            help="p(x|z): bernoulli, continuous-bernoulli, normal, normal-fixed, normal-shared, laplace, "
            "logistic, discretized-logistic, discretized-logistic-mixture, categorical, beta-binomial or "
            "poisson.",
            default=ModelConfig.likelihood,
        ),
    ] = None,
    posterior: Annotated[
        str | None,
        _option(
            "--posterior",
            panel=MODEL,
            help="q(z|x): normal, normal-diag, normal-tril, bernoulli, deterministic or implicit.",
            default="the model's",
        ),
    ] = None,
    beta: Annotated[
        str | None,
        _option(
            "--beta",
            panel=MODEL,
            help="Weight of the KL of beta-vae: a number, or a schedule over training steps such as "
            "linear:0:1:10000.",
        ),
    ] = None,
    capacity: Annotated[
        str | None,
        _option("--capacity", panel=MODEL, help="KL in nats that beta-vae aims at: a number or a schedule."),
    ] = None,
    hidden: Annotated[
        str | None, _option("--hidden", panel=MODEL, help="Widths of the layers of mlp, as 512,256.")
    ] = None,
    filters: Annotated[
        str | None,
        _option("--filters", panel=MODEL, help="Channels of the stages of conv and resnet, as 32,64,128."),
    ] = None,
    activation: Annotated[
        str | None, _option("--activation", panel=MODEL, help="A Keras activation.", default="relu")
    ] = None,
    option: Annotated[
        list[str] | None,
        _option(
            "--option",
            panel=MODEL,
            help="Any other argument of model or network as NAME=VALUE, such as kl=sampled, num_samples=5, "
            "annealing=linear:0:1:10000, free_bits=0.5, dropout=0.1; may be given again.",
        ),
    ] = None,
    likelihood_option: Annotated[
        list[str] | None,
        _option(
            "--likelihood-option", panel=MODEL, help="An argument of the likelihood as NAME=VALUE: scale=0.1."
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        _option(
            "--epochs", panel=TRAINING, help="Passes over the data, at most.", default=TrainingConfig.epochs
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        _option("--batch-size", panel=TRAINING, help="Examples a step.", default=TrainingConfig.batch_size),
    ] = None,
    learning_rate: Annotated[
        float | None,
        _option(
            "--learning-rate", panel=TRAINING, help="Of the optimizer.", default=TrainingConfig.learning_rate
        ),
    ] = None,
    optimizer: Annotated[
        str | None,
        _option("--optimizer", panel=TRAINING, help="A Keras optimizer.", default=TrainingConfig.optimizer),
    ] = None,
    clip_norm: Annotated[
        float | None,
        _option("--clip-norm", panel=TRAINING, help="Largest norm of each gradient.", default="no clipping"),
    ] = None,
    patience: Annotated[
        int | None,
        _option(
            "--patience",
            panel=TRAINING,
            help="Stop after so many epochs without a better validation loss.",
            default="never",
        ),
    ] = None,
    keep: Annotated[
        str | None,
        _option(
            "--keep",
            panel=TRAINING,
            help="The model to keep: last, or best by validation loss.",
            default="best with --patience, else last",
        ),
    ] = None,
    seed: Annotated[
        int | None,
        _option(
            "--seed",
            panel=TRAINING,
            help="Of weights, order and draws: same seed, same numbers.",
            default="0",
        ),
    ] = None,
    nan_guard: Annotated[
        bool | None,
        _option(
            "--nan-guard/--no-nan-guard",
            panel=TRAINING,
            help="Stop at a loss that is not a number.",
            default="nan-guard",
        ),
    ] = None,
    tensorboard: Annotated[
        bool | None,
        _option(
            "--tensorboard/--no-tensorboard",
            panel=TRAINING,
            help="Write logs for TensorBoard into the run.",
            default="no-tensorboard",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        _option("--output", "-o", panel=OUTPUT, help="Folder of the run.", default="runs/DATASET-MODEL"),
    ] = None,
    config: Annotated[
        Path | None,
        _option(
            "--config",
            panel=OUTPUT,
            help="JSON file to start from, such as a run's config.json; options that are typed win.",
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", rich_help_panel=OUTPUT, help="Replace a run that is there.")
    ] = False,
    evaluate: Annotated[
        bool,
        typer.Option(
            "--evaluate/--no-evaluate",
            rich_help_panel=OUTPUT,
            help="Test the model and draw pictures afterwards.",
        ),
    ] = True,
    num_samples: Annotated[
        int,
        typer.Option(
            "--num-samples",
            rich_help_panel=OUTPUT,
            help="Draws per example for the test log-likelihood.",
            min=1,
        ),
    ] = steps.NUM_SAMPLES,
    verbose: Annotated[
        int | None,
        typer.Option(
            "--verbose",
            rich_help_panel=OUTPUT,
            help="0 silent, 1 a bar, 2 a line per epoch.",
            show_default="1 on a terminal, else 2",
            min=0,
            max=2,
        ),
    ] = None,
) -> None:
    """Train a model and record it as a run.

    Interrupted with Ctrl-C, the run holds the model and the history of the last finished epoch.

    [dim]Example:[/dim] keras-vae train --dataset mnist --binarize dynamic --model beta-vae --beta 4
    """
    chosen = parsing.overlay(
        RunConfig() if config is None else RunConfig.load(config),
        dataset={
            "name": dataset,
            "binarize": binarize,
            "scale": scale,
            "dequantize": dequantize,
            "validation": parsing.share(validation),
            "image_size": image_size,
            "max_examples": max_examples,
            "data_dir": data_dir,
        },
        model={
            "name": model,
            "latent_size": latent_size,
            "network": network,
            "likelihood": likelihood,
            "posterior": posterior,
            "likelihood_options": parsing.named_values(likelihood_option) or None,
        },
        options={
            "beta": parsing.number_or_text(beta),
            "capacity": parsing.number_or_text(capacity),
            "hidden": parsing.sizes("hidden", hidden),
            "filters": parsing.sizes("filters", filters),
            "activation": activation,
            **parsing.named_values(option),
        },
        training={
            "epochs": epochs,
            "batch_size": batch_size,
            "learning_rate": learning_rate,
            "optimizer": optimizer,
            "clip_norm": clip_norm,
            "patience": patience,
            "keep": keep,
            "nan_guard": nan_guard,
            "tensorboard": tensorboard,
        },
        seed=seed,
    )
    folder = output or Path("runs") / f"{Path(chosen.dataset.name).stem}-{chosen.model.name}"
    run = steps.train(chosen, folder, overwrite, verbose)
    if evaluate:
        steps.evaluate(run, num_samples=num_samples)
        steps.draw(run)
    typer.echo(f"Run: {run.folder}")
