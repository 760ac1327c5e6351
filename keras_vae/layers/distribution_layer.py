"""The base of every layer that returns a distribution, and `DistributionLambda`."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae.errors import invalid, lookup
from keras_vae.layers.captured import adopt_variables
from keras_vae.layers.drawing_layer import DrawingLayer
from keras_vae.layers.support import REAL, Support
from keras_vae.layers.tensor_coercible import ConvertToTensorFn, coercible

tfd = tfp.distributions


def _parameter(name: str) -> ConvertToTensorFn:
    """The conversion to a parameter of the distribution, or of the one inside an `Independent`."""

    def conversion(distribution: tfd.Distribution) -> tf.Tensor:
        inner = distribution if hasattr(distribution, name) else distribution.distribution
        return getattr(inner, f"{name}_parameter")()

    return conversion


_CONVERSIONS: dict[str, ConvertToTensorFn] = {
    **{
        name: getattr(tfd.Distribution, name)
        for name in ("sample", "mean", "mode", "stddev", "variance", "entropy")
    },
    "logits": _parameter("logits"),
    "probs": _parameter("probs"),
}

MIN_SCALE = 1e-5
MAX_SCALE = 1e6


def positive_scale(raw: tf.Tensor) -> tf.Tensor:
    """Maps any real number to a scale in [1e-5, 1e6]: softplus with a smooth floor.

    `sqrt(softplus(raw)^2 + 1e-10)` equals softplus to float32 precision wherever that exceeds 0.05, never
    reaches 0 and keeps a gradient there, where clipping would lose it.
    """
    softplus = tf.math.minimum(tf.math.softplus(raw), MAX_SCALE)
    # Squares of very small and of very large scales leave float32, so the hypotenuse is taken with the larger
    # of the two sides factored out.
    floor = tf.constant(MIN_SCALE, raw.dtype)
    large = tf.math.maximum(softplus, floor)
    small = tf.math.minimum(softplus, floor)
    return large * tf.sqrt(1.0 + tf.square(small / large))


class DistributionLayer(DrawingLayer):
    """Base of the layers whose call turns parameters into a `tfd.Distribution`.

    A subclass says how many parameters a distribution takes (`params_size`, static), how to make one from
    them (`new`, static) and calls `new` with its own arguments in `distribution`.

    The distribution that a call returns is also a tensor to Keras and TensorFlow: one draw, or whatever
    `convert_to_tensor_fn` says, made once. So a distribution layer works alone, last in any model, under
    `compile(loss=lambda x, p_x: -p_x.log_prob(x))`, and in the middle of a model, where the next layer
    takes the draw. The semantics are those of `tfp.layers`, for Keras 3.

    Inputs may have any batch shape before the parameters: `[B, P]` gives the batch shape `[B]`, a sequence
    `[B, T, P]` gives `[B, T]`, without a `TimeDistributed`, which would return a tensor.

    Calculations run in float32 under a half-precision policy, since sums of log-probabilities need it.

    Args:
        convert_to_tensor_fn: `tfd.Distribution.sample` (default), `.mean`, `.mode`, `.stddev`, `.variance`,
            one of those names as a string ("logits" and "probs" where the distribution has them), or a
            function of the distribution. A function of yours must be registered with
            `keras.saving.register_keras_serializable` for the layer to be saved. It may take a `seed`: int32
            `[2]`.
        validate_args: whether the distribution checks its parameters and arguments at run time. Not
            supported under XLA.
        seed: an integer, or a `keras.random.SeedGenerator`, for the draws; random by default, and
            reproducible after `keras.utils.set_random_seed`.
        activity_regularizer: a `KLDivergenceRegularizer`, added to the model's losses as a mean over the
            batch, or a Keras regularizer of the tensor that the distribution converts to.
    """

    # Where values may lie that `log_prob` takes.
    support: Support = REAL

    # The constructor's arguments that `new` takes by the same names; with the base's they are the config.
    _arguments: tuple[str, ...] = ()

    def __init__(
        self,
        convert_to_tensor_fn: str | ConvertToTensorFn = tfd.Distribution.sample,
        validate_args: bool = False,
        seed: int | keras.random.SeedGenerator | None = None,
        activity_regularizer: Any = None,
        **kwargs: Any,
    ):
        kwargs["dtype"] = full_precision(kwargs.get("dtype"))
        regularizer = keras.regularizers.get(activity_regularizer)
        if getattr(regularizer, "is_batch_mean", False):
            regularizer = _PassedDistribution(regularizer)
        super().__init__(activity_regularizer=regularizer, **kwargs)
        self.convert_to_tensor_fn = get_conversion(convert_to_tensor_fn)
        if not isinstance(validate_args, bool):
            raise invalid("validate_args", "True or False", validate_args)
        self.validate_args = validate_args
        self.seed = seed
        if isinstance(seed, keras.random.SeedGenerator):
            self.seed_generator = seed
        else:
            self.seed_generator = keras.random.SeedGenerator(seed)
        # Keras trains and saves layers that are attributes of layers, but not those of regularizers.
        self.regularizer_layer = getattr(_unwrapped(regularizer), "layer", None)
        if self.regularizer_layer is None:
            adopt_variables(self, getattr(_unwrapped(regularizer), "distribution_b", None))
        self.supports_masking = True

    @property
    def num_params(self) -> int:
        """The size that the last dimension of inputs must have: `params_size` of this layer's arguments."""
        raise NotImplementedError(f"{type(self).__name__} does not know how many parameters it takes.")

    @staticmethod
    def new(params: tf.Tensor, *args: Any, **kwargs: Any) -> tfd.Distribution:
        """The distribution with parameters `params`, `batch_shape + [params_size]`; subclasses define it."""
        raise NotImplementedError

    def distribution(self, params: Any) -> tfd.Distribution:
        """The distribution with these parameters: `new` with the arguments of this layer."""
        return self.new(params, validate_args=self.validate_args, **self._argument_values())

    def _argument_values(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self._arguments}

    def call(self, inputs: Any) -> tfd.Distribution:
        distribution = coercible(self.distribution(inputs), self.convert_to_tensor_fn, self.next_seed())
        mask = getattr(inputs, "_keras_mask", None)
        if mask is not None:
            # As Keras does it, but before it calls the activity regularizer.
            distribution._keras_mask = mask
        return distribution

    # Traced, since only the distribution knows the shape and dtype of what it converts to. Layers that wrap
    # layers ask for the shape alone.
    def compute_output_spec(self, *args: Any, **kwargs: Any) -> keras.KerasTensor:
        return keras.Operation.compute_output_spec(self, *args, **kwargs)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        return self.compute_output_spec(_symbolic(input_shape, self.compute_dtype)).shape

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.update(
            self._argument_values(),
            convert_to_tensor_fn=serialize_conversion(self.convert_to_tensor_fn),
            validate_args=self.validate_args,
            seed=keras.saving.serialize_keras_object(self.seed),
            activity_regularizer=keras.regularizers.serialize(_unwrapped(self.activity_regularizer)),
        )
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]):
        config = dict(config)
        for key in ("seed", "convert_to_tensor_fn", "activity_regularizer"):
            if isinstance(config.get(key), dict):
                config[key] = keras.saving.deserialize_keras_object(config[key])
        return super().from_config(config)


