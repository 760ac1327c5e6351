"""Checks and defaults the callbacks share."""

from typing import Any

import numpy as np

from keras_vae.errors import invalid
from keras_vae.evaluation import PosteriorStatistics, posterior_statistics
from keras_vae.models import LatentVariableModel, checks


def whole(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise invalid(name, "an integer >= 1", value)
    return int(value)


def array(x: Any) -> np.ndarray:
    x = np.asarray(x)
    if x.ndim < 2 or len(x) == 0 or x.dtype == object:
        raise invalid("x", "an array of one or more examples, [N] + event", f"{x.dtype} of shape {x.shape}")
    return x


def images(x: Any) -> np.ndarray:
    x = array(x)
    if x.ndim not in (3, 4) or (x.ndim == 4 and x.shape[-1] not in (1, 3)):
        raise invalid("x", "images, [N, H, W], [N, H, W, 1] or [N, H, W, 3]", f"shape {x.shape}")
    return x


def check_fits(model: Any, x: np.ndarray, draws: bool = False) -> None:
    """Raises before training where the callback could not run after it.

    Args:
        draws: whether it shows what the decoder gives beside the data.
    """
    if not isinstance(model, LatentVariableModel):
        raise invalid("model", "a model of keras_vae", type(model).__name__)
    if model.condition is not None and model.condition.required:
        raise invalid("model", "a model without a condition, for this callback", type(model).__name__)
    if draws and model.objective.features is not None:
        raise invalid(
            "model",
            "a model whose decoder gives data, for this callback",
            f"{type(model).__name__} with `features`, whose decoder gives codes",
            "Draw with the model that the features are of.",
        )
    checks.check_data("x", x, model.data_shape, checks.support_of(model.decoder))


def known_means(model: LatentVariableModel, x: np.ndarray) -> tuple[np.ndarray, PosteriorStatistics]:
    """Posterior means `[N] + latent`, and all else `posterior_statistics` tells."""
    statistics = posterior_statistics(model, x)
    if statistics.means is None:
        raise invalid("model", "a posterior with a known mean", type(model.encode(x[:1])).__name__)
    return statistics.means, statistics


def is_due(epoch: int, every: int) -> bool:
    return (epoch + 1) % every == 0
