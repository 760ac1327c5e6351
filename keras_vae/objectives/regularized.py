"""The objective of the regularized autoencoder."""

from typing import Any

import keras
import tensorflow as tf

from keras_vae import schedules
from keras_vae.errors import invalid, lookup
from keras_vae.objectives.jacobian import squared_norm_by_inputs
from keras_vae.objectives.reconstruction import Reconstruction, code
from keras_vae.objectives.terms import Terms

_REGULARIZERS = {"l2": "l2", "gp": "gp", "none": "none"}
_DEFAULT_WEIGHT = 1e-6


@keras.saving.register_keras_serializable(package="keras_vae")
class RegularizedReconstruction(Reconstruction):
    """-E_q[log p(x|z)] + beta * 0.5 * |c|^2 + weight * R, c the mean of q(z|x), in nats.

    R is a penalty of the decoder D, the mean of p(x|z). "l2": the sum of squares of all its trainable
    weights. "gp": sum_jk (d D_j / d z_k)^2 at the code, exact, at the price of a forward pass for each latent
    dimension. "none": 0. Spectral normalization is a property of the decoder: `RegularizedAutoencoder` brings
    it in, or `networks.spectrally_normalized`.

    Args:
        beta: weight of the code's norm, a number >= 0 or a schedule.
        regularizer: "l2", "gp" or "none".
        weight: of R, a number >= 0 or a schedule; 1e-6 if None; must be None with "none".
        num_samples: see `Reconstruction`.

    Reported: `reconstruction`, `weighted_code_norm` and, where there is one, `weighted_regularizer` add up to
    the loss; `beta` and `weight` are shown beside them.

    Reference: Ghosh, Sajjadi, Vergari, Black & Scholkopf, From Variational to Deterministic Autoencoders,
    2020, section 3 and, for R, section 3.1.
    """

    part_names: tuple[str, ...] = ("reconstruction", "weighted_code_norm", "weighted_regularizer")
    monitor_names: tuple[str, ...] = ("beta", "weight")

    def __init__(
        self,
        beta: float | str | schedules.Schedule = 1e-2,
        regularizer: str = "l2",
        weight: float | str | schedules.Schedule | None = None,
        num_samples: int = 1,
        **kwargs: Any,
    ):
        super().__init__(num_samples, **kwargs)
        self.beta = self.scheduled("beta", beta, low=0.0)
        self.regularizer = lookup("regularizer", regularizer, _REGULARIZERS)
        self.weight = None
        if regularizer == "none":
            self.part_names, self.monitor_names = self.part_names[:2], ("beta",)
            if weight is not None:
                raise invalid("weight", "None without a penalty of the decoder", weight)
        else:
            self.weight = self.scheduled("weight", _DEFAULT_WEIGHT if weight is None else weight, low=0.0)

    def parts(self, terms: Terms) -> dict[str, tf.Tensor]:
        codes = code(terms.q)
        norm = 0.5 * tf.reduce_sum(tf.square(codes), axis=1)
        parts = {**super().parts(terms), "weighted_code_norm": self.current("beta") * norm}
        if self.regularizer == "l2":
            parts["weighted_regularizer"] = self.current("weight") * _squared_weights(terms)
        elif self.regularizer == "gp":
            parts["weighted_regularizer"] = self.current("weight") * _squared_slopes(terms, codes)
        return parts

    def monitors(self, terms: Terms) -> dict[str, tf.Tensor]:
        return {name: self.current(name) for name in self.monitor_names}


def _squared_weights(terms: Terms) -> tf.Tensor:
    if not terms.decoder_weights:
        raise invalid("decoder", "a network with trainable weights, to penalise by 'l2'", "one without")
    squares = [tf.reduce_sum(tf.square(tf.cast(weight, tf.float32))) for weight in terms.decoder_weights]
    return tf.broadcast_to(tf.add_n(squares), tf.shape(terms.x)[:1])


def _squared_slopes(terms: Terms, codes: tf.Tensor) -> tf.Tensor:
    shape = [-1, *terms.q.event_shape]
    return squared_norm_by_inputs(lambda z: terms.decode(tf.reshape(z, shape)).mean(), codes)
