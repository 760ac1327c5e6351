"""The base of the layers that draw: whose seeds differ between replicas, and are saved."""

from typing import Any

import keras
import tensorflow as tf

from keras_vae.distributions.draws import fold_in

_SEED_STATE = "seed_state"


class DrawingLayer(keras.layers.Layer):
    """A layer with draws of its own, from `seed_generator`, which a subclass makes if it draws at all.

    Keras saves no generators. These are saved, so what is loaded goes on with the draws that were to come.
    """

    seed_generator: keras.random.SeedGenerator

    def next_seed(self) -> tf.Tensor:
        """A new seed, int32 `[2]`; another one in every replica of a `tf.distribute` strategy."""
        return _seed_of_replica(tf.cast(self.seed_generator.next(), tf.int32))

    def save_own_variables(self, store: Any) -> None:
        super().save_own_variables(store)
        if hasattr(self, "seed_generator"):
            store[_SEED_STATE] = self.seed_generator.state.numpy()

    def load_own_variables(self, store: Any) -> None:
        variables = {key: store[key] for key in store.keys()}  # noqa: SIM118, a store is no dict
        seed_state = variables.pop(_SEED_STATE, None)
        super().load_own_variables(variables)
        if seed_state is not None:
            self.seed_generator.state.assign(seed_state)


def _seed_of_replica(seed: tf.Tensor) -> tf.Tensor:
    """Generators of replicas are copies of one."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return seed
    return fold_in(seed, context.replica_id_in_sync_group)
