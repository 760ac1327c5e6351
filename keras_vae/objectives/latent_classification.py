"""The objective of the latent-feature discriminative model, M1."""

from typing import Any

import keras
import tensorflow as tf

from keras_vae import schedules
from keras_vae.objectives.classifier import ClassifierObjective
from keras_vae.objectives.labels import cross_entropy, labels_or_unknown
from keras_vae.objectives.terms import Terms, merge_samples


@keras.saving.register_keras_serializable(package="keras_vae")
class LatentClassificationELBO(ClassifierObjective):
    """The negative ELBO of all examples, and a classifier of their codes: alpha * E_labelled[-log q(y|z)].

    The classifier reads draws of z and does not change them: encoder and decoder are those of the VAE.

    Args:
        classifier: from z; see `ClassifierObjective` for this, alpha and features.
        kl, num_samples, annealing: see `ELBO`.

    Reported: `reconstruction`, `kl` and `classification` add up to the loss; `accuracy` of the labelled
    examples shows beside it.

    Reference: Kingma et al., Semi-supervised Learning with Deep Generative Models, 2014, section 2 (M1).
    """

    part_names = ("reconstruction", "kl", "classification")

    def __init__(
        self,
        classifier: keras.Model,
        alpha: float | str | schedules.Schedule = 1.0,
        features: keras.Model | None = None,
        kl: str = "auto",
        num_samples: int = 1,
        annealing: float | str | schedules.Schedule = 1.0,
        **kwargs: Any,
    ):
        super().__init__(classifier, alpha, features, kl, num_samples, annealing, **kwargs)

    def parts(self, terms: Terms) -> dict[str, tf.Tensor]:
        parts = super().parts(terms)
        # Of every draw of z, and then their mean.
        log_qy = self.log_probabilities(merge_samples(tf.stop_gradient(terms.z)), terms.training)
        labels = labels_or_unknown(terms.y, tf.shape(terms.x)[0])
        losses = cross_entropy(tf.tile(labels, [terms.num_samples]), log_qy)
        losses = tf.reduce_mean(tf.reshape(losses, [terms.num_samples, -1]), axis=0)
        return {**parts, "classification": self.classification(losses, labels, terms)}

    def monitors(self, terms: Terms) -> dict[str, Any]:
        return self.class_monitors(terms.z[0], terms) | super().monitors(terms)
