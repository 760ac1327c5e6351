"""Distributions of a prior's parameters, and the natural gradient steps that improve them."""

from typing import Any

import tensorflow as tf

from keras_vae.priors.prior import Prior


class BeliefWeights:
    """The natural parameters of q(theta) as Keras weights that no optimizer moves, and p(theta) beside them.

    Args:
        layer: the prior that owns the weights.
        prior: natural parameters of p(theta) by name.
        start: those of q(theta) at first.
        dataset_size: N.
        rate: rho, the length of a step.
    """

    def __init__(
        self,
        layer: Prior,
        prior: dict[str, Any],
        start: dict[str, Any],
        dataset_size: int,
        rate: float,
    ):
        self._prior, self._size, self._rate = prior, dataset_size, rate
        # Summed over the replicas of a strategy as their statistics are: by the mean.
        self._weights = {
            name: layer.add_weight(
                name=name,
                shape=tuple(value.shape),
                initializer="zeros",
                trainable=False,
                aggregation="mean",
            )
            for name, value in prior.items()
        }
        self.assign(start)

    def assign(self, values: dict[str, Any]) -> None:
        """Sets q(theta) to the one of these natural parameters, by name."""
        for name, weight in self._weights.items():
            weight.assign(values[name])

    def now(self) -> dict[str, tf.Tensor]:
        """Natural parameters of q(theta) by name."""
        return {name: tf.convert_to_tensor(weight) for name, weight in self._weights.items()}

    def prior(self) -> dict[str, tf.Tensor]:
        """Natural parameters of p(theta) by name."""
        return {name: tf.cast(value, self._weights[name].dtype) for name, value in self._prior.items()}

    def step(self, statistics: dict[str, tf.Tensor], batch_size: tf.Tensor) -> None:
        """eta <- (1 - rho) eta + rho (eta_0 + N / B sum_b E[t(z_b, k_b)]).

        The natural gradient of the evidence lower bound at fixed q(z, k|x) is the difference of the bracket
        and eta (Hoffman et al., Stochastic Variational Inference, 2013, Eq. 15 and 34). A mean of valid
        parameters, the result is valid.

        Args:
            statistics: the sums over the batch, by name.
            batch_size: B, scalar.
        """
        prior = self.prior()
        for name, weight in self._weights.items():
            target = prior[name] + self._size / tf.cast(batch_size, weight.dtype) * statistics[name]
            weight.assign((1.0 - self._rate) * weight + self._rate * target)
