"""What a model checks before it computes."""

import inspect
import types
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae.checks import check_count
from keras_vae.errors import invalid, lookup
from keras_vae.layers.distribution_layer import DistributionLayer
from keras_vae.layers.support import REAL, Support
from keras_vae.models import inputs
from keras_vae.models.conditions import Condition, takes_condition
from keras_vae.objectives.objective import Objective
from keras_vae.priors import Bernoulli, GraphicalModel, Prior, StandardNormal
from keras_vae.probes import probe

tfd = tfp.distributions


class Shapes(NamedTuple):
    data: tuple[int | None, ...]
    latent: tuple[int, ...]
    binary: bool = False

    def default_prior(self) -> Prior:
        """The prior where none is named: fair coins for a posterior of bits, else the standard normal."""
        return Bernoulli(self.latent) if self.binary else StandardNormal(self.latent)


def check_networks(encoder: Any, decoder: Any, prior: Any, condition: Condition | None = None) -> Shapes:
    """Runs encoder and decoder once on zeros and holds their shapes against each other.

    Raises:
        ValueError: naming the part that does not fit, what it gave and what the others need.
    """
    for name, network in (("encoder", encoder), ("decoder", decoder)):
        if not isinstance(network, keras.layers.Layer):
            raise invalid(name, "a Keras model that ends in a distribution layer", network)
    if prior is not None and not isinstance(prior, Prior):
        raise invalid("prior", "a keras_vae.priors.Prior, or None for a standard normal", prior)
    data_shape = _input_shape("encoder", encoder)
    q = _distribution("encoder", encoder, probe(data_shape), condition)
    latent_shape = tuple(q.event_shape)
    _check_one_per_example("encoder", q)
    if prior is not None and prior.event_shape != latent_shape:
        raise invalid(
            "prior",
            f"event shape {latent_shape}, as the encoder gives",
            f"event shape {prior.event_shape}",
            "Make latent sizes agree.",
        )
    decoder_shape = _input_shape("decoder", decoder, default=latent_shape)
    if not _compatible(decoder_shape, latent_shape):
        raise invalid(
            "decoder",
            f"a model that takes latents of shape {latent_shape}, as the encoder gives",
            f"a model that takes shape {decoder_shape}",
            "Make latent sizes agree.",
        )
    p = _distribution("decoder", decoder, probe(latent_shape), condition)
    if not _compatible(data_shape, tuple(p.event_shape)):
        raise invalid(
            "decoder",
            f"a distribution with the data's event shape {data_shape}",
            f"event shape {tuple(p.event_shape)}",
            "Give the decoder's last layer that event_shape.",
        )
    _check_one_per_example("decoder", p)
    is_binary = isinstance(getattr(q, "distribution", q), tfd.Bernoulli)
    return Shapes(data_shape, latent_shape, is_binary)


def check_belief(prior: Prior | None, objective: Objective) -> None:
    """Raises for a prior with a distribution of its parameters that training would leave as it is."""
    learns = isinstance(prior, GraphicalModel) and prior.has_belief and prior.trainable
    if learns and not objective.takes_natural_steps:
        raise invalid(
            "prior",
            f"one that {type(objective).__name__} can train",
            f"{type(prior).__name__}, whose parameters learn by natural gradient steps",
            "Use StructuredVAE, or the version of this prior whose parameters are weights. To keep a trained "
            "one as it is, set `prior.trainable = False`.",
        )


def check_features(features: keras.Model, shape: tuple) -> tuple:
    """The shape of the data that an encoder turns into codes of the given shape."""
    data_shape = _input_shape("features", features)
    q = _distribution("features", features, probe(data_shape), None)
    if not _compatible(shape, tuple(q.event_shape)):
        raise invalid(
            "features",
            f"an encoder whose codes have the shape {shape} that the networks read",
            f"codes of shape {tuple(q.event_shape)}",
        )
    return data_shape


def _input_shape(name: str, network: keras.layers.Layer, default: Any = None) -> tuple:
    shape: Any = getattr(network, "input_shape", None) if network.built else None
    if takes_condition(network):
        shape = shape[0]
    if isinstance(shape, tuple) and shape and not isinstance(shape[0], tuple):
        return tuple(shape[1:])
    built = _built_shape(network)
    if built is not None:
        return built
    if default is not None:
        return default
    raise invalid(
        name,
        "a model with one input of known shape, or two of which the second is the condition",
        f"{type(network).__name__} {network.name!r} without one",
        "Start it with keras.Input(shape), or build it beforehand: network.build((None, *shape)).",
    )


