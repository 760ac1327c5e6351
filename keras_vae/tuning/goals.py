"""By what figure trials are compared: one that means the same for every beta and schedule."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import keras_tuner
import numpy as np
import tensorflow as tf

from keras_vae.errors import invalid, lookup
from keras_vae.evaluation import Report, anomaly_auroc, linear_probe
from keras_vae.evaluation.linear_probe import check_classes
from keras_vae.models import estimates
from keras_vae.tuning.data import Data

# Labelled training examples that a probe learns from, at most.
PROBE_EXAMPLES = 5000

# Of the held-out figures of an epoch: examples at once, and the stream of their draws.
_BATCH_SIZE, _DRAWS = 512, 3

Measure = Callable[[Any, Data, Report, int], float]


@dataclass(frozen=True)
class Goal:
    """What a search looks for.

    Args:
        metric: what the figure is called in logs and files.
        direction: "max" or "min".
        unit: of the figure.
        measure: the figure of a trained model, from the model, the data, its report and a seed.
        needs: "density" of q(z|x), "labels", or "anomalies", labels 1 for an anomaly and 0 for the others.
        is_front: whether the answer is the Pareto front of rate and distortion, not a single trial.
    """

    metric: str
    direction: str
    unit: str
    measure: Measure
    needs: str = "density"
    is_front: bool = False

    @property
    def objective(self) -> keras_tuner.Objective:
        """As KerasTuner has it."""
        return keras_tuner.Objective(self.metric, self.direction)

    def check(self, data: Data, seed: int = 0) -> None:
        """Raises the `ValueError` for examples that the figure cannot be made from."""
        labels = data.held_out_labels
        if self.needs == "density":
            return
        if labels is None:
            raise invalid("objective", "one that needs no labels, as 'elbo'", "data without labels")
        if self.needs == "labels":
            y = data.labelled(PROBE_EXAMPLES, seed)[1]
            check_classes("y", y, "validation_data", labels)
        if self.needs == "anomalies" and set(np.unique(labels).tolist()) != {0, 1}:
            expected = "held-out labels 1 for an anomaly and 0 for the others, some of each"
            raise invalid("validation_data", expected, np.unique(labels)[:10].tolist())


def _elbo(model: Any, data: Data, report: Report, seed: int) -> float:
    return _of_density(report).elbo.mean  # type: ignore[union-attr]


def _log_likelihood(model: Any, data: Data, report: Report, seed: int) -> float:
    return _of_density(report).log_likelihood.mean  # type: ignore[union-attr]


def _of_density(report: Report) -> Report:
    if report.elbo is None or report.log_likelihood is None:
        hint = "Search such models by 'linear-probe' or 'anomaly-auroc'."
        raise invalid("objective", "one that needs no density, for deterministic codes", "elbo", hint)
    return report


def _probe(model: Any, data: Data, report: Report, seed: int) -> float:
    x, y = data.labelled(PROBE_EXAMPLES, seed)
    return linear_probe(model, x, y, data.held_out, data.held_out_labels).mean


def _auroc(model: Any, data: Data, report: Report, seed: int) -> float:
    score = "reconstruction" if report.elbo is None else "negative_elbo"
    return anomaly_auroc(model, data.held_out, data.held_out_labels, score=score, seed=seed).mean


GOALS: dict[str, Goal] = {
    "elbo": Goal("val_elbo", "max", "nats", _elbo),
    "log-likelihood": Goal("val_log_likelihood", "max", "nats", _log_likelihood),
    "linear-probe": Goal("val_probe_accuracy", "max", "accuracy", _probe, needs="labels"),
    "anomaly-auroc": Goal("val_anomaly_auroc", "max", "AUROC", _auroc, needs="anomalies"),
    "rate-distortion": Goal("val_elbo", "max", "nats", _elbo, is_front=True),
}


def get(name: str) -> Goal:
    """The goal of a name.

    Raises:
        ValueError: for an unknown name, with the nearest known one; and for losses, which do not compare.

    >>> get("val_loss")
    Traceback (most recent call last):
    ...
    ValueError: Invalid value received for argument `objective`. Expected: a figure that means the same for \
every trial: one of 'anomaly-auroc', 'elbo', 'linear-probe', 'log-likelihood', 'rate-distortion'. Received: \
val_loss. A loss changes its meaning with beta, and the smallest beta always wins.
    """
    if isinstance(name, str) and name.endswith("loss"):
        names = ", ".join(repr(known) for known in sorted(GOALS))
        expected = f"a figure that means the same for every trial: one of {names}"
        hint = "A loss changes its meaning with beta, and the smallest beta always wins."
        raise invalid("objective", expected, name, hint)
    return lookup("objective", name, GOALS)


class HeldOutELBO(keras.callbacks.Callback):
    """Puts the held-out ELBO at beta = 1 into the logs of every epoch, as `val_elbo`, in nats.

    Beside it `val_rate`, the KL, and `val_distortion`, -E log p(x|z). For callbacks that follow a figure that
    means the same whatever is trained: place it before them. The model must have a density of q(z|x).

    Args:
        x: held-out examples, `[N] + event`.
        y: of a conditional model, their conditions.
        seed: of the draws, the same every epoch, so that epochs compare.
    """

    per_execution = True

    def __init__(self, x: Any, y: Any = None, seed: int = 0):
        super().__init__()
        self.x, self.y, self.seed = x, y, seed

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if logs is None:
            return
        given = self.model._given(self.y)
        seed = tf.constant([self.seed, _DRAWS])
        parts = estimates.elbo_parts(self.model, self.x, 1, _BATCH_SIZE, seed, y=given, needs_density=True)
        distortion, rate = (
            float(np.mean(parts[name], dtype=np.float64)) for name in ("reconstruction", "kl")
        )
        logs |= {"val_elbo": -(distortion + rate), "val_rate": rate, "val_distortion": distortion}
