"""The base of the objectives with a classifier."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae import schedules
from keras_vae.errors import invalid
from keras_vae.objectives.elbo import ELBO
from keras_vae.objectives.labels import Condition, accuracy, labels_or_unknown, mean_over_labelled
from keras_vae.objectives.terms import Terms
from keras_vae.probes import probe

tfd = tfp.distributions


class ClassifierObjective(ELBO):
    """An objective with a classifier that learns from the labelled examples of a batch.

    Args:
        classifier: a Keras model that ends in a distribution over one-hot classes, q(y|.), such as
            `keras_vae.layers.OneHotCategorical`.
        alpha: weight of the classifier's loss, a number >= 0 or a schedule of the training step.
        features: a trained encoder; all networks then read a draw from it in the place of x, and the model is
            one of these draws. A copy that is not trained further. None to read x.
        kl, num_samples, annealing: see `ELBO`.

    Raises:
        ValueError: for a classifier that does not end in such a distribution, for `features` that do not end
            in any, and for arguments out of range.
    """

    monitor_names: tuple[str, ...] = ("accuracy",)

    def __init__(
        self,
        classifier: keras.Model,
        alpha: float | str | schedules.Schedule,
        features: keras.Model | None,
        kl: str,
        num_samples: int,
        annealing: float | str | schedules.Schedule,
        **kwargs: Any,
    ):
        super().__init__(kl, num_samples, annealing=annealing, **kwargs)
        self.alpha = self.scheduled("alpha", alpha, low=0.0)
        self.classifier = classifier
        self.features = None if features is None else _frozen_copy(features)
        self.num_classes = _num_classes(classifier)
        self.labels = Condition((), "int32", self.num_classes, unknown=True)

    def log_probabilities(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """log q(y|.) of every class, `[B, K]`."""
        q = self.classifier(inputs, training=training)
        return tf.nn.log_softmax(tf.cast(q.logits_parameter(), tf.float32))

    def classification(self, losses: tf.Tensor, labels: tf.Tensor, terms: Terms) -> tf.Tensor:
        """alpha times the losses of the classifier, `[B]`; their mean is that over the labelled examples."""
        return self.current("alpha") * mean_over_labelled(losses, labels, terms.sample_weight)

    def class_monitors(self, inputs: tf.Tensor, terms: Terms) -> dict[str, Any]:
        """The share of labelled examples that the classifier is right about, with their weights."""
        labels = labels_or_unknown(terms.y, tf.shape(inputs)[0])
        return {"accuracy": accuracy(labels, self.log_probabilities(inputs), terms.sample_weight)}

    def checked_probabilities(self, name: str, values: Sequence[float] | None) -> list[float] | None:
        """K probabilities that add up to 1."""
        if values is None:
            return None
        count = self.num_classes
        array = np.asarray(values, np.float64)
        if array.shape != (count,) or not (array > 0.0).all() or abs(array.sum() - 1.0) > 1e-4:
            raise invalid(name, f"{count} positive numbers that add up to 1", values)
        return [float(value) for value in array]


def _num_classes(classifier: Any) -> int:
    expected = "a Keras model that ends in keras_vae.layers.OneHotCategorical"
    if not isinstance(classifier, keras.Model) or len(getattr(classifier, "inputs", None) or ()) != 1:
        raise invalid("classifier", f"{expected}, of one input of known shape", classifier)
    spec = classifier.inputs[0]
    q = classifier(probe(spec.shape[1:], spec.dtype), training=False)
    if not isinstance(q, tfd.OneHotCategorical) or q.batch_shape.rank != 1:
        raise invalid("classifier", expected, f"a model that returns {type(q).__name__}")
    return int(q.event_shape[0])


def _frozen_copy(features: Any) -> keras.Model:
    if not isinstance(features, keras.Model) or not features.built:
        raise invalid("features", "a trained encoder, such as vae.encoder, or None", features)
    config = keras.saving.serialize_keras_object(features)
    copy = keras.saving.deserialize_keras_object(deepcopy(config))
    copy.set_weights(features.get_weights())
    copy.trainable = False
    return copy
