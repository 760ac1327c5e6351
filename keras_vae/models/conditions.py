"""Networks with a second input, the condition."""

from typing import Any

import keras
import tensorflow as tf

from keras_vae.errors import invalid
from keras_vae.objectives.labels import Condition
from keras_vae.priors import ConditionalPrior


def condition_of(encoder: Any, decoder: Any, prior: Any = None) -> Condition | None:
    """The condition that networks with two inputs, and a conditional prior, take; None where none does.

    Raises:
        ValueError: where two of them take different ones.
    """
    networks = {"encoder": encoder, "decoder": decoder}
    taking = {name: network for name, network in networks.items() if takes_condition(network)}
    if isinstance(prior, ConditionalPrior):
        taking["prior"] = prior.network
    found = {name: _condition(network) for name, network in taking.items()}
    if not found:
        return None
    first, wanted = next(iter(found.items()))
    for name, condition in found.items():
        if condition != wanted:
            raise invalid(name, f"the condition of the {first}: {wanted}", str(condition))
    return wanted


def _condition(network: keras.Model) -> Condition:
    spec = network.inputs[-1]
    encodings = (layer for layer in network.layers if isinstance(layer, keras.layers.CategoryEncoding))
    count = next((layer.num_tokens for layer in encodings), None)
    return Condition(tuple(spec.shape[1:]), str(spec.dtype), count)


def takes_condition(network: Any) -> bool:
    """Whether a network has two inputs, of which the second is the condition."""
    return isinstance(network, keras.Model) and len(getattr(network, "inputs", None) or ()) == 2


def check_rows(y: tf.Tensor | None, count: int | None, of: str = "x", or_one: bool = False) -> None:
    """Raises unless y has `count` rows, or one where one will do for all.

    Numbers that a graph does not know yet, None, pass.
    """
    rows = None if y is None else y.shape[0]
    if rows is None or count is None or rows == count or (or_one and rows == 1):
        return
    raise invalid("y", f"{'1 or ' if or_one else ''}{count} rows, as {of} has", f"{rows} rows")


def spread(y: tf.Tensor | None, count: tf.Tensor) -> tf.Tensor | None:
    """Conditions of `[B]` examples, for `[S * B]` that are theirs, draw by draw."""
    if y is None:
        return None
    times = count // tf.shape(y)[0]
    return tf.tile(y, tf.concat([[times], tf.ones([y.shape.rank - 1], tf.int32)], axis=0))
