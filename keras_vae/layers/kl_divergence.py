"""A Kullback-Leibler divergence as a loss that a layer adds to its model."""

import numbers
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae.checks import check_number, is_number
from keras_vae.distributions import deserialize_distribution, serialize_distribution
from keras_vae.distributions.serialization import is_distribution_config
from keras_vae.divergences import kl_divergence
from keras_vae.errors import invalid
from keras_vae.layers.captured import adopt_variables
from keras_vae.layers.distribution_layer import (
    full_precision,
    get_conversion,
    serialize_conversion,
    serialize_function,
)

tfd = tfp.distributions


@keras.saving.register_keras_serializable(package="keras_vae")
class KLDivergenceRegularizer(keras.regularizers.Regularizer):
    """weight * KL(a || distribution_b) in nats, for the `activity_regularizer` of a distribution layer.

    With a prior as `distribution_b` it turns an autoencoder of Keras layers into a VAE, whose
    `compile(loss=...)` is the reconstruction term.

    It is a mean over the batch, exact or not, so that it has the scale of a Keras loss. `tfp.layers` does the
    same here, but sums over the batch in `KLDivergenceAddLoss`. Steps that a Keras mask hides do not count.

    Args:
        distribution_b: a `tfd.Distribution`; a Keras layer or model that gives one, such as a prior of
            `keras_vae.priors`, whose weights are then trained and saved with the layer; or a function without
            arguments that returns one. A batch shape must broadcast with that of a. The variables of a
            distribution, and those that a function uses, are trained too.
        use_exact_kl: whether to use the closed form. Otherwise the KL is estimated at test points.
        test_points_reduce_axis: dimensions of the test points' log-densities to average over before `weight`
            applies, such as that of several draws; `None` for all, `()` for none.
        test_points_fn: makes the test points from a: `tf.convert_to_tensor` (default) takes the draw that the
            model goes on with; or "sample", or a function.
        weight: a number >= 0, or a tensor of such that broadcasts with the batch; 1 if None.

    Raises:
        ValueError: if `distribution_b` gives no distribution, or one of another event shape than a; for other
            arguments that are not as above; when called with a mask of more dimensions than the batch.
        NotImplementedError: with `use_exact_kl`, when called with a pair whose KL is not known.

    Example:

    >>> import numpy as np, keras
    >>> from keras_vae.layers import IndependentNormal
    >>> prior = tfd.MultivariateNormalDiag(tf.zeros(2), tf.ones(2))
    >>> layer = IndependentNormal(2, activity_regularizer=KLDivergenceRegularizer(prior, use_exact_kl=True))
    >>> q = layer(np.ones([8, 4], "float32"))
    >>> round(float(layer.losses[0]), 4), round(float(tf.reduce_mean(tfd.kl_divergence(q, q))), 4)
    (1.1796, 0.0)
    """

    # What the distribution layers ask: this one takes a distribution and returns a mean over its batch.
    is_batch_mean = True

    def __init__(
        self,
        distribution_b: tfd.Distribution | Callable[..., tfd.Distribution],
        use_exact_kl: bool = False,
        test_points_reduce_axis: int | tuple[int, ...] | None = (),
        test_points_fn: str | Callable[[tfd.Distribution], tf.Tensor] = tf.convert_to_tensor,
        weight: Any = None,
    ):
        self.distribution_b = distribution_b
        if not isinstance(use_exact_kl, bool):
            raise invalid("use_exact_kl", "True or False", use_exact_kl)
        self.use_exact_kl = use_exact_kl
        self.test_points_reduce_axis = _check_axis(test_points_reduce_axis)
        is_default = test_points_fn in (tf.convert_to_tensor, "convert_to_tensor")
        self.test_points_fn = (
            tf.convert_to_tensor if is_default else get_conversion(test_points_fn, "test_points_fn")
        )
        self.weight = _check_weight(weight)
        # Once now, so that a wrong argument shows here and a layer has its weights before training starts.
        if not isinstance(self._made_b(), tfd.Distribution):
            raise invalid("distribution_b", "a tfd.Distribution, or what gives one", distribution_b)

    @property
    def layer(self) -> keras.layers.Layer | None:
        """`distribution_b` where it is a layer, for the layer that uses this to keep its weights."""
        return self.distribution_b if isinstance(self.distribution_b, keras.layers.Layer) else None

    def __call__(self, distribution_a: tfd.Distribution) -> tf.Tensor:
        if not isinstance(distribution_a, tfd.Distribution):
            raise invalid(
                "distribution_a",
                "a tfd.Distribution",
                distribution_a,
                "Put this right behind, or into, a distribution layer.",
            )
        a, b = distribution_a, self._made_b()
        if not a.event_shape.is_compatible_with(b.event_shape):
            raise invalid("distribution_b", f"a distribution of event shape {a.event_shape}", b.event_shape)
        kl, axis = self._kl(a, b)
        weight = None if self.weight is None else _as(kl.dtype, self.weight)
        mask = getattr(a, "_keras_mask", None)
        if mask is None:
            kl = tf.reduce_mean(kl, axis=axis)
            return tf.reduce_mean(kl if weight is None else kl * weight)
        # The mean over what the mask shows, of the test points and of the batch.
        shown = tf.broadcast_to(_batch_mask(mask, a), tf.shape(kl))
        kl, counts = tf.where(shown, kl, 0.0), tf.cast(shown, kl.dtype)
        total, count = tf.reduce_sum(kl, axis=axis), tf.reduce_sum(counts, axis=axis)
        if weight is not None:
            total *= weight
            count = tf.broadcast_to(count, tf.shape(total))
        return tf.math.divide_no_nan(tf.reduce_sum(total), tf.reduce_sum(count))

    def _kl(self, a: tfd.Distribution, b: tfd.Distribution) -> tuple[tf.Tensor, int | tuple[int, ...] | None]:
        """The KL, or log a - log b at the test points, and the dimensions of that to average over."""
        if self.use_exact_kl:
            return kl_divergence(a, b), ()
        points = self.test_points_fn(a)
        return a.log_prob(points) - b.log_prob(points), self.test_points_reduce_axis

    def _made_b(self) -> Any:
        b = self.distribution_b
        if isinstance(b, keras.Model):
            return b(tf.zeros([1]))  # A model wants an input; one of no use here, as in `tfp.layers`.
        return b() if callable(b) else b

    def get_config(self) -> dict[str, Any]:
        constant = self.weight is None or isinstance(self.weight, int | float)
        return {
            "distribution_b": _serialize_b(self.distribution_b),
            "use_exact_kl": self.use_exact_kl,
            "test_points_reduce_axis": self.test_points_reduce_axis,
            "test_points_fn": _serialize_points(self.test_points_fn),
            "weight": self.weight if constant else keras.ops.convert_to_numpy(self.weight).tolist(),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]):
        return cls(**_deserialize(config))


