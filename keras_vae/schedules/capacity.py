"""The controlled capacity of a latent code, in nats."""

import keras

from keras_vae.schedules._arguments import LARGEST_VALUE, number
from keras_vae.schedules.linear import Linear


@keras.saving.register_keras_serializable(package="keras_vae")
class Capacity(Linear):
    """The capacity `C` of a latent code: from 0 to `max_capacity` nats in a straight line.

    For the objective `E[log p(x|z)] - gamma * |KL(q(z|x) || p(z)) - C|`, where `C` is the number of
    nats that the code is made to carry: the factors that help reconstruction most are
    learned first, one dimension at a time. It is a target for the KL, not a weight on it.

    Args:
        max_capacity: the largest capacity, in nats per example (summed over the latent dimensions).
        num_steps: training steps until it is reached.
        delay: training steps at 0 before.

    Raises:
        ValueError: if `max_capacity` is not a number >= 0, `num_steps` not a whole number >= 1, or
            `delay` not a whole number >= 0.

    Example:

    >>> capacity = Capacity(max_capacity=25.0, num_steps=100_000)
    >>> [float(capacity(step)) for step in (0, 50_000, 200_000)]
    [0.0, 12.5, 25.0]

    Reference: Burgess et al. (2018), *Understanding disentangling in beta-VAE*, equation 8.
    """

    def __init__(self, max_capacity: float, num_steps: int, delay: int = 0):
        self.max_capacity = number(
            "max_capacity", max_capacity, 0.0, LARGEST_VALUE, "a finite number of nats >= 0"
        )
        super().__init__(0.0, self.max_capacity, num_steps, delay)
