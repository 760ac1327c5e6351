"""Linear dynamical systems as latent graphical models of sequences."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae.checks import check_number
from keras_vae.distributions import NormalChain
from keras_vae.errors import invalid
from keras_vae.layers.distribution_layer import MIN_SCALE
from keras_vae.layers.independent import Shape
from keras_vae.priors.graphical_model import GraphicalModel, evidence

tfd, tfb = tfp.distributions, tfp.bijectors

# At first the latent hardly moves: what noise adds, it nearly loses.
INITIAL_TRANSITION = 0.99


@keras.saving.register_keras_serializable(package="keras_vae")
class LinearDynamicalSystem(GraphicalModel):
    """Latents that move by linear dynamics: z_1 ~ N(m, S), z_t = A z_{t-1} + noise, noise ~ N(0, Q).

    The posterior of the whole sequence is exact, by Kalman smoothing, in time linear in T: each frame's code
    is informed by the frames around it. As it knows the dynamics, it goes on where frames are missing, so
    that it predicts: give potentials with an infinite scale for the frames to come. All of m, S, A and Q are
    weights. For states with a hidden cluster, see `GaussianMixtureGraph`.

    Args:
        event_shape: `(T, D)`: steps and latent dimensions.
        scale: standard deviation of z_1 at first, above 0.
        noise: standard deviation of the noise at first, above 0.

    Raises:
        ValueError: for latents that are no sequences of vectors, and for arguments out of range.

    Example: one sharp observation at the first of three times, and what it says about the others.

    >>> prior = LinearDynamicalSystem((3, 1), noise=1.0)
    >>> scale = tf.constant([[0.001], [np.inf], [np.inf]])
    >>> q = prior.posterior(tfd.Independent(tfd.Normal(tf.ones([1, 3, 1]), scale), 2))
    >>> [f"{float(mean):.2f}" for mean in q.mean()[0, :, 0]]
    ['1.00', '0.99', '0.98']

    Reference: Johnson et al., Composing graphical models with neural networks for structured representations
    and fast inference, 2016, section 2; Krishnan et al., Deep Kalman Filters, 2015, of the nonlinear kin.
    """

    def __init__(self, event_shape: Shape, scale: float = 1.0, noise: float = 0.1, **kwargs: Any):
        super().__init__(event_shape, **kwargs)
        if len(self.event_shape) != 2:
            raise invalid("event_shape", "two dimensions, steps and latents, (T, D)", event_shape)
        self.scale, self.noise = (
            check_number("scale", scale, above=0.0),
            check_number("noise", noise, above=0.0),
        )
        self._make_weights()

    def _make_weights(self) -> None:
        """The trainable weights; the Bayesian subclass has others."""
        size = self.event_shape[1]
        unit = tf.eye(size, dtype=self.variable_dtype)
        self._tril = tfb.FillScaleTriL(diag_shift=np.array(MIN_SCALE, self.variable_dtype))
        for name, value in {
            "initial_loc": tf.zeros([size], self.variable_dtype),
            "raw_initial_scale": self._tril.inverse(self.scale * unit),
            "transition": INITIAL_TRANSITION * unit,
            "raw_noise": self._tril.inverse(self.noise * unit),
        }.items():
            weight = self.add_weight(name=name, shape=tuple(value.shape), initializer="zeros")
            weight.assign(value)
            setattr(self, name, weight)

    def steps(self) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        """m, the Cholesky factor of S, A and that of Q: `[D]`, `[D, D]`, `[D, D]` and `[D, D]`.

        Of a Bayesian system, of the chain that E_q(theta)[log p(z|theta)] is up to terms of `doubt`.
        """
        return (
            tf.convert_to_tensor(self.initial_loc),
            self._tril(tf.convert_to_tensor(self.raw_initial_scale)),
            tf.convert_to_tensor(self.transition),
            self._tril(tf.convert_to_tensor(self.raw_noise)),
        )

    def distribution(self) -> NormalChain:
        loc, scale, transition, noise = self.steps()
        later = self.event_shape[0] - 1
        return NormalChain(
            tf.tile(transition[None], [1 + later, 1, 1]),
            tf.pad(loc[None], [[0, later], [0, 0]]),
            tf.concat([scale[None], tf.tile(noise[None], [later, 1, 1])], axis=0),
        )

    def doubt(self) -> tf.Tensor:
        """The precision about 0 that uncertain parameters add to every step, `[T, D, D]`: none."""
        return tf.zeros([*self.event_shape, self.event_shape[1]], self.compute_dtype)

    def posterior(self, potentials: tfd.Distribution) -> NormalChain:
        mean, variance = evidence(potentials)
        precision = tf.linalg.diag(1.0 / variance) + self.doubt()
        return self.distribution().times(precision, mean / variance)

    def local_kl(self, q: NormalChain) -> tf.Tensor:
        return tfd.kl_divergence(q, self.distribution())

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale, "noise": self.noise}
