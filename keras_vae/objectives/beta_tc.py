"""The objective of the beta-TCVAE."""

from itertools import pairwise
from typing import Any

import keras
import tensorflow as tf

from keras_vae import schedules
from keras_vae.checks import check_count
from keras_vae.divergences import aggregate_log_densities
from keras_vae.divergences.total_correlation import ESTIMATORS, check_dataset_size
from keras_vae.errors import lookup
from keras_vae.objectives.distance_to_prior import check_unweighted
from keras_vae.objectives.objective import Objective
from keras_vae.objectives.terms import Terms


@keras.saving.register_keras_serializable(package="keras_vae")
class TotalCorrelationELBO(Objective):
    """-E_q[log p(x|z)] + alpha * MI(x; z) + beta * TC(z) + gamma * sum_j KL(q(z_j) || p(z_j)).

    The KL of the ELBO in three: mutual information E[log q(z|x) - log q(z)], total correlation
    E[log q(z) - sum_j log q(z_j)], and the dimension-wise KL E[sum_j log q(z_j) - log p(z)]. With
    alpha = beta = gamma = 1 it is the ELBO with its sampled KL, whatever the estimator.

    Args:
        dataset_size: number of examples trained on, at least a batch.
        alpha, beta, gamma: the weights, each a number >= 0 or a schedule of the training step.
        estimator: of q(z) from a batch: "weighted" or "stratified", see `divergences.log_pair_weights`. The
            gradients of "weighted" vary less; the figures reported by "stratified" are nearer the truth.
        num_samples: draws of z per example, averaged.

    Raises:
        ValueError: for arguments out of range; from `parts` for a posterior without density or known
            marginals, for batches larger than `dataset_size`, and for weights of examples.

    Reported: `reconstruction`, `weighted_mi`, `weighted_tc` and `weighted_dimension_kl` add up to the loss;
    `mutual_information`, `total_correlation`, `dimension_kl` and `beta`. Estimates, in nats; may be below 0.

    Reference: Chen et al., Isolating Sources of Disentanglement in Variational Autoencoders, 2018, Eq. 2, 4
    and 6, and appendix C.
    """

    part_names = ("reconstruction", "weighted_mi", "weighted_tc", "weighted_dimension_kl")
    monitor_names = ("mutual_information", "total_correlation", "dimension_kl", "beta")

    def __init__(
        self,
        dataset_size: int,
        alpha: float | str | schedules.Schedule = 1.0,
        beta: float | str | schedules.Schedule = 6.0,
        gamma: float | str | schedules.Schedule = 1.0,
        estimator: str = "weighted",
        num_samples: int = 1,
        **kwargs: Any,
    ):
        super().__init__(num_samples, **kwargs)
        self.dataset_size = check_count("dataset_size", dataset_size)
        self.alpha = self.scheduled("alpha", alpha, low=0.0)
        self.beta = self.scheduled("beta", beta, low=0.0)
        self.gamma = self.scheduled("gamma", gamma, low=0.0)
        self.estimator = lookup("estimator", estimator, ESTIMATORS)

    def check_batch_size(self, size: int) -> None:
        check_dataset_size(size, self.dataset_size)

    def parts(self, terms: Terms) -> dict[str, tf.Tensor]:
        kl = self._kl_terms(terms)
        names = zip(("alpha", "beta", "gamma"), self.part_names[1:], self.monitor_names[:3], strict=True)
        weighted = {part: self.current(weight) * kl[monitor] for weight, part, monitor in names}
        return {"reconstruction": -tf.reduce_mean(terms.log_px, axis=0), **weighted}

    def monitors(self, terms: Terms) -> dict[str, tf.Tensor]:
        return {"beta": self.current("beta"), **self._kl_terms(terms)}

    def _kl_terms(self, terms: Terms) -> dict[str, tf.Tensor]:
        check_unweighted(terms)
        options = self.dataset_size, self.estimator
        log_qz_x = terms.log_qz  # first, for it refuses a posterior without density
        joint, product = terms.once(options, lambda: aggregate_log_densities(terms.q, terms.z, *options))
        logs = log_qz_x, joint, product, terms.log_pz
        differences = [tf.reduce_mean(p - q, axis=0) for p, q in pairwise(logs)]
        return dict(zip(self.monitor_names, differences, strict=False))
