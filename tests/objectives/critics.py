"""Tables of terms with a given posterior, and critics trained alone on fresh draws."""

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae import objectives, priors

tfd = tfp.distributions


def terms_of(q, seed=(1, 2), x=None, decode=None, num_samples=1, prior=None):
    """Terms whose posterior is q, batch shape `[B]`."""
    x = tf.zeros([q.batch_shape[0], 1]) if x is None else x
    prior = prior or priors.StandardNormal(q.event_shape)
    decode = decode or (lambda z: tfd.Independent(tfd.Normal(tf.zeros([tf.shape(z)[0], 1]), 1.0), 1))
    return objectives.Terms(x, None, q, prior, decode, num_samples, tf.convert_to_tensor(seed))


def linear(weights, bias=0.0):
    """The critic `values @ weights + bias`."""
    weights = np.reshape(weights, [-1, 1])
    critic = keras.Sequential([keras.Input((len(weights),)), keras.layers.Dense(1)])
    critic.set_weights([weights, np.reshape(bias, [1])])
    return critic


def train_critic(objective, q, steps, rate):
    """Steps of Adam on the critic's own loss, each with draws of its own; the rate falls to 0."""
    objective.parts(terms_of(q))  # makes the critic
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(rate, steps), beta_1=0.5)
    weights = objective.critic.trainable_variables
    optimizer.build(weights)

    @tf.function  # XLA would take longer to compile the loop than to save
    def train():
        for step in tf.range(steps):
            terms = terms_of(q, seed=tf.stack([step, 0]))
            terms.training = True
            with tf.GradientTape() as tape:
                parts = objective.critic_parts(terms)
                loss = tf.add_n([tf.reduce_mean(part) for part in parts.values()])
            optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))

    train()
