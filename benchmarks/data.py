"""The images every contender is trained on: `python -m benchmarks.data KIND COUNT SEED FILE`.

A process of its own, so that what it imports stays out of the controller.
"""

import sys
from collections.abc import Callable

import numpy as np

SIDE = 28


def synthetic(count: int, seed: int) -> np.ndarray:
    """Returns one random stroke per image, with about MNIST's share of ink.

    Args:
        count: number of images.
        seed: of the generator.

    Returns:
        float32 [count, 28, 28, 1] in [0, 1].
    """
    rng = np.random.default_rng(seed)
    along = np.linspace(0.0, 1.0, 16)
    bezier = np.stack([(1 - along) ** 2, 2 * along * (1 - along), along**2])  # [3, T]
    images = np.empty((count, SIDE, SIDE, 1), np.float32)
    for begin in range(0, count, 1000):
        size = min(1000, count - begin)
        path = rng.uniform(4.0, SIDE - 5.0, (size, 2, 3)) @ bezier  # [N, 2, T]
        width = rng.uniform(1.0, 1.8, (size, 1, 1, 1))
        pixels = np.arange(SIDE)[:, None]
        bumps = np.exp(-0.5 * ((pixels - path[:, :, None, :]) / width) ** 2)  # [N, 2, 28, T]
        ink = bumps[:, 0] @ bumps[:, 1].transpose(0, 2, 1)
        images[begin : begin + size, ..., 0] = np.clip(ink, 0.0, 1.0)
    return images


def mnist(count: int, seed: int) -> np.ndarray:
    """Returns the first training images of MNIST from tensorflow-datasets (`TFDS_DATA_DIR`)."""
    import tensorflow_datasets as tfds

    del seed  # the images are given
    images = tfds.as_numpy(tfds.load("mnist", split=f"train[:{count}]", batch_size=-1))["image"]
    return images.astype(np.float32) / 255.0


SOURCES: dict[str, Callable[[int, int], np.ndarray]] = {"synthetic": synthetic, "mnist": mnist}


if __name__ == "__main__":
    kind, count, seed, file = sys.argv[1:5]
    np.save(file, SOURCES[kind](int(count), int(seed)))
