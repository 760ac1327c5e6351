"""The evidence lower bound."""

from typing import Any

import keras
import tensorflow as tf

from keras_vae import schedules
from keras_vae.errors import invalid, lookup
from keras_vae.objectives.annealed import Annealed
from keras_vae.objectives.gradients import (
    ScoreFunction,
    check_reparameterized,
    fixed_draws,
    is_reparameterized,
)
from keras_vae.objectives.terms import Terms

_KL_MODES = {"auto": "auto", "exact": "exact", "sampled": "sampled"}
_GRADIENTS = {"auto": "auto", "pathwise": "pathwise", "score": "score"}


@keras.saving.register_keras_serializable(package="keras_vae")
class ELBO(Annealed):
    """The negative evidence lower bound: -E_q[log p(x|z)] + KL(q(z|x) || p(z)).

    Args:
        kl: "exact" uses the closed form and fails where none is known; "sampled" estimates it from the draws
            that the reconstruction uses (Kingma & Welling's estimator A); "auto" (default) is exact where
            possible.
        num_samples: draws of z per example, averaged.
        gradient: how the encoder learns from draws. "pathwise" differentiates them (the reparameterisation
            trick); "score" weighs the gradient of log q(z|x) with what a draw achieved (REINFORCE), which
            works for discrete latents and varies much more; "auto" (default) is pathwise where possible.
        baseline: control variate of the score: "none", "batch" (mean of the other examples), "running"
            (average of past training steps), "leave_one_out" (mean of the example's other draws, for
            `num_samples` of 2 or more), or "auto" (default): the last where it can be, else "batch".
        annealing, free_bits: weight of the KL and nats of it that are free; see `Annealed`.

    Raises:
        ValueError: for a pathwise gradient of a posterior that cannot be reparameterised, for a baseline
            where the gradient is pathwise, for a discrete posterior with a continuous prior, and for free
            bits of latent dimensions that are not independent.

    Reference: Kingma & Welling, Auto-Encoding Variational Bayes, 2014, Eq. 3 (exact: estimator B, Eq. 7;
    sampled: estimator A, Eq. 6); Mnih & Gregor, Neural Variational Inference and Learning in Belief
    Networks, 2014, Eq. 8 (score).
    """

    part_names: tuple[str, ...] = ("reconstruction", "kl")
    differentiates_draws = False

    def __init__(
        self,
        kl: str = "auto",
        num_samples: int = 1,
        gradient: str = "auto",
        baseline: str = "auto",
        annealing: float | str | schedules.Schedule = 1.0,
        free_bits: float = 0.0,
        **kwargs: Any,
    ):
        super().__init__(num_samples, **kwargs)
        self.kl = lookup("kl", kl, _KL_MODES)
        self.gradient = lookup("gradient", gradient, _GRADIENTS)
        self.baseline = baseline
        self._score = ScoreFunction(baseline, ELBO.part_names, self.num_samples)
        if gradient == "pathwise":
            self._check_no_baseline()
        self.anneal(annealing, free_bits)

    def parts(self, terms: Terms) -> dict[str, tf.Tensor]:
        reconstruction, kl = self.reconstruction_and_kl(terms)
        return {"reconstruction": reconstruction, **self.kl_part(kl)}

    def monitors(self, terms: Terms) -> dict[str, tf.Tensor]:
        return self.kl_monitors(terms)

    def reconstruction_and_kl(self, terms: Terms) -> tuple[tf.Tensor, tf.Tensor]:
        """The two parts before any weight, each `[B]`."""
        if self._is_pathwise(terms):
            return -tf.reduce_mean(terms.log_px, axis=0), self.free_kl(terms)
        return self._by_score(terms)

    def _by_score(self, terms: Terms) -> tuple[tf.Tensor, tf.Tensor]:
        terms.z = fixed_draws(terms)
        score = self._score.term("reconstruction", terms.log_px, terms)
        kl = self.free_kl(terms)
        if self.kl == "sampled" or terms.exact_kl is None:
            log_ratio = self.free_log_ratio(terms)
            kl = tf.reduce_mean(log_ratio + self._score.term("kl", log_ratio, terms), axis=0)
        return -tf.reduce_mean(terms.log_px + score, axis=0), kl

    def _is_pathwise(self, terms: Terms) -> bool:
        if self.gradient == "pathwise":
            check_reparameterized(terms.q, self.gradient, "'score' or 'auto'")
        pathwise = self.gradient != "score" and is_reparameterized(terms.q)
        if pathwise:
            self._check_no_baseline()
        return pathwise

    def _check_no_baseline(self) -> None:
        if self.baseline != "auto":
            raise invalid("baseline", "'auto' where the gradient is pathwise and needs none", self.baseline)
