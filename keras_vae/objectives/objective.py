"""The base of the objectives."""

import inspect
import math
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_vae import schedules
from keras_vae.checks import check_count, check_number
from keras_vae.errors import invalid
from keras_vae.objectives.labels import Condition
from keras_vae.objectives.terms import Terms

_LAST_STEP = 2**31
# Of cyclical schedules, many phases.
LATE_STEPS = _LAST_STEP - np.unique(np.geomspace(1, 2**24, 200).round())
_STEPS_TO_CHECK = np.concatenate([[0], np.geomspace(1, _LAST_STEP, 200), LATE_STEPS])


class Objective(keras.layers.Layer):
    """What a model minimises, as named parts that add up to the loss.

    A subclass names its parts and returns them, per example and in nats, from one table of terms. It never
    names a network or a distribution. A weight that may change during training goes through `scheduled`.

    Attributes:
        part_names: the names `parts` returns; the loss is their sum.
        monitor_names: the names `monitors` returns; reported beside the loss, never added to it.
        critic: a Keras model trained against the others by its own optimizer, or None.
        critic_part_names: the names `critic_parts` returns; their sum is what the critic minimises.
        critic_steps: updates of the critic for each of the others, each on draws of its own.
        num_samples: S, draws of z per example that `terms` holds.
        differentiates_draws: whether the encoder learns through its draws, so that the model must refuse a
            posterior that is not reparameterised; False for objectives that see to those themselves.
        labels: what y must be, for objectives that learn from classes; None for those that do not.
        features: a trained encoder whose draws all networks read in the place of x; or None.
        takes_natural_steps: whether training improves what a prior believes of its parameters.

    Args:
        num_samples: an integer >= 1.
    """

    part_names: tuple[str, ...] = ()
    monitor_names: tuple[str, ...] = ()
    critic_part_names: tuple[str, ...] = ()
    critic: keras.Model | None = None
    critic_steps: int = 1
    differentiates_draws: bool = True
    labels: Condition | None = None
    features: keras.Model | None = None
    takes_natural_steps: bool = False

    def __init__(self, num_samples: int = 1, **kwargs: Any):
        super().__init__(dtype="float32", **kwargs)
        self.num_samples = check_count("num_samples", num_samples)
        self._schedules: dict[str, schedules.Schedule] = {}
        self._current: dict[str, keras.Variable] = {}
        self._ranges: dict[str, tuple[float, float]] = {}
        self.built = True

    def parts(self, terms: Terms) -> dict[str, tf.Tensor]:
        """The parts of the loss by name, each `[B]`, in nats."""
        raise NotImplementedError

    def monitors(self, terms: Terms) -> dict[str, Any]:
        """Further figures to report by name, each `[B]` or a scalar.

        A pair of figures and their weights, each `[B]`, is reported as the weighted average over all batches:
        for what only some examples have.
        """
        del terms
        return {}

    def check(self, figures: Mapping[str, float]) -> bool:
        """Warns if the means over an epoch show that something is amiss; returns whether it did.

        Called by `fit` after every epoch until then, for what no compiled step can say.
        """
        del figures
        return False

    def corrupt(self, x: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """What the encoder sees of x, `[B] + event`, in training and validation; x itself by default.

        Args:
            x: the batch; the likelihood is always of this.
            seed: int32 `[2]`, stateless seed of the noise.
        """
        del seed
        return x

    def check_batch_size(self, size: int) -> None:
        """Raises `ValueError` for batches of a size that the objective cannot take."""

    def critic_parts(self, terms: Terms) -> dict[str, tf.Tensor]:
        """The parts of the critic's own loss by name, each `[B]`; only for objectives with a critic."""
        del terms
        return {}

    def finish(self, terms: Terms) -> None:
        """What follows the optimizer's step, in training only: for weights that no gradient moves."""
        del terms

    def scheduled(
        self,
        name: str,
        value: float | str | schedules.Schedule,
        low: float = -math.inf,
        high: float = math.inf,
    ) -> schedules.Schedule:
        """Declares a weight of the loss that `current(name)` reads and training steps update.

        A constant is a variable too: assign to it between calls of `fit`, and no function is traced anew.

        Raises:
            ValueError: if `value` is no schedule, or falls below `low` or rises above `high`.
        """
        schedule = schedules.get(value, name)
        values = schedule(_STEPS_TO_CHECK)
        if float(tf.reduce_min(values)) < low or float(tf.reduce_max(values)) > high:
            wanted = f">= {low:g}" if high == math.inf else f"from {low:g} to {high:g}"
            raise invalid(name, f"a number {wanted}, or a schedule that stays there", value)
        self._ranges[name] = (low, high)
        self._schedules[name] = schedule
        start = keras.initializers.Constant(float(schedule(0)))
        self._current[name] = self.add_weight(name=name, shape=(), initializer=start, trainable=False)
        return schedule

    def __setattr__(self, name: str, value: Any) -> None:
        """Sets an attribute; a number for a weight that `scheduled` declared becomes its present value."""
        declared = self.__dict__.get("_schedules", {})
        if name in declared and value is not declared[name]:
            value = self._reassigned(name, value)
        super().__setattr__(name, value)

    def _reassigned(self, name: str, value: Any) -> schedules.Schedule:
        low, high = self._ranges[name]
        hint = "Build the model anew with that value; save_weights and load_weights carry the weights over."
        if not isinstance(self._schedules[name], schedules.Constant):
            raise invalid(name, "no assignment, since a schedule sets it in every step", value, hint)
        if isinstance(value, str | schedules.Schedule):
            raise invalid(name, "a number", value, hint)
        number = check_number(name, float(value), at_least=low)
        if number > high:
            raise invalid(name, f"a number from {low:g} to {high:g}", value)
        self._current[name].assign(number)
        self._schedules[name] = schedules.Constant(number)
        return self._schedules[name]

    @property
    def weight_schedules(self) -> dict[str, schedules.Schedule]:
        """The schedules of the weights of the loss, by name."""
        return dict(self._schedules)

    def current(self, name: str) -> keras.Variable:
        """The variable that holds the present value of a scheduled weight."""
        return self._current[name]

    def update(self, step: tf.Tensor) -> None:
        """Sets every scheduled weight to its value at this training step; called by training steps only."""
        for name, schedule in self._schedules.items():
            if not isinstance(schedule, schedules.Constant):
                self._current[name].assign(schedule(step))

    def arguments(self) -> dict[str, Any]:
        """The constructor's arguments and their values, serialised."""
        names = [
            name
            for name, parameter in inspect.signature(type(self).__init__).parameters.items()
            if name != "self" and parameter.kind is not parameter.VAR_KEYWORD
        ]
        return {name: keras.saving.serialize_keras_object(getattr(self, name)) for name in names}

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self.arguments()}

    @classmethod
    def from_config(cls, config: dict[str, Any]):
        config = {key: value for key, value in config.items() if key != "dtype"}
        return cls(**deserialize_arguments(config))


def deserialize_arguments(config: dict[str, Any]) -> dict[str, Any]:
    """Makes objects of the values that are configs of objects."""
    # Of copies, since Keras' wrapper layers take their layer out of the config they are made from.
    return {
        key: keras.saving.deserialize_keras_object(deepcopy(value)) if isinstance(value, dict) else value
        for key, value in config.items()
    }
