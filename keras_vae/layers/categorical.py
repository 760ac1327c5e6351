"""Distribution layers over classes."""

from math import prod
from typing import Any

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae.checks import check_count
from keras_vae.distributions import OneHotCategoricalMixture, PixelCategorical
from keras_vae.layers.distribution_layer import DistributionLayer, check_last_dimension
from keras_vae.layers.independent import (
    IndependentLayer,
    Shape,
    as_shape,
    dtype_name,
    independent,
    kinds_last,
)
from keras_vae.layers.mixture import split_mixture
from keras_vae.layers.support import ONE_HOT, integers_or_bytes
from keras_vae.layers.tensor_coercible import ConvertToTensorFn

tfd = tfp.distributions


@keras.saving.register_keras_serializable(package="keras_vae")
class IndependentCategorical(IndependentLayer):
    """An independent categorical over `0, ..., num_classes - 1` for every element of the event.

    The most flexible likelihood of integers, with the most parameters: it has to learn that neighbouring
    values are alike. Values may be of any dtype; draws are floats.

    Args:
        event_shape: shape of one draw; `()` for scalars.
        num_classes: how many values an element may take, at least 2.
        convert_to_tensor_fn, validate_args, seed, activity_regularizer: see `DistributionLayer`.

    Call arguments:
        inputs: `batch_shape + [params_size(event_shape, num_classes)]`, kind by kind: the logits of class 0
            of all elements, then those of class 1, ...

    Reference: van den Oord et al., Pixel Recurrent Neural Networks, ICML 2016, section 2.2.

    Example:

    >>> import numpy as np
    >>> layer = IndependentCategorical((2, 2), num_classes=4)
    >>> p = layer(np.zeros([3, layer.num_params], "float32"))
    >>> p.mean()[0, 0].numpy().tolist(), p.log_prob(np.ones([3, 2, 2])).shape
    ([1.5, 1.5], TensorShape([3]))
    """

    _arguments = ("event_shape", "num_classes")

    def __init__(
        self,
        event_shape: Shape = (),
        num_classes: int = 256,
        convert_to_tensor_fn: str | ConvertToTensorFn = tfd.Distribution.sample,
        validate_args: bool = False,
        **kwargs: Any,
    ):
        super().__init__(event_shape, convert_to_tensor_fn, validate_args, **kwargs)
        self.num_classes = check_count("num_classes", num_classes, 2)
        self.support = integers_or_bytes(0, self.num_classes - 1)

    @property
    def num_params(self) -> int:
        return self.params_size(self.event_shape, self.num_classes)

    @staticmethod
    def new(
        params: tf.Tensor,
        event_shape: Shape = (),
        num_classes: int = 256,
        validate_args: bool = False,
        name: str | None = None,
    ) -> tfd.Distribution:
        """The distribution with logits `params`, `batch_shape + [params_size]`."""
        shape = as_shape(event_shape)
        logits = kinds_last(params, shape, check_count("num_classes", num_classes, 2))
        categorical = PixelCategorical(logits, validate_args=validate_args)
        return independent(categorical, shape, validate_args, name)

    @staticmethod
    def params_size(event_shape: Shape = (), num_classes: int = 256, name: str | None = None) -> int:
        """The number of parameters of one distribution: `num_classes` logits an element."""
        return check_count("num_classes", num_classes, 2) * prod(as_shape(event_shape))


