"""The evidence lower bound."""

from typing import Any

import keras
import tensorflow as tf

from keras_vae.errors import lookup
from keras_vae.objectives.objective import Objective
from keras_vae.objectives.terms import Terms

_KL_MODES = {"auto": "auto", "exact": "exact", "sampled": "sampled"}


@keras.saving.register_keras_serializable(package="keras_vae")
class ELBO(Objective):
    """The negative evidence lower bound: -E_q[log p(x|z)] + KL(q(z|x) || p(z)).

    Args:
        kl: "exact" uses the closed form and fails where none is known; "sampled" estimates it from the draws
            that the reconstruction uses (Kingma & Welling's estimator A); "auto" (default) is exact where
            possible.
        num_samples: draws of z per example, averaged.

    Reference: Kingma & Welling, Auto-Encoding Variational Bayes, 2014, Eq. 3 (exact: estimator B, Eq. 7;
    sampled: estimator A, Eq. 6).
    """

    part_names = ("reconstruction", "kl")

    def __init__(self, kl: str = "auto", num_samples: int = 1, **kwargs: Any):
        super().__init__(num_samples, **kwargs)
        self.kl = lookup("kl", kl, _KL_MODES)

    def parts(self, terms: Terms) -> dict[str, tf.Tensor]:
        return {
            "reconstruction": -tf.reduce_mean(terms.log_px, axis=0),
            "kl": terms.kl(self.kl),
        }
