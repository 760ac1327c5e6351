"""What a server runs: a model's halves as `tf.Module`s with concrete, named signatures."""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae.errors import invalid

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
    """
    x = tf.TensorSpec([None, *model.data_shape], tf.float32, "x")
    known = _known_moments(model.encode(tf.zeros([1, *(size or 8 for size in model.data_shape)])))
    if not known:
        raise invalid("model", "a posterior whose mean is known", type(model).__name__)

    def posterior(x: tf.Tensor) -> dict[str, tf.Tensor]:
        q = model.encode(x)
        return {name: _MOMENTS[name](q) for name in known}

    def sample(x: tf.Tensor, seed: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"z": model.encode(x).sample(seed=seed)}

    signatures = {"serving_default": (posterior, (x,)), "sample": (sample, (x, SEED))}
    return Servable([model.encoder], signatures, "encoder")


def decoder(model: "LatentVariableModel") -> Servable:
    """p(x|z) of a model, and draws of x.

    Signatures:
        serving_default: `z` float32 `[batch] + latent` to `mean`, `[batch] + event`.
        sample: `seed` int32 `[2]` and `count` int32 scalar to `x`, draws from the model, z from the prior:
            what `model.sample(count, seed)` gives. The same seed gives the same draws.
    """
    z = tf.TensorSpec([None, *model.latent_shape], tf.float32, "z")

    def likelihood(z: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"mean": model.decode(z).mean()}

    def sample(seed: tf.Tensor, count: tf.Tensor) -> dict[str, tf.Tensor]:
        z_seed, x_seed = tfp.random.split_seed(seed)
        p = model.decode(model.prior().sample(count, seed=z_seed))
        return {"x": tf.cast(p.sample(seed=x_seed), model.compute_dtype)}

    signatures = {"serving_default": (likelihood, (z,)), "sample": (sample, (SEED, COUNT))}
    return Servable([model.decoder, model.prior], signatures, "decoder")


def _known_moments(distribution: Any) -> list[str]:
    known = []
    for name, moment in _MOMENTS.items():
        try:
            moment(distribution)
        except NotImplementedError:
            continue
        known.append(name)
    return known
