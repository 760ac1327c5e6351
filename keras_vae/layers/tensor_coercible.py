"""A `tfd.Distribution` that Keras and TensorFlow also take as a tensor."""

import inspect
from collections.abc import Callable
from typing import Any

import tensorflow as tf
import tensorflow_probability as tfp
from tensorflow.python.types import internal

tfd = tfp.distributions

ConvertToTensorFn = Callable[..., tf.Tensor]

# The conversions whose result has the shape of one draw, so that the shape is known before the draw is made.
_DRAW_SHAPED = (tfd.Distribution.sample, tfd.Distribution.mean, tfd.Distribution.mode)


class TensorCoercible(internal.NativeObject):
    """Mixed into the class of a distribution by `coercible`; not made directly.

    The object keeps everything its distribution has (`isinstance(q, tfd.Independent)`, `log_prob`, registered
    Kullback-Leibler divergences, ...) and adds a value: one tensor, computed at first use and kept, so that
    every consumer of `q` sees the same draw.
    """

    # Of the class, for distributions that `copy()` makes.
    _coercible_fn: ConvertToTensorFn = staticmethod(tfd.Distribution.sample)
    _coercible_seed: tf.Tensor | None = None
    _coercible_graph: Any = None
    _coercible_value: tf.Tensor | None = None
    _coercible_of: Any = None

    @property
    def tensor_distribution(self) -> tfd.Distribution:
        """The distribution itself, without a value; the name is that of `tfp.layers`."""
        return self if self._coercible_of is None else self._coercible_of

    def value(self) -> tf.Tensor:
        """The tensor this distribution converts to: `convert_to_tensor_fn(self)`, drawn once."""
        if self._coercible_value is None:
            graph = self._coercible_graph
            if graph is None or graph is _current_graph():
                self._coercible_value = self._draw()
            else:
                # First used in a nested graph (a branch, a loop body): draw where the layer was called, so
                # that uses outside the nested graph see the same draw.
                with graph.as_default():
                    self._coercible_value = self._draw()
        return self._coercible_value

    def _draw(self) -> tf.Tensor:
        fn = self._coercible_fn
        if self._coercible_seed is not None and accepts_seed(fn):
            return tf.convert_to_tensor(fn(self, seed=self._coercible_seed))
        return tf.convert_to_tensor(fn(self))

    @property
    def shape(self) -> tf.TensorShape:
        if self._coercible_fn in _DRAW_SHAPED:
            return self.batch_shape.concatenate(self.event_shape)
        return self.value().shape

    def get_shape(self) -> tf.TensorShape:
        return self.shape

    @property
    def ndim(self) -> int | None:
        return self.shape.rank

    def numpy(self):
        return self.value().numpy()

    def __array__(self, dtype=None, copy=None):
        array = self.value().numpy()
        return array if dtype is None else array.astype(dtype)

    def __len__(self) -> int:
        return len(self.value())

    def __getitem__(self, slices):
        return self.value()[slices]

    def __iter__(self):
        return iter(self.value())

    def __bool__(self) -> bool:
        return bool(self.value())


class _ValueSpec(tf.TensorSpec):
    """At the boundary of a `tf.function` a coercible distribution becomes its tensor.

    So that `predict`, SavedModel signatures and loops, which move tensors, take models that end in one.
    """

    __slots__ = ()

    def _to_components(self, value):
        return value.value()

    def _from_components(self, components):
        return components


def _value_spec(self) -> tf.TypeSpec:
    return _ValueSpec(self.shape, self.dtype)


def _operator(name: str):
    tensor_operator = getattr(tf.Tensor, name)

    def method(self, *args):
        return tensor_operator(self.value(), *args)

    method.__name__ = name
    return method


for _name in sorted(tf.Tensor.OVERLOADABLE_OPERATORS - {"__getitem__", "__eq__", "__ne__"}):
    setattr(TensorCoercible, _name, _operator(_name))


def _to_tensor(value, dtype=None, name=None, as_ref=False):
    del name, as_ref
    tensor = value.value()
    if dtype is not None and not tensor.dtype.is_compatible_with(dtype):
        # As of any tensor; otherwise TensorFlow would go on to take the NumPy array and truncate it.
        raise ValueError(f"Tensor conversion requested dtype {dtype} for a draw with dtype {tensor.dtype}.")
    return tensor


tf.register_tensor_conversion_function(TensorCoercible, _to_tensor, priority=10)


def _current_graph():
    return None if tf.executing_eagerly() else tf.compat.v1.get_default_graph()


def accepts_seed(fn: Callable) -> bool:
    try:
        parameters = inspect.signature(fn).parameters
    except (TypeError, ValueError):
        return False
    return "seed" in parameters


_classes: dict[type, type] = {}


def _coercible_class(kind: type) -> type:
    made = type(kind)(kind.__name__, (TensorCoercible, kind), {"__module__": kind.__module__})
    # Set afterwards: TFP's metaclass gives every new subclass a type spec of its own.
    made._type_spec = property(_value_spec)  # type: ignore[attr-defined]
    return made


def coercible(
    distribution: tfd.Distribution,
    convert_to_tensor_fn: ConvertToTensorFn = tfd.Distribution.sample,
    seed: tf.Tensor | None = None,
) -> tfd.Distribution:
    """Returns a copy of `distribution` that `tf.convert_to_tensor` accepts.

    Args:
        distribution: any `tfd.Distribution` with a single tensor as its event.
        convert_to_tensor_fn: makes the tensor from the distribution: `tfd.Distribution.sample`, `.mean`,
            `.mode` or a function of yours.
        seed: int32 `[2]`, the stateless seed of the draw; given to `convert_to_tensor_fn` if that takes a
            `seed`.

    Example:

    >>> import tensorflow_probability as tfp
    >>> q = coercible(tfp.distributions.Normal([1.0, 2.0], 1.0), tfp.distributions.Distribution.mean)
    >>> (q + 1.0).numpy().tolist()
    [2.0, 3.0]
    """
    kind = type(distribution)
    if issubclass(kind, TensorCoercible):
        kind = kind.__bases__[1]
    if kind not in _classes:
        _classes[kind] = _coercible_class(kind)
    result: Any = object.__new__(_classes[kind])
    result.__dict__.update(distribution.__dict__)
    result.__dict__.update(
        _coercible_fn=convert_to_tensor_fn,
        _coercible_seed=seed,
        _coercible_graph=_current_graph(),
        _coercible_value=None,
        _coercible_of=getattr(distribution, "tensor_distribution", distribution),
    )
    return result