@keras.saving.register_keras_serializable(package="keras_vae")
class KLDivergenceAddLoss(keras.layers.Layer):
    """Passes a distribution through and adds weight * KL(a || distribution_b) to the model's losses.

    `KLDivergenceRegularizer` as a layer of its own, to put right behind a distribution layer. It, too, is a
    mean over the batch, where `tfp.layers` adds a sum if `use_exact_kl`.

    Args:
        distribution_b, use_exact_kl, test_points_reduce_axis, test_points_fn, weight: see
            `KLDivergenceRegularizer`.

    Call arguments:
        inputs: the distribution a that a distribution layer returned.

    Example:

    >>> import numpy as np, keras
    >>> from keras_vae.layers import IndependentNormal
    >>> prior = tfd.MultivariateNormalDiag(tf.zeros(2), tf.ones(2))
    >>> encoder = keras.Sequential([IndependentNormal(2), KLDivergenceAddLoss(prior, use_exact_kl=True)])
    >>> encoder(np.ones([8, 4], "float32")).event_shape, round(float(encoder.losses[0]), 4)
    (TensorShape([2]), 1.1796)
    """

    def __init__(
        self,
        distribution_b: tfd.Distribution | Callable[..., tfd.Distribution],
        use_exact_kl: bool = False,
        test_points_reduce_axis: int | tuple[int, ...] | None = (),
        test_points_fn: str | Callable[[tfd.Distribution], tf.Tensor] = tf.convert_to_tensor,
        weight: Any = None,
        **kwargs: Any,
    ):
        kwargs["dtype"] = full_precision(kwargs.get("dtype"))
        super().__init__(**kwargs)
        self.regularizer = KLDivergenceRegularizer(
            distribution_b, use_exact_kl, test_points_reduce_axis, test_points_fn, weight
        )
        self.regularizer_layer = self.regularizer.layer
        if self.regularizer_layer is None:
            adopt_variables(self, distribution_b)
        self.supports_masking = True
        # Keras would cast an input of another dtype, and a cast distribution is only a tensor.
        self._convert_input_args = False
        self.built = True

    def call(self, inputs: tfd.Distribution) -> tfd.Distribution:
        self.add_loss(self.regularizer(inputs))
        return inputs

    def compute_output_spec(self, inputs: Any) -> keras.KerasTensor:
        return keras.KerasTensor(inputs.shape, inputs.dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self.regularizer.get_config()}

    @classmethod
    def from_config(cls, config: dict[str, Any]):
        return super().from_config(_deserialize(config))


