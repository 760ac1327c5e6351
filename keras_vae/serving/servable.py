"""What a server runs: weights and named signatures, as a `tf.Module`."""

from collections.abc import Callable, Mapping

import keras
import tensorflow as tf

Signature = Callable[..., dict[str, tf.Tensor]]
Specs = tuple[tf.TensorSpec, ...]


class Servable(tf.Module):
    """Weights and signatures, as `tf.saved_model.save` writes them.

    Attributes:
        functions: the signatures by name, each a `tf.function` with an `input_signature`.
        inputs, outputs: what they take and give: `tf.TensorSpec`s by signature and name.
        image_shape: height, width and channels where the signatures take image files, else None.

    Args:
        signatures: a function and its arguments' specifications by name; the function returns a dictionary.
        name: of the servable's kind, such as "encoder".
        image_shape: see above.

    Example:

    >>> double = lambda x: {"y": 2.0 * x}
    >>> x = tf.TensorSpec([None], tf.float32, "x")
    >>> servable = Servable({"serving_default": (double, (x,))}, "double")
    >>> servable.call("serving_default", x=tf.constant([1.0, 2.0]))["y"].numpy().tolist()
    [2.0, 4.0]
    >>> servable.inputs["serving_default"]["x"].shape, servable.outputs["serving_default"]["y"].dtype
    (TensorShape([None]), tf.float32)
    """

    def __init__(
        self,
        signatures: Mapping[str, tuple[Signature, Specs]],
        name: str,
        image_shape: tuple[int, int, int] | None = None,
    ):
        super().__init__(name=name)
        self.image_shape = image_shape
        # One trace for a function that has two names.
        made = {
            function: tf.function(_stateless(function), input_signature=specs, autograph=False)
            for function, specs in signatures.values()
        }
        self.functions = {key: made[function] for key, (function, _) in signatures.items()}

    def call(self, signature: str, **tensors: tf.Tensor) -> dict[str, tf.Tensor]:
        """What the signature of that name gives for tensors by name."""
        return self.functions[signature].get_concrete_function()(**tensors)

    @property
    def inputs(self) -> dict[str, dict[str, tf.TensorSpec]]:
        """The specifications of the arguments by signature and name."""
        return {
            key: {spec.name: spec for spec in function.input_signature}
            for key, function in self.functions.items()
        }

    @property
    def outputs(self) -> dict[str, dict[str, tf.TensorSpec]]:
        """The specifications of the results by signature and name."""
        return {
            key: {
                name: tf.TensorSpec(spec.shape, spec.dtype, name)
                for name, spec in function.get_concrete_function().structured_outputs.items()
            }
            for key, function in self.functions.items()
        }

    def variables_read(self) -> list[tf.Variable]:
        """The variables that the signatures read, each once."""
        traced = [function.get_concrete_function() for function in self.functions.values()]
        read = (variable for function in traced for variable in function.graph.variables)
        return list({id(variable): variable for variable in read}.values())

    def save(self, folder: str) -> None:
        """Writes a SavedModel into a folder."""
        # These and nothing else, such as the weights of a critic.
        self.weights = self.variables_read()
        tf.saved_model.save(self, folder, signatures=dict(self.functions))


def _stateless(function: Signature) -> Signature:
    """Keeps a call from writing to variables: layers that own a generator advance it even unasked."""

    def call(*args: tf.Tensor) -> dict[str, tf.Tensor]:
        with keras.StatelessScope():
            return function(*args)

    return call