def _built_shape(network: keras.layers.Layer) -> tuple | None:
    """Of a network with one input that was built or called, as subclassed models, that of an example."""
    shapes = getattr(network, "_build_shapes_dict", None) if network.built else None
    if not shapes or len(shapes) != 1 or takes_condition(network):
        return None
    shape = next(iter(shapes.values()))
    if not isinstance(shape, (tuple, list)) or not shape or isinstance(shape[0], (tuple, list, dict)):
        return None
    return tuple(shape[1:])


def _distribution(
    name: str, network: keras.layers.Layer, zeros: tf.Tensor, condition: Condition | None
) -> tfd.Distribution:
    inputs = zeros if condition is None or not takes_condition(network) else [zeros, condition.probe()]
    output = network(inputs, training=False)
    if isinstance(output, tfd.Distribution):
        return output
    raise invalid(
        name,
        "a model that ends in a distribution layer, such as keras_vae.layers.IndependentNormal",
        f"a model that returns {type(output).__name__}",
    )


def _check_one_per_example(name: str, distribution: tfd.Distribution) -> None:
    if distribution.batch_shape.rank != 1:
        raise invalid(
            name,
            "one distribution per example: batch shape [batch]",
            f"batch shape {distribution.batch_shape}, event shape {distribution.event_shape}",
            "Wrap it in tfd.Independent, or use an Independent... layer with an event_shape.",
        )


def _compatible(shape: tuple, other: tuple) -> bool:
    return tf.TensorShape(shape).is_compatible_with(other)


def check_arguments(cls: type, arguments: Iterable[str], options: Iterable[str]) -> None:
    """Raises for names that are neither the model's arguments nor the network's."""
    known = {name: name for name in argument_names(cls, options)}
    for name in arguments:
        lookup(f"{cls.__name__}.create", name, known)


def argument_names(cls: type, options: Iterable[str]) -> set[str]:
    """What `cls.create` takes beside the axes, where its network takes these options."""
    own = set(inspect.signature(cls).parameters) - {"encoder", "decoder", "kwargs"}
    return {*own, "prior", "seed", "name", "dtype", *options}


def as_float(x: Any) -> tf.Tensor:
    """The tensor a likelihood reads: integers as float32, floats as they are."""
    x = tf.convert_to_tensor(x)
    return x if x.dtype.is_floating else tf.cast(x, tf.float32)


def check_batch(name: str, value: Any, shape: tuple, any_batch: bool = False) -> tf.Tensor:
    """`value` as a float tensor `[batch] + shape`; a `ValueError` where it is not."""
    value = tf.convert_to_tensor(inputs.as_array(name, value))
    if not (value.dtype.is_floating or value.dtype.is_integer or value.dtype.is_bool):
        raise invalid(name, "numbers", f"dtype {value.dtype.name}")
    expected = f"shape [batch] + {shape}"
    rank = value.shape.rank
    wanted = len(shape) + 1
    if rank is not None:
        fits = rank >= wanted if any_batch else rank == wanted
        if not fits or not _compatible(shape, tuple(value.shape[rank - len(shape) :])):
            hint = "Add a batch dimension." if _compatible(shape, tuple(value.shape)) else ""
            raise invalid(name, expected, f"shape {tuple(value.shape)}", hint)
    return as_float(value)


def support_of(decoder: keras.layers.Layer) -> Support:
    """The support of the distribution layer that ends a decoder; the reals where it cannot be told."""
    layer = last_layer(decoder)
    return layer.support if isinstance(layer, DistributionLayer) else REAL


def last_layer(network: keras.layers.Layer) -> keras.layers.Layer:
    """The layer that ends a network, in the innermost of nested models."""
    layer: Any = network
    while getattr(layer, "layers", None):
        layer = layer.layers[-1]
    return layer


_NOT_DATA = (list, tuple, dict, str, bytes, int, float, tf.RaggedTensor, tf.SparseTensor)


def check_data(name: str, data: Any, shape: tuple, support: Support, first: Any = None) -> Any:
    """Holds training data against the model before anything is computed.

    Arrays are read whole; of a `tf.data.Dataset`, the element's specification and the first batch, which a
    source that counts its passes will notice; of other sources the first batch.

    Args:
        name: the argument's name.
        data: what the caller passed.
        shape: of an example.
        support: the values that x may have.
        first: the first batch of a generator, see `peek`.

    Returns:
        The first batch where the examples are not in memory; None of other data.
    """
    batch = first
    if isinstance(data, tf.data.Dataset):
        _check_spec(name, data.element_spec, shape)
        # Data in memory are looked at there: a batch taken beforehand would shift the draws of the passes.
        source = getattr(data, "resident", None)
        if source is not None and len(source.x):
            first = source.transform(tf.convert_to_tensor(source.x[:1024]), source.batch_seed(0, 0))
        else:
            first = batch = next(iter(data.take(1)), None)
        if first is None:
            raise invalid(name, "at least one batch", "an empty tf.data.Dataset")
        data = keras.utils.unpack_x_y_sample_weight(first)[0].numpy()
    elif isinstance(data, keras.utils.PyDataset):
        batch = data[0]
        data = keras.utils.unpack_x_y_sample_weight(batch)[0]
    elif first is not None:
        data = keras.utils.unpack_x_y_sample_weight(first)[0]
    if isinstance(data, _NOT_DATA) or data is None:
        raise invalid(
            name,
            "an array, a tf.data.Dataset, a keras.utils.PyDataset or a generator",
            f"a {type(data).__name__}",
            "Make one array of it, as with numpy.stack." if isinstance(data, (list, tuple)) else "",
        )
    if isinstance(data, tf.Tensor):
        data = data.numpy()
    if isinstance(data, np.ndarray):
        _check_array(name, data, shape, support)
    return batch


