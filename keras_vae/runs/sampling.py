"""`save_samples`: new data from the model of a run, in a file."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_vae.errors import invalid
from keras_vae.runs import files
from keras_vae.runs.building import unit_transform
from keras_vae.runs.run import Run

if TYPE_CHECKING:
    import numpy as np

    from keras_vae import LatentVariableModel


def save_samples(
    run: Run,
    path: str | os.PathLike,
    num: int = 64,
    seed: int = 0,
    mean: bool = True,
    label: int | None = None,
) -> Path:
    """Draws from the model of a run and writes the draws to a file.

    Args:
        run: whose model to draw from.
        path: ends in `.png`, for a grid of images, or in `.npy`, for the array `[num] + event` in the units
            that the model was trained on. An old file is replaced.
        num: how many, at least 1.
        seed: the same seed gives the same samples.
        mean: whether to take the mean of p(x|z), the usual picture, instead of a draw from it.
        label: of a conditional model, the class to draw; None for one after the other.

    Returns:
        The path.

    Raises:
        ValueError: for another suffix, `num` below 1, a run without a model, or samples that are no images.
    """
    import numpy as np

    target = Path(path)
    check_output(target)
    model = run.load_model()
    y = every_class(model, num) if label is None else np.full(num, label)
    x = model.sample(num, seed=seed, mean=mean, y=y).numpy()
    _WRITERS[target.suffix.lower()](target, x, run)
    return target


def every_class(model: "LatentVariableModel", num: int) -> "np.ndarray | None":
    """One class after the other, `[num]`, for models that are conditional on one; else None."""
    import numpy as np

    condition = model.condition
    return None if condition is None else np.arange(num) % (condition.num_classes or 1)


def check_output(path: Path) -> None:
    """Raises the `ValueError` for a file name of another kind, before anything is computed."""
    if path.suffix.lower() not in _WRITERS:
        raise invalid("output", "a file name that ends in .png or .npy", str(path))


def _write_picture(path: Path, x: "np.ndarray", run: Run) -> None:
    from keras_vae import plots

    if x.ndim != 4 or x.shape[-1] not in (1, 3):
        hint = "Write a .npy file."
        raise invalid("output", "a .npy file for data that are no images", str(path), hint)
    plots.save(plots.image_grid(unit_transform(run.config)(x)), path)


def _write_array(path: Path, x: "np.ndarray", run: Run) -> None:
    import numpy as np

    del run

    def write(draft: Path) -> None:
        # A name that ends in .NPY would be given another end.
        with draft.open("wb") as file:
            np.save(file, x)

    files.write(path, write)


_WRITERS: dict[str, Callable[[Path, Any, Run], None]] = {".png": _write_picture, ".npy": _write_array}