@keras.saving.register_keras_serializable(package="keras_vae")
class DistributionLambda(DistributionLayer):
    """The distribution that a function of yours makes from the previous layer's output.

    Prefer a named layer where there is one: it knows its `params_size` and is saved without more ado.

    Args:
        make_distribution_fn: takes the layer's input, returns a `tfd.Distribution`. To save the model it must
            be registered: `@keras.saving.register_keras_serializable()`; a lambda trains but is not saved.
            Variables it uses that exist by now, such as a `tf.Variable` it closes over, are trained too.
        convert_to_tensor_fn, validate_args, seed: see `DistributionLayer`.

    Example:

    >>> import numpy as np, tensorflow as tf, tensorflow_probability as tfp
    >>> layer = DistributionLambda(lambda t: tfp.distributions.Normal(t[..., 0], tf.exp(t[..., 1])))
    >>> layer(np.zeros([5, 2], "float32")).batch_shape
    TensorShape([5])
    """

    def __init__(
        self,
        make_distribution_fn: Callable[..., tfd.Distribution],
        convert_to_tensor_fn: str | ConvertToTensorFn = tfd.Distribution.sample,
        **kwargs: Any,
    ):
        super().__init__(convert_to_tensor_fn, **kwargs)
        if not callable(make_distribution_fn):
            raise invalid(
                "make_distribution_fn",
                "a function that returns a tfd.Distribution",
                make_distribution_fn,
            )
        self.make_distribution_fn = make_distribution_fn
        adopt_variables(self, make_distribution_fn)

    def distribution(self, params: Any) -> tfd.Distribution:
        distribution = self.make_distribution_fn(params)
        if not isinstance(distribution, tfd.Distribution):
            raise invalid(
                "make_distribution_fn",
                "a function that returns a tfd.Distribution",
                f"a function that returned {type(distribution).__name__}",
            )
        return distribution

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config["make_distribution_fn"] = serialize_function("make_distribution_fn", self.make_distribution_fn)
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]):
        config = dict(config)
        fn = config["make_distribution_fn"]
        if isinstance(fn, dict):
            config["make_distribution_fn"] = keras.saving.deserialize_keras_object(fn)
        return super().from_config(config)