def peek(name: str, data: Any) -> tuple[Any, Any]:
    """Data, and the first batch of a generator, which is then one that gives the same; None of other data.

    Raises:
        ValueError: for a generator that gives nothing, or no tuples, as Keras takes them.
    """
    if not isinstance(data, types.GeneratorType):
        return data, None
    first = next(data, None)
    if first is None:
        raise invalid(name, "at least one batch", "a generator that gives nothing, or is used up")
    if not isinstance(first, tuple):
        expected = "a generator of tuples: (x,), (x, y) or (x, y, sample_weight)"
        raise invalid(name, expected, f"one of {type(first).__name__}")
    return _again(first, data), first


def _again(first: Any, rest: Iterator[Any]) -> Iterator[Any]:
    yield first
    yield from rest


def check_lengths(data: dict[str, Any]) -> None:
    """Raises unless labels and weights are as many as the examples, and weights one number each."""
    count = len(data["x"])
    for name, value in data.items():
        if len(value) != count:
            raise invalid(name, f"{count} rows, as x has", f"{len(value)} rows")
    weight = data.get("sample_weight")
    if weight is not None and int(np.prod(weight.shape)) != count:
        raise invalid("sample_weight", "one number per example", f"shape {tuple(weight.shape)}")


def _check_spec(name: str, spec: Any, shape: tuple) -> None:
    x = spec[0] if isinstance(spec, tuple) else spec
    if not isinstance(x, tf.TensorSpec):
        raise invalid(name, "a data set of x, (x, y) or (x, y, sample_weight)", spec)
    if x.shape.rank == len(shape) and _compatible(shape, tuple(x.shape)):
        raise invalid(name, f"batches of shape {shape}", "single examples", "Call .batch(128).")
    if not x.shape.is_compatible_with((None, *shape)):
        raise invalid(name, f"batches of shape [batch] + {shape}", f"shape {x.shape}")


def _check_array(name: str, x: np.ndarray, shape: tuple, support: Support) -> None:
    if not (np.issubdtype(x.dtype, np.number) or x.dtype == bool):
        raise invalid(name, "numbers", f"dtype {x.dtype}")
    if np.issubdtype(x.dtype, np.complexfloating):
        raise invalid(name, "real numbers", f"dtype {x.dtype}")
    if x.ndim != len(shape) + 1 or not _compatible(shape, x.shape[1:]):
        raise invalid(name, f"shape [batch] + {shape}", f"shape {x.shape}")
    if len(x) == 0:
        raise invalid(name, "at least one example", f"shape {x.shape}")
    # In blocks, so that the masks never take as much memory as the data.
    rows = max(1, 2**24 // max(1, x[0].size))
    for start in range(0, len(x), rows):
        block = x[start : start + rows]
        if not np.isfinite(block).all():
            bad = int(np.argwhere(~np.isfinite(block))[0][0]) + start
            raise invalid(name, "finite numbers", f"NaN or infinity, first in example {bad}")
        inside = support.contains(block)
        if not inside.all():
            raise invalid(
                name,
                f"{support.description}, the support of the decoder's likelihood",
                f"values from {block.min():g} to {block.max():g}",
                support.hint,
            )


def check_steps(name: str, data: Any, argument: str, steps: Any) -> None:
    """Raises for a number of steps that is no count, and for data without end where none is given.

    Args:
        name: of the data's argument.
        data: what the caller passed.
        argument: of the number of steps.
        steps: that number, or None.
    """
    if steps is not None:
        check_count(argument, steps)
    elif isinstance(data, tf.data.Dataset) and data.cardinality() == tf.data.INFINITE_CARDINALITY:
        hint = f"Pass {argument}=, or leave out repeat()."
        raise invalid(name, "data that end", "a tf.data.Dataset without end", hint)
