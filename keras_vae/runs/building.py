"""From a config to data and a model that is ready to train."""

import inspect
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from keras_vae.errors import invalid, lookup
from keras_vae.runs.config import RunConfig

if TYPE_CHECKING:
    import keras
    import numpy as np

    from keras_vae import LatentVariableModel
    from keras_vae.datasets import Splits, Transform
    from keras_vae.layers.distribution_layer import DistributionLayer

# The data that a likelihood's support asks for, where the config leaves the scale open.
_OWN_OPTION = {
    "latent_size": "Set `latent_size` of the model: --latent-size.",
    "network": "Set `network` of the model: --network.",
    "likelihood": "Set `likelihood` of the model: --likelihood.",
    "posterior": "Set `posterior` of the model: --posterior.",
    "input_shape": "It is the data's.",
}
_SCALE_OF_SUPPORT = {"bytes": "bytes", "counts": "bytes"}


def model_names() -> dict[str, type]:
    """The models by the names that configs and the command line use: `BetaVAE` is "beta-vae".

    Example:

    >>> model_names()["beta-vae"].__name__
    'BetaVAE'
    """
    from keras_vae import models

    return {_dashed(name): getattr(models, name) for name in models.__all__ if name != "LatentVariableModel"}


def _dashed(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name).lower()


def takes_labels(config: RunConfig) -> bool:
    """Whether the model of a config learns from the classes of the examples as well."""
    kind: Any = lookup("model", config.model.name, model_names())
    return kind.takes_labels or "num_classes" in config.model.options


def load_data(config: RunConfig, data_dir: str | None = None, labels: bool = False) -> "Splits":
    """The splits that a run trains and is tested on.

    Args:
        config: of the run.
        data_dir: folder of prepared data in place of the config's, for a run that came from another machine.
        labels: whether batches are (x, y) whatever the model.

    Returns:
        Splits whose batches are x, or (x, y) for a model that takes labels.
    """
    from keras_vae import datasets

    chosen = config.dataset
    return datasets.load(
        chosen.name,
        binarize=chosen.binarize,
        scale=scale_of(config),
        dequantize=chosen.dequantize,
        labels=labels or takes_labels(config),
        batch_size=config.training.batch_size,
        validation=chosen.validation,
        seed=config.seed,
        data_dir=data_dir or chosen.data_dir,
        image_size=chosen.image_size,
        max_examples=chosen.max_examples,
    )


def num_classes(config: RunConfig, splits: "Splits") -> int | None:
    """The number of classes that a model which takes labels learns; None for the others.

    Raises:
        ValueError: if the model takes labels and the data have none.
    """
    if not takes_labels(config):
        return None
    if splits.num_classes is not None:
        return splits.num_classes
    labels = splits.arrays("train")[1]
    if labels is None:
        raise invalid("dataset", "a data set with labels, for this model", config.dataset.name)
    return int(labels.max()) + 1


def scale_of(config: RunConfig) -> str:
    """The scale of the data, the likelihood's where the config leaves it open."""
    support = _likelihood(config, (2, 2, 1)).support.name
    return config.dataset.scale or _SCALE_OF_SUPPORT.get(support, "unit")


def unit_transform(config: RunConfig) -> "Callable[[np.ndarray], np.ndarray]":
    """The function that takes values of the model's scale to [0, 1], to be shown as images."""
    transform = transform_of(config)
    return lambda x: transform.to_unit(x).numpy()


def transform_of(config: RunConfig) -> "Transform":
    """How the data of a run are made of images, but for draws at random."""
    from keras_vae.datasets import Transform

    scale = scale_of(config)
    if scale == "standard":
        # Mean and deviation of each channel are the training set's, which is read for them.
        return load_data(config).transform
    return Transform(scale, "threshold" if config.dataset.binarize == "threshold" else "keep")


def _likelihood(config: RunConfig, image_shape: tuple[int, ...]) -> "DistributionLayer":
    from keras_vae.layers.likelihoods import get_likelihood

    options = config.model.likelihood_options
    try:
        return get_likelihood(config.model.likelihood, image_shape, **options)
    except TypeError as error:
        raise invalid("likelihood_options", "arguments of the likelihood's layer", options) from error


def build_model(
    config: RunConfig,
    image_shape: tuple[int, ...],
    num_examples: int | None = None,
    num_classes: int | None = None,
) -> "LatentVariableModel":
    """The model of a config, compiled; new weights, by Keras' global seed.

    Args:
        config: of the run.
        image_shape: of one example.
        num_examples: of the training set, for models that ask for their `dataset_size` where the config
            leaves it open.
        num_classes: of the data, the same for models that take labels.

    Raises:
        ValueError: for an unknown name or option, with the nearest known one.
    """
    chosen = config.model
    kind: Any = lookup("model", chosen.name, model_names())
    options = dict(chosen.options)
    for name in options.keys() & _OWN_OPTION:
        raise invalid("option", "none that the config names elsewhere", name, _OWN_OPTION[name])
    if not isinstance(options.get("network_options") or {}, Mapping):
        raise invalid("network_options", "an object of names and values", options["network_options"])
    if num_examples is not None and "dataset_size" in inspect.signature(kind).parameters:
        options.setdefault("dataset_size", num_examples)
    if num_classes is not None and takes_labels(config):
        options.setdefault("num_classes", num_classes)
    if "prior" in options:
        options["prior"] = _prior(options["prior"], chosen.latent_size)
    model = kind.create(
        image_shape,
        chosen.latent_size,
        network=chosen.network,
        likelihood=_likelihood(config, image_shape),
        posterior=chosen.posterior,
        **options,
    )
    model.compile(optimizer=make_optimizer(config))
    return model


def _prior(name: Any, latent_size: int) -> Any:
    """The prior of a name, at its defaults."""
    from keras_vae import priors

    known: dict[str, Any] = {
        "standard-normal": priors.StandardNormal,
        "normal-mixture": priors.NormalMixture,
        "bernoulli": priors.Bernoulli,
    }
    return lookup("prior", name, known)(latent_size)


def make_optimizer(config: RunConfig) -> "keras.optimizers.Optimizer":
    """The optimizer of a config."""
    import keras

    training = config.training
    kind: Any = lookup("optimizer", training.optimizer, _optimizers())
    return keras.optimizers.deserialize(
        {
            "class_name": kind.__name__,
            "config": {"learning_rate": training.learning_rate, "clipnorm": training.clip_norm},
        }
    )


def _optimizers() -> dict[str, type]:
    import keras

    kinds = {
        name.lower(): kind
        for name, kind in vars(keras.optimizers).items()
        if isinstance(kind, type) and issubclass(kind, keras.optimizers.Optimizer)
    }
    # Not the base class, nor those that wrap others.
    wrappers = ("optimizer", "lossscaleoptimizer", "multioptimizer")
    return {name: kind for name, kind in kinds.items() if name not in wrappers}


def check_model(config: RunConfig) -> None:
    """Looks up the names that need no data, so that a typing error costs no download."""
    lookup("model", config.model.name, model_names())
    lookup("optimizer", config.training.optimizer, _optimizers())
    if config.training.kept == "best" and not config.dataset.validation:
        raise invalid(
            "validation",
            "some validation examples for `patience` or `keep` 'best'",
            config.dataset.validation,
        )