def _check_axis(axis: Any) -> int | tuple[int, ...] | None:
    """Dimensions as given; raises `ValueError` unless integers or None."""
    if axis is None or _is_integer(axis):
        return axis
    if not isinstance(axis, list | tuple) or not all(_is_integer(item) for item in axis):
        raise invalid("test_points_reduce_axis", "an integer, a tuple of integers, or None", axis)
    return tuple(axis)


def _is_integer(value: Any) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def _check_weight(weight: Any) -> Any:
    """A weight as given; raises `ValueError` for what is no number >= 0 and no tensor of such."""
    if weight is None:
        return None
    if is_number(weight):
        check_number("weight", weight, at_least=0.0)
        return weight
    try:
        tensor = tf.convert_to_tensor(weight)
    except (TypeError, ValueError):
        tensor = tf.constant("")
    is_numeric = tensor.dtype.is_floating or tensor.dtype.is_integer
    values = tf.get_static_value(tensor) if is_numeric else None
    if not is_numeric or (values is not None and not np.all(np.isfinite(values) & (values >= 0))):
        raise invalid("weight", "a number >= 0, or a tensor of such", weight)
    return weight


def _as(dtype: tf.DType, weight: Any) -> tf.Tensor:
    # TensorFlow would make a float32 of a number first.
    return tf.constant(weight, dtype) if is_number(weight) else tf.cast(weight, dtype)


def _batch_mask(mask: Any, a: tfd.Distribution) -> tf.Tensor:
    """A mask of the first dimensions of the batch of a, with as many dimensions as that has."""
    mask = tf.cast(mask, tf.bool)
    if a.batch_shape.rank is None:
        return mask
    missing = a.batch_shape.rank - mask.shape.rank
    if missing < 0:
        received = f"one of shape {mask.shape}"
        raise invalid("mask", f"one of the batch of distribution_a, shape {a.batch_shape}", received)
    return mask[(..., *[tf.newaxis] * missing)]


def _serialize_b(b: Any) -> Any:
    if isinstance(b, tfd.Distribution):
        return serialize_distribution(b)
    if isinstance(b, keras.layers.Layer):
        return keras.saving.serialize_keras_object(b)
    return serialize_function("distribution_b", b)


def _serialize_points(fn: Callable) -> Any:
    return "convert_to_tensor" if fn is tf.convert_to_tensor else serialize_conversion(fn, "test_points_fn")


def _deserialize(config: dict[str, Any]) -> dict[str, Any]:
    config = dict(config)
    for key in ("distribution_b", "test_points_fn"):
        value = config[key]
        if is_distribution_config(value):
            config[key] = deserialize_distribution(value)
        elif isinstance(value, dict):
            config[key] = keras.saving.deserialize_keras_object(value)
    if isinstance(config["test_points_reduce_axis"], list):
        config["test_points_reduce_axis"] = tuple(config["test_points_reduce_axis"])
    return config
