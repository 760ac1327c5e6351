"""Model cards: what is in a version's folder, where it came from and what it is good for.

After Mitchell et al., "Model Cards for Model Reporting" (2019), as far as it can be known without a person: a
card states facts and no opinions.
"""

import datetime
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from keras_vae.errors import invalid
from keras_vae.models.checks import last_layer
from keras_vae.runs import Run, files
from keras_vae.runs.run import HISTORY, METRICS
from keras_vae.runs.training import versions
from keras_vae.serving.deployment.model_card_text import limits, markdown, meaning, use
from keras_vae.serving.deployment.warmup import EXTRA_ASSETS

if TYPE_CHECKING:
    from keras_vae import LatentVariableModel
    from keras_vae.serving.servable import Servable

JSON, MARKDOWN = "model_card.json", "README.md"
FORMAT = 1


def write(
    folder: str | os.PathLike,
    name: str,
    model: "LatentVariableModel",
    servable: "Servable",
    run: Run | None = None,
) -> Path:
    """Writes the card of a servable into the folder of its version, after everything else that is in there.

    `assets.extra/model_card.json` is for programs, `assets.extra/README.md` says the same to people. The same
    version of the same model gives the same bytes, but for the date.

    Args:
        folder: of the version, which holds the SavedModel.
        name: of the servable, such as "mnist_encoder".
        model: that it was made from.
        servable: whose signatures to describe.
        run: that trained the model, for its data and its figures; None where there is none.

    Returns:
        The path of the JSON file.

    Raises:
        ValueError: if `run` is no `Run`, or its files cannot be read.
    """
    if run is not None and not isinstance(run, Run):
        raise invalid("run", "a keras_vae.runs.Run, or None", run)
    target = Path(folder) / EXTRA_ASSETS
    values = card(Path(folder), name, model, servable, run)
    text = markdown(values)
    files.write(target / MARKDOWN, lambda draft: draft.write_text(text, encoding="utf-8"))
    return files.write_json(target / JSON, values)


def card(
    folder: Path, name: str, model: "LatentVariableModel", servable: "Servable", run: Run | None
) -> dict[str, Any]:
    """What a card says, in plain types, names in order."""
    values = {
        "format": FORMAT,
        "name": name,
        "servable": servable.name,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "model": _model(model),
        "signatures": _signatures(servable, model),
        "training": None if run is None else _training(run),
        "evaluation": run.metrics() if run is not None and (run.folder / METRICS).is_file() else None,
        "packages": versions(),
        "sha256": _checksums(folder),
    }
    return _ordered({**values, "use": use(values), "limits": limits(values)})


def _model(model: "LatentVariableModel") -> dict[str, Any]:
    condition = model.condition
    return {
        "class": type(model).__name__,
        "data_shape": list(model.data_shape),
        "latent_shape": list(model.latent_shape),
        "condition": None
        if condition is None
        else {
            "shape": list(condition.shape),
            "dtype": condition.dtype,
            "num_classes": condition.num_classes,
        },
        "objective": type(model.objective).__name__,
        "posterior": type(last_layer(model.encoder)).__name__,
        "prior": type(model.prior).__name__,
        "likelihood": type(last_layer(model.decoder)).__name__,
        "parameters": sum(_size(weight) for weight in model.trainable_variables),
        "config": keras.saving.serialize_keras_object(model)["config"],
    }


def _size(weight: Any) -> int:
    return int(tf.TensorShape(weight.shape).num_elements())


def _signatures(servable: "Servable", model: "LatentVariableModel") -> dict[str, Any]:
    def described(specs: Mapping[str, tf.TensorSpec], given: bool) -> dict[str, Any]:
        return {
            name: {
                "dtype": spec.dtype.name,
                "shape": None if spec.shape.rank is None else spec.shape.as_list(),
                "meaning": meaning(servable.name, name, spec.dtype.name, given, model.condition),
            }
            for name, spec in specs.items()
        }

    return {
        key: {"inputs": described(inputs, True), "outputs": described(servable.outputs[key], False)}
        for key, inputs in servable.inputs.items()
    }


def _training(run: Run) -> dict[str, Any]:
    """The data and the settings of a run, and the metrics of its last epoch."""
    config = run.config.to_dict()
    history = run.history() if (run.folder / HISTORY).is_file() else {"epoch": []}
    figures = {key: line[-1] for key, line in history.items() if line and key not in ("epoch", "seconds")}
    # Where the data lie is a matter of one machine.
    dataset = {key: value for key, value in config["dataset"].items() if key != "data_dir"}
    return {
        "dataset": dataset,
        "settings": config["training"],
        "seed": config["seed"],
        "packages": config["versions"],
        "epochs": len(history["epoch"]),
        "last_epoch": figures,
    }


def _checksums(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of a version but the card itself, by its path in the folder."""
    own = {folder / EXTRA_ASSETS / name for name in (JSON, MARKDOWN)}
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path not in own)
    sums = {}
    for path in paths:
        with path.open("rb") as file:
            sums[path.relative_to(folder).as_posix()] = hashlib.file_digest(file, "sha256").hexdigest()
    return sums


def _ordered(values: Any) -> Any:
    if isinstance(values, Mapping):
        return {str(key): _ordered(values[key]) for key in sorted(values, key=str)}
    if isinstance(values, (list, tuple)):
        return [_ordered(value) for value in values]
    return values
