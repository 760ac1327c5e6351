"""A VAE as the Keras guides teach it: a `Sampling` layer and a Model with its own `train_step`."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from benchmarks.contenders.keras_common import FitTrainer
from benchmarks.protocol import Job


class Sampling(layers.Layer):
    """Draws z from the Normal with the given mean and log variance."""

    def __init__(self, seed: int, **kwargs) -> None:
        super().__init__(**kwargs)
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, inputs):
        mean, log_var = inputs
        noise = keras.random.normal(ops.shape(mean), seed=self.seed_generator)
        return mean + ops.exp(0.5 * log_var) * noise


def encoder(job: Job, shape: tuple[int, ...]) -> keras.Model:
    """Returns the network x -> mean, log variance, z."""
    inputs = keras.Input(shape)
    h = layers.Flatten()(inputs)
    for units in job.hidden:
        h = layers.Dense(units, activation="relu")(h)
    mean = layers.Dense(job.latent_size)(h)
    log_var = layers.Dense(job.latent_size)(h)
    return keras.Model(inputs, [mean, log_var, Sampling(job.seed)([mean, log_var])])


def decoder(job: Job, shape: tuple[int, ...]) -> keras.Model:
    """Returns the network z -> logits of the pixels."""
    inputs = keras.Input((job.latent_size,))
    h = inputs
    for units in reversed(job.hidden):
        h = layers.Dense(units, activation="relu")(h)
    logits = layers.Dense(int(np.prod(shape)))(h)
    return keras.Model(inputs, layers.Reshape(shape)(logits))


class PlainVAE(keras.Model):
    """The negative ELBO, summed over the pixels and averaged over the batch."""

    def __init__(self, encoder: keras.Model, decoder: keras.Model, **kwargs) -> None:
        super().__init__(**kwargs)
        self.encoder = encoder
        self.decoder = decoder
        self.loss_tracker = keras.metrics.Mean(name="loss")
        self.reconstruction_tracker = keras.metrics.Mean(name="reconstruction_loss")
        self.kl_tracker = keras.metrics.Mean(name="kl_loss")

    @property
    def metrics(self):
        return [self.loss_tracker, self.reconstruction_tracker, self.kl_tracker]

    def call(self, inputs):
        return self.decoder(self.encoder(inputs)[2])

    def train_step(self, data):
        x, _, _ = keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape() as tape:
            mean, log_var, z = self.encoder(x, training=True)
            logits = self.decoder(z, training=True)
            pixels = keras.losses.binary_crossentropy(x, logits, from_logits=True)
            reconstruction = ops.mean(ops.sum(pixels, axis=(1, 2)))
            divergence = -0.5 * (1 + log_var - ops.square(mean) - ops.exp(log_var))
            kl = ops.mean(ops.sum(divergence, axis=1))
            loss = reconstruction + kl
        gradients = tape.gradient(loss, self.trainable_weights)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_weights, strict=True))
        self.loss_tracker.update_state(loss)
        self.reconstruction_tracker.update_state(reconstruction)
        self.kl_tracker.update_state(kl)
        return {metric.name: metric.result() for metric in self.metrics}


def build_vae(job: Job, images: np.ndarray) -> FitTrainer:
    """Returns the compiled VAE. Keras by default uses XLA on an accelerator and not on a CPU."""
    keras.utils.set_random_seed(job.seed)
    shape = images.shape[1:]
    vae = PlainVAE(encoder(job, shape), decoder(job, shape))
    vae.compile(optimizer=keras.optimizers.Adam(job.learning_rate))
    return FitTrainer(vae, job, images)


MODELS = {"vae": build_vae}
NETWORKS = ("mlp",)
