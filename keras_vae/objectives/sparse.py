"""The objective of the sparse autoencoder."""

from typing import Any

import keras
import tensorflow as tf

from keras_vae import schedules
from keras_vae.checks import check_number
from keras_vae.divergences.sparsity import kl_to_rate
from keras_vae.errors import invalid, lookup
from keras_vae.objectives.reconstruction import Reconstruction, code
from keras_vae.objectives.terms import Terms

_PENALTIES = {"l1": "l1", "kl": "kl"}
_DEFAULT_RATE = 0.05


@keras.saving.register_keras_serializable(package="keras_vae")
class SparseReconstruction(Reconstruction):
    """-E_q[log p(x|z)] + weight * penalty of the code c, the mean of q(z|x), in nats.

    "l1": sum_j |c_j|. "kl": sum_j KL(rate || r_j) between coins, where r_j is the batch's mean of
    a_j = sigmoid(c_j), the activation of unit j: codes are any real numbers, activations lie in (0, 1). The
    KL is one number for the batch, and each example's part; prefer batches of 100 and more, in which the mean
    activation is known well.

    Args:
        weight: of the penalty, a number >= 0 or a schedule.
        penalty: "l1" or "kl".
        rate: "kl" only: the share of examples for which a unit shall be active, in (0, 1); 0.05 if None.
        num_samples: see `Reconstruction`.

    Reported: `reconstruction` and `weighted_sparsity` add up to the loss; `weight` is shown beside them.

    Reference: Ng, Sparse autoencoder, CS294A lecture notes, 2011, section 3 ("kl").
    """

    part_names = ("reconstruction", "weighted_sparsity")
    monitor_names = ("weight",)

    def __init__(
        self,
        weight: float | str | schedules.Schedule = 1.0,
        penalty: str = "l1",
        rate: float | None = None,
        num_samples: int = 1,
        **kwargs: Any,
    ):
        super().__init__(num_samples, **kwargs)
        self.weight = self.scheduled("weight", weight, low=0.0)
        self.penalty = lookup("penalty", penalty, _PENALTIES)
        if penalty == "l1" and rate is not None:
            raise invalid("rate", "None with penalty 'l1', which has no target", rate, "Use penalty='kl'.")
        if penalty == "kl":
            rate = check_number("rate", _DEFAULT_RATE if rate is None else rate, above=0.0, below=1.0)
        self.rate = rate

    def parts(self, terms: Terms) -> dict[str, tf.Tensor]:
        return {**super().parts(terms), "weighted_sparsity": self.current("weight") * self._sparsity(terms)}

    def _sparsity(self, terms: Terms) -> tf.Tensor:
        codes = code(terms.q)
        if self.rate is None:
            return tf.reduce_sum(tf.abs(codes), axis=1)
        kl = tf.reduce_sum(kl_to_rate(self.rate, codes, terms.sample_weight))
        return tf.broadcast_to(kl, tf.shape(codes)[:1])

    def monitors(self, terms: Terms) -> dict[str, tf.Tensor]:
        return {"weight": self.current("weight")}
