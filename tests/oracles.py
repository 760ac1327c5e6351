"""Models whose likelihood is known in closed form."""

from dataclasses import dataclass

import keras
import numpy as np
from scipy import stats

from keras_vae import layers, models


@dataclass(frozen=True)
class LinearGaussian:
    """z ~ N(0, I), x|z ~ N(W z + b, s^2 I): so p(x) = N(b, W W^T + s^2 I), and p(z|x) is normal too.

    All closed forms are in float64. W may be any matrix; its columns are orthogonal in `make`, and then the
    exact posterior has a diagonal covariance.

    Args:
        weights: W, `[D, L]`.
        bias: b, `[D]`.
        scale: s.
    """

    weights: np.ndarray
    bias: np.ndarray
    scale: float

    @classmethod
    def make(cls, data_size: int = 5, latent_size: int = 2, scale: float = 0.7, seed: int = 0):
        """One with orthogonal columns of W of lengths 1, 2, ..., divided by the number of latents."""
        rng = np.random.default_rng(seed)
        directions = np.linalg.qr(rng.normal(size=(data_size, latent_size)))[0]
        lengths = 2.0 * np.arange(1, latent_size + 1) / latent_size
        return cls(directions * lengths, rng.normal(size=data_size), scale)

    @property
    def data_size(self) -> int:
        return self.weights.shape[0]

    @property
    def latent_size(self) -> int:
        return self.weights.shape[1]

    def draw(self, count: int, seed: int = 0) -> np.ndarray:
        """Data from the model, float32 `[count, D]`."""
        rng = np.random.default_rng(seed)
        z = rng.normal(size=(count, self.latent_size))
        noise = rng.normal(size=(count, self.data_size))
        return (z @ self.weights.T + self.bias + self.scale * noise).astype("float32")

    def log_prob(self, x: np.ndarray) -> np.ndarray:
        """log p(x), `[N]`, in nats."""
        covariance = self.weights @ self.weights.T + self.scale**2 * np.eye(self.data_size)
        return np.atleast_1d(stats.multivariate_normal(self.bias, covariance).logpdf(np.float64(x)))

    @property
    def posterior_covariance(self) -> np.ndarray:
        """Of p(z|x), `[L, L]`, the same for every x."""
        precision = np.eye(self.latent_size) + self.weights.T @ self.weights / self.scale**2
        return np.linalg.inv(precision)

    @property
    def posterior_map(self) -> np.ndarray:
        """A, `[L, D]`, with p(z|x) centred at A (x - b)."""
        return self.posterior_covariance @ self.weights.T / self.scale**2

    def posterior_mean(self, x: np.ndarray) -> np.ndarray:
        """Of p(z|x), `[N, L]`."""
        return (np.float64(x) - self.bias) @ self.posterior_map.T

    def kl(self, x: np.ndarray, widen: float = 1.0, shift: float = 0.0) -> np.ndarray:
        """KL(q(z|x) || p(z)) of the encoder that `build` gives these arguments, `[N]`, if it is diagonal."""
        variances = widen**2 * np.diag(self.posterior_covariance)
        means = self.posterior_mean(x) + shift
        return 0.5 * (np.sum(variances - 1.0 - np.log(variances)) + np.sum(means**2, axis=1))

    def gap(self, widen: float = 1.0, shift: float = 0.0) -> float:
        """KL(q(z|x) || p(z|x)) of that encoder: how far the ELBO lies below log p(x), for every x."""
        covariance = self.posterior_covariance
        q = np.diag(widen**2 * np.diag(covariance))
        precision = np.linalg.inv(covariance)
        mean = np.full(self.latent_size, shift)
        log_ratio = np.linalg.slogdet(covariance)[1] - np.linalg.slogdet(q)[1]
        return 0.5 * (np.trace(precision @ q) + mean @ precision @ mean - self.latent_size + log_ratio)

    def build(
        self,
        widen: float = 1.0,
        shift: float = 0.0,
        posterior: type[layers.DistributionLayer] = layers.IndependentNormal,
        model: type[models.LatentVariableModel] = models.VAE,
        **kwargs,
    ) -> models.LatentVariableModel:
        """The model with these weights, whose encoder is the exact posterior as far as it has that shape.

        Args:
            widen: factor of the posterior's scales; 1 is exact.
            shift: added to every posterior mean; 0 is exact.
            posterior: `IndependentNormal` or `MultivariateNormalDiag`, exact for orthogonal W, or
                `MultivariateNormalTriL`, exact for any.
            model: with its own arguments in `kwargs`.
        """
        layer = posterior(self.latent_size)
        encoder = keras.Sequential(
            [keras.Input((self.data_size,)), keras.layers.Dense(layer.num_params), layer], name="encoder"
        )
        decoder = keras.Sequential(
            [
                keras.Input((self.latent_size,)),
                keras.layers.Dense(self.data_size),
                layers.HomoscedasticNormal(self.data_size, scale=self.scale),
            ],
            name="decoder",
        )
        raw_scale = self._raw_scale(posterior, widen)
        kernel = np.zeros((self.data_size, layer.num_params))
        kernel[:, : self.latent_size] = self.posterior_map.T
        bias = np.concatenate([shift - self.posterior_map @ self.bias, raw_scale])
        encoder.layers[0].set_weights([kernel, bias])
        decoder.layers[0].set_weights([self.weights.T, self.bias])
        return model(encoder, decoder, **{"seed": 0, **kwargs})

    def _raw_scale(self, posterior: type[layers.DistributionLayer], widen: float) -> np.ndarray:
        """What the layer turns into `widen` times the posterior's scale."""
        if posterior is not layers.MultivariateNormalTriL:
            return _inverse_softplus(widen * np.sqrt(np.diag(self.posterior_covariance)))
        factor = widen * np.linalg.cholesky(self.posterior_covariance)
        np.fill_diagonal(factor, _inverse_softplus(np.diag(factor) - 1e-5))
        return _fill_triangular_inverse(factor)


def _inverse_softplus(scale: np.ndarray) -> np.ndarray:
    return np.log(np.expm1(scale))


def _fill_triangular_inverse(factor: np.ndarray) -> np.ndarray:
    import tensorflow_probability as tfp

    return tfp.math.fill_triangular_inverse(factor).numpy()
