"""The sparse autoencoder."""

from typing import Any

import keras

from keras_vae.models.latent_variable_model import LatentVariableModel
from keras_vae.objectives import SparseReconstruction
from keras_vae.priors import Prior
from keras_vae.schedules import Schedule


@keras.saving.register_keras_serializable(package="keras_vae")
class SparseAutoencoder(LatentVariableModel):
    """The autoencoder with few active units: -log p(x|z) + weight * penalty of the code c.

    c is the posterior's mean. "l1" pulls every element of every code towards 0: sum_j |c_j|. "kl" holds the
    share of the batch for which each unit is active at `rate`: sum_j KL(rate || mean of sigmoid(c_j)). Codes
    are real numbers for both; for "kl" a unit's activation is the sigmoid of its code, so that it lies in
    (0, 1). Prefer "kl" where every unit shall be used, "l1" where a code as small as possible is wanted and
    units may die. For codes larger than the data, whose units one wants to read one by one. The "l1" penalty
    is escaped by small codes and a decoder with large weights: penalise those (`kernel_regularizer`).

    Args:
        encoder, decoder, prior, num_samples, seed: see `Autoencoder`.
        weight: of the penalty, a number >= 0, a `schedules.Schedule` or its short form. With 0 the model is
            the `Autoencoder`.
        penalty: "l1" or "kl".
        rate: "kl" only: the share of examples for which a unit shall be active, in (0, 1); 0.05 if None.

    Metrics: `loss` = `reconstruction` + `weighted_sparsity`, in nats; `weight` is shown beside them.

    Raises:
        ValueError: as `Autoencoder`, for a weight below 0, an unknown penalty, a rate outside (0, 1) and a
            rate with "l1".

    Example:

    >>> import keras_vae
    >>> model = keras_vae.SparseAutoencoder.create((8, 8, 1), 100, hidden=(), penalty="kl", rate=0.1)
    >>> model.objective.rate
    0.1

    Reference: Ng, Sparse autoencoder, CS294A lecture notes, 2011, section 3.
    """

    default_posterior = "deterministic"

    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        prior: Prior | None = None,
        weight: float | str | Schedule = 1.0,
        penalty: str = "l1",
        rate: float | None = None,
        num_samples: int = 1,
        **kwargs: Any,
    ):
        objective = SparseReconstruction(weight, penalty, rate, num_samples)
        super().__init__(encoder, decoder, prior, objective, **kwargs)

    @property
    def weight(self) -> keras.Variable:
        """The present weight of the penalty: read it, or assign to it between calls of `fit`."""
        return self.objective.current("weight")

    @weight.setter
    def weight(self, value: float) -> None:
        self.objective.weight = value
