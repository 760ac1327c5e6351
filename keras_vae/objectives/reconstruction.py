"""The objective of the autoencoder, and what the objectives that add a penalty to it share."""

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae.errors import invalid
from keras_vae.layers.deterministic import is_deterministic
from keras_vae.objectives.objective import Objective
from keras_vae.objectives.terms import Terms

tfd = tfp.distributions


@keras.saving.register_keras_serializable(package="keras_vae")
class Reconstruction(Objective):
    """The negative reconstruction term alone: -E_q[log p(x|z)], in nats.

    With a deterministic posterior it is -log p(x|z) at the code z of x. It is the ELBO without its KL, so
    with a normal posterior the scales shrink towards 0.

    Args:
        num_samples: draws of z per example, averaged; 1 with a deterministic posterior.

    Raises:
        ValueError: from `parts`, and so from the constructor of a model, for several draws from a
            deterministic posterior, and for a prior with weights to train, which nothing here would train.

    Reference: Hinton & Salakhutdinov, Reducing the Dimensionality of Data with Neural Networks, 2006.
    """

    part_names: tuple[str, ...] = ("reconstruction",)

    def parts(self, terms: Terms) -> dict[str, tf.Tensor]:
        if self.num_samples > 1 and is_deterministic(terms.q):
            raise invalid(
                "num_samples", "1, since all draws from a deterministic posterior are equal", self.num_samples
            )
        if terms.prior.trainable_weights:
            raise invalid(
                "prior",
                "a prior without weights to train, since this objective does not compare latents with it",
                type(terms.prior).__name__,
                "Leave it out, and call the model's fit_prior after training.",
            )
        return {"reconstruction": -tf.reduce_mean(terms.log_px, axis=0)}


def code(q: tfd.Distribution) -> tf.Tensor:
    """The code of every example, the mean of q(z|x), flattened: `[B, K]`.

    Raises:
        ValueError: if the mean is not known.
    """
    try:
        mean = q.mean()
    except NotImplementedError as error:
        raise invalid("encoder", "a posterior whose mean is known", type(q).__name__) from error
    return tf.reshape(mean, [-1, q.event_shape.num_elements()])
