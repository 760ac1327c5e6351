"""The objective of the generative semi-supervised model, M2."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_vae import schedules
from keras_vae.objectives.classes import Classes, averaged, classes_of
from keras_vae.objectives.classifier import ClassifierObjective
from keras_vae.objectives.labels import cross_entropy, labels_or_unknown
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
        kl, num_samples: see `ELBO`.
        annealing: weight of the divergence of z, and of that of the class where `class_annealing` is None;
            see `Annealed`. With 100 labels a schedule from above, "linear:5:1:30000:10000", lets the class
            explain the data before z does.
        class_annealing: weight of the divergence of the class, as `annealing`. From above, such as
            "linear:10:1:30000:10000", it keeps q(y|x) soft, so that examples may yet change their class.

    Reported: `reconstruction`, `kl`, `class_kl` (-log p(y) of labelled examples, KL(q(y|x) || p(y)) of the
    others) and `classification` add up to the loss; `accuracy` of the labelled examples shows beside it.
    Where annealed, `weighted_kl` and `weighted_class_kl` take the places of the two.

    Reference: Kingma et al., Semi-supervised Learning with Deep Generative Models, 2014, Eq. 6-9. Their alpha
    is 0.1 times the number of examples, of the loss summed over them, which is 0.1 here.
    """

    part_names: tuple[str, ...] = ("reconstruction", "kl", "class_kl", "classification")

    def __init__(
        self,
        classifier: keras.Model,
        alpha: float | str | schedules.Schedule = 0.1,
        class_prior: Sequence[float] | None = None,
        features: keras.Model | None = None,
        kl: str = "auto",
        num_samples: int = 1,
        annealing: float | str | schedules.Schedule = 1.0,
        class_annealing: float | str | schedules.Schedule | None = None,
        **kwargs: Any,
    ):
        super().__init__(classifier, alpha, features, kl, num_samples, annealing, **kwargs)
        self.class_prior = self.checked_probabilities("class_prior", class_prior)
        self.class_annealing = class_annealing
        if class_annealing is not None:
            self.class_annealing = self.annealing_weight("class_annealing", class_annealing)
            self.monitor_names = (*self.monitor_names, "class_annealing")
        # The name of the weight of the class's divergence, if it has one.
        shared = "annealing" if self.annealed else None
        self._class_weight = shared if class_annealing is None else "class_annealing"
        if self._class_weight is not None:
            renamed = {"class_kl": "weighted_class_kl"}
            self.part_names = tuple(renamed.get(name, name) for name in self.part_names)
            self.monitor_names = (*self.monitor_names, "class_kl")

    @property
    def log_py(self) -> tf.Tensor:
        """log p(y), `[K]`."""
        count = self.num_classes
        probabilities = [1.0 / count] * count if self.class_prior is None else self.class_prior
        return tf.math.log(tf.constant(probabilities, tf.float32))

    def parts(self, terms: Terms) -> dict[str, tf.Tensor]:
        classes = self._classes(terms)
        reconstruction, kl = self.reconstruction_and_kl(terms)
        losses = cross_entropy(classes.labels, classes.log_qy)
        return {
            "reconstruction": averaged(reconstruction, classes.share),
            **self.kl_part(averaged(kl, classes.share)),
            **self._class_kl_part(classes.kl),
            "classification": self.classification(losses, classes.labels, terms),
        }

    def monitors(self, terms: Terms) -> dict[str, Any]:
        size = tf.shape(terms.x)[0] // self.num_classes
        found = self.class_monitors(terms.x[:size], terms) | super().monitors(terms)
        if self._class_weight is None:
            return found
        classes = self._classes(terms)
        found["class_kl"] = classes.kl
        if self.annealed:
            found["kl"] = averaged(found["kl"], classes.share)
        if self.class_annealing is not None:
            found["class_annealing"] = self.current("class_annealing")
        return found

    def _class_kl_part(self, kl: tf.Tensor) -> dict[str, tf.Tensor]:
        if self._class_weight is None:
            return {"class_kl": kl}
        return {"weighted_class_kl": self.current(self._class_weight) * kl}

    def _classes(self, terms: Terms) -> Classes:
        """The same in parts and monitors, though dropout makes every run of the classifier another."""

        def compute() -> Classes:
            size = tf.shape(terms.x)[0] // self.num_classes
            log_qy = self.log_probabilities(terms.x[:size], terms.training)
            return classes_of(labels_or_unknown(terms.y, size), log_qy, self.log_py)

        return terms.once("classes", compute)
