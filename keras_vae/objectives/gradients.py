"""How the gradient by the posterior's parameters is taken, whatever the value: tools of the objectives."""

from collections.abc import Callable

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae.divergences.importance import leave_one_out_mean
from keras_vae.errors import invalid, lookup
from keras_vae.objectives.terms import Terms

tfd = tfp.distributions

BASELINES = ("auto", "none", "batch", "running", "leave_one_out")

# Of a running average: the weight of the newest value, once there have been ten.
_RATE = 0.1


def is_reparameterized(q: tfd.Distribution) -> bool:
    """Whether draws from q carry a gradient by its parameters."""
    return q.reparameterization_type == tfd.FULLY_REPARAMETERIZED


def check_prior_draws(terms: Terms) -> None:
    """Raises `ValueError` for a prior with weights to train that its draws lead no gradient to."""
    reparameterized = terms.p_z.reparameterization_type == tfd.FULLY_REPARAMETERIZED
    if terms.prior.trainable_weights and not reparameterized:
        raise invalid(
            "prior",
            "a prior whose draws are reparameterised, or one without weights to train",
            type(terms.prior).__name__,
            "Its draws lead no gradient to all of its weights: set `prior.trainable = False`.",
        )


def check_reparameterized(q: tfd.Distribution, gradient: str, remedy: str) -> None:
    """Raises `ValueError` for a posterior whose draws carry no gradient, such as a Bernoulli."""
    if not is_reparameterized(q):
        raise invalid(
            "gradient",
            f"{remedy} for a posterior whose draws cannot be differentiated ({q.name})",
            gradient,
        )


def fixed_draws(terms: Terms) -> tf.Tensor:
    """The draws without a gradient, for estimators by the score.

    Raises:
        ValueError: where the posterior is discrete and the prior is not, or the other way round: the
            probability of one and the density of the other have no common measure.
    """
    kinds = [_is_discrete(distribution) for distribution in (terms.q, terms.p_z)]
    if None not in kinds and kinds[0] != kinds[1]:
        raise invalid(
            "prior",
            "a prior over the posterior's values" + (", such as priors.Bernoulli" if kinds[0] else ""),
            f"{terms.p_z.name} for a posterior {terms.q.name}",
        )
    return tf.stop_gradient(terms.z)


def _is_discrete(distribution: tfd.Distribution) -> bool | None:
    """Whether no smooth map leads from the reals onto its values; None where TFP cannot tell."""
    try:
        return distribution.experimental_default_event_space_bijector() is None
    except NotImplementedError:
        return None


def scale_gradient(x: tf.Tensor, scale: Callable[[], tf.Tensor]) -> tf.Tensor:
    """x itself, `[S, B] + latent`, whose gradient is multiplied by `scale()`, `[S, B]`, on the way back.

    `scale` is called when the gradient is taken, so it may return what was computed from x since.
    """

    @tf.custom_gradient
    def identity(x):
        def gradient(upstream):
            factor = tf.cast(scale(), x.dtype)
            return upstream * tf.reshape(factor, tf.concat([tf.shape(x)[:2], [1] * (x.shape.rank - 2)], 0))

        return tf.identity(x), gradient

    return identity(x)


class ScoreFunction(keras.layers.Layer):
    """The score-function gradient (REINFORCE), with a control variate.

    grad E_q[f(z)] = E_q[(f(z) - b) grad log q(z|x)] for any b that does not depend on that z.

    Args:
        baseline: b. "none" is 0; "batch" the mean of f over the other examples of the batch; "running" the
            average of f over past training steps; "leave_one_out" the mean over the example's other draws;
            "auto" the last with several draws, else "batch".
        names: the signals f that have an average of their own.
        num_samples: draws per example.

    Reference: Williams, Simple statistical gradient-following algorithms, 1992; Mnih & Gregor, Neural
    Variational Inference and Learning in Belief Networks, 2014 (running average); Kool et al., Buy 4
    REINFORCE Samples, Get a Baseline for Free!, 2019 (leave-one-out).
    """

    def __init__(self, baseline: str, names: tuple[str, ...], num_samples: int):
        super().__init__(dtype="float32")
        lookup("baseline", baseline, dict.fromkeys(BASELINES))
        if baseline == "leave_one_out" and num_samples < 2:
            raise invalid("baseline", "'batch', 'running' or 'none' where num_samples is 1", baseline)
        automatic = "leave_one_out" if num_samples > 1 else "batch"
        self.baseline = automatic if baseline == "auto" else baseline
        self.averages = {}
        for name in names if baseline == "running" else ():
            # Under a strategy, each replica has one of its own.
            self.averages[name] = self.add_weight(
                name=f"{name}_baseline", shape=(), initializer="zeros", trainable=False
            )
        self.built = True

    def term(self, name: str, signal: tf.Tensor, terms: Terms) -> tf.Tensor:
        """Zeros `[S, B]` with the gradient (f - b) grad log q(z|x); `signal` is f, `[S, B]` or `[1, B]`."""
        signal = tf.stop_gradient(signal)
        return surrogate(signal - self._baseline(name, signal, terms), terms.log_qz)

    def _baseline(self, name: str, signal: tf.Tensor, terms: Terms) -> tf.Tensor:
        if self.baseline == "leave_one_out":
            return leave_one_out_mean(signal)
        if self.baseline == "batch":
            means = tf.reduce_mean(signal, axis=0)
            others = tf.cast(tf.maximum(tf.size(means) - 1, 1), means.dtype)
            return (tf.reduce_sum(means) - means) / others
        if self.baseline == "none":
            return tf.zeros_like(signal)
        average = tf.convert_to_tensor(self.averages[name])
        if terms.training:
            # Used before it learns of these draws, on which it must not depend.
            rate = tf.maximum(_RATE, 1.0 / (tf.cast(terms.step, tf.float32) + 1.0))
            self.averages[name].assign(average + rate * (tf.reduce_mean(signal) - average))
        return average


def surrogate(weight: tf.Tensor, log_qz: tf.Tensor) -> tf.Tensor:
    """Zeros with the gradient weight * grad log q."""
    return tf.stop_gradient(weight) * (log_qz - tf.stop_gradient(log_qz))
