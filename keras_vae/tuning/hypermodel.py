"""The models of a search: from what KerasTuner proposes to a config, a compiled model and its figures."""

import inspect
import math
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any

import keras
import keras_tuner
import numpy as np
import tensorflow as tf

from keras_vae import evaluation, networks
from keras_vae.callbacks import NaNGuard
from keras_vae.checks import check_count, is_number
from keras_vae.errors import invalid, lookup
from keras_vae.models import estimates
from keras_vae.models.checks import argument_names
from keras_vae.runs.building import build_model, model_names
from keras_vae.runs.config import ModelConfig, RunConfig, TrainingConfig
from keras_vae.tuning import goals
from keras_vae.tuning.data import Data
from keras_vae.tuning.space import Float, Int, Range, parse

DEFAULT_SPACE: Mapping[str, Range] = {
    "latent_size": Int(2, 64, log=True),
    "beta": Float(0.25, 16.0, log=True),
}
# Names of a space that are not an argument of the model: the config's own.
_OF_TRAINING = {item.name for item in fields(TrainingConfig)} & {
    "batch_size",
    "learning_rate",
    "optimizer",
    "clip_norm",
}
_OF_MODEL = {"model": "name", **{n: n for n in ("latent_size", "network", "likelihood", "posterior")}}
WARM_UP = "warm_up"
# The models whose `beta` weighs the KL or a part of it; the others with a KL have `annealing`.
_BETA_OF_KL = ("beta-vae", "beta-tcvae")


