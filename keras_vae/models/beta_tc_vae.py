"""The beta-TCVAE."""

from typing import Any

import keras

from keras_vae.models.latent_variable_model import LatentVariableModel
from keras_vae.objectives import TotalCorrelationELBO
from keras_vae.priors import Prior
from keras_vae.schedules import Schedule


@keras.saving.register_keras_serializable(package="keras_vae")
class BetaTCVAE(LatentVariableModel):
    """The VAE that weighs the total correlation of its latent, the part of the KL that disentangling needs.

    Prefer it to `BetaVAE`: beta there also presses on the mutual information of x and z, and blurs the
    reconstruction. alpha = beta = gamma = 1 is the `VAE` with `kl="sampled"`.

    Args:
        encoder: see `VAE`; its posterior needs known marginals: independent scalars or a multivariate normal.
        decoder, prior, num_samples, seed: see `VAE`.
        dataset_size: number of examples trained on, an integer, at least a batch.
        alpha, beta, gamma: weights of mutual information, total correlation and dimension-wise KL: numbers
            >= 0, schedules, or their short forms; "linear:0:1:10000" and the like anneal.
        estimator: "weighted" or "stratified"; see `divergences.log_pair_weights`.

    Metrics: `loss` = `reconstruction` + `weighted_mi` + `weighted_tc` + `weighted_dimension_kl`, in nats;
    `mutual_information`, `total_correlation`, `dimension_kl` and `beta` are shown beside them. With
    "weighted" these carry constants of the order of log(dataset_size), which no gradient sees.

    Raises:
        ValueError: for networks that do not fit, arguments out of range, and batches above `dataset_size`.

    Example:

    >>> import keras_vae
    >>> vae = keras_vae.BetaTCVAE.create((8, 8, 1), latent_size=2, hidden=(16,), dataset_size=1000)
    >>> vae.beta.numpy()
    np.float32(6.0)

    Reference: Chen et al., Isolating Sources of Disentanglement in Variational Autoencoders, 2018, Eq. 4.
    """

    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        prior: Prior | None = None,
        *,
        dataset_size: int,
        alpha: float | str | Schedule = 1.0,
        beta: float | str | Schedule = 6.0,
        gamma: float | str | Schedule = 1.0,
        estimator: str = "weighted",
        num_samples: int = 1,
        **kwargs: Any,
    ):
        objective = TotalCorrelationELBO(dataset_size, alpha, beta, gamma, estimator, num_samples)
        super().__init__(encoder, decoder, prior, objective, **kwargs)

    @property
    def beta(self) -> keras.Variable:
        """The present weight of the total correlation: read it, or assign to it between calls of `fit`."""
        return self.objective.current("beta")

    @beta.setter
    def beta(self, value: float) -> None:
        self.objective.beta = value