@keras.saving.register_keras_serializable(package="keras_vae")
class OneHotCategorical(DistributionLayer):
    """One of `event_size` classes, as a one-hot vector.

    Args:
        event_size: number of classes.
        convert_to_tensor_fn: see `DistributionLayer`; also "logits" and "probs". Draws of classes have no
            gradient.
        sample_dtype: dtype of the draws; that of the inputs if None.
        validate_args, seed, activity_regularizer: see `DistributionLayer`.

    Call arguments:
        inputs: `batch_shape + [params_size(event_size)]`: the logits.

    Example:

    >>> import numpy as np
    >>> p = OneHotCategorical(4, "mean")(np.zeros([3, 4], "float32"))
    >>> p[0].numpy().tolist(), p.log_prob(np.eye(4, dtype="float32")[:3]).shape
    ([0.25, 0.25, 0.25, 0.25], TensorShape([3]))
    """

    support = ONE_HOT
    _arguments = ("event_size", "sample_dtype")

    def __init__(
        self,
        event_size: int,
        convert_to_tensor_fn: str | ConvertToTensorFn = tfd.Distribution.sample,
        sample_dtype: str | tf.DType | None = None,
        validate_args: bool = False,
        **kwargs: Any,
    ):
        super().__init__(convert_to_tensor_fn, validate_args, **kwargs)
        self.event_size = check_count("event_size", event_size)
        self.sample_dtype = dtype_name(sample_dtype)

    @property
    def num_params(self) -> int:
        return self.params_size(self.event_size)

    def distribution(self, params: tf.Tensor) -> tfd.Distribution:
        return self.new(params, self.event_size, self.sample_dtype, self.validate_args)

    @staticmethod
    def new(
        params: tf.Tensor,
        event_size: int,
        dtype: str | tf.DType | None = None,
        validate_args: bool = False,
        name: str | None = None,
    ) -> tfd.Distribution:
        """The distribution with logits `params`, `batch_shape + [event_size]`, and draws of type `dtype`."""
        logits, event_size = tf.convert_to_tensor(params), check_count("event_size", event_size)
        check_last_dimension(logits, event_size, f"event_size {event_size}")
        return tfd.OneHotCategorical(
            logits, dtype=dtype or logits.dtype, validate_args=validate_args, name=name or "OneHotCategorical"
        )

    @staticmethod
    def params_size(event_size: int, name: str | None = None) -> int:
        """The number of parameters of one distribution: a logit a class."""
        return check_count("event_size", event_size)


@keras.saving.register_keras_serializable(package="keras_vae")
class CategoricalMixtureOfOneHotCategorical(DistributionLayer):
    """A mixture of one-hot categoricals, whose `log_mean()` is accurate too.

    Args:
        event_size: number of classes.
        num_components: how many categoricals are mixed, at least 1.
        convert_to_tensor_fn: see `DistributionLayer`.
        sample_dtype: dtype of the draws; that of the inputs if None.
        validate_args, seed, activity_regularizer: see `DistributionLayer`.

    Call arguments:
        inputs: `batch_shape + [params_size(event_size, num_components)]`: the logits of the components, then
            those of the classes in the first component, in the second, ...

    Example:

    >>> import numpy as np
    >>> layer = CategoricalMixtureOfOneHotCategorical(4, num_components=2)
    >>> p = layer(np.zeros([3, layer.num_params], "float32"))
    >>> layer.num_params, p.mean()[0].numpy().round(4).tolist()
    (10, [0.25, 0.25, 0.25, 0.25])
    """

    support = ONE_HOT
    _arguments = ("event_size", "num_components", "sample_dtype")

    def __init__(
        self,
        event_size: int,
        num_components: int,
        convert_to_tensor_fn: str | ConvertToTensorFn = tfd.Distribution.sample,
        sample_dtype: str | tf.DType | None = None,
        validate_args: bool = False,
        **kwargs: Any,
    ):
        super().__init__(convert_to_tensor_fn, validate_args, **kwargs)
        self.event_size = check_count("event_size", event_size)
        self.num_components = check_count("num_components", num_components)
        self.sample_dtype = dtype_name(sample_dtype)

    @property
    def num_params(self) -> int:
        return self.params_size(self.event_size, self.num_components)

    def distribution(self, params: tf.Tensor) -> tfd.Distribution:
        return self.new(params, self.event_size, self.num_components, self.sample_dtype, self.validate_args)

    @staticmethod
    def new(
        params: tf.Tensor,
        event_size: int,
        num_components: int,
        dtype: str | tf.DType | None = None,
        validate_args: bool = False,
        name: str | None = None,
    ) -> tfd.Distribution:
        """The distribution with parameters `params`, `batch_shape + [params_size]`."""
        event_size = check_count("event_size", event_size)
        logits, components = split_mixture(params, num_components, event_size)
        return OneHotCategoricalMixture(
            tfd.Categorical(logits=logits),
            # Unchecked, so that `prob` can be asked for values inside the simplex, as in `tfp.layers`.
            OneHotCategorical.new(components, event_size, dtype),
            validate_args=validate_args,
            name=name or "OneHotCategoricalMixture",
        )

    @staticmethod
    def params_size(event_size: int, num_components: int, name: str | None = None) -> int:
        """The number of parameters of one distribution."""
        count = check_count("num_components", num_components)
        return count * (1 + OneHotCategorical.params_size(event_size))
