"""A straight line from one value to another."""

import keras
import tensorflow as tf

from keras_vae.schedules._arguments import number, whole
from keras_vae.schedules._curves import mix, progress
from keras_vae.schedules.schedule import Schedule


@keras.saving.register_keras_serializable(package="keras_vae")
class Linear(Schedule):
    """A straight line from `start` to `end`, then `end` for ever: the usual KL warm-up.

        value = start + (end - start) * clip((step - delay) / num_steps, 0, 1)

    The first choice against posterior collapse early in training. When it still collapses, see
    `Cyclical`; to hold the KL at a set number of nats rather than to weigh it, see `Capacity`.

    Args:
        start: the value up to and including step `delay`, exactly.
        end: the value from step `delay + num_steps` on, exactly. May be below `start`.
        num_steps: length of the ramp in training steps.
        delay: training steps before the ramp begins.

    Raises:
        ValueError: if a value is not finite, `num_steps` is not a whole number >= 1, or `delay` not
            a whole number >= 0.

    Example:

    >>> warm_up = Linear(0.0, 1.0, num_steps=100)
    >>> [float(warm_up(step)) for step in (0, 25, 100, 10**9)]
    [0.0, 0.25, 1.0, 1.0]

    Reference: Sønderby, Raiko, Maaløe, Sønderby & Winther (2016), *Ladder Variational
    Autoencoders*, "Warm-up from deterministic to variational autoencoder".
    """

    def __init__(self, start: float, end: float, num_steps: int, delay: int = 0):
        self.start = number("start", start)
        self.end = number("end", end)
        self.num_steps = whole("num_steps", num_steps, 1)
        self.delay = whole("delay", delay, 0)

    def _value(self, step: tf.Tensor) -> tf.Tensor:
        return mix(self.start, self.end, progress(step, self.num_steps, self.delay))
