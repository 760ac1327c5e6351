"""The Wasserstein autoencoder with a critic."""

from typing import Any

import keras

from keras_vae.models.latent_variable_model import LatentVariableModel
from keras_vae.objectives import AdversarialWasserstein
from keras_vae.objectives.critic_arguments import Critic
from keras_vae.priors import Prior
from keras_vae.schedules import Schedule


@keras.saving.register_keras_serializable(package="keras_vae")
class AdversarialWAE(LatentVariableModel):
    """The Wasserstein autoencoder whose distance, in its dual form, is the work of a Lipschitz critic.

    -E_q[log p(x|z)] + weight * W1(p(z), q(z)), where q(z) is of the codes of all data together. Try a `WAE`
    first, which needs no second player. Prefer this one for many latents or small batches: the critic learns
    from one batch after the other, and so sees what each is too small to show.

    Args:
        encoder, decoder, prior, num_samples, seed: see `AdversarialAutoencoder`.
        weight: of the distance, a number >= 0, a `schedules.Schedule`, or its short form. The distance is in
            units of z, the reconstruction in nats summed over the event: images take more than 10.
        critic: a Keras model from z, `[B] + latent`, to scores, `[B, 1]`; or widths of the hidden layers of
            an MLP, (256, 256) if None.
        r1: weight of the critic's R1 penalty, seldom needed here.
        gradient_penalty: weight of the penalty that holds the critic's slope at 1.
        spectral_norm: whether the MLP's matrices are divided by their largest singular values, so that no
            slope exceeds 1; then gradient_penalty may be 0, and the distance is a bound from below.
        critic_steps: updates of the critic for each of the autoencoder, so that it is near its maximum.

    The critic has an optimizer of its own: `compile(critic_optimizer=...)`, a copy of the other by default;
    Gulrajani et al. take `keras.optimizers.Adam(1e-4, beta_1=0.0, beta_2=0.9)`.

    Metrics: `loss` = `reconstruction` + `weighted_divergence`; `divergence`, the distance, `weight`,
    `critic_loss`, its negative, the penalties that are on and `critic_accuracy` are shown beside them.

    Example:

    >>> import keras_vae
    >>> wae = keras_vae.AdversarialWAE.create((8, 8, 1), latent_size=2, hidden=(16,), critic=(16,))
    >>> wae.objective.critic_part_names
    ('critic_loss', 'critic_gradient_penalty')

    Reference: Tolstikhin et al., Wasserstein Auto-Encoders, 2018, Eq. 4; Arjovsky et al., Wasserstein GAN,
    2017, Eq. 2; Gulrajani et al., Improved Training of Wasserstein GANs, 2017, Eq. 3.
    """

    default_posterior = "deterministic"

    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        prior: Prior | None = None,
        weight: float | str | Schedule = 10.0,
        critic: Critic = None,
        r1: float = 0.0,
        gradient_penalty: float = 10.0,
        spectral_norm: bool = False,
        critic_steps: int = 5,
        num_samples: int = 1,
        **kwargs: Any,
    ):
        objective = AdversarialWasserstein(
            weight=weight,
            critic=critic,
            r1=r1,
            gradient_penalty=gradient_penalty,
            spectral_norm=spectral_norm,
            critic_steps=critic_steps,
            num_samples=num_samples,
        )
        super().__init__(encoder, decoder, prior, objective, **kwargs)
