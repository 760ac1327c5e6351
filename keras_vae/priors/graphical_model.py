"""The base of the priors that combine exactly with evidence about the latent."""

import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae.errors import invalid
from keras_vae.priors.prior import Prior

tfd = tfp.distributions


class GraphicalModel(Prior):
    """A prior over z, and perhaps over hidden variables k behind it, that is conjugate to normal evidence.

    What an encoder says of z is taken as evidence, a *recognition potential* psi(z; x) = N(z; m(x), s(x)^2),
    and the posterior is what the graph makes of it: q(z, k|x) proportional to p(z, k) psi(z; x). The prior
    so takes part in recognition, which `models.StructuredVAE` is about.

    A subclass gives `distribution`, `posterior` and `local_kl`. One that holds a distribution q(theta) of its
    parameters, rather than weights, gives `natural_step` and `global_kl` too; p(z, k) is then, up to a
    constant factor, exp E_q(theta)[log p(z, k|theta)].

    Reference: Johnson et al., Composing graphical models with neural networks for structured representations
    and fast inference, 2016.

    Attributes:
        has_belief: whether it holds such a q(theta), which natural gradient steps alone improve.
    """

    has_belief = False

    def posterior(self, potentials: tfd.Distribution) -> tfd.Distribution:
        """q(z|x), batch shape `[B]`, of independent normal potentials with that batch shape."""
        raise NotImplementedError

    def local_kl(self, q: tfd.Distribution) -> tf.Tensor:
        """KL(q(z, k|x) || p(z, k)) of a posterior that this prior made, `[B]`, in nats."""
        raise NotImplementedError

    def branches(
        self, q: tfd.Distribution, num_samples: int, seed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor] | None:
        """Draws for a posterior whose own carry no gradient; None where `q.sample` is reparameterised.

        Returns:
            z, `[S', B] + event_shape`, reparameterised, and weights `[S', B]` that add up to 1 over S': the
            weighted sum of f(z) is E_q[f(z)] on average, and so is its gradient.
        """
        del q, num_samples, seed
        return None

    def global_kl(self) -> tf.Tensor:
        """KL(q(theta) || p(theta)) per example of the data set, in nats; 0 where theta are weights."""
        return tf.zeros([], self.compute_dtype)

    def natural_step(self, q: tfd.Distribution, weights: tf.Tensor) -> None:
        """Moves q(theta) towards the best one, given q(z, k|x) of a batch; nothing where theta are weights.

        Args:
            q: posterior that this prior made.
            weights: of the examples, `[B]`.
        """
        del q, weights


def evidence(potentials: tfd.Distribution) -> tuple[tf.Tensor, tf.Tensor]:
    """Mean and variance of independent normal potentials, both `[B] + event`.

    Raises:
        ValueError: for any other distribution, with which no prior here is conjugate.
    """
    scalars = isinstance(potentials, tfd.Independent) and isinstance(potentials.distribution, tfd.Normal)
    if not (scalars or isinstance(potentials, tfd.MultivariateNormalDiag)):
        raise invalid(
            "encoder",
            "independent normals, the evidence that graphical models are conjugate to",
            potentials.name,
            "End it with keras_vae.layers.IndependentNormal.",
        )
    return potentials.mean(), potentials.variance()
