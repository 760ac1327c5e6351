"""What a signature tells of a distribution: its moments, or else its parameters."""

from collections.abc import Callable, Iterable
from functools import partial

import tensorflow as tf
import tensorflow_probability as tfp

tfd = tfp.distributions

Statistic = Callable[[tfd.Distribution], tf.Tensor]

_MOMENTS: dict[str, Statistic] = {
    "mean": lambda distribution: distribution.mean(),
    "stddev": lambda distribution: distribution.stddev(),
}
# Distributions that arrange, or transform, the draws of another one.
_AROUND = (tfd.Independent, tfd.TransformedDistribution, tfd.BatchReshape)


def known_statistics(
    distribution: tfd.Distribution, moments: Iterable[str] = ("mean", "stddev")
) -> dict[str, Statistic]:
    """What can be told, without draws, of distributions such as this one, each `batch_shape + [...]`.

    Those of the `moments` that the distribution knows. Where the mean is not among them, as of most flows,
    also its parameters, by TFP's names; of a transformed distribution, those of its base.

    Args:
        distribution: an example, of batch shape `[B]`.
        moments: of "mean" and "stddev".

    Example:

    >>> normal = tfd.Normal(tf.constant([0.0, 1.0]), tf.constant([1.0, 2.0]))
    >>> sorted(known_statistics(normal)), sorted(known_statistics(tfp.bijectors.Sigmoid()(normal)))
    (['mean', 'stddev'], ['loc', 'scale'])
    """
    known = {name: _MOMENTS[name] for name in moments if _knows(distribution, _MOMENTS[name])}
    if "mean" in known:
        return known
    names = _parameters(distribution)
    return {**known, **{name: partial(_parameter, name=name) for name in names if name not in known}}


def knows_mean(distribution: tfd.Distribution) -> bool:
    """Whether the mean of distributions such as this one is known."""
    return _knows(distribution, _MOMENTS["mean"])


def _knows(distribution: tfd.Distribution, moment: Statistic) -> bool:
    try:
        moment(distribution)
    except NotImplementedError:
        return False
    return True


def _parameters(distribution: tfd.Distribution) -> list[str]:
    """The parameters that each example has its own of."""
    count = distribution.batch_shape[0]
    return [
        name
        for name, value in _base(distribution).parameters.items()
        if tf.is_tensor(value) and value.shape.rank and value.shape[0] == count
    ]


def _parameter(distribution: tfd.Distribution, name: str) -> tf.Tensor:
    return tf.convert_to_tensor(_base(distribution).parameters[name])


def _base(distribution: tfd.Distribution) -> tfd.Distribution:
    while isinstance(distribution, _AROUND):
        distribution = distribution.distribution
    return distribution
