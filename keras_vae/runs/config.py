"""What a run is made from, as typed dataclasses that go to JSON and back."""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from keras_vae.checks import check_count, check_number, is_count, is_number
from keras_vae.errors import invalid, lookup

FORMAT = 1  # of the files of a run folder; readers refuse a newer one

Check = Callable[[str, Any], Any]
Section = TypeVar("Section", bound="_Section")


def _text(argument: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise invalid(argument, "a name", value)
    return value


def _flag(argument: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise invalid(argument, "true or false", value)
    return value


def _whole(minimum: int) -> Check:
    return lambda argument, value: check_count(argument, value, minimum)


def _positive(argument: str, value: Any) -> float:
    return check_number(argument, value, above=0.0)


def _share(argument: str, value: Any) -> float | int:
    if is_count(value, least=0):
        return int(value)
    if not is_number(value) or not 0 <= value < 1:
        raise invalid(argument, "a fraction in [0, 1) or a number of examples >= 0", value)
    return float(value)


def _image_size(argument: str, value: Any) -> int | tuple[int, int]:
    if isinstance(value, (list, tuple)) and len(value) == 2:
        return _whole(1)(argument, value[0]), _whole(1)(argument, value[1])
    return _whole(1)(argument, value)


def _keep(argument: str, value: Any) -> str:
    return lookup(argument, value, {"best": "best", "last": "last"})


def _options(argument: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise invalid(argument, "an object of names and values", value)
    return _as_json(argument, value)


def _optional(check: Check) -> Check:
    return lambda argument, value: None if value is None else check(argument, value)


def _as_json(argument: str, value: Any) -> Any:
    """The value as it comes back from a JSON file, so that a run and its reopened self are equal."""
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise invalid(argument, "numbers, strings, lists and objects that JSON can hold", value) from error


def _checked(default: Any, check: Check) -> Any:
    return field(default=default, metadata={"check": check})


class _Section:
    """A frozen dataclass whose every field has a check."""

    def __post_init__(self) -> None:
        for item in fields(self):  # type: ignore[arg-type]
            value = item.metadata["check"](item.name, getattr(self, item.name))
            object.__setattr__(self, item.name, value)

    @classmethod
    def from_dict(cls: type[Section], values: Any, where: str) -> Section:
        """Builds the section, or raises `ValueError` with the nearest known name for an unknown one."""
        if not isinstance(values, Mapping):
            raise invalid(where, "an object of names and values", values)
        names = {item.name: item for item in fields(cls)}  # type: ignore[arg-type]
        for name in values:
            lookup(where, name, names)
        return cls(**values)


@dataclass(frozen=True)
class DatasetConfig(_Section):
    """The arguments of `datasets.load`, but for the batch size and the seed, which are the training's.

    Args:
        name: of the data set, or the path of a folder of images or of a .npy or .npz file.
        binarize: None, "dynamic", "static" or "threshold".
        scale: "unit", "bytes", "symmetric" or "standard"; None for what the likelihood needs.
        dequantize: whether to add uniform noise to bytes.
        validation: fraction or number of training examples held out; 0 for none.
        image_size: an integer, `(height, width)`, or None for the images' own.
        max_examples: at most so many examples of each split, or None for all.
        data_dir: folder of prepared data; None for the library's default.
    """

    name: str = _checked("digits", _text)
    binarize: str | None = _checked(None, _optional(_text))
    scale: str | None = _checked(None, _optional(_text))
    dequantize: bool = _checked(False, _flag)
    validation: float | int = _checked(0.1, _share)
    image_size: int | tuple[int, int] | None = _checked(None, _optional(_image_size))
    max_examples: int | None = _checked(None, _optional(_whole(1)))
    data_dir: str | None = _checked(None, _optional(_text))


@dataclass(frozen=True)
class ModelConfig(_Section):
    """The arguments of a model's `create`.

    Args:
        name: a key of `runs.model_names()`, such as "vae" or "beta-vae".
        latent_size: number of latent dimensions.
        network: "mlp", "conv" or "resnet".
        likelihood: name of the distribution layer for p(x|z).
        posterior: name of the distribution layer for q(z|x); None for the model's default.
        likelihood_options: further arguments of the likelihood's layer, such as `scale` of "normal-fixed".
        options: further arguments of the model (`beta`, `capacity`, ...) and of the network (`hidden`,
            `filters`, `activation`, ...), as JSON has them.
    """

    name: str = _checked("vae", _text)
    latent_size: int = _checked(16, _whole(1))
    network: str = _checked("mlp", _text)
    likelihood: str = _checked("bernoulli", _text)
    posterior: str | None = _checked(None, _optional(_text))
    likelihood_options: dict[str, Any] = field(default_factory=dict, metadata={"check": _options})
    options: dict[str, Any] = field(default_factory=dict, metadata={"check": _options})


@dataclass(frozen=True)
class TrainingConfig(_Section):
    """How to train.

    Args:
        epochs: passes over the training examples, at most.
        batch_size: examples a step.
        learning_rate: of the optimizer.
        optimizer: the name of a Keras optimizer.
        clip_norm: largest norm of each gradient, or None for no clipping.
        patience: epochs without a better validation loss after which training stops; None to go on.
        keep: the model to keep, "last" or "best" by validation loss; None for "best" with `patience`
            and "last" without.
        nan_guard: whether to stop at a loss that is not a number.
        tensorboard: whether to write logs for TensorBoard into the run folder; with pictures, for models
            that take no labels.
    """

    epochs: int = _checked(20, _whole(1))
    batch_size: int = _checked(128, _whole(1))
    learning_rate: float = _checked(1e-3, _positive)
    optimizer: str = _checked("adam", _text)
    clip_norm: float | None = _checked(None, _optional(_positive))
    patience: int | None = _checked(None, _optional(_whole(1)))
    keep: str | None = _checked(None, _optional(_keep))
    nan_guard: bool = _checked(True, _flag)
    tensorboard: bool = _checked(False, _flag)

    @property
    def kept(self) -> str:
        """Which model is kept, "best" or "last"."""
        return self.keep or ("last" if self.patience is None else "best")


@dataclass(frozen=True)
class RunConfig:
    """All that makes a run: the same config on the same machine gives the same numbers.

    Args:
        dataset, model, training: the sections.
        seed: of the weights, the order of the examples and every draw.
        versions: the packages that the run was trained with, for the record; not compared.

    Example:

    >>> config = RunConfig(model=ModelConfig(name="beta-vae", options={"beta": 4.0}), seed=1)
    >>> RunConfig.from_dict(config.to_dict()) == config
    True
    >>> RunConfig.from_dict({"training": {"epcohs": 3}})
    Traceback (most recent call last):
    ...
    ValueError: Invalid value received for argument `training`. Expected: one of 'batch_size', 'clip_norm', \
'epochs', 'keep', 'learning_rate', 'nan_guard', 'optimizer', 'patience', 'tensorboard'. Received: epcohs. \
Did you mean 'epochs'?
    """

    dataset: DatasetConfig = field(default_factory=DatasetConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    seed: int = 0
    versions: Mapping[str, str] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        for name, kind in _SECTIONS.items():
            if not isinstance(getattr(self, name), kind):
                raise invalid(name, f"a {kind.__name__}", getattr(self, name))
        _whole(0)("seed", self.seed)
        if self.seed >= 2**31:
            raise invalid("seed", "an integer below 2**31", self.seed)

    def to_dict(self) -> dict[str, Any]:
        """The config as JSON has it."""
        sections = {name: asdict(getattr(self, name)) for name in _SECTIONS}
        return {"format": FORMAT, "versions": dict(self.versions), **sections, "seed": self.seed}

    @classmethod
    def from_dict(cls, values: Any) -> "RunConfig":
        """Reads what `to_dict` gave, or a part of it: what is left out takes its default.

        Raises:
            ValueError: for a newer format, an unknown name (with the nearest known one) or a bad value.
        """
        if not isinstance(values, Mapping):
            raise invalid("config", "an object of names and values", values)
        names = {name: name for name in ("format", "versions", *_SECTIONS, "seed")}
        for name in values:
            lookup("config", name, names)
        check_format("config", values)
        versions = _options("versions", values.get("versions", {}))
        sections = {name: kind.from_dict(values.get(name, {}), name) for name, kind in _SECTIONS.items()}
        return cls(**sections, seed=values.get("seed", 0), versions=versions)

    @classmethod
    def load(cls, path: str | os.PathLike) -> "RunConfig":
        """Reads a JSON file, such as the `config.json` of a run.

        Raises:
            ValueError: if the file is missing, is no JSON, or is no config.
        """
        return cls.from_dict(read_json(path, "config"))


_SECTIONS: dict[str, Any] = {"dataset": DatasetConfig, "model": ModelConfig, "training": TrainingConfig}


def read_json(path: str | os.PathLike, argument: str) -> Any:
    """The content of a JSON file; `ValueError`, on one line, where that cannot be read."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise invalid(argument, "a readable JSON file", f"{path} ({error.strerror})") from error
    except ValueError as error:
        raise invalid(argument, "valid JSON", f"{path} ({error})", "The file is damaged.") from error


def check_format(argument: str, values: Mapping[str, Any]) -> None:
    """Refuses files that a newer version of the library wrote."""
    found = values.get("format", FORMAT)
    if isinstance(found, bool) or not isinstance(found, int) or not 1 <= found <= FORMAT:
        hint = "It was written by a newer keras_vae: upgrade, or train anew." if _newer(found) else ""
        raise invalid(argument, f"format {FORMAT}", f"format {found!r}", hint)


def _newer(found: Any) -> bool:
    return isinstance(found, int) and found > FORMAT
