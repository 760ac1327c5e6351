"""The evidence lower bound."""

from typing import Any

import keras
import tensorflow as tf

from keras_vae.errors import invalid, lookup
from keras_vae.objectives.gradients import (
    ScoreFunction,
    check_reparameterized,
    fixed_draws,
    is_reparameterized,
)
from keras_vae.objectives.objective import Objective
from keras_vae.objectives.terms import Terms

_KL_MODES = {"auto": "auto", "exact": "exact", "sampled": "sampled"}
_GRADIENTS = {"auto": "auto", "pathwise": "pathwise", "score": "score"}


@keras.saving.register_keras_serializable(package="keras_vae")
class ELBO(Objective):
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

    Raises:
        ValueError: for a pathwise gradient of a posterior that cannot be reparameterised, and for a baseline
            where the gradient is pathwise, and for a discrete posterior with a continuous prior.

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
        **kwargs: Any,
    ):
        super().__init__(num_samples, **kwargs)
        self.kl = lookup("kl", kl, _KL_MODES)
        self.gradient = lookup("gradient", gradient, _GRADIENTS)
        self.baseline = baseline
        self._score = ScoreFunction(baseline, ELBO.part_names, self.num_samples)
        if gradient == "pathwise":
            self._check_no_baseline()

    def parts(self, terms: Terms) -> dict[str, tf.Tensor]:
        if self._is_pathwise(terms):
            reconstruction, kl = -tf.reduce_mean(terms.log_px, axis=0), terms.kl(self.kl)
        else:
            reconstruction, kl = self._by_score(terms)
        return {"reconstruction": reconstruction, "kl": kl}

    def _by_score(self, terms: Terms) -> tuple[tf.Tensor, tf.Tensor]:
        terms.z = fixed_draws(terms)
        score = self._score.term("reconstruction", terms.log_px, terms)
        kl = terms.kl(self.kl)
        if self.kl == "sampled" or terms.exact_kl is None:
            log_ratio = tf.stop_gradient(terms.log_qz) - terms.log_pz
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
