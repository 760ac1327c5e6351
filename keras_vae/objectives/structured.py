"""The evidence lower bound with a graphical model over the latent."""

from typing import Any

import keras
import tensorflow as tf

from keras_vae import schedules
from keras_vae.objectives.elbo import ELBO
from keras_vae.objectives.terms import Terms
from keras_vae.priors import GraphicalModel


@keras.saving.register_keras_serializable(package="keras_vae")
class StructuredELBO(ELBO):
    """-E_q[log p(x|z)] + KL(q(z, k|x) || p(z, k|theta)) + KL(q(theta) || p(theta)) / N.

    k is what the prior, a `priors.GraphicalModel`, has behind z, such as the cluster; N is the size of the
    data set. Where theta are weights, the last term is 0; where they have a posterior, the second is its mean
    over that, and each training step ends with a natural gradient step of q(theta).

    Both divergences are exact. Draws of z are reparameterised; where the posterior is a mixture, the first
    term sums over its components, each with draws of its own. With any other prior it is the `ELBO`.

    Args:
        num_samples: draws of z per example (and component), averaged.
        annealing: weight of the two divergences, a number in [0, 1] or a schedule of the training step; see
            `Annealed`. Natural gradient steps have their full length throughout.

    Reported: `reconstruction` and `kl`, the two divergences together, add up to the loss; with annealing
    `weighted_kl` takes the place of `kl`, which is shown beside it.

    Reference: Johnson et al., Composing graphical models with neural networks for structured representations
    and fast inference, 2016, Eq. 8 and Proposition 4.1.
    """

    takes_natural_steps = True

    def __init__(
        self,
        num_samples: int = 1,
        annealing: float | str | schedules.Schedule = 1.0,
        **kwargs: Any,
    ):
        super().__init__(num_samples=num_samples, annealing=annealing, **kwargs)

    def reconstruction_and_kl(self, terms: Terms) -> tuple[tf.Tensor, tf.Tensor]:
        graph = terms.prior
        if not isinstance(graph, GraphicalModel):
            return super().reconstruction_and_kl(terms)
        branches = graph.branches(terms.q, self.num_samples, terms.seed)
        if branches is None:
            return -tf.reduce_mean(terms.log_px, axis=0), _kl(terms)
        z, weights = branches
        of_branches = terms.at(z)
        of_branches.num_samples = z.shape[0]
        return -tf.reduce_sum(weights * of_branches.log_px, axis=0), _kl(terms)

    def monitors(self, terms: Terms) -> dict[str, Any]:
        monitors = super().monitors(terms)
        if self.annealed and isinstance(terms.prior, GraphicalModel):
            monitors["kl"] = _kl(terms)
        return monitors

    def finish(self, terms: Terms) -> None:
        if isinstance(terms.prior, GraphicalModel):
            weights = terms.sample_weight
            if weights is None:
                weights = tf.ones(tf.shape(terms.x)[:1], terms.q.dtype)
            terms.prior.natural_step(terms.q, tf.cast(weights, terms.q.dtype))


def _kl(terms: Terms) -> tf.Tensor:
    """The divergences of the latent and, per example, of the parameters, `[B]`."""
    return terms.once("structured_kl", lambda: terms.prior.local_kl(terms.q) + terms.prior.global_kl())
