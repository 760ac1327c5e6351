"""A model whose every answer is known without running it, for tests of what serves it."""

from pathlib import Path

import numpy as np
import tensorflow as tf

SIZE = 3


class Affine(tf.Module):
    """y = scale * x + 1, and what else a server has to run: scalars, seeds, images, rows that are none."""

    def __init__(self, scale):
        super().__init__()
        self.scale = tf.Variable(scale, dtype=tf.float32)

    @tf.function(input_signature=[tf.TensorSpec([None, SIZE], tf.float32, "x")], autograph=False)
    def line(self, x):
        return {"y": self.scale * x + 1.0, "total": tf.reduce_sum(x, 1)}

    @tf.function(
        input_signature=[tf.TensorSpec([2], tf.int32, "seed"), tf.TensorSpec([], tf.int32, "count")],
        autograph=False,
    )
    def sample(self, seed, count):
        return {"x": tf.random.stateless_normal([count, SIZE], seed)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "image_bytes")], autograph=False)
    def brightness(self, image_bytes):
        def one(contents):
            return tf.reduce_mean(tf.cast(tf.io.decode_png(contents, 1), tf.float32))

        return {"brightness": tf.map_fn(one, image_bytes, fn_output_signature=tf.float32)}


def save(folder: Path, version: int, scale: float) -> Path:
    """Writes a version; like an export, it appears whole."""
    model = Affine(scale)
    signatures = {"serving_default": model.line, "sample": model.sample, "brightness": model.brightness}
    draft = folder / f".draft-{version}"
    tf.saved_model.save(model, str(draft), signatures=signatures)
    return draft.rename(folder / str(version))


def line(x, scale: float) -> np.ndarray:
    """What `serving_default` gives."""
    return scale * np.asarray(x, np.float32) + 1.0


def png(value: int) -> bytes:
    """An image of one brightness."""
    return tf.io.encode_png(tf.fill([2, 2, 1], tf.cast(value, tf.uint8))).numpy()
