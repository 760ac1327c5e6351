"""The objective of the InfoVAE."""

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from keras_vae import schedules
from keras_vae.divergences import SampleDistance, get_distance
from keras_vae.errors import invalid
from keras_vae.objectives.distance_to_prior import distance_to_prior, of_every_example
from keras_vae.objectives.elbo import ELBO
from keras_vae.objectives.objective import _STEPS_TO_CHECK
from keras_vae.objectives.terms import Terms


@keras.saving.register_keras_serializable(package="keras_vae")
class InfoELBO(ELBO):
    """-E_q[log p(x|z)] + (1 - alpha) * KL(q(z|x) || p(z)) + (alpha + scale - 1) * D(q(z), p(z)).

    Args:
        alpha: how much of the mutual information of x and z is favoured: 0 leaves the KL whole, 1 drops it,
            below 0 adds to it. A number <= 1, or a schedule of the training step.
        scale: the paper's lambda, a number or a schedule, with alpha + scale >= 1. alpha = 0 and scale = 1 is
            the ELBO.
        divergence: D: "mmd-imq", "mmd-rbf", "sinkhorn", "sliced", or a `divergences.SampleDistance`.
        kl, num_samples: see `ELBO`.

    Raises:
        ValueError: for arguments out of range; from `parts` as `WassersteinReconstruction`.

    Reported: `reconstruction`, `weighted_kl` and `weighted_divergence` add up to the loss; `kl`,
    `divergence`, `alpha`, `scale`, and what the distance reports.

    Reference: Zhao et al., InfoVAE: Balancing Learning and Inference in Variational Autoencoders, 2019,
    Eq. 6.
    """

    part_names = ("reconstruction", "weighted_kl", "weighted_divergence")
    differentiates_draws = True

    def __init__(
        self,
        alpha: float | str | schedules.Schedule = 0.0,
        scale: float | str | schedules.Schedule = 10.0,
        divergence: str | SampleDistance = "mmd-imq",
        kl: str = "auto",
        num_samples: int = 1,
        **kwargs: Any,
    ):
        super().__init__(kl, num_samples, **kwargs)
        self.alpha, self.scale = self.scheduled("alpha", alpha), self.scheduled("scale", scale)
        alphas, scales = self.alpha(_STEPS_TO_CHECK), self.scale(_STEPS_TO_CHECK)
        if float(tf.reduce_max(alphas)) > 1.0:
            raise invalid("alpha", "a number <= 1, or a schedule that stays there", alpha)
        # A float32 rounding is no negative weight.
        if float(tf.reduce_min(alphas + scales)) < 1.0 - 1e-6:
            raise invalid("scale", "a number >= 1 - alpha, at every step", scale)
        self.divergence = get_distance(divergence)
        self.monitor_names = ("kl", "divergence", "alpha", "scale", *self.divergence.monitor_names)

    def parts(self, terms: Terms) -> dict[str, tf.Tensor]:
        parts = super().parts(terms)
        alpha, scale = self.current("alpha"), self.current("scale")
        distance = distance_to_prior(terms, self.divergence)["divergence"]
        return {
            "reconstruction": parts["reconstruction"],
            "weighted_kl": (1.0 - tf.cast(alpha, parts["kl"].dtype)) * parts["kl"],
            "weighted_divergence": of_every_example((alpha + scale - 1.0) * distance, terms),
        }

    def monitors(self, terms: Terms) -> dict[str, tf.Tensor]:
        weights = {name: self.current(name) for name in ("alpha", "scale")}
        return {"kl": terms.kl(self.kl), **weights, **distance_to_prior(terms, self.divergence)}

    def check(self, figures: Mapping[str, float]) -> bool:
        return self.divergence.check(figures)
