"""From stored examples to what a model sees: scaling, binarisation, dequantisation.

Randomness is drawn as integer bits, never as floats: the float draws of a compiled and of an
uncompiled program differ for one seed, the integer draws are equal on every device.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from keras_vae import errors
from keras_vae.datasets.bits import random_bits

BYTE_LEVELS = 255.0


@dataclass(frozen=True)
class Statistics:
    """Mean and standard deviation of each channel (the last axis), in [0, 1] units for bytes.

    Example:

    >>> Statistics.of([np.array([[0, 255], [255, 255]], np.uint8)])
    Statistics(mean=(0.5, 1.0), std=(0.5, 1.0))
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def of(cls, batches: Iterable[np.ndarray]) -> "Statistics":
        """Merges the moments of the batches in float64 (Chan et al. 1979); a constant channel
        gets a standard deviation of 1, so that it is centred and not blown up."""
        count = 0
        mean: np.ndarray = np.zeros(1)
        squares: np.ndarray = np.zeros(1)
        for batch in batches:
            values = batch.reshape(-1, batch.shape[-1]).astype(np.float64) / levels_of(batch)
            new, centre = len(values), values.mean(0)
            total, shift = count + new, centre - mean
            squares = squares + ((values - centre) ** 2).sum(0) + shift**2 * count * new / total
            mean, count = mean + shift * new / total, total
        std = np.sqrt(squares / count)
        constant = std <= 1e-7 * np.maximum(np.abs(mean), 1.0)
        return cls(tuple(mean.tolist()), tuple(np.where(constant, 1.0, std).tolist()))


def levels_of(x: Any) -> float:
    """The stored value that means 1: 255 for bytes, 1 for floats."""
    return BYTE_LEVELS if np.dtype(getattr(x.dtype, "as_numpy_dtype", x.dtype)) == np.uint8 else 1.0


def _uniform(x: tf.Tensor, seed: tf.Tensor, bits: int) -> tf.Tensor:
    """Float32 draws from the multiples of 2**-bits in [0, 1), shaped like `x`."""
    raw = random_bits(tf.shape(x), seed)
    return tf.cast(tf.bitwise.bitwise_and(raw, 2**bits - 1), tf.float32) * 2.0**-bits


# Each draw maps stored values in [0, levels] to new values and their own level.
Draw = Callable[[tf.Tensor, float, tf.Tensor], tuple[tf.Tensor, float]]


def _keep(x: tf.Tensor, levels: float, seed: tf.Tensor) -> tuple[tf.Tensor, float]:
    del seed
    return x, levels


def _threshold(x: tf.Tensor, levels: float, seed: tf.Tensor) -> tuple[tf.Tensor, float]:
    del seed
    return tf.cast(x > levels / 2, tf.float32), 1.0


def _bernoulli(x: tf.Tensor, levels: float, seed: tf.Tensor) -> tuple[tf.Tensor, float]:
    # Comparing on the stored levels keeps 0 and `levels` certain under any rounding.
    return tf.cast(_uniform(x, seed, 24) * levels < x, tf.float32), 1.0


def _dequantize(x: tf.Tensor, levels: float, seed: tf.Tensor) -> tuple[tf.Tensor, float]:
    # 8 bits of byte and 16 of noise fill float32's significand exactly, so floor() gives the byte.
    return x + _uniform(x, seed, 16), levels + 1.0


DRAWS: dict[str, Draw] = {
    "keep": _keep,
    "threshold": _threshold,
    "dynamic": _bernoulli,
    "dequantize": _dequantize,
}


class Scale(NamedTuple):
    """`affine` gives (shift, divisor) for values in [0, levels]; `support` names the range."""

    affine: Callable[[float, Statistics | None], tuple[Any, Any]]
    support: str


def _standard(levels: float, statistics: Statistics | None) -> tuple[Any, Any]:
    if statistics is None:
        raise errors.invalid("statistics", "a Statistics when scale is 'standard'", None)
    mean, std = np.asarray(statistics.mean), np.asarray(statistics.std)
    return np.float32(levels * mean), np.float32(levels * std)


SCALES: dict[str, Scale] = {
    "unit": Scale(lambda levels, _: (0.0, levels), "unit"),
    "bytes": Scale(lambda levels, _: (0.0, levels / BYTE_LEVELS), "bytes"),
    "symmetric": Scale(lambda levels, _: (levels / 2, levels / 2), "real"),
    "standard": Scale(_standard, "real"),
}


# How each way to binarise is drawn from what is stored; "static" is stored binary already.
BINARIZATIONS = {"dynamic": "dynamic", "static": "threshold", "threshold": "threshold"}


def check_transform(scale: str, binarize: str | None, dequantize: bool) -> None:
    """Raises the `ValueError` for names that are unknown or do not go together."""
    errors.lookup("scale", scale, SCALES)
    if binarize is not None:
        errors.lookup("binarize", binarize, BINARIZATIONS)
        if dequantize:
            raise errors.invalid("dequantize", "False when `binarize` is given", dequantize)
    if scale != "unit" and (binarize is not None or dequantize):
        option = "binarize" if binarize is not None else "dequantize"
        raise errors.invalid("scale", f"'unit' when `{option}` is given", scale)


