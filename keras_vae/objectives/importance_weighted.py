"""The base of the objectives that weigh several pathwise draws by their importance."""

from typing import Any

import tensorflow as tf

from keras_vae.errors import lookup
from keras_vae.objectives.gradients import check_reparameterized, scale_gradient
from keras_vae.objectives.objective import Objective
from keras_vae.objectives.terms import Terms


class ImportanceWeighted(Objective):
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

    Reported beside the loss: `reconstruction` and `kl`, the sampled terms of the plain ELBO.

    Reference: Roeder et al., Sticking the Landing, 2017, Eq. 4; Tucker et al., Doubly Reparameterized
    Gradient Estimators for Monte Carlo Objectives, 2019, Eq. 8.
    """

    part_names = ("negative_bound",)
    monitor_names: tuple[str, ...] = ("reconstruction", "kl")
    differentiates_draws = False
    gradients: tuple[str, ...] = ("reparameterized", "stl", "dreg")

    def __init__(self, num_samples: int, gradient: str = "reparameterized", **kwargs: Any):
        super().__init__(num_samples, **kwargs)
        self.gradient = lookup("gradient", gradient, {name: name for name in self.gradients})

    def bound(self, log_weights: tf.Tensor) -> tf.Tensor:
        """What is maximised, in nats: `[S, B]` to `[B]`."""
        raise NotImplementedError

    def second_weights(self, log_weights: tf.Tensor) -> tf.Tensor:
        """By what "dreg" multiplies the gradient that reaches each draw, `[S, B]` to `[S, B]`."""
        raise NotImplementedError

    def parts(self, terms: Terms) -> dict[str, tf.Tensor]:
        check_reparameterized(terms.q, self.gradient, "'score' or 'vimco' of IWAE")
        if self.gradient == "reparameterized":
            return {"negative_bound": -self.bound(terms.log_weights)}
        if self.gradient == "dreg":
            # The gradient by a draw is known once the decoder has been asked, so its weight is found later.
            terms.z = scale_gradient(terms.z, lambda: self.second_weights(tf.stop_gradient(log_weights)))
        log_weights = terms.log_px + terms.log_pz - terms.path_log_qz
        return {"negative_bound": -self.bound(log_weights)}

    def monitors(self, terms: Terms) -> dict[str, tf.Tensor]:
        return {"reconstruction": -tf.reduce_mean(terms.log_px, axis=0), "kl": terms.sampled_kl}
