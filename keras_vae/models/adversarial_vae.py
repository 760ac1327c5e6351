"""The variational autoencoder with a critic of x (VAE-GAN)."""

from typing import Any

import keras

from keras_vae.models.latent_variable_model import LatentVariableModel
from keras_vae.objectives import AdversarialELBO
from keras_vae.objectives.critic_arguments import Critic
from keras_vae.priors import Prior
from keras_vae.schedules import Schedule


@keras.saving.register_keras_serializable(package="keras_vae")
class AdversarialVAE(LatentVariableModel):
    """The VAE whose decoder must also please a critic of x, known as VAE-GAN.

    R + KL(q(z|x) || p(z)) + weight * (g(D(x_r)) + g(D(x_p))): the critic D tells data from reconstructions
    x_r and from what the decoder makes of the prior, x_p; both are means of p(x|z). Prefer it where samples
    should look sharp rather than be likely; the loss is then no bound on log p(x).

    Args:
        encoder, decoder, prior, kl, num_samples, annealing, free_bits, seed: see `VAE`. Data should lie
            within a few units of 0, and the mean of the likelihood must look like data: not so for binary
            pixels.
        weight: of the adversarial part, which the decoder alone sees: a number >= 0, a `schedules.Schedule`,
            or its short form. It is 1 / gamma of the paper; 0 is the `VAE`.
        feature_layer: None for R = -E_q[log p(x|z)]; or the name of a layer of the critic, such as "hidden_1"
            of the MLP, for R = 1/2 |f(x) - f(x_r)|^2 in its outputs. Then only the mean of the likelihood is
            trained, so it should have no scale to learn.
        critic: a Keras model from x, `[B] + event`, to scores, `[B, 1]`; or widths of the hidden layers of an
            MLP, (256, 256) if None. For images bring a convolutional one.
        adversarial_loss, r1, gradient_penalty, spectral_norm, critic_steps: see `AdversarialAutoencoder`; r1
            and gradient_penalty are by x.

    The critic has an optimizer of its own: `compile(critic_optimizer=...)`, a copy of the other by default.

    Metrics: `loss` = `reconstruction` + `kl` + `weighted_adversarial`; `adversarial`, `weight`,
    `critic_loss`, the penalties that are on and `critic_accuracy` are shown beside them.

    Example:

    >>> import keras_vae
    >>> vae = keras_vae.AdversarialVAE.create(
    ...     (4, 4, 1), latent_size=2, hidden=(8,), critic=(16, 8), feature_layer="hidden_1")
    >>> [layer.name for layer in vae.objective.critic.layers]
    ['values', 'flatten', 'hidden_0', 'hidden_1', 'score']

    Reference: Larsen et al., Autoencoding beyond pixels using a learned similarity metric, 2016, Eq. 8 and
    Algorithm 1.
    """

    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        prior: Prior | None = None,
        weight: float | str | Schedule = 1.0,
        feature_layer: str | None = None,
        critic: Critic = None,
        adversarial_loss: str = "non-saturating",
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
        objective = AdversarialELBO(
            weight=weight,
            feature_layer=feature_layer,
            critic=critic,
            adversarial_loss=adversarial_loss,
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
