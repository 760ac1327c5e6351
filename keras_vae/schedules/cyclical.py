"""A ramp that starts again."""

import keras
import tensorflow as tf

from keras_vae.errors import lookup
from keras_vae.schedules._arguments import number, whole
from keras_vae.schedules._curves import SHAPES, mix, progress
from keras_vae.schedules.schedule import Schedule


@keras.saving.register_keras_serializable(package="keras_vae")
class Cyclical(Schedule):
    """Cycles of a ramp from `start` to `end` followed by a stretch at `end`.

    With `tau = mod(step, period) / period` and `f` the ramp's shape, `f(0) = 0`, `f(1) = 1`,

        value = start + (end - start) * f(min(tau / ratio, 1))

    Every fresh start lets the decoder read informative codes again, so it can revive dimensions
    that one warm-up (`Linear`, `Sigmoid`) leaves collapsed. It costs longer training: a model is
    good for use at the end of a cycle, not in the middle of a ramp.

    Args:
        start: the value at the first step of each cycle, exactly.
        end: the value after the ramp of each cycle, and after the last one, exactly.
        period: training steps of a cycle: the total number of steps divided by the number of
            cycles.
        ratio: the fraction of a cycle that is ramp, in (0, 1]. With 1 a cycle ends one step short
            of `end`.
        num_cycles: cycles until the value stays at `end`, or None to go on for ever.
        shape: the ramp, 'linear', 'sigmoid' (that of `Sigmoid`) or 'cosine'.

    Raises:
        ValueError: if a value is not finite, `period` or `num_cycles` is not a whole number >= 1,
            `ratio` is outside (0, 1], or `shape` is unknown.

    Example:

    >>> beta = Cyclical(0.0, 1.0, period=100, ratio=0.5, num_cycles=2)
    >>> [float(beta(step)) for step in (0, 25, 50, 99, 100, 125, 200, 225)]
    [0.0, 0.5, 1.0, 1.0, 0.0, 0.5, 1.0, 1.0]

    Reference: Fu, Li, Liu, Gao, Celikyilmaz & Carin (2019), *Cyclical Annealing Schedule: A Simple
    Approach to Mitigating KL Vanishing*, equations 6 and 7 (their `t` counts from 1).
    """

    def __init__(
        self,
        start: float,
        end: float,
        period: int,
        ratio: float = 0.5,
        num_cycles: int | None = None,
        shape: str = "linear",
    ):
        self.start = number("start", start)
        self.end = number("end", end)
        self.period = whole("period", period, 1)
        # Much below 1e-9 the fraction of a ramp would divide by a denormal number.
        self.ratio = number("ratio", ratio, 1e-9, 1.0, "a number in (0, 1], at least 1e-9")
        self.num_cycles = None if num_cycles is None else whole("num_cycles", num_cycles, 1)
        lookup("shape", shape, SHAPES)
        self.shape = shape

    def _value(self, step: tf.Tensor) -> tf.Tensor:
        fraction = progress(tf.math.floormod(step, float(self.period)), self.period * self.ratio)
        weight = SHAPES[self.shape](fraction)
        if self.num_cycles is not None:
            finished = step >= float(self.period * self.num_cycles)
            weight = tf.where(finished, tf.ones_like(weight), weight)
        return mix(self.start, self.end, weight)
