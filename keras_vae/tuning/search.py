"""`search`: from data and a space to a folder of trials."""

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
import tensorflow as tf

from keras_vae.checks import check_count
from keras_vae.errors import invalid, lookup
from keras_vae.layers.support import REAL
from keras_vae.models import checks, estimates
from keras_vae.runs import building, files
from keras_vae.runs.config import FORMAT, RunConfig, read_json
from keras_vae.tuning import goals
from keras_vae.tuning.data import Data
from keras_vae.tuning.distributed import Distribution
from keras_vae.tuning.holding import LOCK, held
from keras_vae.tuning.hypermodel import VAEHyperModel
from keras_vae.tuning.results import SPEC, Search
from keras_vae.tuning.resuming import mend, save_whole
from keras_vae.tuning.space import Choice, Float, Int, Range
from keras_vae.tuning.tuners import DEFAULT_TRIALS, TUNERS

LOGS = "tensorboard"
# What may differ when a search goes on.
_MAY_DIFFER = ("max_trials",)


def search(
    folder: str | os.PathLike,
    x: Any = None,
    y: Any = None,
    *,
    validation_data: Any = None,
    config: RunConfig | None = None,
    space: Mapping[str, Any] | None = None,
    objective: str = "elbo",
    tuner: str = "random",
    max_trials: int | None = None,
    epochs: int | None = None,
    patience: int | None = None,
    executions_per_trial: int = 1,
    num_samples: int = 100,
    max_held_out: int = 2000,
    anomaly_class: int | None = None,
    seed: int = 0,
    hypermodel: type[VAEHyperModel] = VAEHyperModel,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    tensorboard: bool = False,
    distribution: Distribution | None = None,
    say: Callable[[str], Any] = print,
) -> Search:
    """Trains a model for each of many sets of values, and compares them by a figure that means the same.

    A validation loss does not: it changes its meaning with beta, and the smallest beta always wins. The
    objective "rate-distortion" does not look for a single best trial: its answer is the Pareto front of the
    KL (rate) and -E log p(x|z) (distortion), `Search.front`.

    A folder that holds the same search is gone on with; more trials may then be asked for. Trials that fail,
    by a loss that is not finite or for want of memory, are recorded with the reason, and the search goes on.

    Args:
        folder: of the search; new, or of the same search.
        x: training examples, `[N] + event`; None to take the data set that `config` names.
        y: their labels `[N]`, where the model or the objective needs them.
        validation_data: with x, held-out examples or a pair of them and their labels.
        config: all that is not searched, as `RunConfig(model=..., training=...)`; by default a `BetaVAE`.
        space: ranges by name, as of `VAEHyperModel`; latent size 2 to 64 and beta 0.25 to 16 by default.
        objective: "elbo" (at beta = 1), "log-likelihood", "linear-probe", "anomaly-auroc" (held-out
            labels 1 for anomalies) or "rate-distortion", all of the held-out examples.
        tuner: "random", "bayesian", "hyperband" or "grid".
        max_trials: how many; 20 by default, for "grid" all combinations. "hyperband" decides itself.
        epochs: of a trial, for "hyperband" at most; the config's by default.
        patience: see `VAEHyperModel`.
        executions_per_trial: trainings of each set of values, with the seeds `seed`, `seed + 1`, ....
        num_samples: draws per held-out example for the log-likelihood.
        max_held_out: at most so many held-out examples, of a data set that `config` names.
        anomaly_class: a class that is left out of training and counts as the anomaly, for "anomaly-auroc".
        seed: of the tuner and of the trials.
        hypermodel: a subclass of `VAEHyperModel`.
        callbacks: further Keras callbacks, copied for each trial.
        tensorboard: whether to write logs, hyperparameters included, into `folder/tensorboard`.
        distribution: the chief's or a worker's part of a search on several machines that share the folder; by
            default what the environment says (see `Distribution.from_environment`).
        say: called with a line on each finished trial.

    Returns:
        The `Search`; of a worker, as far as it went.

    Raises:
        ValueError: before any training, for an unknown name, a bad range, data that the objective cannot be
            made from, or the folder of another search or one that a search is writing into now.
        OSError: where the folder cannot be written; what it held stays.

    Reference: Alemi et al., Fixing a Broken ELBO, 2018 (rate and distortion); Li et al., Hyperband, 2018.
    """
    goal = goals.get(objective)
    kind = lookup("tuner", tuner, TUNERS)
    limits = _limits(tuner, max_trials)
    first = hypermodel((1,), space, objective=objective, config=config).config  # looks at every name
    data = _data(first, x, y, validation_data, max_held_out, goal.needs != "density")
    if anomaly_class is not None:
        if goal.needs != "anomalies":
            raise invalid("anomaly_class", "None, unless the objective is 'anomaly-auroc'", anomaly_class)
        data = data.with_anomaly(anomaly_class)
    model = hypermodel(
        data.image_shape,
        space,
        objective=objective,
        num_examples=data.num_examples,
        num_classes=data.num_classes,
        data=data,
        patience=patience,
        num_samples=num_samples,
        seed=seed,
        config=config,
    )
    goal.check(data, seed)
    epochs = check_count("epochs", model.config.training.epochs if epochs is None else epochs)
    check_count("executions_per_trial", executions_per_trial)
    _check_first(model, data)
    distribution = distribution or Distribution.from_environment()
    path = Path(folder)
    spec = {
        "format": FORMAT,
        "objective": objective,
        "tuner": tuner,
        "max_trials": limits.get("max_trials"),
        "space": {name: one.to_dict() for name, one in model.space.items()},
        "config": {**model.config.to_dict(), "versions": {}},
        "hypermodel": hypermodel.__name__,
        "epochs": epochs,
        "patience": patience,
        "executions_per_trial": executions_per_trial,
        "num_samples": num_samples,
        "seed": seed,
        "anomaly_class": anomaly_class,
        "data": _fingerprint(data),
    }
    _claim(path, spec, distribution)
    with contextlib.ExitStack() as stack:
        if _writes(distribution):
            stack.enter_context(held(path))
            files.write_json(path / SPEC, spec)
        if distribution is not None:
            stack.enter_context(distribution.environment())
        with contextlib.redirect_stdout(None):  # KerasTuner prints what it reloads
            made = kind(
                model,
                objective=goal.objective,
                directory=str(path.parent),
                project_name=path.name,
                seed=seed + 1,  # KerasTuner takes 0 for none
                executions_per_trial=executions_per_trial,
                max_consecutive_failed_trials=10**9,
                overwrite=False,
                **(limits if tuner != "hyperband" else {"max_epochs": epochs}),
            )
        made.distribution, made.say = distribution, say
        if distribution is None:  # the chief sees to it in `serve`
            save_whole(made.oracle)
            mend(made.oracle)
        watchers = [*callbacks]
        if tensorboard:
            _describe(path / LOGS, model.space)
            watchers.append(keras.callbacks.TensorBoard(path / LOGS))
        try:
            made.search(epochs=epochs, callbacks=watchers, verbose=0)
        except keras_tuner.errors.FatalRuntimeError as error:
            raise error.__cause__ or error from None
    return Search.open(path)


