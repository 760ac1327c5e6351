"""The objective of the variational autoencoder with a critic of x."""

from typing import Any

import keras
import tensorflow as tf

from keras_vae import schedules
from keras_vae.errors import invalid, lookup
from keras_vae.objectives.annealed import Annealed
from keras_vae.objectives.critic import CriticObjective
from keras_vae.objectives.critic_arguments import KL_MODES, Critic
from keras_vae.objectives.terms import Terms, merge_samples


@keras.saving.register_keras_serializable(package="keras_vae")
class AdversarialELBO(Annealed, CriticObjective):
    """R + KL(q(z|x) || p(z)) + weight * (g(D(x_r)) + g(D(x_p))), with a critic D of data against x_r, x_p.

    x_r is the mean of p(x|z) for z ~ q(z|x), x_p that for z of the prior, and g the loss by which the decoder
    deceives the critic. R is -E_q[log p(x|z)]; or, with a `feature_layer` of the critic whose output is f,
    1/2 |f(x) - f(x_r)|^2, a normal of scale 1 in the features, in nats up to a constant.

    As in the paper the encoder sees R and KL only, the decoder R and the adversarial part, the critic its own
    loss. The paper's decoder minimises gamma * R + adversarial; `weight` is 1 / gamma, the same direction.

    Args:
        weight: of the adversarial part, a number >= 0 or a schedule of the training step. With 0 it is the
            `ELBO`. R is summed over the event: the right weight grows with it.
        feature_layer: name of a layer of the critic, such as "hidden_1" of the MLP; None for -log p(x|z).
        critic: from x, `[B] + event`, to `[B, 1]`; see `CriticObjective` for this and for
            adversarial_loss, r1, gradient_penalty, spectral_norm, critic_steps, num_samples.
        kl: "auto" (exact where known), "exact" or "sampled".
        annealing, free_bits: weight of the KL and nats of it that are free; see `Annealed`.

    Reference: Larsen et al., Autoencoding beyond pixels using a learned similarity metric, 2016, Eq. 8 and
    Algorithm 1.
    """

    part_names = ("reconstruction", "kl", "weighted_adversarial")
    monitor_names = ("adversarial", "weight", "critic_accuracy")

    def __init__(
        self,
        weight: float | str | schedules.Schedule = 1.0,
        feature_layer: str | None = None,
        critic: Critic = None,
        adversarial_loss: str = "non-saturating",
        r1: float = 0.0,
        gradient_penalty: float = 0.0,
        spectral_norm: bool = False,
        critic_steps: int = 1,
        kl: str = "auto",
        num_samples: int = 1,
        annealing: float | str | schedules.Schedule = 1.0,
        free_bits: float = 0.0,
        **kwargs: Any,
    ):
        remedies = (r1, gradient_penalty, spectral_norm, critic_steps)
        super().__init__(critic, adversarial_loss, *remedies, num_samples, **kwargs)
        self.weight = self.scheduled("weight", weight, low=0.0)
        self.feature_layer = feature_layer
        self.kl = lookup("kl", kl, KL_MODES)
        self.anneal(annealing, free_bits)

    def compared(self, terms: Terms) -> tuple[tf.Tensor, tf.Tensor]:
        x = tf.cast(terms.x, tf.float32)[tf.newaxis]
        return tf.repeat(x, self.num_samples, axis=0), terms.once("fakes", lambda: self._fakes(terms))

    def _fakes(self, terms: Terms) -> tf.Tensor:
        # The critic's opinion must reach neither the encoder nor the prior.
        latents = merge_samples(tf.stop_gradient(tf.concat([terms.z, terms.prior_z], axis=0)))
        means = tf.cast(terms.decode(latents).mean(), tf.float32)
        return tf.reshape(means, tf.concat([[2 * self.num_samples], tf.shape(terms.x)], axis=0))

    def parts(self, terms: Terms) -> dict[str, tf.Tensor]:
        self.draws(terms)
        adversarial = self._adversarial(terms)
        by_feature = self.feature_layer is not None
        return {
            "reconstruction": self._feature_loss(terms) if by_feature else -tf.reduce_mean(terms.log_px, 0),
            **self.kl_part(self.free_kl(terms)),
            "weighted_adversarial": self.current("weight") * adversarial,
        }

    def monitors(self, terms: Terms) -> dict[str, tf.Tensor]:
        figures = {"adversarial": self._adversarial(terms), "weight": self.current("weight")}
        return {**figures, **self.kl_monitors(terms), **super().monitors(terms)}

    def _adversarial(self, terms: Terms) -> tf.Tensor:
        return terms.once("adversarial", lambda: 2.0 * self.generator_loss(self.compared(terms)[1]))

    def _feature_loss(self, terms: Terms) -> tf.Tensor:
        critic: Any = self.critic
        if not getattr(critic, "inputs", None):
            raise invalid("critic", "a Sequential or functional model, for feature_layer", critic)
        layer = lookup("feature_layer", str(self.feature_layer), {one.name: one for one in critic.layers})
        features = keras.Model(critic.inputs, layer.output)
        x = merge_samples(self.compared(terms)[0])
        missed = features(tf.cast(terms.p.mean(), tf.float32)) - features(x)
        missed = tf.reshape(tf.cast(missed, tf.float32), [self.num_samples, tf.shape(terms.x)[0], -1])
        return 0.5 * tf.reduce_mean(tf.reduce_sum(tf.square(missed), axis=-1), axis=0)
