"""Distribution layers whose event is a tensor of independent scalars."""

import operator
from collections.abc import Iterable
from math import prod
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae.checks import static_integer
from keras_vae.distributions import Bernoulli, ContinuousBernoulli, Normal
from keras_vae.distributions.poisson import Poisson
from keras_vae.errors import invalid
from keras_vae.layers.distribution_layer import DistributionLayer, check_last_dimension, positive_scale
from keras_vae.layers.support import COUNTS, UNIT_INTERVAL
from keras_vae.layers.tensor_coercible import ConvertToTensorFn

tfd = tfp.distributions

Shape = int | Iterable[int]

_MAX_LOG_RATE = 40.0


def as_shape(event_shape: Shape, argument: str = "event_shape") -> tuple[int, ...]:
    """A shape as a tuple; raises `ValueError` for sizes that are not positive integers.

    Integer tensors are sizes too, where their values are known.
    """
    sizes: Any = static_integer(event_shape)
    if tf.is_tensor(sizes) and sizes.shape.rank == 1 and sizes.dtype.is_integer:
        static = tf.get_static_value(sizes)
        sizes = sizes if static is None else static
    sizes = (sizes,) if isinstance(sizes, int | np.integer) else sizes
    try:
        # True is an index too, but no size.
        shape = tuple(
            -1 if isinstance(size, bool) else operator.index(static_integer(size)) for size in sizes
        )
    except (TypeError, ValueError):
        shape = (-1,)
    if any(size < 1 for size in shape):
        raise invalid(argument, "positive integers", event_shape)
    return shape


def split_kinds(params: Any, shape: tuple[int, ...], num_kinds: int) -> tf.Tensor:
    """Reshapes `batch_shape + [num_kinds * size]` to `batch_shape + [num_kinds] + shape`.

    The parameters of one kind stand together: all locations first, then all scales, as in `tfp.layers`.
    """
    params = tf.convert_to_tensor(params)
    check_last_dimension(params, num_kinds * prod(shape), f"event_shape {shape}")
    target = tf.concat([tf.shape(params)[:-1], (num_kinds, *shape)], axis=0)
    static = params.shape[:-1].concatenate((num_kinds, *shape))
    return tf.ensure_shape(tf.reshape(params, target), static)


def reshape_event(params: Any, shape: tuple[int, ...], num_params: int) -> list[tf.Tensor]:
    """Splits `batch_shape + [num_params * size]` into `num_params` tensors `batch_shape + shape`."""
    return tf.unstack(split_kinds(params, shape, num_params), axis=-1 - len(shape))


def kinds_last(params: Any, shape: tuple[int, ...], num_kinds: int) -> tf.Tensor:
    """Reshapes `batch_shape + [num_kinds * size]` to `batch_shape + shape + [num_kinds]`."""
    kinds = split_kinds(params, shape, num_kinds)
    batch = list(range(kinds.shape.rank - 1 - len(shape)))
    kind = len(batch)
    event = list(range(kind + 1, kinds.shape.rank))
    return tf.transpose(kinds, [*batch, *event, kind])


def independent(
    distribution: tfd.Distribution,
    shape: tuple[int, ...],
    validate_args: bool = False,
    name: str | None = None,
) -> tfd.Distribution:
    """The rightmost dimensions of the batch, `shape`, as the event."""
    return tfd.Independent(distribution, len(shape), validate_args=validate_args, name=name)


