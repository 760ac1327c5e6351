"""The objective of the generative semi-supervised model, M2."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_vae import schedules
from keras_vae.objectives.classifier import ClassifierObjective
from keras_vae.objectives.labels import cross_entropy, is_labelled, labels_or_unknown
from keras_vae.objectives.terms import Terms


@keras.saving.register_keras_serializable(package="keras_vae")
class SemiSupervisedELBO(ClassifierObjective):
    """The negative bound on log p(x, y) where y is known, on log p(x) where not, and a classifier's loss.

    With L(x, y) = -E_q[log p(x|y, z)] + KL(q(z|x, y) || p(z)) - log p(y), the loss of a labelled example is
    L(x, y); that of any other sum_y q(y|x) (L(x, y) + log q(y|x)), summed exactly over all classes.
    To the mean over the batch alpha * E_labelled[-log q(y|x)] is added.

    It reads terms of every example with every class, `[K * B]`, class by class, and `terms.y`, the labels
    `[B]`, -1 where unknown; None stands for a batch without any.

    Args:
        classifier, alpha, features: see `ClassifierObjective`.
        class_prior: p(y), K probabilities; None for equal ones.
        kl, num_samples, annealing: see `ELBO`; annealing is of the KL of z.

    Reported: `reconstruction`, `kl`, `class_kl` (-log p(y) of labelled examples, KL(q(y|x) || p(y)) of the
    others) and `classification` add up to the loss; `accuracy` of the labelled examples shows beside it.

    Reference: Kingma et al., Semi-supervised Learning with Deep Generative Models, 2014, Eq. 6-9. Their alpha
    is 0.1 times the number of examples, of the loss summed over them, which is 0.1 here.
    """

    part_names = ("reconstruction", "kl", "class_kl", "classification")

    def __init__(
        self,
        classifier: keras.Model,
        alpha: float | str | schedules.Schedule = 0.1,
        class_prior: Sequence[float] | None = None,
        features: keras.Model | None = None,
        kl: str = "auto",
        num_samples: int = 1,
        annealing: float | str | schedules.Schedule = 1.0,
        **kwargs: Any,
    ):
        super().__init__(classifier, alpha, features, kl, num_samples, annealing, **kwargs)
        self.class_prior = self.checked_probabilities("class_prior", class_prior)

    @property
    def log_py(self) -> tf.Tensor:
        """log p(y), `[K]`."""
        count = self.num_classes
        probabilities = [1.0 / count] * count if self.class_prior is None else self.class_prior
        return tf.math.log(tf.constant(probabilities, tf.float32))

    def parts(self, terms: Terms) -> dict[str, tf.Tensor]:
        count = self.num_classes
        size = tf.shape(terms.x)[0] // count
        labels = labels_or_unknown(terms.y, size)
        log_qy = self.log_probabilities(terms.x[:size], terms.training)
        known = is_labelled(labels)[:, tf.newaxis]
        share = known * tf.one_hot(labels, count) + (1.0 - known) * tf.exp(log_qy)
        reconstruction, kl = self.reconstruction_and_kl(terms)
        class_kl = (1.0 - known) * log_qy - self.log_py
        return {
            "reconstruction": _averaged(reconstruction, share),
            **self.kl_part(_averaged(kl, share)),
            "class_kl": tf.reduce_sum(share * class_kl, axis=1),
            "classification": self.classification(cross_entropy(labels, log_qy), labels, terms),
        }

    def monitors(self, terms: Terms) -> dict[str, Any]:
        size = tf.shape(terms.x)[0] // self.num_classes
        return self.class_monitors(terms.x[:size], terms) | super().monitors(terms)


def _averaged(values: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    """`[K * B]`, class by class, averaged with the classes' shares, `[B, K]`: `[B]`."""
    by_class = tf.reshape(values, [tf.shape(share)[1], -1])
    return tf.reduce_sum(share * tf.transpose(by_class), axis=1)
