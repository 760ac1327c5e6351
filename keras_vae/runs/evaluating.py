"""`evaluate`: what a trained model is worth, in a table and in `metrics.json`."""

from typing import TYPE_CHECKING, Any

from keras_vae.errors import invalid
from keras_vae.runs.building import load_data
from keras_vae.runs.run import Run

if TYPE_CHECKING:
    import numpy as np

    from keras_vae import LatentVariableModel
    from keras_vae.datasets import Splits
    from keras_vae.evaluation import Report
    from keras_vae.evaluation.evaluate import Progress

SPLITS = ("train", "validation", "test")


def evaluate(
    run: Run,
    split: str | None = None,
    *,
    num_samples: int = 500,
    batch_size: int | None = None,
    seed: int = 0,
    data_dir: str | None = None,
    progress: "Progress | None" = None,
) -> "Report":
    """Evaluates the model of a run on a split of its data and writes the run's `metrics.json`.

    Args:
        run: the `Run`.
        split: "train", "validation" or "test"; by default the last of these that there is.
        num_samples: draws per example for the log-likelihood.
        batch_size: examples at once; `evaluation.evaluate`'s default if None.
        seed: of the draws: the same seed gives the same figures.
        data_dir: folder of prepared data in place of the config's.
        progress: called with the draws decoded so far and in all.

    Returns:
        The `evaluation.Report`; as a string, the table.

    Raises:
        ValueError: for a run without a model, data that are missing, or a split that the data set lacks.
    """
    from keras_vae import evaluation

    model = run.load_model()
    run.check_writable()
    splits = load_data(run.config, data_dir)
    split = last_split(splits) if split is None else split
    x, y = examples(splits, split)
    chosen: dict[str, Any] = {} if batch_size is None else {"batch_size": batch_size}
    chosen["y"] = given(model, y)
    report = evaluation.evaluate(model, x, num_samples=num_samples, seed=seed, progress=progress, **chosen)
    run.write_metrics({"split": split, **report.to_dict()})
    return report


def last_split(splits: "Splits") -> str:
    """The split that is furthest from training: the test's, or of data without one the validation's, ...."""
    return next(name for name in reversed(SPLITS) if getattr(splits, name) is not None)


def examples(splits: "Splits", split: str, most: int | None = None) -> "tuple[np.ndarray, np.ndarray | None]":
    """The first examples of a split as the model sees them, `[N] + event`; all where `most` is None.

    Returns:
        x, and the labels `[N]` of splits whose batches have them, else None.
    """
    import numpy as np

    batches, count = [], 0
    for batch in _dataset(splits, split):
        batches.append(batch if isinstance(batch, tuple) else (batch,))
        count += len(batches[-1][0])
        if most is not None and count >= most:
            break
    x, *y = (np.concatenate(part)[:most] for part in zip(*batches, strict=True))
    return x, y[0] if y else None


def given(model: "LatentVariableModel", y: "np.ndarray | None") -> "np.ndarray | None":
    """The labels as a condition; None for models that find the class themselves, or have none."""
    return y if model.condition is not None and model.condition.required else None


def _dataset(splits: "Splits", split: str) -> Any:
    there = [name for name in SPLITS if getattr(splits, name) is not None]
    if split not in there:
        expected = "one of " + ", ".join(repr(name) for name in there)
        raise invalid("split", expected, split)
    return getattr(splits, split)
