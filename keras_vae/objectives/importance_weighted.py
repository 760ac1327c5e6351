"""The base of the objectives that weigh several pathwise draws by their importance."""

from typing import Any

import tensorflow as tf

from keras_vae import schedules
from keras_vae.errors import lookup
from keras_vae.objectives.annealed import Annealed
from keras_vae.objectives.gradients import check_reparameterized, scale_gradient
from keras_vae.objectives.terms import Terms


class ImportanceWeighted(Annealed):
    """What is a function of the logarithms of the importance weights p(x, z) / q(z|x) of S draws.

    A subclass gives that function, `bound`, and `second_weights` for the doubly reparameterised gradient.
    The value is the bound whatever the gradient.

    Args:
        num_samples: S, draws of z per example.
        gradient: how the encoder learns.
            "reparameterized": the bound is differentiated as it stands.
            "stl" (sticking the landing): without the direct derivative of log q(z|x) by the encoder's
            parameters. Its variance vanishes where q is the posterior. Unbiased for an ELBO only: not for
            weights that compete.
            "dreg" (doubly reparameterised): without it too, and with the weights squared, which is unbiased.
            The decoder's and the prior's gradients are those of the bound.
        annealing: weight a of the prior and the posterior in the logarithms of the importance weights,
            log p(x|z) + a (log p(z) - log q(z|x)): a number in [0, 1] or a schedule of the training step that
            ends there, such as "linear:0:1:10000". Other than 1 the loss is no bound on -log p(x).

    Reported beside the loss: `reconstruction` and `kl`, the sampled terms of the plain ELBO; `annealing`
    where it is not 1 throughout.

    Reference: Roeder et al., Sticking the Landing, 2017, Eq. 4; Tucker et al., Doubly Reparameterized
    Gradient Estimators for Monte Carlo Objectives, 2019, Eq. 8.
    """

    part_names = ("negative_bound",)
    monitor_names: tuple[str, ...] = ("reconstruction", "kl")
    differentiates_draws = False
    gradients: tuple[str, ...] = ("reparameterized", "stl", "dreg")

    def __init__(
        self,
        num_samples: int,
        gradient: str = "reparameterized",
        annealing: float | str | schedules.Schedule = 1.0,
        **kwargs: Any,
    ):
        super().__init__(num_samples, **kwargs)
        self.gradient = lookup("gradient", gradient, {name: name for name in self.gradients})
        self.anneal(annealing)

    def bound(self, log_weights: tf.Tensor) -> tf.Tensor:
        """What is maximised, in nats: `[S, B]` to `[B]`."""
        raise NotImplementedError

    def second_weights(self, log_weights: tf.Tensor) -> tf.Tensor:
        """By what "dreg" multiplies the gradient that reaches each draw, `[S, B]` to `[S, B]`."""
        raise NotImplementedError

    def parts(self, terms: Terms) -> dict[str, tf.Tensor]:
        check_reparameterized(terms.q, self.gradient, "'score' or 'vimco' of IWAE")
        if self.gradient == "reparameterized":
            return {"negative_bound": -self.bound(self.log_weights(terms, terms.log_qz))}
        if self.gradient == "dreg":
            # The gradient by a draw is known once the decoder has been asked, so its weight is found later.
            def second():
                return self.annealed_seconds(self.second_weights(tf.stop_gradient(log_weights)))

            terms.z = scale_gradient(terms.z, second)
        log_weights = self.log_weights(terms, terms.path_log_qz)
        return {"negative_bound": -self.bound(log_weights)}

    def log_weights(self, terms: Terms, log_qz: tf.Tensor) -> tf.Tensor:
        """The logarithms of the weights, `[S, B]`, as far as they count at this step of training."""
        if not self.annealed:
            return terms.log_px + terms.log_pz - log_qz
        return terms.log_px + self.current("annealing") * (terms.log_pz - log_qz)

    def annealed_seconds(self, second_weights: tf.Tensor) -> tf.Tensor:
        """`second_weights` where log q counts a times: 1 - a of it, which has no score to replace, stays."""
        if not self.annealed:
            return second_weights
        return 1.0 + self.current("annealing") * (second_weights - 1.0)

    def monitors(self, terms: Terms) -> dict[str, tf.Tensor]:
        weight = {"annealing": self.current("annealing")} if self.annealed else {}
        return {"reconstruction": -tf.reduce_mean(terms.log_px, axis=0), "kl": terms.sampled_kl, **weight}