@dataclass(frozen=True)
class Transform:
    """Turns a stored batch and a seed into the float32 batch that a model sees.

    Pure and XLA-compatible: the same batch and seed give the same draws, compiled or not.

    Args:
        scale: "unit" [0, 1], "bytes" 0..255, "symmetric" [-1, 1] or "standard" (zero mean and
            unit variance per channel, by `statistics`).
        draw: "keep" (nothing), "threshold", "dynamic" (Bernoulli with the intensity as its mean)
            or "dequantize" ((x + u) / 256 with uniform u).
        statistics: the training set's moments, for "standard" alone.

    Example:

    >>> x = np.array([[0, 51, 255]], np.uint8)
    >>> Transform()(x, seed=[0, 0]).numpy()
    array([[0. , 0.2, 1. ]], dtype=float32)
    >>> Transform(scale="symmetric")(x, seed=[0, 0]).numpy()
    array([[-1. , -0.6,  1. ]], dtype=float32)
    """

    scale: str = "unit"
    draw: str = "keep"
    statistics: Statistics | None = None

    def __post_init__(self) -> None:
        errors.lookup("scale", self.scale, SCALES)
        errors.lookup("draw", self.draw, DRAWS)

    @property
    def support(self) -> str:
        """The range of the result: "binary", "unit", "bytes" or "real"."""
        binary = self.draw in BINARIZATIONS.values() and self.scale == "unit"
        return "binary" if binary else SCALES[self.scale].support

    def __call__(self, x: Any, seed: Any) -> tf.Tensor:
        """Transforms stored uint8 (or float32 in [0, 1]) values [B, ...] with an int32 [2] seed."""
        x = tf.convert_to_tensor(x)
        value, levels = DRAWS[self.draw](tf.cast(x, tf.float32), levels_of(x), seed)
        shift, divisor = SCALES[self.scale].affine(levels, self.statistics)
        return _divide(_shift(value, shift), divisor)

    def to_unit(self, x: Any) -> tf.Tensor:
        """Undoes the scaling (not the draw): model values back to [0, 1], to be shown as images.

        Example:

        >>> Transform(scale="symmetric").to_unit([[-1.0, 0.0, 1.0]]).numpy()
        array([[0. , 0.5, 1. ]], dtype=float32)
        """
        shift, divisor = SCALES[self.scale].affine(1.0, self.statistics)
        return tf.convert_to_tensor(x, tf.float32) * divisor + shift


def _shift(value: tf.Tensor, shift: Any) -> tf.Tensor:
    return value if np.ndim(shift) == 0 and shift == 0.0 else value - shift


def _divide(value: tf.Tensor, divisor: Any) -> tf.Tensor:
    return value if np.ndim(divisor) == 0 and divisor == 1.0 else value / divisor


def binarize_fixed(x: np.ndarray, how: str, seed: int) -> np.ndarray:
    """Binarises stored examples once and for all, to bytes 0 and 255.

    Args:
        x: uint8, or float32 in [0, 1], [N, ...].
        how: "threshold" (intensity > 0.5) or "static" (one seeded Bernoulli draw).
        seed: the seed of the draw.

    Example:

    >>> binarize_fixed(np.array([[0, 127, 128, 255]], np.uint8), "threshold", seed=0)
    array([[  0,   0, 255, 255]], dtype=uint8)
    """
    one = _FIXED[how]
    rng = np.random.default_rng(seed)
    out = np.empty(x.shape, np.uint8)
    for start in range(0, len(x), 1024):  # in pieces: float noise would be 4 times the data
        piece = x[start : start + 1024]
        out[start : start + 1024] = np.where(one(piece, rng), np.uint8(255), np.uint8(0))
    return out


_FIXED: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "threshold": lambda x, rng: x > levels_of(x) / 2,
    "static": lambda x, rng: rng.random(x.shape, np.float32) * np.float32(levels_of(x)) < x,
}


def bits_per_dim(nll: Any, event_shape: tuple[int, ...], levels: int = 256) -> Any:
    """Bits per dimension of bytes, from the nll of a density over dequantised [0, 1) values.

    With x = (bytes + u) / 256 and a density p, Jensen's inequality bounds the probability of the
    bytes, `-log P(bytes) <= E_u[-log p(x)] + D log 256`, so the reported figure is an upper bound.

    Args:
        nll: nats per example, summed over the event, any shape.
        event_shape: the shape of one example, D values in all.
        levels: 256 for data dequantised from bytes; 1 where `nll` is of a discrete distribution
            already, which needs no correction.

    Reference: Theis, van den Oord and Bethge, "A note on the evaluation of generative models",
    2016, equation 5.

    Example:

    >>> bits_per_dim(0.0, (32, 32, 3))  # the uniform density
    8.0
    """
    dims = math.prod(event_shape)
    if dims < 1 or levels < 1:
        raise errors.invalid("event_shape", "a shape of at least one value", event_shape)
    return nll / (dims * math.log(2.0)) + math.log2(levels)
