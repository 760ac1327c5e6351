"""What the trials of a search train on and are compared on."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from keras_vae.datasets import Splits
from keras_vae.errors import invalid
from keras_vae.runs import building, evaluating
from keras_vae.runs.config import RunConfig


@dataclass(eq=False)
class Data:
    """Training examples for any batch size, and the held-out ones that every trial is judged by.

    Args:
        held_out: `[N] + event`, as the models see them; the same for all trials.
        held_out_labels: `[N]`, or None.
        image_shape: of one example.
        num_examples: of the training set.
        num_classes: of the labels, for models that take them; else None.
        x: the training examples as an array; None where `config` names the data set.
        y: their labels, or None.
        config: names the data set, where `x` is None.
    """

    held_out: np.ndarray
    held_out_labels: np.ndarray | None
    image_shape: tuple[int, ...]
    num_examples: int
    num_classes: int | None = None
    x: np.ndarray | None = None
    y: np.ndarray | None = None
    config: RunConfig | None = None
    _splits: dict[int, Splits] = field(default_factory=dict, repr=False)

    @classmethod
    def of_arrays(cls, x: Any, y: Any, validation: Any, takes_labels: bool) -> "Data":
        """Of arrays in memory.

        Args:
            x: `[N] + event`.
            y: `[N]` labels, or None.
            validation: `[M] + event`, or a pair of them and their labels.
            takes_labels: whether the model learns from y.

        Raises:
            ValueError: for no held-out examples, or examples of another shape.
        """
        x = np.asarray(x)
        held_out, labels = validation if isinstance(validation, tuple) else (validation, None)
        if held_out is None or len(held_out) == 0:
            raise invalid("validation_data", "held-out examples, by which trials are compared", validation)
        held_out = np.asarray(held_out)
        if held_out.shape[1:] != x.shape[1:]:
            raise invalid("validation_data", f"examples of shape {x.shape[1:]}", held_out.shape[1:])
        for name, values, count in (("y", y, len(x)), ("validation_data", labels, len(held_out))):
            if values is not None and len(values) != count:
                raise invalid(name, f"{count} labels, one an example", f"{len(values)} labels")
        if takes_labels and (y is None or labels is None):
            raise invalid("y", "labels of training and held-out examples, for this model", None)
        classes = int(np.max(y)) + 1 if takes_labels else None
        labels = None if labels is None else np.asarray(labels)
        return cls(held_out, labels, x.shape[1:], len(x), classes, x, None if y is None else np.asarray(y))

    @classmethod
    def of_config(cls, config: RunConfig, most: int, with_labels: bool) -> "Data":
        """Of the data set that a config names; at most so many held-out examples.

        Raises:
            ValueError: where the config holds no examples out, or the data have no labels that are needed.
        """
        with_labels = with_labels or building.takes_labels(config)
        splits = building.load_data(config, labels=with_labels)
        if splits.validation is None:
            raise invalid("validation", "some validation examples, by which trials are compared", 0)
        held_out, labels = evaluating.examples(splits, "validation", most)
        classes = building.num_classes(config, splits)
        return cls(held_out, labels, splits.image_shape, splits.sizes["train"], classes, config=config)

    def with_anomaly(self, label: int) -> "Data":
        """The data with one class left out of training, whose held-out examples are labelled 1, others 0.

        Training examples become an array: draws such as a dynamic binarisation are made once.

        Raises:
            ValueError: for data without labels, or a class that there is not, or no other.
        """
        x, y = self.labelled(self.num_examples)
        known = np.unique(y).tolist()
        if label not in known or len(known) < 2:
            raise invalid("anomaly_class", f"one of the classes {known}, beside others", label)
        anomalous = (np.asarray(self.held_out_labels) == label).astype(int)
        kept = x[y != label]
        return replace(
            self, x=kept, y=None, num_examples=len(kept), held_out_labels=anomalous, config=None, _splits={}
        )

    def training(self, batch_size: int) -> dict[str, Any]:
        """The arguments of `fit` that say what to train on, in batches of that size."""
        if self.config is None:
            given = {} if self.num_classes is None else {"y": self.y}
            return {"x": self.x, "batch_size": batch_size, **given}
        if batch_size not in self._splits:
            training = replace(self.config.training, batch_size=batch_size)
            self._splits[batch_size] = building.load_data(replace(self.config, training=training))
        # Anew for each training: a data set counts its passes, and the order of each is another.
        train = self._splits[batch_size].train
        source = getattr(train, "resident", None)
        return {"x": train if source is None else source.to_dataset()}

    def labelled(self, most: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """At most so many training examples as the models see them, and their labels.

        Of arrays, which may be sorted by class, a choice by `seed`.

        Raises:
            ValueError: for data without labels.
        """
        x, y = self.x, self.y
        if self.config is not None:
            x, y = evaluating.examples(building.load_data(self.config, labels=True), "train", most)
        if x is None or y is None or self.held_out_labels is None:
            raise invalid("objective", "one that needs no labels, as 'elbo'", "data without labels")
        if self.config is None and len(x) > most:
            rows = np.sort(np.random.default_rng(seed).permutation(len(x))[:most])
            x, y = x[rows], y[rows]
        return x[:most], y[:most]
