"""Draws from the product of marginals, made from draws of the joint."""

import tensorflow as tf

from keras_vae.distributions.draws import bits


def permute_dimensions(z: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """z whose every latent dimension is shuffled over the examples, each by a permutation of its own.

    What was a sample of q(z) becomes, nearly, one of the product over j of q(z_j): every dimension of the
    batch keeps its values and loses its partners.

    Args:
        z: `[N] + latent`.
        seed: int32 `[2]`; the same seed gives the same permutations.

    Returns:
        `[N] + latent`.

    Example:

    >>> z = tf.stack([tf.range(5.0), tf.range(5.0)], axis=1)
    >>> tf.sort(permute_dimensions(z, [0, 1]), axis=0).numpy().tolist() == z.numpy().tolist()
    True

    Reference: Kim & Mnih, Disentangling by Factorising, 2018, Algorithm 1.
    """
    count = tf.shape(z)[0]
    columns = tf.transpose(tf.reshape(z, [count, -1]))
    # Sorting random keys, since tf.random's shuffle does not compile.
    order = tf.math.top_k(bits(tf.shape(columns), seed), count).indices
    shuffled = tf.transpose(tf.gather(columns, order, axis=1, batch_dims=1))
    return tf.ensure_shape(tf.reshape(shuffled, tf.shape(z)), z.shape)
