"""A prior that a condition decides."""

from typing import Any

import keras
import tensorflow_probability as tfp

from keras_vae.errors import invalid
from keras_vae.priors.prior import Prior
from keras_vae.probes import probe

tfd = tfp.distributions


@keras.saving.register_keras_serializable(package="keras_vae")
class ConditionalPrior(Prior):
    """p(z|y), learned: a network from the condition to a distribution over z.

    Prefer it to a fixed prior in a `ConditionalVAE` whose condition tells much about z, such as half of an
    image; with a fixed prior, z is what the condition leaves open.

    Args:
        network: a Keras model from y, `[B] + condition`, that ends in a distribution layer over z: batch
            shape `[B]`. Of class numbers, begin it with `keras.Input((), dtype="int32")` and a one-hot
            encoding.

    Raises:
        ValueError: for a network without known input or one that does not end in a distribution.

    Example:

    >>> import keras
    >>> import tensorflow as tf
    >>> from keras_vae import layers, priors
    >>> network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4), layers.IndependentNormal(2)])
    >>> prior = priors.ConditionalPrior(network)
    >>> prior.given(tf.zeros([5, 3])).batch_shape, prior.event_shape
    (TensorShape([5]), (2,))

    Reference: Sohn et al., Learning Structured Output Representation using Deep Conditional Generative
    Models, 2015, section 4.1.
    """

    def __init__(self, network: keras.Model, **kwargs: Any):
        inputs: Any = getattr(network, "inputs", None) or []
        if not isinstance(network, keras.Model) or len(inputs) != 1:
            raise invalid("network", "a Keras model with one input of known shape", network)
        q = network(probe(inputs[0].shape[1:], inputs[0].dtype), training=False)
        if not isinstance(q, tfd.Distribution) or q.batch_shape.rank != 1:
            raise invalid("network", "a model that ends in one distribution over z for each example", network)
        super().__init__(tuple(q.event_shape), **kwargs)
        self.network = network

    def distribution(self) -> tfd.Distribution:
        raise invalid("y", "conditions, for a prior that depends on them", None, "Call given(y).")

    def given(self, y: Any) -> tfd.Distribution:
        """p(z|y) of conditions y, `[B] + condition`: batch shape `[B]`."""
        return self.distribution() if y is None else self.network(y)

    def get_config(self) -> dict[str, Any]:
        config = {key: value for key, value in super().get_config().items() if key != "event_shape"}
        return {**config, "network": keras.saving.serialize_keras_object(self.network)}

    @classmethod
    def from_config(cls, config: dict[str, Any]):
        network = keras.saving.deserialize_keras_object(config["network"])
        return cls(**{**config, "network": network})
