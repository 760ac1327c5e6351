"""The weighted evidence lower bound of the beta-VAE, in both of its forms."""

from typing import Any

import keras
import tensorflow as tf

from keras_vae import schedules
from keras_vae.checks import check_number
from keras_vae.errors import invalid
from keras_vae.objectives.elbo import ELBO
from keras_vae.objectives.terms import Terms


@keras.saving.register_keras_serializable(package="keras_vae")
class BetaELBO(ELBO):
    """-E_q[log p(x|z)] + beta * KL, or with a capacity C, + beta * |KL - C|.

    Args:
        beta: weight of the KL, a number >= 0 or a schedule of the training step.
        capacity: None for the first form; a number of nats or a schedule, usually
            `schedules.Capacity(25.0, num_steps)`, for the second, where beta is the paper's gamma. The
            absolute difference is of the batch's mean KL, as in the paper.
        kl, num_samples, gradient, baseline: see `ELBO`.
        free_bits: nats of every latent dimension that cost nothing, see `Annealed`; 0 with a capacity, which
            is a target for all of them together.

    Reported: `reconstruction` and `weighted_kl` add up to the loss; `kl` is the KL itself.

    Reference: Higgins et al., beta-VAE, 2017, Eq. 4; Burgess et al., Understanding disentangling in
    beta-VAE, 2018, Eq. 8.
    """

    part_names = ("reconstruction", "weighted_kl")
    monitor_names: tuple[str, ...] = ("kl", "beta")

    def __init__(
        self,
        beta: float | str | schedules.Schedule = 4.0,
        capacity: float | str | schedules.Schedule | None = None,
        kl: str = "auto",
        num_samples: int = 1,
        gradient: str = "auto",
        baseline: str = "auto",
        free_bits: float = 0.0,
        **kwargs: Any,
    ):
        super().__init__(kl, num_samples, gradient, baseline, **kwargs)
        self.beta = self.scheduled("beta", beta, low=0.0)
        self.capacity = None if capacity is None else self.scheduled("capacity", capacity, low=0.0)
        if capacity is not None:
            self.monitor_names = ("kl", "beta", "capacity")
        self.free_bits = check_number("free_bits", free_bits, at_least=0.0)
        if capacity is not None and free_bits:
            raise invalid("free_bits", "0 with a capacity, the other way to hold the KL up", free_bits)

    def parts(self, terms: Terms) -> dict[str, tf.Tensor]:
        reconstruction, kl = self.reconstruction_and_kl(terms)
        weighted = self.current("beta") * self._excess(kl, terms.sample_weight)
        return {"reconstruction": reconstruction, "weighted_kl": weighted}

    def _excess(self, kl: tf.Tensor, sample_weight: tf.Tensor | None) -> tf.Tensor:
        if self.capacity is None:
            return kl
        # |mean(kl) - C| as a mean of per-example parts: the sign is the batch's, so the parts still average
        # to the paper's term.
        excess = kl - self.current("capacity")
        weighted = excess if sample_weight is None else excess * tf.cast(sample_weight, excess.dtype)
        return tf.stop_gradient(tf.sign(tf.reduce_mean(weighted))) * excess

    def monitors(self, terms: Terms) -> dict[str, tf.Tensor]:
        names = [name for name in self.monitor_names if name != "kl"]
        return {"kl": terms.kl(self.kl), **{name: self.current(name) for name in names}}
