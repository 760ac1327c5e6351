"""Parameters that do not depend on the input."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_vae.errors import invalid
from keras_vae.layers.distribution_layer import full_precision
from keras_vae.layers.independent import Shape, as_shape


@keras.saving.register_keras_serializable(package="keras_vae")
class VariableLayer(keras.layers.Layer):
    """A trainable tensor, whatever the input: f(x) = c.

    In front of a distribution layer it makes an unconditional distribution, such as a learned prior.

    Args:
        shape: shape of the tensor, and of the output: it has no batch dimension.
        dtype: dtype of the tensor; that of the global policy, but at least float32, if None.
        activation: applied to the tensor in every call.
        initializer, regularizer, constraint: of the tensor; see `BlockwiseInitializer` for parameters of
            several kinds.

    Call arguments:
        inputs: ignored; may be left out.

    Example:

    >>> import keras
    >>> from keras_vae.layers import IndependentNormal
    >>> normal = keras.Sequential([VariableLayer(4), IndependentNormal(2)])
    >>> normal(keras.ops.zeros([1])).batch_shape, len(normal.trainable_variables)
    (TensorShape([]), 1)
    """

    def __init__(
        self,
        shape: Shape,
        dtype: Any = None,
        activation: str | Callable | None = None,
        initializer: Any = "zeros",
        regularizer: Any = None,
        constraint: Any = None,
        **kwargs: Any,
    ):
        super().__init__(dtype=full_precision(dtype), **kwargs)
        self.shape = as_shape(shape, "shape")
        self.activation = keras.activations.get(activation)
        self.initializer = keras.initializers.get(initializer)
        self.regularizer = keras.regularizers.get(regularizer)
        self.constraint = keras.constraints.get(constraint)
        self.constant = self.add_weight(
            name="constant",
            shape=self.shape,
            initializer=self.initializer,
            regularizer=self.regularizer,
            constraint=self.constraint,
        )
        self.built = True

    def call(self, inputs: Any = None) -> tf.Tensor:
        return self.activation(tf.convert_to_tensor(self.constant))

    def compute_output_shape(self, input_shape: Any = None) -> tuple[int, ...]:
        return self.shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "shape": self.shape,
            "activation": keras.activations.serialize(self.activation),
            "initializer": keras.initializers.serialize(self.initializer),
            "regularizer": keras.regularizers.serialize(self.regularizer),
            "constraint": keras.constraints.serialize(self.constraint),
        }


@keras.saving.register_keras_serializable(package="keras_vae")
class BlockwiseInitializer(keras.initializers.Initializer):
    """Several initializers, one after another along the last dimension.

    Args:
        initializers: initializers, or their names.
        sizes: how many elements of the last dimension each one fills.
        validate_args: for the signature of `tfp.layers`; sizes are always checked.

    Example:

    >>> init = BlockwiseInitializer(["zeros", "ones"], sizes=[2, 1])
    >>> init((2, 3)).numpy().tolist()
    [[0.0, 0.0, 1.0], [0.0, 0.0, 1.0]]
    """

    def __init__(self, initializers: Sequence[Any], sizes: Sequence[int], validate_args: bool = False):
        self.initializers = [keras.initializers.get(initializer) for initializer in initializers]
        self.sizes = as_shape(sizes, "sizes")
        self.validate_args = validate_args
        if len(self.sizes) != len(self.initializers):
            raise invalid("sizes", f"{len(self.initializers)} sizes, one for each initializer", sizes)

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> tf.Tensor:
        shape = tuple(shape)
        if not shape or shape[-1] != sum(self.sizes):
            raise invalid("shape", f"a last dimension of sum(sizes) = {sum(self.sizes)}", shape)
        dtype = dtype or keras.config.floatx()
        blocks = zip(self.initializers, self.sizes, strict=True)
        return tf.concat([init((*shape[:-1], size), dtype=dtype) for init, size in blocks], axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {
            "initializers": [keras.initializers.serialize(init) for init in self.initializers],
            "sizes": list(self.sizes),
            "validate_args": self.validate_args,
        }
