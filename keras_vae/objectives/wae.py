"""The objective of the Wasserstein autoencoder with a distance between samples."""

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from keras_vae import schedules
from keras_vae.divergences import SampleDistance, get_distance
from keras_vae.objectives.distance_to_prior import distance_to_prior, of_every_example
from keras_vae.objectives.objective import Objective
from keras_vae.objectives.terms import Terms


@keras.saving.register_keras_serializable(package="keras_vae")
class WassersteinReconstruction(Objective):
    """-E_q[log p(x|z)] + weight * D(q(z), p(z)), with q(z) the mean of q(z|x) over the data.

    The ELBO's KL holds every q(z|x) to the prior; this holds only their mean to it, so that the codes of
    different examples need not overlap, and no density of q(z|x) is needed. The paper's cost c(x, G(z)) is
    -log p(x|z) up to a constant: c = |x - G(z)|^2 for normals of scale 1 / sqrt(2).

    Args:
        divergence: D, the distance: "mmd-imq", "mmd-rbf", "sinkhorn", "sliced", or a
            `divergences.SampleDistance` with options, such as `divergences.Sinkhorn(epsilon=0.5)`. It
            compares the batch with as many draws from the prior; weights of examples are those of their
            points in q(z).
        weight: the paper's lambda, a number >= 0 or a schedule of the training step. The reconstruction is a
            sum over the event in nats, D is in units of its own: the right weight grows with the event.
        num_samples: draws of z per example, averaged; each set is compared with a set from the prior.

    Raises:
        ValueError: for arguments out of range; from `parts` for a trained prior whose draws are not
            reparameterised.

    Reported: `reconstruction` and `weighted_divergence` add up to the loss; `divergence` (an unbiased
    estimate may be below 0), `weight`, and what the distance reports, such as Sinkhorn's `marginal_error`.

    Reference: Tolstikhin et al., Wasserstein Auto-Encoders, 2018, Eq. 4 and Algorithm 2; Kolouri et al.,
    Sliced-Wasserstein Auto-Encoders, 2019, Algorithm 1; Patrini et al., Sinkhorn AutoEncoders, 2019.
    """

    part_names = ("reconstruction", "weighted_divergence")

    def __init__(
        self,
        divergence: str | SampleDistance = "mmd-imq",
        weight: float | str | schedules.Schedule = 10.0,
        num_samples: int = 1,
        **kwargs: Any,
    ):
        super().__init__(num_samples, **kwargs)
        self.divergence = get_distance(divergence)
        self.weight = self.scheduled("weight", weight, low=0.0)
        self.monitor_names = ("divergence", "weight", *self.divergence.monitor_names)

    def parts(self, terms: Terms) -> dict[str, tf.Tensor]:
        distance = distance_to_prior(terms, self.divergence)["divergence"]
        return {
            "reconstruction": -tf.reduce_mean(terms.log_px, axis=0),
            "weighted_divergence": of_every_example(self.current("weight") * distance, terms),
        }

    def monitors(self, terms: Terms) -> dict[str, tf.Tensor]:
        return {"weight": self.current("weight"), **distance_to_prior(terms, self.divergence)}

    def check(self, figures: Mapping[str, float]) -> bool:
        return self.divergence.check(figures)