class IndependentLayer(DistributionLayer):
    """Base of the layers over an `event_shape` of independent scalars.

    The input of every one is `batch_shape + [params_per_element * prod(event_shape)]`, kind by kind: all
    parameters of the first kind, then all of the second, each in the order of the event. In other words, it
    can be reshaped to `batch_shape + [params_per_element] + event_shape`.

    Args:
        event_shape: shape of one draw; `()` for scalars.
        convert_to_tensor_fn, validate_args, seed, activity_regularizer: see `DistributionLayer`.
    """

    _arguments: tuple[str, ...] = ("event_shape",)

    def __init__(
        self,
        event_shape: Shape = (),
        convert_to_tensor_fn: str | ConvertToTensorFn = tfd.Distribution.sample,
        validate_args: bool = False,
        **kwargs: Any,
    ):
        self.event_shape = as_shape(event_shape)
        super().__init__(convert_to_tensor_fn, validate_args, **kwargs)

    @property
    def params_per_element(self) -> int:
        """How many parameters one scalar of the event takes."""
        return self.num_params // prod(self.event_shape)

    @property
    def num_params(self) -> int:
        return self.params_size(self.event_shape)

    @staticmethod
    def params_size(*args: Any, **kwargs: Any) -> int:
        """The number of parameters of one distribution; subclasses define it."""
        raise NotImplementedError


@keras.saving.register_keras_serializable(package="keras_vae")
class IndependentNormal(IndependentLayer):
    """An independent normal for every element of the event, with its own mean and scale.

    The usual posterior of a VAE. As a likelihood of images it tends to put all its capacity into scales near
    0; `HomoscedasticNormal` with a learned scale is the safer choice.

    Args:
        event_shape: shape of one draw; `()` for scalars.
        convert_to_tensor_fn, validate_args, seed, activity_regularizer: see `DistributionLayer`.

    Call arguments:
        inputs: `batch_shape + [params_size(event_shape)]`: all means, then all scales before softplus.

    Example:

    >>> import numpy as np
    >>> q = IndependentNormal(2)(np.zeros([3, IndependentNormal.params_size(2)], "float32"))
    >>> q.event_shape, q.stddev()[0].numpy().round(3).tolist()
    (TensorShape([2]), [0.693..., 0.693...])
    """

    @staticmethod
    def new(
        params: tf.Tensor,
        event_shape: Shape = (),
        validate_args: bool = False,
        name: str | None = None,
    ) -> tfd.Distribution:
        """The distribution with parameters `params`, `batch_shape + [params_size]`."""
        shape = as_shape(event_shape)
        loc, raw_scale = reshape_event(params, shape, 2)
        normal = Normal(loc, positive_scale(raw_scale), validate_args=validate_args)
        return independent(normal, shape, validate_args, name)

    @staticmethod
    def params_size(event_shape: Shape = (), name: str | None = None) -> int:
        """The number of parameters of one distribution: a mean and a scale an element."""
        return 2 * prod(as_shape(event_shape))


@keras.saving.register_keras_serializable(package="keras_vae")
class IndependentLaplace(IndependentLayer):
    """An independent Laplace distribution for every element of the event, with its own location and scale.

    Prefer it to the normal for data with outliers: its log-density falls with the distance, not its square,
    and its location is a median.

    Args:
        event_shape: shape of one draw; `()` for scalars.
        convert_to_tensor_fn, validate_args, seed, activity_regularizer: see `DistributionLayer`.

    Call arguments:
        inputs: `batch_shape + [params_size(event_shape)]`: all locations, then all scales before softplus.

    Example:

    >>> import numpy as np
    >>> p = IndependentLaplace(2)(np.zeros([3, IndependentLaplace.params_size(2)], "float32"))
    >>> p.mean().shape, p.log_prob(np.zeros([3, 2], "float32")).shape
    (TensorShape([3, 2]), TensorShape([3]))
    """

    @staticmethod
    def new(
        params: tf.Tensor,
        event_shape: Shape = (),
        validate_args: bool = False,
        name: str | None = None,
    ) -> tfd.Distribution:
        """The distribution with parameters `params`, `batch_shape + [params_size]`."""
        shape = as_shape(event_shape)
        loc, raw_scale = reshape_event(params, shape, 2)
        laplace = tfd.Laplace(loc, positive_scale(raw_scale), validate_args=validate_args)
        return independent(laplace, shape, validate_args, name)

    @staticmethod
    def params_size(event_shape: Shape = (), name: str | None = None) -> int:
        """The number of parameters of one distribution: a location and a scale an element."""
        return 2 * prod(as_shape(event_shape))


