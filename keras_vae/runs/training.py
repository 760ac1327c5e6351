"""`train`: from a config to a run folder."""

import os
import platform
from collections.abc import Sequence
from dataclasses import replace
from importlib import metadata
from typing import TYPE_CHECKING, Any

from keras_vae.errors import invalid
from keras_vae.runs.building import build_model, check_model, load_data
from keras_vae.runs.config import RunConfig
from keras_vae.runs.run import Run, check_free

if TYPE_CHECKING:
    import keras

_PACKAGES = ("keras-vae", "tensorflow", "keras", "tensorflow-probability", "numpy")


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
    seed is set for it. Nothing is written before the first training step, so that a mistake leaves nothing
    behind; from then on the folder holds the history and the model of the last finished epoch, whenever
    training stops.

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

    Example:

    >>> import tempfile
    >>> from keras_vae import runs
    >>> config = runs.RunConfig(
    ...     dataset=runs.DatasetConfig("digits", max_examples=64),
    ...     model=runs.ModelConfig(latent_size=2, options={"hidden": [8]}),
    ...     training=runs.TrainingConfig(epochs=2))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run = runs.train(config, f"{folder}/first")
    ...     run.history()["epoch"], run.load_model().latent_shape
    ([1, 2], (2,))
    """
    import keras

    from keras_vae.runs.recorder import RunRecorder

    check_free(folder, overwrite)
    check_model(config)
    splits = load_data(config)
    if splits.validation is None and config.training.kept == "best":
        hint = "Set `validation`, or leave `patience` and `keep` out."
        raise invalid("validation", "some validation examples to find the best model by", None, hint)
    keras.utils.set_random_seed(config.seed)
    model = build_model(config, splits.image_shape)
    recorder = RunRecorder(folder, replace(config, versions=versions()), overwrite)
    try:
        model.fit(
            splits.train,
            validation_data=splits.validation,
            epochs=config.training.epochs,
            callbacks=[recorder, *_callbacks(config, folder), *callbacks],
            verbose=verbose,
        )
    finally:
        recorder.close()
    return Run.open(folder)


def _callbacks(config: RunConfig, folder: str | os.PathLike) -> list[Any]:
    import keras

    training, run = config.training, Run(folder, config)
    chosen: list[Any] = []
    if training.nan_guard:
        from keras_vae.callbacks import NaNGuard

        chosen.append(NaNGuard())
    if training.patience is not None:
        chosen.append(keras.callbacks.EarlyStopping("val_loss", patience=training.patience, mode="min"))
    if training.tensorboard:
        chosen.append(keras.callbacks.TensorBoard(run.tensorboard))
    return chosen


def versions() -> dict[str, str]:
    """The versions of Python and of the packages that the numbers of a run depend on."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:  # run from a source tree that is not installed
            continue
    return found