class _PassedDistribution(keras.regularizers.Regularizer):
    """An activity regularizer that takes the distribution and returns a mean over its batch.

    Keras divides what a regularizer returns by the first dimension of the layer's output, which is not the
    batch where `convert_to_tensor_fn` makes several draws; so that dimension is multiplied back.
    """

    def __init__(self, regularizer: Callable[[tfd.Distribution], tf.Tensor]):
        self.regularizer = regularizer

    def __call__(self, distribution: tfd.Distribution) -> tf.Tensor:
        mean = self.regularizer(distribution)
        tensor = tf.convert_to_tensor(distribution)
        return mean * tf.cast(tf.shape(tensor)[0], mean.dtype) if tensor.shape.rank else mean

    def get_config(self) -> dict[str, Any]:
        return {"regularizer": keras.regularizers.serialize(self.regularizer)}


def _unwrapped(regularizer: Any) -> Any:
    return regularizer.regularizer if isinstance(regularizer, _PassedDistribution) else regularizer


def get_conversion(
    identifier: str | ConvertToTensorFn, argument: str = "convert_to_tensor_fn"
) -> ConvertToTensorFn:
    """The conversion function of that name, or the function itself."""
    if isinstance(identifier, property):  # such as tfd.Bernoulli.logits
        identifier = getattr(identifier.fget, "__name__", "")
    if isinstance(identifier, str):
        return lookup(argument, identifier, _CONVERSIONS)
    if not callable(identifier):
        raise invalid(argument, "a function of the distribution, or its name", identifier)
    return identifier


def serialize_conversion(
    fn: ConvertToTensorFn, argument: str = "convert_to_tensor_fn"
) -> str | dict[str, Any]:
    for name, known in _CONVERSIONS.items():
        if fn is known:
            return name
    return serialize_function(argument, fn)


def serialize_function(argument: str, fn: Callable) -> dict[str, Any]:
    """The config of a function registered with Keras; a `ValueError` for any other.

    A lambda would have to be stored as byte code, which a loader would have to run: no file of ours does.
    """
    if keras.saving.get_registered_name(fn) == getattr(fn, "__name__", None):
        raise invalid(
            argument,
            "a function registered with keras.saving.register_keras_serializable, to be saved",
            f"the unregistered function {getattr(fn, '__name__', fn)}",
            "Decorate a named function with @keras.saving.register_keras_serializable().",
        )
    return keras.saving.serialize_keras_object(fn)


def check_last_dimension(params: tf.Tensor, expected: int, what: str) -> None:
    """Raises `ValueError` if the last dimension of `params` is known not to be `expected`."""
    if params.shape.rank == 0 or params.shape[-1] not in (None, expected):
        raise invalid(
            "inputs",
            f"a last dimension of params_size = {expected} for {what}",
            f"shape {tuple(params.shape)}",
            f"End the previous layer with {expected} units.",
        )


def full_precision(dtype: Any) -> Any:
    """`dtype` for a layer, or float32 where it, or the global policy if it is None, is of half precision."""
    policy = keras.dtype_policies.get(dtype)
    return "float32" if policy.compute_dtype in ("float16", "bfloat16") else dtype


def _symbolic(shape: Any, dtype: str) -> Any:
    if isinstance(shape, dict):
        return {key: _symbolic(item, dtype) for key, item in shape.items()}
    if any(isinstance(item, list | tuple) for item in shape):
        return [_symbolic(item, dtype) for item in shape]
    return keras.KerasTensor(shape, dtype)
