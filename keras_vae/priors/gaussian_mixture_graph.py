"""Gaussian mixtures as latent graphical models."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae.checks import check_count, check_number
from keras_vae.distributions import MultivariateNormalMixture, MultivariateNormalTriL
from keras_vae.distributions.small_matrices import (
    apply,
    factor_of_inverse,
    factor_with_evidence,
    inverse_tril,
    product,
    square,
    transpose,
)
from keras_vae.errors import invalid, lookup
from keras_vae.layers.distribution_layer import MIN_SCALE
from keras_vae.layers.independent import Shape
from keras_vae.priors.graphical_model import GraphicalModel, evidence

tfd, tfb = tfp.distributions, tfp.bijectors

_INFERENCE = {"exact": "exact", "mean-field": "mean-field"}


@keras.saving.register_keras_serializable(package="keras_vae")
class GaussianMixtureGraph(GraphicalModel):
    """Clusters in the latent: k ~ Categorical(pi), z | k ~ N(mu_k, Sigma_k), full covariances, all weights.

    The posterior of z, and with it that of the cluster (`responsibilities`), takes the mixture into account:
    codes are pulled towards clusters, and clusters of any shape in x can become ellipses in z. Prefer it to
    `NormalMixture` where clusters are the point; prefer `BayesianGaussianMixtureGraph` where their number is
    not known.

    Args:
        event_shape: number D of latent dimensions.
        num_components: how many normals K, at least 1.
        inference: "exact", q(z, k|x) proportional to p(z, k) psi(z; x), again a mixture of K normals; the
            decoder then runs K times for every draw, once for each component, so that no gradient is lost.
            "mean-field", the best q(z|x) q(k|x) that coordinate ascent finds, one normal; a looser bound and
            the cheaper one, and what the paper does.
        num_iterations: rounds of the coordinate ascent, at least 1; 10 by default, and only for "mean-field".
        spread: standard deviation of the means at first, which are drawn from a normal where there are
            several, so that they can part; `start_at` has a better beginning for them.
        scale: standard deviation of every component at first.
        seed: seed of the means at first.

    Raises:
        ValueError: for latents that are no vectors, and for arguments out of range.

    Example:

    >>> prior = GaussianMixtureGraph(2, num_components=3)
    >>> evidence = tfd.MultivariateNormalDiag(tf.zeros([5, 2]), tf.ones([5, 2]))
    >>> q = prior.posterior(evidence)
    >>> q.batch_shape, q.event_shape, prior.responsibilities(q).shape
    (TensorShape([5]), TensorShape([2]), TensorShape([5, 3]))

    Reference: Johnson et al., Composing graphical models with neural networks for structured representations
    and fast inference, 2016, section 2 (model), Eq. 6 (mean-field with potentials).
    """

    def __init__(
        self,
        event_shape: Shape,
        num_components: int = 10,
        inference: str = "exact",
        num_iterations: int | None = None,
        spread: float = 1.0,
        scale: float = 1.0,
        seed: int = 0,
        **kwargs: Any,
    ):
        super().__init__(event_shape, **kwargs)
        if len(self.event_shape) != 1:
            raise invalid("event_shape", "one dimension, a vector", event_shape)
        self.num_components = check_count("num_components", num_components)
        self.inference = lookup("inference", inference, _INFERENCE)
        if num_iterations is not None and inference == "exact":
            raise invalid("num_iterations", "None, as exact inference takes no iterations", num_iterations)
        self.num_iterations = (
            None if num_iterations is None else check_count("num_iterations", num_iterations)
        )
        self.spread, self.scale = (
            check_number("spread", spread, above=0.0),
            check_number("scale", scale, above=0.0),
        )
        self.seed = seed
        self._make_weights()

    def _make_weights(self) -> None:
        """The trainable weights; the Bayesian subclass has others."""
        size = self.event_shape[0]
        self._tril = tfb.FillScaleTriL(diag_shift=np.array(MIN_SCALE, self.variable_dtype))
        self.logits = self.add_weight(name="logits", shape=(self.num_components,), initializer="zeros")
        self.loc = self.add_weight(name="loc", shape=(self.num_components, size), initializer="zeros")
        entries = size * (size + 1) // 2
        self.raw_scale = self.add_weight(
            name="raw_scale", shape=(self.num_components, entries), initializer="zeros"
        )
        self._begin(self._initial_means())

    def _initial_means(self) -> tf.Tensor:
        shape = (self.num_components, self.event_shape[0])
        if self.num_components == 1:
            return tf.zeros(shape, self.variable_dtype)
        means = keras.initializers.RandomNormal(stddev=self.spread, seed=self.seed)
        return tf.convert_to_tensor(means(shape, self.variable_dtype))

    def start_at(self, codes: Any, seed: int = 0) -> None:
        """Begins again with the means where k-means finds the centres of codes; all else as it was built.

        Call it before training, with what the encoder makes of the data at first. From means drawn at random
        some components have two clusters and others share one, and training seldom leaves that.

        Args:
            codes: `[N, D]`, at least as many as components; for a model, `vae.encoder(x).mean()`.
            seed: of k-means, an integer >= 0; the best of ten beginnings is taken.

        Raises:
            ValueError: for codes of another shape, too few or not finite, and for a wrong seed.
            ImportError: if scikit-learn is missing.

        Example:

        >>> prior = GaussianMixtureGraph(1, num_components=2)
        >>> prior.start_at([[-3.0], [-1.0], [4.0], [6.0]])
        >>> sorted(prior.components()[1].numpy().ravel().tolist())
        [-2.0, 5.0]
        """
        codes = np.asarray(codes, np.float64)
        check_count("seed", seed, 0)
        count, size = self.num_components, self.event_shape[0]
        if codes.ndim != 2 or codes.shape[1] != size or len(codes) < count:
            raise invalid("codes", f"shape [N, {size}], N at least {count}", f"shape {codes.shape}")
        if not np.isfinite(codes).all():
            raise invalid("codes", "finite codes", "codes with NaN or infinity")
        # Here, since importing it takes a second.
        from sklearn.cluster import KMeans

        found = KMeans(count, n_init=10, random_state=seed).fit(codes)
        self._begin(tf.convert_to_tensor(found.cluster_centers_, self.variable_dtype))

    def _begin(self, means: tf.Tensor) -> None:
        """Sets the weights to what they are at first, with these means, `[K, D]`."""
        start = self._tril.inverse(self.scale * tf.eye(self.event_shape[0], dtype=self.variable_dtype))
        self.logits.assign(tf.zeros_like(self.logits))
        self.loc.assign(means)
        self.raw_scale.assign(tf.tile(start[None], [self.num_components, 1]))

    def components(self) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """log pi_k, mu_k and the Cholesky factor of Sigma_k: `[K]`, `[K, D]` and `[K, D, D]`.

        Of a Bayesian mixture, such that pi_k N(z; mu_k, Sigma_k) is exp E_q(theta)[log p(z, k|theta)]; these
        pi_k add up to less than 1.
        """
        logits, raw_scale = tf.convert_to_tensor(self.logits), tf.convert_to_tensor(self.raw_scale)
        return tf.nn.log_softmax(logits), tf.convert_to_tensor(self.loc), self._tril(raw_scale)

    def distribution(self) -> tfd.Distribution:
        return MultivariateNormalMixture(*self.components())

    # --- inference -----------------------------------------------------------------------------

    def posterior(self, potentials: tfd.Distribution) -> tfd.Distribution:
        mean, variance = evidence(potentials)
        exact = self._exact(mean, variance)
        return exact if self.inference == "exact" else self._mean_field(mean, variance, exact)

    def _exact(self, mean: tf.Tensor, variance: tf.Tensor) -> MultivariateNormalMixture:
        """Every component with the evidence, and the weight pi_k N(m; mu_k, Sigma_k + s^2)."""
        log_weights, loc, scale = self.components()
        mean, variance = mean[:, None], variance[:, None]
        precision = tf.linalg.diag(1.0 / variance)
        inner = factor_with_evidence(scale, precision)
        posterior_scale = product(scale, transpose(inner))
        # From mu_k to the posterior's mean, C s^-2 (m - mu_k), and the rest of the way.
        surprise = mean - loc
        moved = apply(posterior_scale, apply(transpose(posterior_scale), surprise / variance))
        rest = surprise - moved
        squares = tf.square(apply(inverse_tril(scale), moved)) + tf.square(rest) / variance
        # log N(m; mu_k, Sigma_k + s^2) but for log s, which all components share: s may be infinite.
        log_det = tf.math.log(tf.linalg.diag_part(inner))
        logits = log_weights + tf.reduce_sum(log_det - 0.5 * squares, axis=-1)
        return MultivariateNormalMixture(logits, loc + moved, posterior_scale)

    def _mean_field(
        self, mean: tf.Tensor, variance: tf.Tensor, exact: MultivariateNormalMixture
    ) -> MultivariateNormalTriL:
        """The best q(z) q(k), by turns, from the exact q(k) on."""
        _, loc, scale = self.components()
        precision = square(transpose(inverse_tril(scale)))
        information = apply(precision, loc)

        def of_z(responsibilities):
            weights = responsibilities[..., None]
            total = tf.reduce_sum(weights[..., None] * precision, axis=1) + tf.linalg.diag(1.0 / variance)
            pull = tf.reduce_sum(weights * information, axis=1) + mean / variance
            inverse = factor_of_inverse(total)
            return MultivariateNormalTriL(apply(transpose(inverse), apply(inverse, pull)), transpose(inverse))

        def turn(count, responsibilities):
            return count + 1, tf.nn.softmax(self._log_joint(of_z(responsibilities)))

        rounds = 10 if self.num_iterations is None else self.num_iterations
        start = (tf.constant(1), exact.mixture_distribution.probs_parameter())
        _, responsibilities = tf.while_loop(lambda i, _: i < rounds, turn, start, maximum_iterations=rounds)
        return of_z(responsibilities)

    def _log_joint(self, q: MultivariateNormalTriL) -> tf.Tensor:
        """E_q(z)[log p(z, k)] of every k, `[B, K]`."""
        log_weights, loc, scale = self.components()
        spread = product(inverse_tril(scale), q.scale.to_dense()[:, None])
        expected = tfd.MultivariateNormalTriL(loc, scale).log_prob(q.loc[:, None]) - 0.5 * tf.reduce_sum(
            tf.square(spread), axis=[-2, -1]
        )
        return log_weights + expected

    def responsibilities(self, q: tfd.Distribution) -> tf.Tensor:
        """q(k|x) of a posterior that this prior made, `[B, K]`."""
        if self.inference == "exact":
            return q.mixture_distribution.probs_parameter()
        return tf.nn.softmax(self._log_joint(q))

    def local_kl(self, q: tfd.Distribution) -> tf.Tensor:
        if self.inference == "mean-field":
            # At the best q(k), the log-normaliser of it.
            return -q.entropy() - tf.reduce_logsumexp(self._log_joint(q), axis=-1)
        log_weights, loc, scale = self.components()
        choice = q.mixture_distribution
        of_components = tfd.kl_divergence(q.components_distribution, tfd.MultivariateNormalTriL(loc, scale))
        log_ratio = tf.nn.log_softmax(choice.logits_parameter()) - log_weights
        return tf.reduce_sum(choice.probs_parameter() * (log_ratio + of_components), axis=-1)

    def branches(
        self, q: tfd.Distribution, num_samples: int, seed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor] | None:
        if self.inference == "mean-field":
            return None
        of_components = q.components_distribution.sample(num_samples, seed=seed)  # [S, B, K, D]
        weights = q.mixture_distribution.probs_parameter() / num_samples
        z = tf.transpose(of_components, [0, 2, 1, 3])
        z = tf.reshape(z, [num_samples * self.num_components, -1, *self.event_shape])
        return z, tf.tile(tf.transpose(weights), [num_samples, 1])

    def get_config(self) -> dict[str, Any]:
        names = ("num_components", "inference", "num_iterations", "spread", "scale", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
