"""Distances between two samples as objects with options, for objectives that take one as an argument."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import keras
import tensorflow as tf

from keras_vae.checks import check_number
from keras_vae.divergences.checks import check_scales
from keras_vae.divergences.mmd import KERNELS, SCALES, mmd
from keras_vae.divergences.sinkhorn import check_convergence, check_options, sinkhorn_with_error
from keras_vae.divergences.sliced import check_sliced, sliced_wasserstein
from keras_vae.errors import invalid, lookup


class SampleDistance:
    """The base: how far two samples are apart, in one number that can be differentiated by both.

    To write one, keep each constructor argument in the attribute of the same name, implement `measure`, and
    register the class with `keras.saving.register_keras_serializable`.

    Attributes:
        monitor_names: further figures that `measure` returns, for objectives to report.
        takes_weights: whether `measure` has the argument `weights`, of the points of x, `[..., N]`, or None
            for equal ones. With a distance that has not, objectives refuse weights of examples.
    """

    monitor_names: tuple[str, ...] = ()
    takes_weights: bool = False

    def measure(self, x: tf.Tensor, y: tf.Tensor, seed: tf.Tensor) -> dict[str, tf.Tensor]:
        """The distance, as "divergence", and the monitors by name, each `[...]`.

        Args:
            x, y: float32 `[..., N, d]`, points in rows.
            seed: int32 `[2]`, stateless seed of what is random in the distance itself.
        """
        raise NotImplementedError

    def check(self, figures: Mapping[str, float]) -> bool:
        """Warns if the monitors' means over an epoch show that something is amiss; returns whether it did."""
        del figures
        return False

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "SampleDistance":
        """The distance that `get_config` described."""
        return cls(**config)


@keras.saving.register_keras_serializable(package="keras_vae")
class MMD(SampleDistance):
    """The squared maximum mean discrepancy; see `mmd`. The distance to begin with: smooth, exact, cheap.

    Args:
        kernel, scales, unbiased, variance: see `mmd`.

    Raises:
        ValueError: see `mmd`.

    Example:

    >>> MMD(kernel="rbf", scales=[1.0]).get_config()["kernel"]
    'rbf'
    """

    def __init__(
        self,
        kernel: str = "imq",
        scales: Iterable[float] = SCALES,
        unbiased: bool = True,
        variance: float = 1.0,
    ):
        lookup("kernel", kernel, KERNELS)
        if not isinstance(unbiased, bool):
            raise invalid("unbiased", "True or False", unbiased)
        self.kernel, self.scales, self.unbiased = kernel, check_scales(scales), unbiased
        self.variance = check_number("variance", variance, above=0.0)

    takes_weights = True

    def measure(
        self, x: tf.Tensor, y: tf.Tensor, seed: tf.Tensor, weights: tf.Tensor | None = None
    ) -> dict[str, tf.Tensor]:
        del seed
        return {"divergence": mmd(x, y, **self.get_config(), weights=weights)}


@keras.saving.register_keras_serializable(package="keras_vae")
class Sinkhorn(SampleDistance):
    """The debiased Sinkhorn divergence; see `sinkhorn`. Minimised, it moves points along transport plans.

    It reports `marginal_error`, and warns where it did not converge: in eager code at once, in `fit` after an
    epoch.

    Args:
        epsilon, num_iterations, tolerance: see `sinkhorn`.

    Raises:
        ValueError: see `sinkhorn`.

    Example:

    >>> Sinkhorn(epsilon=0.5).get_config()
    {'epsilon': 0.5, 'num_iterations': 100, 'tolerance': 0.001}
    """

    monitor_names = ("marginal_error",)
    takes_weights = True

    def __init__(self, epsilon: float = 1.0, num_iterations: int = 100, tolerance: float = 1e-3):
        check_options(epsilon, num_iterations, tolerance)
        self.epsilon, self.num_iterations, self.tolerance = epsilon, num_iterations, tolerance

    def measure(
        self, x: tf.Tensor, y: tf.Tensor, seed: tf.Tensor, weights: tf.Tensor | None = None
    ) -> dict[str, tf.Tensor]:
        del seed
        value, error = sinkhorn_with_error(x, y, **self.get_config(), weights=weights)
        if tf.executing_eagerly():
            check_convergence(error, self.tolerance)
        return {"divergence": value, "marginal_error": error}

    def check(self, figures: Mapping[str, float]) -> bool:
        return check_convergence(figures["marginal_error"], self.tolerance)


@keras.saving.register_keras_serializable(package="keras_vae")
class SlicedWasserstein(SampleDistance):
    """The sliced Wasserstein distance to the power p; see `sliced_wasserstein`. For large batches.

    Args:
        num_projections, p: see `sliced_wasserstein`. Every step draws directions of its own.

    Raises:
        ValueError: see `sliced_wasserstein`.

    Example:

    >>> SlicedWasserstein(num_projections=10).get_config()
    {'num_projections': 10, 'p': 2.0}
    """

    takes_weights = True

    def __init__(self, num_projections: int = 50, p: float = 2.0):
        check_sliced(num_projections, p)
        self.num_projections, self.p = num_projections, p

    def measure(
        self, x: tf.Tensor, y: tf.Tensor, seed: tf.Tensor, weights: tf.Tensor | None = None
    ) -> dict[str, tf.Tensor]:
        return {"divergence": sliced_wasserstein(x, y, self.num_projections, seed, self.p, weights)}


DISTANCES: dict[str, Callable[[], SampleDistance]] = {
    "mmd-imq": lambda: MMD("imq"),
    "mmd-rbf": lambda: MMD("rbf"),
    "sinkhorn": Sinkhorn,
    "sliced": SlicedWasserstein,
}


def get_distance(identifier: str | SampleDistance, argument: str = "divergence") -> SampleDistance:
    """The distance of that name, with its usual options: "mmd-imq", "mmd-rbf", "sinkhorn" or "sliced".

    A `SampleDistance` is returned as it is.

    Raises:
        ValueError: for an unknown name.

    Example:

    >>> get_distance("sliced").num_projections
    50
    """
    return identifier if isinstance(identifier, SampleDistance) else lookup(argument, identifier, DISTANCES)()
