"""The adversarial autoencoder."""

from typing import Any

import keras

from keras_vae.models.latent_variable_model import LatentVariableModel
from keras_vae.objectives import AdversarialReconstruction
from keras_vae.objectives.critic_arguments import Critic
from keras_vae.priors import Prior
from keras_vae.schedules import Schedule


@keras.saving.register_keras_serializable(package="keras_vae")
class AdversarialAutoencoder(LatentVariableModel):
    """The autoencoder whose codes are driven to the prior's distribution by a critic.

    -E_q[log p(x|z)] + weight * E_q[g(D(z))], where D is trained to tell z of the prior from z of the encoder.
    Prefer it to the `VAE` where the prior can be drawn from but has no density to speak of, for codes without
    noise, or where the whole of the latent should be used; and a `WAE` where two players are one too many.

    Args:
        encoder, decoder, prior, num_samples, seed: see `VAE`. The posterior may be deterministic, the default
            of `create`, normal, "implicit", the paper's universal approximator, or anything that can be
            drawn from; gradients reach it through its draws. The prior must have no weights to train.
        weight: of the adversarial part, a number >= 0, a `schedules.Schedule`, or its short form.
        critic: a Keras model from z, `[B] + latent`, to scores, `[B, 1]`; or widths of the hidden layers of
            an MLP, (256, 256) if None.
        adversarial_loss: "non-saturating", "wasserstein", "hinge" or "least-squares".
        r1: weight of the critic's R1 penalty; 0.1 to 10 calms players that circle each other.
        gradient_penalty: weight of WGAN-GP's penalty; 10 is usual with "wasserstein".
        spectral_norm: whether the MLP's matrices are divided by their largest singular values.
        critic_steps: updates of the critic for each of the autoencoder; more where the critic is behind,
            which `critic_accuracy` near 1/2 with codes that miss the prior shows.

    The critic has an optimizer of its own: `compile(critic_optimizer=...)`, a copy of the other by default.

    Metrics: `loss` = `reconstruction` + `weighted_adversarial`; `adversarial` and `weight`, and of the other
    side `critic_loss`, the penalties that are on, and `critic_accuracy`, the share of pairs that the critic
    ranks rightly, are shown beside them.

    Example:

    >>> import keras_vae
    >>> aae = keras_vae.AdversarialAutoencoder.create((8, 8, 1), latent_size=2, hidden=(16,), critic=(16,))
    >>> [layer.name for layer in aae.objective.critic.layers]
    ['values', 'hidden_0', 'score']

    Reference: Makhzani et al., Adversarial Autoencoders, 2015, section 2 and Eq. 1.
    """

    default_posterior = "deterministic"

    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        prior: Prior | None = None,
        weight: float | str | Schedule = 1.0,
        critic: Critic = None,
        adversarial_loss: str = "non-saturating",
        r1: float = 0.0,
        gradient_penalty: float = 0.0,
        spectral_norm: bool = False,
        critic_steps: int = 1,
        num_samples: int = 1,
        **kwargs: Any,
    ):
        objective = AdversarialReconstruction(
            weight=weight,
            critic=critic,
            adversarial_loss=adversarial_loss,
            r1=r1,
            gradient_penalty=gradient_penalty,
            spectral_norm=spectral_norm,
            critic_steps=critic_steps,
            num_samples=num_samples,
        )
        super().__init__(encoder, decoder, prior, objective, **kwargs)
