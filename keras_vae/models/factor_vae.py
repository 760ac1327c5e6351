"""The FactorVAE."""

from typing import Any

import keras

from keras_vae.models.latent_variable_model import LatentVariableModel
from keras_vae.objectives import FactorELBO
from keras_vae.objectives.critic_arguments import Critic
from keras_vae.priors import Prior
from keras_vae.schedules import Schedule


@keras.saving.register_keras_serializable(package="keras_vae")
class FactorVAE(LatentVariableModel):
    """The VAE with a penalty of the total correlation of its latents, which a critic estimates.

    -E_q[log p(x|z)] + KL(q(z|x) || p(z)) + gamma * TC(q(z)), in nats. TC is 0 where the latents of all data
    together are independent. Prefer it to `BetaVAE` for disentangled latents at a better reconstruction,
    since it spares what z says of x; and to `BetaTCVAE` where batches are small or the posterior's marginals
    are not known, at the price of a critic to be trained.

    Args:
        encoder, decoder, prior, kl, num_samples, annealing, free_bits, seed: see `VAE`.
        gamma: weight of TC, a number >= 0, a `schedules.Schedule`, or its short form. 0 is the `VAE`; the
            paper takes 2 to 100, and about 6 to 40 for its best models.
        critic: a Keras model from z, `[B] + latent`, to log q(z) / prod_j q(z_j), `[B, 1]`; or widths of the
            hidden layers of an MLP, (256, 256) if None. The paper's is `(1000,) * 6`.
        r1, gradient_penalty, spectral_norm, critic_steps: remedies, see `AdversarialAutoencoder`; all but the
            last make the estimate of TC smaller.

    The critic has an optimizer of its own: `compile(critic_optimizer=...)`, a copy of the other by default;
    the paper's is `keras.optimizers.Adam(1e-4, beta_1=0.5, beta_2=0.9)`.

    Metrics: `loss` = `reconstruction` + `kl` + `weighted_tc`; `total_correlation`, `gamma`, `critic_loss`
    (log 4 where TC is 0), the penalties that are on and `critic_accuracy` are shown beside them.

    Example:

    >>> import keras_vae
    >>> vae = keras_vae.FactorVAE.create((8, 8, 1), latent_size=2, hidden=(16,), gamma=6.4, critic=(16,))
    >>> vae.gamma.assign(2.0).numpy()
    np.float32(2.0)

    Reference: Kim & Mnih, Disentangling by Factorising, 2018, Eq. 2 and 3, Algorithm 2.
    """

    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        prior: Prior | None = None,
        gamma: float | str | Schedule = 10.0,
        critic: Critic = None,
        r1: float = 0.0,
        gradient_penalty: float = 0.0,
        spectral_norm: bool = False,
        critic_steps: int = 1,
        kl: str = "auto",
        num_samples: int = 1,
        annealing: float | str | Schedule = 1.0,
        free_bits: float = 0.0,
        **kwargs: Any,
    ):
        objective = FactorELBO(
            gamma=gamma,
            critic=critic,
            r1=r1,
            gradient_penalty=gradient_penalty,
            spectral_norm=spectral_norm,
            critic_steps=critic_steps,
            kl=kl,
            num_samples=num_samples,
            annealing=annealing,
            free_bits=free_bits,
        )
        super().__init__(encoder, decoder, prior, objective, **kwargs)

    @property
    def gamma(self) -> keras.Variable:
        """The present weight of the total correlation: read it, or assign to it between calls of `fit`."""
        return self.objective.current("gamma")

    @gamma.setter
    def gamma(self, value: float) -> None:
        self.objective.gamma = value
