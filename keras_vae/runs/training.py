"""`train`: from a config to a run folder."""

import os
import platform
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_vae.errors import invalid
from keras_vae.runs.building import build_model, check_model, load_data, num_classes, takes_labels
from keras_vae.runs.config import RunConfig
from keras_vae.runs.evaluating import examples
from keras_vae.runs.run import Run, check_free

if TYPE_CHECKING:
    import keras

    from keras_vae.datasets import Splits

MOST_VIEWED = 500
_PACKAGES = ("tensorflow", "keras", "tensorflow-probability", "numpy")


def train(
    config: RunConfig,
    folder: str | os.PathLike,
    *,
    overwrite: bool = False,
    callbacks: Sequence["keras.callbacks.Callback"] = (),
    verbose: str | int = 0,
) -> Run:
    """Trains what a config describes and records it in a run folder.

    The same config, seed included, on the same machine and packages gives the same numbers. Keras' global
    seed is set for it. A mistake that is found before the first training step leaves nothing behind; from
    the end of the first epoch on the folder holds the history and the model of the last finished one,
    whenever training stops. Where it stops before, the run that was to be replaced comes back.

    Args:
        config: data, model, training and seed.
        folder: of the run: new or empty, or with `overwrite` one that holds a run, which is replaced.
        overwrite: see `folder`.
        callbacks: further Keras callbacks.
        verbose: what Keras shows of the progress: 0 nothing, 1 a bar, 2 a line per epoch.

    Returns:
        The `Run`.

    Raises:
        ValueError: before any training, for a folder that is taken, an unknown name or a bad value.
        FloatingPointError: with `nan_guard`, when a loss was not finite; it says why, and the run holds the
            last good model.

    Example:

    >>> from keras_vae import runs
    >>> config = runs.RunConfig(
    ...     dataset=runs.DatasetConfig("digits", binarize="dynamic"),
    ...     model=runs.ModelConfig("bata-vae", latent_size=8, options={"beta": 4.0}),
    ...     training=runs.TrainingConfig(epochs=50))
    >>> runs.train(config, "runs/first")
    Traceback (most recent call last):
    ...
    ValueError: Invalid value received for argument `model`. Expected: one of ... Received: bata-vae. Did \
you mean 'beta-vae'?
    """
    import keras

    from keras_vae.callbacks import NaNGuard
    from keras_vae.runs.recorder import RunRecorder

    check_free(folder, overwrite)
    check_model(config)
    splits = load_data(config)
    if splits.validation is None and config.training.kept == "best":
        hint = "Set `validation`, or leave `patience` and `keep` out."
        raise invalid("validation", "some validation examples to find the best model by", None, hint)
    keras.utils.set_random_seed(config.seed)
    model = build_model(config, splits.image_shape, splits.sizes["train"], num_classes(config, splits))
    guards = [NaNGuard()] if config.training.nan_guard else []
    recorder = RunRecorder(folder, replace(config, versions=versions()), overwrite)
    try:
        with _told_once():
            model.fit(
                splits.train,
                validation_data=splits.validation,
                epochs=config.training.epochs,
                # The guard takes bad weights back before the recorder looks at them.
                callbacks=[*guards, recorder, *_optional_callbacks(config, splits, folder), *callbacks],
                verbose=verbose,
            )
    finally:
        recorder.close()
    for guard in guards:
        if guard.diagnosis is not None:
            raise FloatingPointError(f"{guard.diagnosis} {folder} holds that model.")
    return Run.open(folder)


@contextmanager
def _told_once() -> Iterator[None]:
    """Silences the guard's warning, which is raised as an error."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Training stopped in epoch", RuntimeWarning)
        yield


def _optional_callbacks(config: RunConfig, splits: "Splits", folder: str | os.PathLike) -> list[Any]:
    import keras

    training = config.training
    chosen: list[Any] = []
    if training.patience is not None:
        chosen.append(keras.callbacks.EarlyStopping("val_loss", patience=training.patience, mode="min"))
    if training.tensorboard:
        logs = Run(folder, config).tensorboard
        chosen.append(keras.callbacks.TensorBoard(logs))
        # The views draw from the model without a condition.
        chosen += [] if takes_labels(config) else _views(splits, logs, training.epochs)
    return chosen


def _views(splits: "Splits", logs: Path, epochs: int) -> list[Any]:
    """What TensorBoard shows of held-out examples, where there are any: pictures, and the latent space."""
    from keras_vae.callbacks import EmbeddingProjector, TensorBoardImages

    if splits.validation is None:
        return []
    x, _ = examples(splits, "validation", MOST_VIEWED)
    labels = splits.arrays("validation")[1]
    named = None if labels is None else labels[: len(x)].tolist()
    views: list[Any] = [EmbeddingProjector(logs, x, named, every=epochs)]
    if x.ndim == 4 and x.shape[-1] in (1, 3):
        views.append(TensorBoardImages(logs, x, every=max(1, epochs // 20)))
    return views


def versions() -> dict[str, str]:
    """The versions of Python and of the packages that the numbers of a run depend on."""
    import keras_vae

    packages = {name: metadata.version(name) for name in _PACKAGES}
    return {"python": platform.python_version(), "keras-vae": keras_vae.__version__, **packages}
