"""How well a model's scores tell anomalies from the data it was trained on."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from keras_vae.checks import check_count
from keras_vae.errors import invalid, lookup
from keras_vae.evaluation.evaluate import checked_arrays
from keras_vae.evaluation.statistic import Statistic
from keras_vae.models import LatentVariableModel, estimates


class Score(NamedTuple):
    """of: estimates, model, x and the options of the estimate -> `[N]`, in nats.

    The estimates are `models.estimates`, or another module with its `elbo`, `elbo_parts` and
    `log_likelihood`, such as the one for signatures, `serving.estimates`.
    """

    of: Callable[..., tf.Tensor]
    needs_density: bool


def _negative_elbo(by: Any, model: LatentVariableModel, x: Any, **options: Any) -> tf.Tensor:
    return -by.elbo(model, x, **options)


def _reconstruction(by: Any, model: LatentVariableModel, x: Any, **options: Any) -> tf.Tensor:
    return by.elbo_parts(model, x, **options)["reconstruction"]


def _negative_log_likelihood(by: Any, model: LatentVariableModel, x: Any, **options: Any) -> tf.Tensor:
    return -by.log_likelihood(model, x, **options).log_likelihood


SCORES = {
    "negative_elbo": Score(_negative_elbo, needs_density=True),
    "reconstruction": Score(_reconstruction, needs_density=False),
    "negative_log_likelihood": Score(_negative_log_likelihood, needs_density=True),
}


def get_score(argument: str, name: str, model: LatentVariableModel) -> Score:
    """The score of that name; a `ValueError` for one that is not known or that the model does not have."""
    chosen = lookup(argument, name, SCORES)
    if chosen.needs_density and not estimates.has_density(model):
        others = ", ".join(repr(name) for name, other in SCORES.items() if not other.needs_density)
        raise invalid(argument, f"{others}, as q(z|x) of this model has no density", name)
    return chosen


def anomaly_auroc(
    model: LatentVariableModel,
    x: Any,
    is_anomaly: Any,
    score: str = "negative_elbo",
    *,
    num_samples: int = 16,
    batch_size: int = 512,
    seed: int = 0,
    y: Any = None,
) -> Statistic:
    """Area under the ROC curve of a model's score, which anomalies should have higher than the others.

    It is the probability that a random anomaly scores above a random normal example, ties counting half: 1
    for scores that tell them apart, 0.5 for scores that say nothing, below that where anomalies score lower.
    It depends on the order of the scores only, so scores of different models and of different kinds compare.

    The standard error is that of Hanley and McNeil. With A the area, n anomalies and m normal examples,

        SE^2 = (A (1 - A) + (n - 1) (Q1 - A^2) + (m - 1) (Q2 - A^2)) / (n m),
        Q1 = A / (2 - A),  Q2 = 2 A^2 / (1 + A),

    which takes scores for exponentially distributed, and is 0 where A is 0 or 1, however few the examples.

    Args:
        model: a `VAE`, ...; it need not be compiled.
        x: data, `[N] + event`, normal examples and anomalies mixed.
        is_anomaly: booleans, or 0 and 1, `[N]`, some of each.
        score: in nats, by draws from q(z|x),
            "negative_elbo": KL(q(z|x) || p(z)) - E_q[log p(x|z)];
            "reconstruction": -E_q[log p(x|z)], the one of models with deterministic codes;
            "negative_log_likelihood": -log p(x) by importance sampling, which takes more draws.
        num_samples: draws per example.
        batch_size: examples at once.
        seed: of the draws, an integer >= 0.
        y: of a conditional model, `[N]` conditions; scores are then given y.

    Returns:
        The area, in [0, 1], and its standard error.

    Raises:
        ValueError: for data, labels or conditions that do not fit, no example of one kind, a score that is
            not known or that the model does not have, or NaN among the scores.
        ImportError: if scikit-learn is missing.

    Reference: Hanley & McNeil, The Meaning and Use of the Area under a Receiver Operating Characteristic
    (ROC) Curve, 1982, Eq. 1 and 2.

    Example: an autoencoder that can only say 0, so the farther from 0, the more anomalous.

    >>> import keras, keras_vae
    >>> model = keras_vae.Autoencoder.create((1,), 1, hidden=(2,), likelihood="normal-fixed")
    >>> model.set_weights([np.zeros_like(weight) for weight in model.get_weights()])
    >>> x = np.array([[0.1], [-0.2], [0.3], [-3.0], [4.0]])
    >>> anomaly_auroc(model, x, [0, 0, 1, 1, 0], score="reconstruction").mean.__round__(3)
    0.667
    """
    lookup("score", score, SCORES)
    check_count("num_samples", num_samples)
    check_count("batch_size", batch_size)
    check_count("seed", seed, 0)
    data, given = checked_arrays(model, x, y)
    labels = _checked_labels(is_anomaly, len(data))
    options = {"num_samples": num_samples, "batch_size": batch_size, "seed": model._seed_or_next(seed)}
    values = get_score("score", score, model).of(estimates, model, data, y=given, **options)
    return _area(np.asarray(values, np.float64), labels)


def _checked_labels(is_anomaly: Any, count: int) -> np.ndarray:
    labels = np.asarray(is_anomaly)
    expected = f"booleans, or 0 and 1, of shape [{count}]"
    if labels.shape != (count,) or labels.dtype.kind not in "biuf":
        raise invalid("is_anomaly", expected, f"shape {labels.shape}, dtype {labels.dtype}")
    if not np.isin(labels, (0, 1)).all():
        raise invalid("is_anomaly", expected, f"values from {labels.min():g} to {labels.max():g}")
    labels = labels.astype(bool)
    if labels.all() or not labels.any():
        raise invalid("is_anomaly", "anomalies and normal examples", f"{count} of one kind")
    return labels


def _area(scores: np.ndarray, labels: np.ndarray) -> Statistic:
    if np.isnan(scores).any():
        raise invalid("model", "scores that are numbers", f"NaN for {int(np.isnan(scores).sum())} examples")
    # Here, since importing it takes a second.
    from sklearn.metrics import roc_auc_score

    # Ranks, since scikit-learn refuses the infinite score of an example of probability 0.
    ranks = np.unique(scores, return_inverse=True)[1]
    area = float(roc_auc_score(labels, ranks))
    anomalies = int(labels.sum())
    return Statistic(area, _standard_error(area, anomalies, len(labels) - anomalies))


def _standard_error(area: float, anomalies: int, others: int) -> float:
    first, second = area / (2.0 - area), 2.0 * area**2 / (1.0 + area)
    total = area * (1.0 - area) + (anomalies - 1) * (first - area**2) + (others - 1) * (second - area**2)
    # Rounding may leave it below 0 where the area is 0 or 1.
    return math.sqrt(max(total, 0.0) / (anomalies * others))
