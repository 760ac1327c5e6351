"""What a server runs: a model's halves as `tf.Module`s with concrete, named signatures."""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae.errors import invalid
from keras_vae.models import checks
from keras_vae.models.conditions import spread, takes_condition

if TYPE_CHECKING:
    from keras_vae import LatentVariableModel

tfd = tfp.distributions

SEED = tf.TensorSpec([2], tf.int32, "seed")
COUNT = tf.TensorSpec([], tf.int32, "count")

# What a signature may tell of a distribution; what a distribution does not know is left out.
_MOMENTS: dict[str, Callable[[tfd.Distribution], tf.Tensor]] = {
    "mean": lambda distribution: distribution.mean(),
    "stddev": lambda distribution: distribution.stddev(),
}

Signature = Callable[..., dict[str, Any]]


class Servable(tf.Module):
    """Weights and signatures, as `tf.saved_model.save` writes them.

    Args:
        parts: the Keras layers whose weights the signatures read.
        signatures: a function and its arguments' specifications by name; the function returns a dictionary.
    """

    def __init__(
        self,
        parts: Iterable[keras.layers.Layer],
        signatures: Mapping[str, tuple[Any, tuple[tf.TensorSpec, ...]]],
        name: str,
    ):
        super().__init__(name=name)
        self.weights = [variable.value for part in parts for variable in part.variables]
        self.functions = {
            key: tf.function(_stateless(function), input_signature=specs, autograph=False)
            for key, (function, specs) in signatures.items()
        }

    def save(self, folder: str) -> None:
        """Writes a SavedModel into a folder."""
        tf.saved_model.save(self, folder, signatures=dict(self.functions))


def _stateless(function: Signature) -> Signature:
    """Keeps a call from writing to variables: layers that own a generator advance it even unasked."""

    def call(*args: tf.Tensor) -> dict[str, tf.Tensor]:
        with keras.StatelessScope():
            return function(*args)

    return call


def encoder(model: "LatentVariableModel") -> Servable:
    """q(z|x) of a model.

    Signatures:
        serving_default: `x` float32 `[batch] + event` to `mean` and `stddev`, `[batch] + latent`.
        sample: `x` and `seed` int32 `[2]` to `z`, one draw each; the same seed gives the same draws.

    Where the encoder is conditional, both take `y`, `[batch] + condition`, too.
    """
    x = tf.TensorSpec([None, *model.data_shape], tf.float32, "x")
    condition = model.condition
    known = _known_moments(
        model.encode(checks.probe(model.data_shape), None if condition is None else condition.probe())
    )
    if not known:
        raise invalid("model", "a posterior whose mean is known", type(model).__name__)

    def posterior(x: tf.Tensor, *y: tf.Tensor) -> dict[str, tf.Tensor]:
        q = model.encode(x, *y)
        return {name: _MOMENTS[name](q) for name in known}

    def sample(x: tf.Tensor, seed: tf.Tensor, *y: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"z": model.encode(x, *y).sample(seed=seed)}

    y = _condition_spec(model, model.encoder)
    signatures = {"serving_default": (posterior, (x, *y)), "sample": (sample, (x, SEED, *y))}
    return Servable(model.encoding_layers, signatures, "encoder")


def decoder(model: "LatentVariableModel") -> Servable:
    """p(x|z) of a model, and draws of x.

    Signatures:
        serving_default: `z` float32 `[batch] + latent` to `mean`, `[batch] + event`.
        sample: `seed` int32 `[2]` and `count` int32 scalar to `x`, draws from the model, z from the prior:
            what `model.sample(count, seed)` gives. The same seed gives the same draws.

    Where the decoder is conditional, the first takes `y`, `[batch] + condition`, too, and the second `y` of
    `[count] + condition` or `[1] + condition`.
    """
    z = tf.TensorSpec([None, *model.latent_shape], tf.float32, "z")

    def likelihood(z: tf.Tensor, *y: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"mean": model.decode(z, *y).mean()}

    def sample(seed: tf.Tensor, count: tf.Tensor, *y: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"x": model._sample(count, seed, False, spread(y[0], count) if y else None)}

    y = _condition_spec(model, model.decoder)
    signatures = {"serving_default": (likelihood, (z, *y)), "sample": (sample, (SEED, COUNT, *y))}
    return Servable([model.decoder, model.prior], signatures, "decoder")


def _condition_spec(model: "LatentVariableModel", network: keras.Model) -> tuple[tf.TensorSpec, ...]:
    """The specification of a network's condition, where it takes one."""
    condition = model.condition
    if condition is None or not takes_condition(network):
        return ()
    return (tf.TensorSpec([None, *condition.shape], condition.dtype, "y"),)


def _known_moments(distribution: Any) -> list[str]:
    known = []
    for name, moment in _MOMENTS.items():
        try:
            moment(distribution)
        except NotImplementedError:
            continue
        known.append(name)
    return known
