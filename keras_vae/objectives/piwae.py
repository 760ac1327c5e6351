"""The partially importance-weighted bound: IWAE for the decoder, MIWAE for the encoder."""

import keras
import tensorflow as tf

from keras_vae.divergences.importance import importance_bound
from keras_vae.objectives.gradients import check_reparameterized
from keras_vae.objectives.miwae import MIWAEBound
from keras_vae.objectives.terms import Terms


@keras.saving.register_keras_serializable(package="keras_vae")
class PIWAEBound(MIWAEBound):
    """IWAE of all M * K draws for decoder and prior, MIWAE of M bounds of K draws for the encoder.

    The decoder gets the tightest bound the draws afford, and the encoder the clearer signal. The value is the
    bound of the decoder, -log (1/MK) sum w, with the gradient by the encoder's parameters of `MIWAEBound`.

    Args:
        num_estimates: M, bounds per example of the encoder.
        num_samples: K, draws of z in each of them; `terms` holds M * K.
        gradient: of the encoder: "reparameterized" (default), "stl" or "dreg"; see `ImportanceWeighted`.
        annealing: see `ImportanceWeighted`.

    Reference: Rainforth et al., Tighter Variational Bounds are Not Necessarily Better, 2018, Eq. 10 to 12.
    """

    def parts(self, terms: Terms) -> dict[str, tf.Tensor]:
        check_reparameterized(terms.q, self.gradient, "'score' or 'vimco' of IWAE")
        # The decoder sees draws that carry no gradient. What the encoder is to learn through it is asked for
        # apart: its weights may be large where the decoder's have vanished, so neither can be had from the
        # other's gradient.
        with tf.GradientTape() as tape:
            fixed = terms.at(tf.stop_gradient(terms.z))
            tape.watch(fixed.z)
            # log p(x, z), of which the prior's part and log q count `annealing` times.
            annealing = self.current("annealing") if self.annealed else 1.0
            log_joint = fixed.log_px + annealing * fixed.log_pz
        log_weights = tf.stop_gradient(log_joint - annealing * terms.log_qz)
        weights = tf.reshape(tf.nn.softmax(self.grouped(log_weights), axis=0), tf.shape(log_weights))
        if self.gradient == "dreg":
            weights *= self.annealed_seconds(weights)
        weights /= self.num_estimates
        slope = tape.gradient(log_joint, fixed.z, output_gradients=weights)
        log_qz = terms.log_qz if self.gradient == "reparameterized" else terms.path_log_qz
        latent = list(range(2, terms.z.shape.rank))
        through_decoder = tf.reduce_sum(tf.stop_gradient(slope) * terms.z, axis=latent)
        encoder = tf.reduce_sum(through_decoder - weights * annealing * log_qz, axis=0)
        bound = importance_bound(log_joint - annealing * tf.stop_gradient(terms.log_qz))
        # The monitors need not decode again.
        terms.log_px, terms.log_pz = fixed.log_px, fixed.log_pz
        return {"negative_bound": -(bound + encoder - tf.stop_gradient(encoder))}
