"""What the Keras contenders share: the clock as a callback, and a trainer around `fit`."""

import keras
import numpy as np
import tensorflow as tf

from benchmarks.protocol import EpochClock, Job


class ClockCallback(keras.callbacks.Callback):
    """Tells the clock of each epoch; it has no batch hooks, so `fit` runs as without it."""

    def __init__(self, clock: EpochClock) -> None:
        super().__init__()
        self.clock = clock

    def on_epoch_begin(self, epoch, logs=None):
        self.clock.begin()

    def on_epoch_end(self, epoch, logs=None):
        self.clock.end(float(logs["loss"]))


class FitTrainer:
    """A compiled Keras model, trained with `fit` on an array."""

    def __init__(self, model: keras.Model, job: Job, images: np.ndarray) -> None:
        self.model = model
        self.job = job
        self.images = images
        self.device = "gpu" if tf.config.list_physical_devices("GPU") else "cpu"
        if not model.built:
            model(images[:1])
        self.parameters = sum(int(np.prod(w.shape)) for w in model.trainable_weights)

    def train(self, epochs: int, clock: EpochClock) -> int:
        """Calls `fit` once."""
        before = int(self.model.optimizer.iterations)
        self.model.fit(
            self.images,
            epochs=epochs,
            batch_size=self.job.batch_size,
            verbose=0,
            callbacks=[ClockCallback(clock)],
        )
        return int(self.model.optimizer.iterations) - before
