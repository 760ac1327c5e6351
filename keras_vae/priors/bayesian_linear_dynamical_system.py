"""Linear dynamical systems as latent graphical models, with a distribution of their parameters."""

from typing import Any

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae.checks import check_count, check_number
from keras_vae.distributions import NormalChain
from keras_vae.distributions.small_matrices import product
from keras_vae.divergences.regressions import (
    ExpectedRegression,
    Regression,
    expected_regression,
    kl_of_regressions,
    regression,
)
from keras_vae.layers.independent import Shape
from keras_vae.priors.belief_weights import BeliefWeights
from keras_vae.priors.linear_dynamical_system import INITIAL_TRANSITION, LinearDynamicalSystem

tfd = tfp.distributions

_FIRST, _LATER = "first_", "later_"


@keras.saving.register_keras_serializable(package="keras_vae")
class BayesianLinearDynamicalSystem(LinearDynamicalSystem):
    """`LinearDynamicalSystem` with a posterior of its parameters, which natural gradient steps improve.

    A normal inverse-Wishart prior of m and S and a matrix-normal inverse-Wishart prior of A and Q,

        S ~ InverseWishart(scale^2 (D + 2) I, D + 2),    m | S ~ N(0, S),
        Q ~ InverseWishart(noise^2 (D + 2) I, D + 2),    A | Q ~ MatrixNormal(0.99 I, Q, I / noise^2),

    and q(theta) of the same families. Each training step of `StructuredVAE` ends with one in the natural
    parameters of q(theta), from the expected statistics of the batch; the optimizer trains the networks only.
    Prefer it to the system of weights where dynamics are to be learned fast, or from few sequences.

    Called, it gives the chain at E[m], E[A] and the inverses of E[S^-1] and E[Q^-1], which `sample`, `elbo`
    and `log_likelihood` use.

    Args:
        event_shape: `(T, D)`: steps and latent dimensions.
        dataset_size: N, the number of training sequences, at least 1.
        rate: rho, the length of a natural gradient step, in (0, 1]; 1 forgets all other batches.
        scale: standard deviation expected of z_1, above 0.
        noise: standard deviation expected of the noise, above 0.

    Raises:
        ValueError: for latents that are no sequences of vectors, and for arguments out of range.

    Example:

    >>> prior = BayesianLinearDynamicalSystem((5, 2), dataset_size=100)
    >>> len(prior.trainable_variables), prior().event_shape
    (0, TensorShape([5, 2]))

    Reference: Johnson et al., Composing graphical models with neural networks for structured representations
    and fast inference, 2016, section 4; of Proposition 4.2, the gradient at fixed local factors, as in
    `BayesianGaussianMixtureGraph`.
    """

    has_belief = True

    def __init__(
        self,
        event_shape: Shape,
        *,
        dataset_size: int,
        rate: float = 0.1,
        scale: float = 1.0,
        noise: float = 0.1,
        **kwargs: Any,
    ):
        self.dataset_size, self.rate = (
            check_count("dataset_size", dataset_size),
            check_number("rate", rate, above=0.0, at_most=1.0),
        )
        super().__init__(event_shape, scale, noise, **kwargs)

    def _make_weights(self) -> None:
        steps, size = self.event_shape
        dtype = self.variable_dtype
        unit, one = tf.eye(size, dtype=dtype), tf.ones([1, 1], dtype)
        middle, still = tf.zeros([size, 1], dtype), INITIAL_TRANSITION * unit
        variance, noise = self.scale**2, self.noise**2
        few = tf.constant(size + 2.0, dtype)
        # At first as if the data had been seen to start around 0 and hardly to move.
        many = float(self.dataset_size)
        pairs = many * (steps - 1)
        prior = (
            regression(middle, one, variance * unit, few),
            regression(still, noise * unit, noise * unit, few),
        )
        start = (
            regression(middle, one + many, variance * unit, few + many),
            regression(still, (noise + pairs * variance) * unit, noise * unit, few + pairs),
        )
        self._belief = BeliefWeights(self, _named(*prior), _named(*start), self.dataset_size, self.rate)

    def _expected(self) -> tuple[ExpectedRegression, ExpectedRegression]:
        first, later = _unnamed(self._belief.now())
        return expected_regression(first), expected_regression(later)

    def steps(self) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        first, later = self._expected()
        return first.slope[:, 0], first.scale_tril, later.slope, later.scale_tril

    def doubt(self) -> tf.Tensor:
        """The precision about 0 that uncertainty about A adds to every step but the last, `[T, D, D]`."""
        _, later = self._expected()
        count = self.event_shape[0] - 1
        return tf.pad(tf.tile(later.doubt[None], [count, 1, 1]), [[0, 1], [0, 0], [0, 0]])

    def local_kl(self, q: NormalChain) -> tf.Tensor:
        first, later = self._expected()
        constant = first.constant - 0.5 * first.doubt[0, 0] + (self.event_shape[0] - 1.0) * later.constant
        doubted = 0.5 * tf.reduce_sum(self.doubt() * _squares(q), axis=[-3, -2, -1])
        return super().local_kl(q) + doubted - constant

    def global_kl(self) -> tf.Tensor:
        pairs = zip(_unnamed(self._belief.now()), _unnamed(self._belief.prior()), strict=True)
        return tf.add_n([kl_of_regressions(q, p) for q, p in pairs]) / self.dataset_size

    def natural_step(self, q: NormalChain, weights: tf.Tensor) -> None:
        mean, squares = q.mean(), _squares(q)
        before = q.marginal_covariance()[:, :-1]
        products = product(q.transition[:, 1:], before) + mean[:, 1:, :, None] * mean[:, :-1, None, :]
        total = tf.reduce_sum(weights)
        weights = weights[:, None, None]

        def summed(value):
            return tf.reduce_sum(weights * value, axis=0)

        first = Regression(
            xx=tf.reshape(total, [1, 1]),
            yx=summed(mean[:, 0, :, None]),
            yy=summed(squares[:, 0]),
            count=total,
        )
        later = Regression(
            xx=summed(tf.reduce_sum(squares[:, :-1], axis=1)),
            yx=summed(tf.reduce_sum(products, axis=1)),
            yy=summed(tf.reduce_sum(squares[:, 1:], axis=1)),
            count=total * (self.event_shape[0] - 1.0),
        )
        self._belief.step(_named(first, later), tf.shape(mean)[0])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "dataset_size": self.dataset_size, "rate": self.rate}


def _squares(q: NormalChain) -> tf.Tensor:
    """E[z_t z_t'], `[B, T, D, D]`."""
    mean = q.mean()
    return q.marginal_covariance() + mean[..., :, None] * mean[..., None, :]


def _named(first: Regression, later: Regression) -> dict[str, tf.Tensor]:
    """The fields of both in one dictionary."""
    pairs = ((_FIRST, first), (_LATER, later))
    return {prefix + name: value for prefix, belief in pairs for name, value in belief._asdict().items()}


def _unnamed(fields: dict[str, tf.Tensor]) -> tuple[Regression, Regression]:
    first, later = (
        Regression(*(fields[prefix + name] for name in Regression._fields)) for prefix in (_FIRST, _LATER)
    )
    return first, later
