"""Dropout that is quick in a compiled step."""

import keras
import tensorflow as tf

from keras_vae.distributions import draws
from keras_vae.layers.drawing_layer import DrawingLayer


@keras.saving.register_keras_serializable(package="keras_vae")
class Dropout(DrawingLayer, keras.layers.Dropout):
    """`keras.layers.Dropout` with the random generator that XLA is quick at on a CPU.

    Keras leaves the choice to TensorFlow, whose generator takes most of a compiled training step there. In
    all else this is Keras' layer, and the one to take for networks of your own that train on a CPU. Beyond
    it, the state of the seed is saved with the model, and replicas drop units of their own.

    Args:
        rate: share of the units dropped in training, in [0, 1].
        noise_shape: shape of the mask, None where it is that of the inputs, such as `(None, 1, 1, None)` to
            drop whole channels of `[B, H, W, C]` (Tompson et al. 2015), what `keras.layers.SpatialDropout2D`
            does; None to drop units one by one.
        seed: an integer; random by default, and reproducible after `keras.utils.set_random_seed`.

    Reference: Srivastava et al., Dropout: A Simple Way to Prevent Neural Networks from Overfitting, 2014.

    Example:

    >>> import numpy as np
    >>> Dropout(0.5)(np.ones([2, 3], "float32"), training=False).numpy().tolist()
    [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]
    """

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        if not training or not self.rate:
            return inputs
        if self.rate == 1.0:
            return tf.zeros_like(inputs)
        return draws.dropout(inputs, self.rate, self.next_seed(), self.noise_shape)
