"""Gaussian mixtures as latent graphical models, with a distribution of their parameters."""

from typing import Any

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae.checks import check_count, check_number
from keras_vae.distributions import MultivariateNormalMixture
from keras_vae.divergences.regressions import Regression, expected_regression, kl_of_regressions, regression
from keras_vae.layers.independent import Shape
from keras_vae.priors.belief_weights import BeliefWeights
from keras_vae.priors.gaussian_mixture_graph import GaussianMixtureGraph

tfd = tfp.distributions


@keras.saving.register_keras_serializable(package="keras_vae")
class BayesianGaussianMixtureGraph(GaussianMixtureGraph):
    """`GaussianMixtureGraph` with a posterior of its parameters, which natural gradient steps improve.

    A Dirichlet prior of the weights and normal inverse-Wishart priors of means and covariances,

        pi ~ Dirichlet(concentration),    Sigma_k ~ InverseWishart(scale^2 (D + 2) I, D + 2),
        mu_k | Sigma_k ~ N(0, (spread / scale)^2 Sigma_k),

    and q(theta) of the same families. Each training step of `StructuredVAE` ends with one in the natural
    parameters of q(theta), from the expected statistics of the batch; the optimizer trains the networks only.
    Components that no data need fall back to the prior, so that K is an upper bound of the number of
    clusters: prefer it where that is unknown.

    Called, it gives the mixture at E[pi], E[mu] and E[Sigma^-1]^-1, which `sample`, `elbo` and
    `log_likelihood` use.

    Args:
        event_shape, num_components, inference, num_iterations, seed: see `GaussianMixtureGraph`.
        dataset_size: N, the number of training examples, at least 1.
        rate: rho, the length of a natural gradient step, in (0, 1]; 1 forgets all other batches.
        concentration: of the Dirichlet, above 0; the smaller, the fewer clusters are used.
        spread: standard deviation expected of the means, above 0.
        scale: standard deviation expected of a component, above 0.

    Raises:
        ValueError: for latents that are no vectors, and for arguments out of range.

    Example:

    >>> prior = BayesianGaussianMixtureGraph(2, num_components=3, dataset_size=100)
    >>> len(prior.trainable_variables), prior().mean().shape
    (0, TensorShape([2]))

    Reference: Johnson et al., Composing graphical models with neural networks for structured representations
    and fast inference, 2016, section 4; of Proposition 4.2, the gradient at fixed local factors, as in
    Hoffman et al., Stochastic Variational Inference, 2013: the other term, through the factors' dependence on
    q(theta), could lead to parameters of no distribution.
    """

    has_belief = True

    def __init__(
        self,
        event_shape: Shape,
        num_components: int = 10,
        *,
        dataset_size: int,
        rate: float = 0.1,
        concentration: float = 1.0,
        inference: str = "exact",
        num_iterations: int | None = None,
        spread: float = 1.0,
        scale: float = 1.0,
        seed: int = 0,
        **kwargs: Any,
    ):
        self.dataset_size = check_count("dataset_size", dataset_size)
        self.rate = check_number("rate", rate, above=0.0, at_most=1.0)
        self.concentration = check_number("concentration", concentration, above=0.0)
        super().__init__(
            event_shape, num_components, inference, num_iterations, spread, scale, seed, **kwargs
        )

    def _make_weights(self) -> None:
        count, size, dtype = self.num_components, self.event_shape[0], self.variable_dtype
        none = self._belief_after(tf.zeros([count, size], dtype), 0.0)
        start = self._belief_after(self._initial_means(), self.dataset_size / count)
        self._belief = BeliefWeights(self, none, start, self.dataset_size, self.rate)

    def _belief_after(self, means: tf.Tensor, share: float) -> dict[str, tf.Tensor]:
        """As if every component had seen `share` examples around its mean; of none, p(theta) for means 0."""
        count, size = means.shape
        covariance = self.scale**2 * tf.eye(size, batch_shape=[count], dtype=means.dtype)
        ones = tf.ones([count], means.dtype)
        shrinkage = ones[:, None, None] * (self.scale / self.spread) ** 2
        of_components = regression(
            means[..., None], shrinkage + share, covariance, (size + 2.0 + share) * ones
        )
        return {"concentration": (self.concentration + share) * ones, **of_components._asdict()}

    def _begin(self, means: tf.Tensor) -> None:
        self._belief.assign(self._belief_after(means, self.dataset_size / self.num_components))

    def components(self) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        belief = self._belief.now()
        concentration = belief.pop("concentration")
        slope, scale_tril, doubt, constant = expected_regression(Regression(**belief))
        log_weights = tf.math.digamma(concentration) - tf.math.digamma(tf.reduce_sum(concentration))
        return log_weights + constant - 0.5 * doubt[..., 0, 0], slope[..., 0], scale_tril

    def distribution(self) -> tfd.Distribution:
        _, loc, scale_tril = self.components()
        return MultivariateNormalMixture(tf.math.log(self._belief.now()["concentration"]), loc, scale_tril)

    def global_kl(self) -> tf.Tensor:
        q, p = self._belief.now(), self._belief.prior()
        of_weights = tfd.kl_divergence(
            tfd.Dirichlet(q.pop("concentration")), tfd.Dirichlet(p.pop("concentration"))
        )
        of_components = tf.reduce_sum(kl_of_regressions(Regression(**q), Regression(**p)))
        return (of_weights + of_components) / self.dataset_size

    def natural_step(self, q: tfd.Distribution, weights: tf.Tensor) -> None:
        counts = weights[:, None] * self.responsibilities(q)
        components = q.components_distribution if self.inference == "exact" else q
        loc, covariance = components.mean(), components.covariance()
        squares = covariance + loc[..., :, None] * loc[..., None, :]
        if self.inference == "mean-field":  # the same z for every component
            loc, squares = loc[:, None], squares[:, None]
        total = tf.reduce_sum(counts, axis=0)
        statistics = Regression(
            xx=total[:, None, None],
            yx=tf.reduce_sum(counts[..., None] * loc, axis=0)[..., None],
            yy=tf.reduce_sum(counts[..., None, None] * squares, axis=0),
            count=total,
        )
        self._belief.step({"concentration": total, **statistics._asdict()}, tf.shape(counts)[0])

    def get_config(self) -> dict[str, Any]:
        names = ("dataset_size", "rate", "concentration")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