class VAEHyperModel(keras_tuner.HyperModel):
    """The models that a search chooses among, for `tuning.search` or any of KerasTuner's tuners.

    Where the values of a trial say nothing, `config` holds. A subclass may override `declare`, to choose in
    its own way, or `build`, to make another model of the config.

    Args:
        image_shape: of one example.
        space: ranges by the name of an argument (see `tuning.parse`), in place of `DEFAULT_SPACE`: "model",
            "latent_size", "network", "likelihood", "posterior", "batch_size", "learning_rate", "optimizer",
            "clip_norm", "warm_up" (epochs over which the weight of the KL rises from 0), or any argument of
            the model or its network: "beta", "prior", "hidden", "filters", "activation", "dropout", ....
        config: all that is not searched; by default a `BetaVAE` with the library's defaults.
        objective: by what trials are compared; a key of `tuning.GOALS`.
        num_examples: of the training set, for schedules in epochs and models that ask for it.
        num_classes: for models that take labels.
        data: the `Data` that `fit` takes where it is given none.
        patience: epochs without a better held-out ELBO after which a trial stops; the count begins when the
            weight of the KL has settled. None to train to the end.
        num_samples: draws per held-out example for the log-likelihood.
        seed: of the first training; the next takes `seed + 1`, and so on. `search` begins again with every
            trial, so that all trials have the same seeds.

    Raises:
        ValueError: for an unknown name, a bad range, or an objective that does not compare.

    Example:

    >>> hypermodel = VAEHyperModel((8, 8, 1), {"latent_size": (2, 8), "beta": (0.5, 4.0)})
    >>> hp = keras_tuner.HyperParameters()
    >>> hypermodel.config_of(hp).model.latent_size, hp.values
    (2, {'latent_size': 2, 'beta': 0.5})
    """

    def __init__(
        self,
        image_shape: tuple[int, ...],
        space: Mapping[str, Any] | None = None,
        *,
        config: RunConfig | None = None,
        objective: str = "elbo",
        num_examples: int | None = None,
        num_classes: int | None = None,
        data: Data | None = None,
        patience: int | None = None,
        num_samples: int = 100,
        seed: int = 0,
    ):
        super().__init__()
        self.image_shape = tuple(image_shape)
        self.space = parse(DEFAULT_SPACE if space is None else space)
        self.config = config or RunConfig(model=ModelConfig(name="beta-vae", options={"beta": 1.0}))
        self.goal = goals.get(objective)
        self.num_examples, self.num_classes, self.data = num_examples, num_classes, data
        self.patience = None if patience is None else check_count("patience", patience)
        self.num_samples = check_count("num_samples", num_samples)
        self.seed = seed
        # Which execution of a trial this is; and who keeps the model and what `fit` found of it.
        self.execution = 0
        self.keep: Callable[[keras.Model, dict[str, Any]], None] | None = None
        self._check_names()

    # --- from values to a model ------------------------------------------------------------------

    def declare(self, hp: keras_tuner.HyperParameters) -> dict[str, Any]:
        """Registers every range with KerasTuner, and returns the present values by name."""
        return {name: choice.declare(hp, name) for name, choice in self.space.items()}

    def config_of(self, hp: keras_tuner.HyperParameters) -> RunConfig:
        """The config of a trial.

        Raises:
            ValueError: for values that no config may have.
        """
        values = self.declare(hp)
        warm_up = values.pop(WARM_UP, 0)
        training = {name: values.pop(name) for name in sorted(_OF_TRAINING & values.keys())}
        model = {_OF_MODEL[name]: values.pop(name) for name in sorted(_OF_MODEL.keys() & values.keys())}
        config = replace(
            self.config,
            model=replace(self.config.model, **model, options={**self.config.model.options, **values}),
            training=replace(self.config.training, **training),
            seed=self.seed + self.execution,
        )
        return self._warmed(config, warm_up) if warm_up else config

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """The compiled model of a trial, with weights by the seed of this execution."""
        config = self.config_of(hp)
        keras.utils.set_random_seed(config.seed)
        return build_model(config, self.image_shape, self.num_examples, self.num_classes)

    def _warmed(self, config: RunConfig, epochs: int) -> RunConfig:
        """The config with the weight of the KL rising to its value over so many epochs."""
        steps = epochs * self._steps_per_epoch(config)
        known = inspect.signature(lookup("model", config.model.name, model_names())).parameters
        options = dict(config.model.options)
        if "annealing" in known:
            options["annealing"] = f"linear:0:1:{steps}"
        elif config.model.name in _BETA_OF_KL:
            beta = options.get("beta", known["beta"].default)
            if not is_number(beta):
                raise invalid("warm_up", "none for a `beta` that has a schedule of its own", beta)
            options["beta"] = f"linear:0:{beta}:{steps}"
        else:
            raise invalid("warm_up", "a model with a KL whose weight can rise", config.model.name)
        return replace(config, model=replace(config.model, options=options))

    def _steps_per_epoch(self, config: RunConfig) -> int:
        if self.num_examples is None:
            raise invalid("num_examples", "the size of the training set, for `warm_up`", None)
        return math.ceil(self.num_examples / config.training.batch_size)

    def _check_names(self) -> None:
        models = model_names()
        chosen = self.space.get("model")
        for name in getattr(chosen, "values", [self.config.model.name]):
            lookup("model", name, models)
        for name in self.space.keys() - _OF_MODEL.keys() - _OF_TRAINING - {WARM_UP}:
            known = dict.fromkeys([*_arguments(self.config, self.space), *_OF_MODEL, *_OF_TRAINING, WARM_UP])
            lookup("space", name, known)

    # --- training --------------------------------------------------------------------------------

    def fit(self, hp: keras_tuner.HyperParameters, model: Any, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Trains a model and returns the figures that trials are compared by.

        Args:
            hp: the values of the trial.
            model: what `build` made of them.
            *args, **kwargs: of Keras' `fit`: x, y, `validation_data`, `epochs`, ...; `batch_size`
                is the config's unless given. Without x, the hypermodel's `data` are taken.

        Returns:
            The objective by its metric's name; `val_elbo`, `rate` (KL) and `distortion` (-E log p(x|z)), in
            nats, and `val_log_likelihood`, where q(z|x) has a density; `active_units`; `seconds` in `fit`.

        Raises:
            keras_tuner.errors.FailedTrialError: for a loss that was not finite, and where memory ran out; the
                search goes on.
        """
        config = self.config_of(hp)
        data, arguments = self._data(config, args, kwargs)
        config = replace(config, training=replace(config.training, epochs=arguments["epochs"]))
        guard = NaNGuard()
        given = data.held_out_labels if model.condition is not None and model.condition.required else None
        watchers: list[keras.callbacks.Callback] = [guard]
        if estimates.has_density(model):
            watchers.append(goals.HeldOutELBO(data.held_out, given, seed=self.seed))
        watchers += self._stopping(model, config, arguments)
        arguments["callbacks"] = [*watchers, *arguments.get("callbacks", ())]
        began = time.monotonic()
        try:
            with warnings.catch_warnings():
                # The guard's, which becomes the reason of the failure.
                warnings.filterwarnings("ignore", "Training stopped in epoch", RuntimeWarning)
                history = model.fit(**arguments).history
        except (tf.errors.ResourceExhaustedError, MemoryError) as error:
            reason = str(error).strip().splitlines()[0] if str(error) else type(error).__name__
            raise keras_tuner.errors.FailedTrialError(f"Memory ran out: {reason}") from error
        if guard.diagnosis is not None:
            raise keras_tuner.errors.FailedTrialError(guard.diagnosis)
        seconds = time.monotonic() - began
        return self._figures(model, config, data, given, history, seconds)

    def _data(self, config: RunConfig, args: tuple, kwargs: dict) -> tuple[Data, dict[str, Any]]:
        names = ("x", "y")
        arguments = {"verbose": 0, **dict(zip(names, args, strict=False)), **kwargs}
        arguments.setdefault("epochs", config.training.epochs)
        if arguments.get("x") is None:
            if self.data is None:
                raise invalid("x", "training data, in `search` or as the hypermodel's `data`", None)
            arguments = {**arguments, **self.data.training(config.training.batch_size)}
            return self.data, arguments
        validation = arguments.get("validation_data")
        takes_labels = self.num_classes is not None
        data = Data.of_arrays(arguments["x"], arguments.get("y"), validation, takes_labels)
        arguments.setdefault("batch_size", config.training.batch_size)
        if not takes_labels:  # labels are for the objective
            arguments["y"] = None
            arguments["validation_data"] = data.held_out
        return data, arguments

    def _stopping(self, model: Any, config: RunConfig, arguments: dict) -> list[keras.callbacks.Callback]:
        if self.patience is None:
            return []
        settled = settling_epoch(model.objective, self._steps_per_epoch(config), arguments["epochs"])
        return [
            keras.callbacks.EarlyStopping(
                "val_elbo",
                mode="max",
                patience=self.patience,
                start_from_epoch=settled,
                restore_best_weights=True,
            )
        ]

    def _figures(
        self, model: Any, config: RunConfig, data: Data, given: Any, history: dict, seconds: float
    ) -> dict[str, float]:
        began = time.monotonic()
        report = evaluation.evaluate(
            model, data.held_out, num_samples=self.num_samples, seed=self.seed, y=given
        )
        figures = {
            "distortion": report.reconstruction.mean,
            "seconds": seconds,
        }
        if report.active_units is not None:
            figures["active_units"] = float(len(report.active_units))
        if report.elbo is not None and report.kl is not None and report.log_likelihood is not None:
            figures |= {
                "val_elbo": report.elbo.mean,
                "rate": report.kl.mean,
                "val_log_likelihood": report.log_likelihood.mean,
            }
        figures[self.goal.metric] = self.goal.measure(model, data, report, self.seed)
        if not np.isfinite(figures[self.goal.metric]):
            raise keras_tuner.errors.FailedTrialError(
                f"The {self.goal.metric} is {figures[self.goal.metric]}, not a finite number."
            )
        if self.keep is not None:
            found = {
                "seed": config.seed,
                "epochs": len(history.get("loss", ())),
                "fit_seconds": seconds,
                "evaluation_seconds": time.monotonic() - began,
                "figures": figures,
                "config": config.to_dict(),
                "report": report.to_dict(),
            }
            self.keep(model, found)
        self.execution += 1
        return figures


def settling_epoch(objective: Any, steps_per_epoch: int, epochs: int) -> int:
    """Epochs until no scheduled weight of an objective changes any more within so many epochs.

    >>> from keras_vae.objectives import BetaELBO
    >>> settling_epoch(BetaELBO("linear:0:4:250"), steps_per_epoch=100, epochs=10)
    3
    """
    ends = np.arange(epochs + 1) * steps_per_epoch
    settled = 0
    for schedule in objective.weight_schedules.values():
        values = np.asarray(schedule(ends))
        changes = np.flatnonzero(values[1:] != values[:-1])
        settled = max(settled, int(changes[-1]) + 1 if len(changes) else 0)
    return settled


def _arguments(config: RunConfig, space: Mapping[str, Range] | None = None) -> set[str]:
    """Arguments of the models and networks that a config or a space names."""

    def named(name: str, present: str) -> list[str]:
        return list(getattr((space or {}).get(name), "values", [present]))

    kinds = [lookup("model", name, model_names()) for name in named("model", config.model.name)]
    options = [networks.option_names(name) for name in named("network", config.model.network)]
    return {name for kind in kinds for known in options for name in argument_names(kind, known)}
