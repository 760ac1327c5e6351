"""The conditional variational autoencoder."""

from typing import Any

import keras

from keras_vae.errors import invalid
from keras_vae.models.conditions import condition_of
from keras_vae.models.latent_variable_model import LatentVariableModel
from keras_vae.objectives import ConditionalELBO
from keras_vae.priors import Prior
from keras_vae.schedules import Schedule


@keras.saving.register_keras_serializable(package="keras_vae")
class ConditionalVAE(LatentVariableModel):
    """The VAE of x given y, a label or any tensor: maximises a lower bound on log p(x|y).

    Prefer it for drawing examples of a chosen class, for z that leaves the condition out, and for predicting
    an x that y does not settle, such as the rest of an image. Every other model is conditional in the same
    way, with networks of two inputs; this one has a prior given y and Sohn et al.'s hybrid objective besides.

    Args:
        encoder: a Keras model from `[x, y]` that ends in a distribution layer over z.
        decoder: a Keras model from `[z, y]` that ends in a distribution layer over x. One of the two may do
            without y.
        prior: a `priors.Prior`: the same for all y, a standard normal if None, or a `ConditionalPrior`.
        alpha: share of the ELBO in the loss, from 0 to 1, or a `schedules.Schedule`; the rest goes to
            -log p(x|z, y) for z from the prior, as it is drawn in prediction.
        kl, num_samples, gradient, baseline, annealing, free_bits, seed: see `VAE`.

    `fit` takes y as its second argument; `encode`, `decode`, `reconstruct`, `sample`, `elbo` and
    `log_likelihood` take `y=`; `predict` takes `(x, y)`. `create` makes both networks conditional with
    `num_classes=` (y are class numbers) or `condition_shape=` (y are tensors).

    Metrics: `loss` = `reconstruction` + `kl`, in nats; with alpha below 1 + `prediction`, and `alpha` beside.

    Raises:
        ValueError: where no network takes a condition, and, before any training, where y is missing or does
            not fit.

    Example:

    >>> import numpy as np, keras_vae
    >>> cvae = keras_vae.ConditionalVAE.create((8, 8, 1), latent_size=2, num_classes=10, hidden=(16,))
    >>> cvae.sample(3, seed=0, y=np.array([7])).shape
    TensorShape([3, 8, 8, 1])
    >>> cvae.sample(3)
    Traceback (most recent call last):
    ...
    ValueError: Invalid value received for argument `y`. Expected: class numbers 0 to 9, of shape [batch] + \
(). Received: None. Pass it as ...

    Reference: Sohn et al., Learning Structured Output Representation using Deep Conditional Generative
    Models, 2015, Eq. 4-7.
    """

    takes_labels = True

    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        prior: Prior | None = None,
        alpha: float | str | Schedule = 1.0,
        kl: str = "auto",
        num_samples: int = 1,
        gradient: str = "auto",
        baseline: str = "auto",
        annealing: float | str | Schedule = 1.0,
        free_bits: float = 0.0,
        **kwargs: Any,
    ):
        if condition_of(encoder, decoder) is None:
            raise invalid(
                "encoder",
                "encoder or decoder to have two inputs, the second of them the condition",
                "networks of one input",
                "Pass create num_classes= or condition_shape=, or use a VAE.",
            )
        objective = ConditionalELBO(alpha, kl, num_samples, gradient, baseline, annealing, free_bits)
        super().__init__(encoder, decoder, prior, objective, **kwargs)
