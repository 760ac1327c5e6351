"""Random bits that are equal on every device, compiled or not."""

import tensorflow as tf

_PHILOX = 1  # tf.random.Algorithm.PHILOX, as the kernels number it


def random_bits(shape: tf.Tensor | list[int], seed: tf.Tensor) -> tf.Tensor:
    """Uniform int32 values under an int32 [2] seed.

    The seed is the generator's key as it is: Philox is made for neighbouring keys, and the public
    `tf.random.stateless_*` either differ when compiled or scramble the key in dozens of
    operations, which a tf.data pipeline pays for at the start of every pass.

    Example:

    >>> random_bits([2], [0, 1]).numpy() == tf.function(random_bits, jit_compile=True)([2], [0, 1])
    <tf.Tensor: shape=(2,), dtype=bool, numpy=array([ True,  True])>
    """
    return tf.raw_ops.StatelessRandomUniformFullIntV2(
        shape=shape,
        key=tf.reshape(tf.bitcast(tf.cast(seed, tf.int32), tf.uint64), [1]),
        counter=tf.constant([0, 0], tf.uint64),
        alg=_PHILOX,
        dtype=tf.int32,
    )