def _limits(tuner: str, max_trials: int | None) -> dict[str, Any]:
    if tuner == "hyperband" and max_trials is not None:
        hint = "It trains many trials for few epochs; set the most of them by `epochs`."
        raise invalid("max_trials", "None, since hyperband decides", max_trials, hint)
    chosen = DEFAULT_TRIALS.get(tuner) if max_trials is None else check_count("max_trials", max_trials)
    return {"max_trials": chosen}


def _data(config: RunConfig, x: Any, y: Any, validation_data: Any, most: int, with_labels: bool) -> Data:
    check_count("max_held_out", most)
    if x is not None:
        return Data.of_arrays(x, y, validation_data, building.takes_labels(config))
    if y is not None or validation_data is not None:
        raise invalid("x", "training examples, beside y or validation_data", None)
    return Data.of_config(config, most, with_labels)


def _check_first(model: VAEHyperModel, data: Data) -> None:
    """Builds the first model of the space, so that what fits no data or goal is found before any training."""
    built = model.build(keras_tuner.HyperParameters())
    # Where likelihoods are searched, values outside of one's support are for that trial to refuse.
    support = REAL if "likelihood" in model.space else checks.support_of(built.decoder)
    for name, values in (("x", data.x), ("validation_data", data.held_out)):
        if values is not None:
            checks.check_data(name, values, built.data_shape, support)
    if model.goal.needs == "density" and not estimates.has_density(built):
        hint = "Search such models by 'linear-probe' or 'anomaly-auroc'."
        raise invalid("objective", "one that needs no density of q(z|x)", model.goal.metric, hint)
    if model.goal.needs != "density" and built.condition is not None and built.condition.required:
        hint = "Its codes may have seen the label that they are scored by."
        raise invalid("objective", "'elbo', 'log-likelihood' or 'rate-distortion'", model.goal.metric, hint)
    keras.backend.clear_session()


