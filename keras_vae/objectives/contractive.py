"""The objective of the contractive autoencoder."""

from typing import Any

import keras
import tensorflow as tf

from keras_vae import schedules
from keras_vae.errors import invalid
from keras_vae.objectives.jacobian import squared_norm_by_outputs
from keras_vae.objectives.reconstruction import Reconstruction, code
from keras_vae.objectives.terms import Terms


@keras.saving.register_keras_serializable(package="keras_vae")
class ContractiveReconstruction(Reconstruction):
    """-E_q[log p(x|z)] + weight * sum_jk (d c_j / d x_k)^2, c the mean of q(z|x), in nats.

    The squared Frobenius norm of the code's Jacobian is exact, at the price of a backward pass through the
    encoder for each element of the code.

    Args:
        weight: of the norm, a number >= 0 or a schedule; in nats times the square of the units of x.
        num_samples: see `Reconstruction`.

    Reported: `reconstruction` and `weighted_contraction` add up to the loss; `weight` is shown beside them.

    Reference: Rifai, Vincent, Muller, Glorot & Bengio, Contractive Auto-Encoders: Explicit Invariance During
    Feature Extraction, 2011, Eq. 1 (the norm) and section 3 (the objective).
    """

    part_names = ("reconstruction", "weighted_contraction")
    monitor_names = ("weight",)

    def __init__(self, weight: float | str | schedules.Schedule = 0.1, num_samples: int = 1, **kwargs: Any):
        super().__init__(num_samples, **kwargs)
        self.weight = self.scheduled("weight", weight, low=0.0)

    def parts(self, terms: Terms) -> dict[str, tf.Tensor]:
        encode = terms.encode
        if encode is None:
            raise invalid("encode", "terms that can encode, to take derivatives of", None)
        norm = squared_norm_by_outputs(lambda x: code(encode(x)), tf.convert_to_tensor(terms.x))
        weighted = self.current("weight") * tf.cast(norm, tf.float32)
        return {**super().parts(terms), "weighted_contraction": weighted}

    def monitors(self, terms: Terms) -> dict[str, tf.Tensor]:
        return {"weight": self.current("weight")}
