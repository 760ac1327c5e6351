"""The base of the objectives with several critics of the latent."""

from typing import Any

import tensorflow as tf

from keras_vae import schedules
from keras_vae.objectives.critic_arguments import Critic, check_fixed
from keras_vae.objectives.latent_game import Critics, LatentGame
from keras_vae.objectives.objective import Objective
from keras_vae.objectives.terms import Terms


class SeveralCritics(Objective):
    """An objective with a critic for each of several parts of the latent, and a game for each critic.

    A subclass adds `adversarial_parts` to parts of its own, and its own figures to `monitors`.

    Args:
        played: the dimensions of the latent and the critic of each game, by name.
        weight: of all adversarial parts, a number >= 0 or a schedule of the training step.
        adversarial_loss, r1, gradient_penalty, spectral_norm, critic_steps, num_samples: of all games; see
            `CriticObjective`.

    Reported: what `CriticObjective` reports, of each game, behind its name: `class_critic_loss`.

    Raises:
        ValueError: as `CriticObjective`; for a prior with weights to train.
    """

    def __init__(
        self,
        played: dict[str, tuple[slice, Critic]],
        weight: float | str | schedules.Schedule,
        adversarial_loss: str,
        r1: float,
        gradient_penalty: float,
        spectral_norm: bool,
        critic_steps: int,
        num_samples: int,
        **kwargs: Any,
    ):
        super().__init__(num_samples, **kwargs)
        self.weight = self.scheduled("weight", weight, low=0.0)
        self.adversarial_loss, self.r1, self.gradient_penalty = adversarial_loss, r1, gradient_penalty
        self.spectral_norm, self.critic_steps = spectral_norm, critic_steps
        remedies = (adversarial_loss, r1, gradient_penalty, spectral_norm, critic_steps)
        self.games = {
            name: LatentGame(dimensions, critic, *remedies, num_samples)
            for name, (dimensions, critic) in played.items()
        }
        games = self.games.items()
        self.critic_part_names = tuple(f"{n}_{part}" for n, game in games for part in game.critic_part_names)
        figures = ("adversarial", "critic_accuracy")
        self.monitor_names = ("weight", *(f"{name}_{figure}" for name in self.games for figure in figures))

    def adversarial_parts(self, terms: Terms) -> dict[str, tf.Tensor]:
        """What every part of the latent costs the encoder, each `[B]`."""
        check_fixed(terms.prior)
        parts = {
            f"weighted_{name}_adversarial": self.current("weight") * game.adversarial(terms)
            for name, game in self.games.items()
        }
        if self.critic is None:
            self.critic = Critics(self.games.values())
        return parts

    def critic_parts(self, terms: Terms) -> dict[str, tf.Tensor]:
        return {
            f"{name}_{part}": value
            for name, game in self.games.items()
            for part, value in game.critic_parts(terms).items()
        }

    def monitors(self, terms: Terms) -> dict[str, Any]:
        figures = {"weight": self.current("weight")}
        for name, game in self.games.items():
            figures[f"{name}_adversarial"] = game.adversarial(terms)
            figures[f"{name}_critic_accuracy"] = game.monitors(terms)["critic_accuracy"]
        return figures
