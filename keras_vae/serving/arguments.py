"""What signatures ask of their arguments; the graph says so where a request does not comply."""

from typing import TYPE_CHECKING

import tensorflow as tf

from keras_vae.models.conditions import takes_condition
from keras_vae.priors import ConditionalPrior

if TYPE_CHECKING:
    import keras

    from keras_vae import LatentVariableModel
    from keras_vae.objectives.labels import Condition

SEED = tf.TensorSpec([2], tf.int32, "seed")
COUNT = tf.TensorSpec([], tf.int32, "count")
NUM_SAMPLES = tf.TensorSpec([], tf.int32, "num_samples")
STEPS = tf.TensorSpec([], tf.int32, "steps")


def condition_spec(model: "LatentVariableModel", *parts: "keras.layers.Layer") -> tuple[tf.TensorSpec, ...]:
    """The specification of y, where one of these networks and priors takes it; else nothing."""
    condition = model.condition
    if condition is None or not any(_takes_condition(part) for part in parts):
        return ()
    return (tf.TensorSpec([None, *condition.shape], condition.dtype, "y"),)


def _takes_condition(part: "keras.layers.Layer") -> bool:
    return isinstance(part, ConditionalPrior) or takes_condition(part)


def at_least(name: str, least: int, value: tf.Tensor) -> tf.Tensor:
    """`value`; an `InvalidArgumentError` of the graph where it is less."""
    message = f"Invalid value received for argument `{name}`. Expected: an integer >= {least}."
    with tf.control_dependencies([tf.debugging.assert_greater_equal(value, least, message)]):
        return tf.identity(value)


def one_each(condition: "Condition | None", y: tuple[tf.Tensor, ...], count: tf.Tensor) -> tuple:
    """The conditions of `count` rows, as many, checked; in a tuple that is empty where there is none."""
    return tuple(_checked(condition, value, tf.equal(tf.shape(value)[0], count), "each row") for value in y)


def one_or_each(condition: "Condition | None", y: tuple[tf.Tensor, ...], count: tf.Tensor) -> tuple:
    """The same of `count` draws, of one condition for all or of one for each."""
    given = []
    for value in y:
        rows = tf.shape(value)[0]
        checked = _checked(condition, value, (rows == count) | (rows == 1), "all draws, or for each")
        shape = tf.concat([[count], tf.shape(value)[1:]], axis=0)
        given.append(tf.ensure_shape(tf.broadcast_to(checked, shape), value.shape))
    return tuple(given)


def _checked(condition: "Condition | None", y: tf.Tensor, fits: tf.Tensor, of_what: str) -> tf.Tensor:
    begin = "Invalid value received for argument `y`. Expected:"
    checks = [tf.debugging.Assert(fits, [f"{begin} one condition for {of_what}. Received:", tf.shape(y)])]
    if condition is not None and condition.is_label:
        checks.append(
            tf.debugging.assert_greater_equal(y, -1 if condition.unknown else 0, f"{begin} class numbers.")
        )
        if condition.num_classes is not None:
            message = f"{begin} class numbers below {condition.num_classes}."
            checks.append(tf.debugging.assert_less(y, condition.num_classes, message))
    with tf.control_dependencies(checks):
        return tf.identity(y)
