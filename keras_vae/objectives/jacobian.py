"""Squared Frobenius norms of Jacobians, exact, per example."""

from collections.abc import Callable

import tensorflow as tf

from keras_vae.errors import invalid

Function = Callable[[tf.Tensor], tf.Tensor]


def squared_norm_by_outputs(function: Function, inputs: tf.Tensor) -> tf.Tensor:
    """sum_jk (d f_j / d x_k)^2 of every example, `[B]`: a backward pass for each output, so for few outputs.

    Args:
        function: maps `[B] + event` to `[B, K]`, each example by itself.
        inputs: x, `[B] + event`.

    Raises:
        ValueError: if f does not depend on x by operations with a derivative.
    """
    with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
        tape.watch(inputs)
        outputs = function(inputs)
    # The Jacobian of what does not depend on x would be zeros, and the penalty nothing.
    if tape.gradient(outputs, inputs) is None:
        raise invalid("encoder", "a network that can be differentiated by its input", "one that cannot")
    # Vectorised over the outputs: one program, whatever their number.
    jacobian = tape.batch_jacobian(outputs, inputs)
    return tf.reduce_sum(tf.square(jacobian), axis=range(1, jacobian.shape.rank))


def squared_norm_by_inputs(function: Function, inputs: tf.Tensor) -> tf.Tensor:
    """sum_jk (d f_j / d z_k)^2 of every example, `[B]`: a pass through f for each input, so for few inputs.

    Args:
        function: maps `[K * B, K]`, all examples again and again, to `[K * B] + event`, each row by itself.
        inputs: z, `[B, K]`.
    """
    count, size = tf.shape(inputs)[0], inputs.shape[-1]
    # Every example once for each direction, so that one pass has them all; direction by direction, as
    # conditions are spread over draws.
    repeated = tf.tile(inputs, [size, 1])
    directions = tf.repeat(tf.eye(size, dtype=inputs.dtype), count, axis=0)
    # J v as the derivative by u of <J' u, v>, which is linear in u, so that any u will do. TensorFlow's own
    # forward mode does not go through every operation in a graph.
    with tf.GradientTape(watch_accessed_variables=False) as outer:
        with tf.GradientTape(watch_accessed_variables=False) as inner:
            inner.watch(repeated)
            outputs = function(repeated)
        u = tf.zeros_like(outputs)
        outer.watch(u)
        pulled = inner.gradient(outputs, repeated, u, unconnected_gradients="zero")
    slopes = outer.gradient(pulled, u, directions, unconnected_gradients="zero")
    return tf.reduce_sum(tf.square(tf.reshape(slopes, [size, count, -1])), axis=[0, 2])