@keras.saving.register_keras_serializable(package="keras_vae")
class IndependentLogistic(IndependentLayer):
    """An independent logistic distribution for every element of the event, with its own location and scale.

    Between the normal and the Laplace in its tails. For 8-bit data see `IndependentDiscretizedLogistic`.

    Args:
        event_shape: shape of one draw; `()` for scalars.
        convert_to_tensor_fn, validate_args, seed, activity_regularizer: see `DistributionLayer`.

    Call arguments:
        inputs: `batch_shape + [params_size(event_shape)]`: all locations, then all scales before softplus.

    Example:

    >>> import numpy as np
    >>> p = IndependentLogistic(2)(np.zeros([3, IndependentLogistic.params_size(2)], "float32"))
    >>> p.mean().shape, p.log_prob(np.zeros([3, 2], "float32")).shape
    (TensorShape([3, 2]), TensorShape([3]))
    """

    @staticmethod
    def new(
        params: tf.Tensor,
        event_shape: Shape = (),
        validate_args: bool = False,
        name: str | None = None,
    ) -> tfd.Distribution:
        """The distribution with parameters `params`, `batch_shape + [params_size]`."""
        shape = as_shape(event_shape)
        loc, raw_scale = reshape_event(params, shape, 2)
        logistic = tfd.Logistic(loc, positive_scale(raw_scale), validate_args=validate_args)
        return independent(logistic, shape, validate_args, name)

    @staticmethod
    def params_size(event_shape: Shape = (), name: str | None = None) -> int:
        """The number of parameters of one distribution: a location and a scale an element."""
        return 2 * prod(as_shape(event_shape))


@keras.saving.register_keras_serializable(package="keras_vae")
class IndependentBernoulli(IndependentLayer):
    """An independent coin for every element of the event.

    The likelihood of binary data. Values between 0 and 1 are taken too, where `log_prob` is minus the
    cross-entropy; that is no density, and `IndependentContinuousBernoulli` is the one that is.

    Args:
        event_shape: shape of one draw; `()` for scalars.
        convert_to_tensor_fn: see `DistributionLayer`; also "logits" and "probs".
        sample_dtype: dtype of the draws; that of the inputs if None.
        validate_args, seed, activity_regularizer: see `DistributionLayer`.

    Call arguments:
        inputs: `batch_shape + [params_size(event_shape)]`: the logits.

    Example:

    >>> import numpy as np
    >>> p = IndependentBernoulli((2, 2), "mean")(np.zeros([3, 4], "float32"))
    >>> p.shape, p[0, 0].numpy().tolist(), p.log_prob(np.ones([3, 2, 2], "float32")).shape
    (TensorShape([3, 2, 2]), [0.5, 0.5], TensorShape([3]))
    """

    support = UNIT_INTERVAL
    _arguments = ("event_shape", "sample_dtype")

    def __init__(
        self,
        event_shape: Shape = (),
        convert_to_tensor_fn: str | ConvertToTensorFn = tfd.Distribution.sample,
        sample_dtype: str | tf.DType | None = None,
        validate_args: bool = False,
        **kwargs: Any,
    ):
        super().__init__(event_shape, convert_to_tensor_fn, validate_args, **kwargs)
        self.sample_dtype = dtype_name(sample_dtype)

    def distribution(self, params: tf.Tensor) -> tfd.Distribution:
        return self.new(params, self.event_shape, self.sample_dtype, self.validate_args)

    @staticmethod
    def new(
        params: tf.Tensor,
        event_shape: Shape = (),
        dtype: str | tf.DType | None = None,
        validate_args: bool = False,
        name: str | None = None,
    ) -> tfd.Distribution:
        """The distribution with logits `params`, `batch_shape + [params_size]`, and draws of type `dtype`."""
        shape = as_shape(event_shape)
        (logits,) = reshape_event(params, shape, 1)
        bernoulli = Bernoulli(logits, dtype=dtype or logits.dtype, validate_args=validate_args)
        return independent(bernoulli, shape, validate_args, name)

    @staticmethod
    def params_size(event_shape: Shape = (), name: str | None = None) -> int:
        """The number of parameters of one distribution: a logit an element."""
        return prod(as_shape(event_shape))


