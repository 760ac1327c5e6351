"""The base of the objectives with a critic."""

from typing import Any

import keras
import tensorflow as tf

from keras_vae.checks import check_count, check_number
from keras_vae.distributions.draws import fold_in
from keras_vae.divergences.slopes import points_between, squared_slopes
from keras_vae.errors import invalid, lookup
from keras_vae.networks.critic import mlp_critic
from keras_vae.objectives.adversarial_losses import ADVERSARIAL_LOSSES
from keras_vae.objectives.critic_arguments import (
    Critic,
    check_remedies,
    check_takes,
    hidden_widths,
)
from keras_vae.objectives.gradients import is_reparameterized
from keras_vae.objectives.objective import Objective
from keras_vae.objectives.terms import Terms, merge_samples

# Folded into the seed for the points between real values and fakes.
_BETWEEN = 4


class CriticObjective(Objective):
    """An objective with a critic that tells real values from fakes, and the usual remedies for its ills.

    A subclass says in `compared` what is real and what is fake, and what it makes of `score` in `parts`.

    Args:
        critic: a Keras model from values, `[B] + shape`, to scores, `[B, 1]`; or widths of the hidden layers
            of an MLP with leaky rectifiers, made when it is first called; None for `default_widths`.
        adversarial_loss: "non-saturating", "wasserstein", "hinge" or "least-squares".
        r1: weight of r1/2 E_real[|dD/dx|^2] in the critic's loss, a number >= 0 (Mescheder et al., Which
            Training Methods for GANs do actually Converge?, 2018, Eq. 9).
        gradient_penalty: weight of E[(|dD/dx| - 1)^2] at points between real values and fakes, a number >= 0
            (Gulrajani et al., Improved Training of Wasserstein GANs, 2017, Eq. 3).
        spectral_norm: whether the critic's matrices are divided by their largest singular values (Miyato et
            al., Spectral Normalization, 2018); for the MLP only.
        critic_steps: updates of the critic for each of the others, an integer >= 1.
        num_samples: draws of z per example, averaged.

    Reported: `critic_loss`, with `critic_r1` and `critic_gradient_penalty` where they are on, is what the
    critic minimises; `critic_accuracy` is the share of pairs of a real value and a fake in which the real one
    has the higher score: 1/2 for a critic that knows nothing.

    Raises:
        ValueError: for arguments out of range; for `spectral_norm` with a critic of the user's; for an MLP
            under "wasserstein" with neither `gradient_penalty` nor `spectral_norm`; and, when it is first
            called, for a critic that does not fit the values or does not return `[B, 1]`.
    """

    critic_part_names: tuple[str, ...] = ("critic_loss",)
    monitor_names: tuple[str, ...] = ("critic_accuracy",)
    default_widths: tuple[int, ...] = (256, 256)

    def __init__(
        self,
        critic: Critic,
        adversarial_loss: str,
        r1: float,
        gradient_penalty: float,
        spectral_norm: bool,
        critic_steps: int,
        num_samples: int,
        **kwargs: Any,
    ):
        super().__init__(num_samples, **kwargs)
        lookup("adversarial_loss", adversarial_loss, ADVERSARIAL_LOSSES)
        self.adversarial_loss = adversarial_loss
        self.r1 = check_number("r1", r1, at_least=0.0)
        self.gradient_penalty = check_number("gradient_penalty", gradient_penalty, at_least=0.0)
        self.spectral_norm = spectral_norm
        self.critic_steps = check_count("critic_steps", critic_steps)
        self._is_mlp = not isinstance(critic, keras.layers.Layer)
        self._widths = hidden_widths(critic) if self._is_mlp else None
        self.critic = None if self._is_mlp else critic
        check_remedies(self._is_mlp, adversarial_loss, gradient_penalty, spectral_norm)
        penalties = {"critic_r1": self.r1, "critic_gradient_penalty": self.gradient_penalty}
        self.critic_part_names = ("critic_loss", *(name for name, weight in penalties.items() if weight))

    def compared(self, terms: Terms) -> tuple[tf.Tensor, tf.Tensor]:
        """Real values, `[R, B] + shape`, and fakes, `[F, B] + shape`, where F is a multiple of R."""
        raise NotImplementedError

    def draws(self, terms: Terms) -> tf.Tensor:
        """z, `[S, B] + latent`, for what the encoder is to learn from the critic.

        Raises:
            ValueError: for a posterior whose draws carry no gradient to the encoder.
        """
        if not is_reparameterized(terms.q):
            raise invalid("encoder", "a posterior with reparameterised draws, for a critic", terms.q.name)
        return terms.z

    def generator_loss(self, fakes: tf.Tensor) -> tf.Tensor:
        """What fakes, `[F, B] + shape`, cost their maker, `[B]`."""
        losses = ADVERSARIAL_LOSSES[self.adversarial_loss]
        return tf.reduce_mean(losses.generator(self.score(fakes)), axis=0)

    def score(self, values: tf.Tensor, training: bool = False) -> tf.Tensor:
        """The critic's scores of values, `[K, B] + shape`, as `[K, B]`."""
        scores = self._scores(merge_samples(tf.cast(values, tf.float32)), training)
        return tf.reshape(scores, tf.shape(values)[:2])

    def critic_parts(self, terms: Terms) -> dict[str, tf.Tensor]:
        real, fakes = self._compared(terms)
        of_real, of_fakes = self._both_scores(terms)
        losses = ADVERSARIAL_LOSSES[self.adversarial_loss]
        # Every fake counts as much as a real value, but in a difference of means: with more mass on one side
        # it would have no bound, because a constant added to all scores would move it.
        fair = self.adversarial_loss == "wasserstein"
        share = 1.0 if fair else tf.cast(tf.shape(fakes)[0] // tf.shape(real)[0], tf.float32)
        of_real = tf.reduce_mean(losses.real(of_real), axis=0)
        of_fakes = tf.reduce_mean(losses.fake(of_fakes), axis=0)
        parts = {"critic_loss": of_real + share * of_fakes}
        if self.r1:
            slopes = tf.reshape(squared_slopes(self._scores, merge_samples(real)), tf.shape(real)[:2])
            parts["critic_r1"] = 0.5 * self.r1 * tf.reduce_mean(slopes, axis=0)
        if self.gradient_penalty:
            between = points_between(
                merge_samples(fakes), merge_samples(_repeated(real, fakes)), fold_in(terms.seed, _BETWEEN)
            )
            slope = tf.sqrt(squared_slopes(self._scores, between) + 1e-12)
            penalty = tf.reshape(tf.square(slope - 1.0), tf.shape(fakes)[:2])
            parts["critic_gradient_penalty"] = self.gradient_penalty * tf.reduce_mean(penalty, axis=0)
        return parts

    def monitors(self, terms: Terms) -> dict[str, tf.Tensor]:
        of_real, of_fakes = self._both_scores(terms)
        margin = _repeated(of_real, of_fakes) - of_fakes
        return {"critic_accuracy": tf.reduce_mean(0.5 + 0.5 * tf.sign(margin), axis=0)}

    def arguments(self) -> dict[str, Any]:
        arguments = super().arguments()
        if self._is_mlp:
            arguments["critic"] = keras.saving.serialize_keras_object(self._widths)
        return arguments

    def _compared(self, terms: Terms) -> tuple[tf.Tensor, tf.Tensor]:
        real, fakes = self.compared(terms)
        return tf.stop_gradient(tf.cast(real, tf.float32)), tf.stop_gradient(tf.cast(fakes, tf.float32))

    def _both_scores(self, terms: Terms) -> tuple[tf.Tensor, tf.Tensor]:
        """The scores of real values, `[R, B]`, and of fakes, `[F, B]`, as the critic learns from them."""

        def scores():
            real, fakes = self._compared(terms)
            # One call for both: layers that look at the whole batch, or update state, see the two together.
            both = self.score(tf.concat([real, fakes], axis=0), terms.training)
            return both[: tf.shape(real)[0]], both[tf.shape(real)[0] :]

        return terms.once(("scores", id(self)), scores)

    def _scores(self, values: tf.Tensor, training: bool = False) -> tf.Tensor:
        if self.critic is None:
            self.critic = self._mlp(tuple(values.shape[1:]))
        check_takes(self.critic, tuple(values.shape[1:]))
        scores = self.critic(values, training=training)
        if not tf.is_tensor(scores) or scores.shape.rank != 2 or scores.shape[-1] != 1:
            received = getattr(scores, "shape", type(scores).__name__)
            raise invalid(
                "critic", "a model that returns [batch, 1]", received, "End it with keras.layers.Dense(1)."
            )
        return tf.cast(scores, tf.float32)

    def _mlp(self, shape: tuple[int, ...]) -> keras.Model:
        widths = self.default_widths if self._widths is None else self._widths
        # The bias of the score has no part in differences of scores, and would never move.
        return mlp_critic(shape, widths, self.spectral_norm, use_bias=self.adversarial_loss != "wasserstein")


def _repeated(real: tf.Tensor, fakes: tf.Tensor) -> tf.Tensor:
    """The real values as often as there are fakes."""
    times = tf.shape(fakes)[0] // tf.shape(real)[0]
    return tf.tile(real, [times, *[1] * (real.shape.rank - 1)])
