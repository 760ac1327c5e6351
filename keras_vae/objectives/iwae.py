"""The importance-weighted bound."""

from typing import Any

import keras
import tensorflow as tf

from keras_vae import schedules
from keras_vae.divergences.importance import importance_bound, leave_one_out_bound
from keras_vae.errors import invalid
from keras_vae.objectives.gradients import ScoreFunction, fixed_draws, surrogate
from keras_vae.objectives.importance_weighted import ImportanceWeighted
from keras_vae.objectives.terms import Terms


@keras.saving.register_keras_serializable(package="keras_vae")
class IWAEBound(ImportanceWeighted):
    """-E[log (1/K) sum_k p(x, z_k) / q(z_k|x)], z_1 ... z_K from q(z|x): at most -ELBO, at least -log p(x).

    With one draw it is the sampled ELBO. The bound tightens with K, while the plain gradient of the encoder
    loses its signal in noise (Rainforth et al., 2018); "dreg" does not.

    Args:
        num_samples: K, draws of z per example.
        gradient: "reparameterized" (default), "stl" or "dreg", see `ImportanceWeighted`; or, for posteriors
            whose draws cannot be differentiated, such as Bernoulli:
            "vimco": each draw is credited with what the bound owes to it; for K of 2 or more.
            "score": every draw is credited with the whole bound, less the baseline.
        baseline: of "score": "none", "batch" (mean of the other examples), "running" (average of past
            training steps), or "auto" (default), which is "batch".
        annealing: weight of log p(z) - log q(z|x); see `ImportanceWeighted`.

    Raises:
        ValueError: for a pathwise gradient of a posterior that cannot be reparameterised; for a baseline of
            another gradient than "score"; for "vimco" with one draw.

    Reported: `negative_bound` is the loss; `reconstruction` and `kl` are terms of the plain ELBO.

    Reference: Burda et al., Importance Weighted Autoencoders, 2016, Eq. 8; Mnih & Rezende, Variational
    Inference for Monte Carlo Objectives, 2016, Eq. 5 (score) and 9 (VIMCO).
    """

    gradients = (*ImportanceWeighted.gradients, "score", "vimco")

    def __init__(
        self,
        num_samples: int = 5,
        gradient: str = "reparameterized",
        baseline: str = "auto",
        annealing: float | str | schedules.Schedule = 1.0,
        **kwargs: Any,
    ):
        super().__init__(num_samples, gradient, annealing, **kwargs)
        if gradient == "vimco" and self.num_samples < 2:
            raise invalid("num_samples", "2 or more for gradient='vimco'", num_samples, "Or take 'score'.")
        if baseline == "leave_one_out":
            raise invalid("baseline", "'auto', 'batch', 'running' or 'none'", baseline, "Or take 'vimco'.")
        if baseline != "auto" and gradient != "score":
            raise invalid("baseline", f"'auto' with gradient={gradient!r}", baseline, "Or take 'score'.")
        self.baseline = baseline
        # All draws of an example share one signal, its bound, so it counts as one draw here.
        self._score = ScoreFunction(baseline, self.part_names, num_samples=1)

    def bound(self, log_weights: tf.Tensor) -> tf.Tensor:
        return importance_bound(log_weights)

    def second_weights(self, log_weights: tf.Tensor) -> tf.Tensor:
        return tf.nn.softmax(log_weights, axis=0)

    def parts(self, terms: Terms) -> dict[str, tf.Tensor]:
        if self.gradient not in ("score", "vimco"):
            return super().parts(terms)
        terms.z = fixed_draws(terms)
        log_weights = self.log_weights(terms, terms.log_qz)
        bound = self.bound(log_weights)
        if self.gradient == "score":
            credit = self._score.term("negative_bound", bound[None], terms)
        else:
            credit = surrogate(bound - leave_one_out_bound(log_weights), terms.log_qz)
        return {"negative_bound": -bound - tf.reduce_sum(credit, axis=0)}
