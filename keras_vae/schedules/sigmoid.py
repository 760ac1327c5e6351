"""An S-shaped ramp from one value to another."""

import keras
import tensorflow as tf

from keras_vae.schedules._arguments import LARGEST_VALUE, number, whole
from keras_vae.schedules._curves import DEFAULT_SHARPNESS, mix, progress, sigmoid
from keras_vae.schedules.schedule import Schedule


@keras.saving.register_keras_serializable(package="keras_vae")
class Sigmoid(Schedule):
    """An S-shaped ramp from `start` to `end`, then `end` for ever.

    With `p = clip((step - delay) / num_steps, 0, 1)` and `s(p) = 1 / (1 + exp(-k (p - 1/2)))`,

        value = start + (end - start) * (s(p) - s(0)) / (s(1) - s(0))

    that is Bowman et al.'s logistic curve with its middle at half of `num_steps`, stretched so that
    it meets both values exactly instead of approaching them. Prefer it to `Linear` when the decoder
    is strong (text): the weight stays small for long, then moves quickly.

    Args:
        start: the value up to and including step `delay`, exactly.
        end: the value from step `delay + num_steps` on, exactly.
        num_steps: length of the ramp in training steps.
        delay: training steps before the ramp begins.
        sharpness: `k`, at least 1e-6; towards 0 the curve becomes `Linear`, towards infinity a jump
            at the middle.

    Raises:
        ValueError: if a value is not finite, `num_steps` is not a whole number >= 1, `delay` not a
            whole number >= 0, or `sharpness` below 1e-6.

    Example:

    >>> ramp = Sigmoid(0.0, 1.0, num_steps=100)
    >>> [round(float(ramp(step)), 3) for step in (0, 25, 50, 75, 100)]
    [0.0, 0.07, 0.5, 0.93, 1.0]

    Reference: Bowman, Vilnis, Vinyals, Dai, Jozefowicz & Bengio (2016), *Generating Sentences from
    a Continuous Space*, section 3.1 (KL cost annealing, figure 2).
    """

    def __init__(
        self,
        start: float,
        end: float,
        num_steps: int,
        delay: int = 0,
        sharpness: float = DEFAULT_SHARPNESS,
    ):
        self.start = number("start", start)
        self.end = number("end", end)
        self.num_steps = whole("num_steps", num_steps, 1)
        self.delay = whole("delay", delay, 0)
        # Far below this the curve is the quotient of two denormal numbers.
        self.sharpness = number("sharpness", sharpness, 1e-6, LARGEST_VALUE, "a finite number >= 1e-6")

    def _value(self, step: tf.Tensor) -> tf.Tensor:
        fraction = progress(step, self.num_steps, self.delay)
        return mix(self.start, self.end, sigmoid(fraction, self.sharpness))
