"""Several critics of the latent, each with a game of its own."""

from collections.abc import Iterable
from typing import Any

import keras
import tensorflow as tf

from keras_vae.objectives.critic import CriticObjective
from keras_vae.objectives.critic_arguments import Critic
from keras_vae.objectives.terms import Terms


class LatentGame(CriticObjective):
    """A critic that tells some dimensions of the encoder's latents from the same of the prior's.

    A part of objectives with several critics, not an objective by itself: it has no `parts`.

    Args:
        dimensions: of a latent that is a vector, those that the critic sees.
        critic: from those, `[B, size]`, to `[B, 1]`; see `CriticObjective` for this and the others.
    """

    def __init__(
        self,
        dimensions: slice,
        critic: Critic,
        adversarial_loss: str,
        r1: float,
        gradient_penalty: float,
        spectral_norm: bool,
        critic_steps: int,
        num_samples: int,
    ):
        super().__init__(
            critic, adversarial_loss, r1, gradient_penalty, spectral_norm, critic_steps, num_samples
        )
        self.dimensions = dimensions

    def compared(self, terms: Terms) -> tuple[tf.Tensor, tf.Tensor]:
        return terms.prior_z[..., self.dimensions], terms.z[..., self.dimensions]

    def adversarial(self, terms: Terms) -> tf.Tensor:
        """What these dimensions of the latents cost the encoder, `[B]`."""
        return terms.once(id(self), lambda: self.generator_loss(self.draws(terms)[..., self.dimensions]))


class Critics(keras.Model):
    """The critics of several games as one model, from latents, `[B, size]`, to a score of each, `[B, 1]`.

    Args:
        games: those whose critics exist.
    """

    def __init__(self, games: Iterable[LatentGame]):
        super().__init__(name="critics", dtype="float32")
        pairs = [(game.critic, game.dimensions) for game in games]
        self.critics: list[Any] = [critic for critic, _ in pairs]
        self._dimensions = [dimensions for _, dimensions in pairs]
        self.built = True

    def call(self, latents: tf.Tensor, training: bool = False) -> list[tf.Tensor]:
        pairs = zip(self.critics, self._dimensions, strict=True)
        return [critic(latents[:, dimensions], training=training) for critic, dimensions in pairs]