@keras.saving.register_keras_serializable(package="keras_vae")
class IndependentContinuousBernoulli(IndependentLayer):
    """An independent continuous Bernoulli on [0, 1] for every element of the event.

    What `IndependentBernoulli` lacks to be a density for grey values in [0, 1]: the normalising constant.

    Args:
        event_shape: shape of one draw; `()` for scalars.
        convert_to_tensor_fn, validate_args, seed, activity_regularizer: see `DistributionLayer`.

    Call arguments:
        inputs: `batch_shape + [params_size(event_shape)]`: the logits. A logit of 0 is the uniform density;
            the mean is not the sigmoid, it is nearer to 1/2.

    Reference: Loaiza-Ganem & Cunningham, The continuous Bernoulli: fixing a pervasive error in variational
    autoencoders, NeurIPS 2019.

    Example:

    >>> import numpy as np
    >>> p = IndependentContinuousBernoulli(2)(np.zeros([3, 2], "float32"))
    >>> p.mean()[0].numpy().tolist(), p.prob(np.ones([3, 2], "float32"))[0].numpy().round(4).item()
    ([0.5, 0.5], 1.0)
    """

    support = UNIT_INTERVAL

    @staticmethod
    def new(
        params: tf.Tensor,
        event_shape: Shape = (),
        validate_args: bool = False,
        name: str | None = None,
    ) -> tfd.Distribution:
        """The distribution with logits `params`, `batch_shape + [params_size]`."""
        shape = as_shape(event_shape)
        (logits,) = reshape_event(params, shape, 1)
        bernoulli = ContinuousBernoulli(logits, dtype=logits.dtype, validate_args=validate_args)
        return independent(bernoulli, shape, validate_args, name)

    @staticmethod
    def params_size(event_shape: Shape = (), name: str | None = None) -> int:
        """The number of parameters of one distribution: a logit an element."""
        return prod(as_shape(event_shape))


@keras.saving.register_keras_serializable(package="keras_vae")
class IndependentPoisson(IndependentLayer):
    """An independent Poisson distribution for every element of the event.

    The likelihood of counts whose variance is about their mean.

    Args:
        event_shape: shape of one draw; `()` for scalars.
        convert_to_tensor_fn, validate_args, seed, activity_regularizer: see `DistributionLayer`.

    Call arguments:
        inputs: `batch_shape + [params_size(event_shape)]`: the logarithms of the rates. Those above 40, no
            rate of any counts, are taken as 40, with the gradient of that, so that training finds back.

    Example:

    >>> import numpy as np
    >>> p = IndependentPoisson(2)(np.zeros([3, 2], "float32"))
    >>> p.mean()[0].numpy().tolist(), p.log_prob(np.zeros([3, 2], "float32"))[0].numpy().item()
    ([1.0, 1.0], -2.0)
    """

    support = COUNTS

    @staticmethod
    def new(
        params: tf.Tensor,
        event_shape: Shape = (),
        validate_args: bool = False,
        name: str | None = None,
    ) -> tfd.Distribution:
        """The distribution with log-rates `params`, `batch_shape + [params_size]`."""
        shape = as_shape(event_shape)
        (log_rate,) = reshape_event(params, shape, 1)
        # exp would be infinite from 88.7 on.
        bounded = tf.grad_pass_through(lambda value: tf.minimum(value, _MAX_LOG_RATE))(log_rate)
        poisson = Poisson(log_rate=bounded, validate_args=validate_args)
        return independent(poisson, shape, validate_args, name)

    @staticmethod
    def params_size(event_shape: Shape = (), name: str | None = None) -> int:
        """The number of parameters of one distribution: a log-rate an element."""
        return prod(as_shape(event_shape))


def dtype_name(dtype: str | tf.DType | None) -> str | None:
    """The name of a dtype, as configs hold it; raises `ValueError` for what is none."""
    try:
        return None if dtype is None else tf.as_dtype(dtype).name
    except TypeError:
        raise invalid("sample_dtype", "a dtype, such as 'int32'", dtype) from None