def _fingerprint(data: Data) -> dict[str, Any]:
    digest = hashlib.sha256()
    for values in (data.held_out, data.held_out_labels, data.x, data.y):
        digest.update(b"-" if values is None else np.ascontiguousarray(values).tobytes())
    found = digest.hexdigest()
    return {"num_examples": data.num_examples, "held_out": list(data.held_out.shape), "sha256": found}


def _claim(path: Path, spec: dict[str, Any], distribution: Distribution | None) -> None:
    """Makes the folder, or sees that it holds the same search."""
    if path.exists() and not path.is_dir():
        raise invalid("output", "a folder", f"the file {path}")
    if distribution is not None and distribution.role == "worker":
        _wait_for(path / SPEC, distribution)
    if (path / SPEC).is_file():
        _check_same(path, spec)
    elif path.is_dir() and any(one.name != LOCK for one in path.iterdir()):
        raise invalid("output", "a new folder, or one of a search", f"{path}, which holds other files")
    path.mkdir(parents=True, exist_ok=True)


def _writes(distribution: Distribution | None) -> bool:
    """Whether this process writes what all of the search share: it is alone, or the chief."""
    return distribution is None or distribution.role == "chief"


def _wait_for(file: Path, distribution: Distribution) -> None:
    deadline = time.monotonic() + distribution.connect_timeout
    while not file.is_file():
        if time.monotonic() > deadline:
            hint = "Start the chief first; chief and workers must share the folder."
            raise invalid("output", "the folder of the chief's search", str(file.parent), hint)
        time.sleep(0.2)


def _check_same(path: Path, spec: dict[str, Any]) -> None:
    found = read_json(path / SPEC, "search")
    for name, value in spec.items():
        # As JSON has it, where a pair is a list.
        if name not in _MAY_DIFFER and found.get(name) != json.loads(json.dumps(value)):
            hint = "Choose another folder, or ask for the same search to go on with it."
            expected = f"the folder of a search with {name} {found.get(name)}"
            raise invalid("output", expected, f"{path} for {name} {value}", hint)


def _describe(logs: Path, space: Mapping[str, Range]) -> None:
    """Tells TensorBoard's HParams what is searched, and which figures to show."""
    from tensorboard.plugins.hparams import api

    domains = {
        Int: lambda one: api.IntInterval(one.low, one.high),
        Float: lambda one: api.RealInterval(float(one.low), float(one.high)),
        Choice: lambda one: api.Discrete([str(value) for value in one.values]),
    }
    named = [api.HParam(name, domains[type(one)](one)) for name, one in space.items()]
    figures = [api.Metric(f"epoch_{name}", group="validation") for name in ("elbo", "rate", "distortion")]
    with tf.summary.create_file_writer(str(logs)).as_default():
        api.hparams_config(hparams=named, metrics=figures)
