"""The objective of the semi-supervised adversarial autoencoder."""

from typing import Any

import keras
import tensorflow as tf

from keras_vae import schedules
from keras_vae.checks import check_count
from keras_vae.errors import invalid
from keras_vae.objectives.critic_arguments import Critic
from keras_vae.objectives.labels import (
    Condition,
    accuracy,
    cross_entropy,
    labels_or_unknown,
    mean_over_labelled,
)
from keras_vae.objectives.several_critics import SeveralCritics
from keras_vae.objectives.terms import Terms


@keras.saving.register_keras_serializable(package="keras_vae")
class SemiSupervisedAdversarialReconstruction(SeveralCritics):
    """-E_q[log p(x|y, z)] + weight * (g(D_y(y)) + g(D_z(z))) - label_weight * E_labelled[log y_c].

    The latent is `[y, z]`: y are the encoder's probabilities of the K classes, z is a style. Of two critics
    D_y tells y from one-hot vectors of classes drawn at random, D_z tells z from the prior's styles, and g is
    the loss by which the encoder deceives them. As in the paper they are two games, not one of y and z
    together: neither sees the other's half, so nothing but the decoder's need keeps y and z independent. c is
    the class of an example with a label; without any, y becomes a clustering of the data.

    Args:
        num_classes: K, at least 2. `fit` takes classes 0 to K - 1 as y, -1 for an example without a label.
        weight: of both adversarial parts, a number >= 0 or a schedule of the training step.
        label_weight: of the cross-entropy, in nats, the same. It is averaged over a batch's labelled
            examples, however few they are; a batch without any costs nothing.
        class_critic, style_critic: from y, `[B, K]`, and from z, `[B, D]`, to `[B, 1]`, as `critic` of
            `CriticObjective`; see there for adversarial_loss, r1, gradient_penalty, spectral_norm,
            critic_steps, num_samples, which are of both games.

    Reported: the parts add up to the loss; `classification` and `accuracy` are averages over all labelled
    examples, 0 where there are none; the figures of `CriticObjective` are of each game, such as
    `class_critic_loss`.

    Raises:
        ValueError: for a posterior other than `layers.SoftmaxAndStyle`, or with another number of classes;
            for a prior with weights to train.

    Reference: Makhzani et al., Adversarial Autoencoders, 2015, section 5; without labels, section 6.
    """

    part_names = (
        "reconstruction",
        "weighted_class_adversarial",
        "weighted_style_adversarial",
        "weighted_classification",
    )

    def __init__(
        self,
        num_classes: int,
        weight: float | str | schedules.Schedule = 1.0,
        label_weight: float | str | schedules.Schedule = 1.0,
        class_critic: Critic = None,
        style_critic: Critic = None,
        adversarial_loss: str = "non-saturating",
        r1: float = 0.0,
        gradient_penalty: float = 0.0,
        spectral_norm: bool = False,
        critic_steps: int = 1,
        num_samples: int = 1,
        **kwargs: Any,
    ):
        self.num_classes = check_count("num_classes", num_classes, 2)
        played = {
            "class": (slice(None, self.num_classes), class_critic),
            "style": (slice(self.num_classes, None), style_critic),
        }
        remedies = (adversarial_loss, r1, gradient_penalty, spectral_norm, critic_steps)
        super().__init__(played, weight, *remedies, num_samples, **kwargs)
        self.class_critic, self.style_critic = class_critic, style_critic
        self.label_weight = self.scheduled("label_weight", label_weight, low=0.0)
        self.labels = Condition((), "int32", self.num_classes, unknown=True, required=False)
        self.monitor_names = ("label_weight", "classification", "accuracy", *self.monitor_names)

    def parts(self, terms: Terms) -> dict[str, tf.Tensor]:
        y, logits = self._labels_and_logits(terms)
        loss = mean_over_labelled(cross_entropy(y, logits), y, terms.sample_weight)
        return {
            "reconstruction": -tf.reduce_mean(terms.log_px, axis=0),
            **self.adversarial_parts(terms),
            "weighted_classification": self.current("label_weight") * loss,
        }

    def monitors(self, terms: Terms) -> dict[str, Any]:
        y, logits = self._labels_and_logits(terms)
        right, known = accuracy(y, logits, terms.sample_weight)
        return {
            "label_weight": self.current("label_weight"),
            "classification": (cross_entropy(y, logits), known),
            "accuracy": (right, known),
            **super().monitors(terms),
        }

    def _labels_and_logits(self, terms: Terms) -> tuple[tf.Tensor, tf.Tensor]:
        """The classes of the batch, `[B]`, -1 where unknown, and the encoder's logits of them, `[B, K]`."""
        logits = getattr(terms.q, "class_logits", None)
        if logits is None or logits.shape[-1] != self.num_classes:
            received = terms.q.name if logits is None else f"{logits.shape[-1]} classes"
            layer = f"keras_vae.layers.SoftmaxAndStyle({self.num_classes}, ...)"
            raise invalid("encoder", f"a model that ends in {layer}", received)
        return labels_or_unknown(terms.y, tf.shape(logits)[0]), logits
