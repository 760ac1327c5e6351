"""Data sets by name as `tf.data`, from tensorflow-datasets, folders of images, NumPy files or arrays.

Splits that fit in memory carry a `Resident`, the one definition of their order and random draws.
"""

from keras_vae.datasets.arrays import from_arrays
from keras_vae.datasets.loading import load
from keras_vae.datasets.resident import Resident
from keras_vae.datasets.semi_supervised import semi_supervised
from keras_vae.datasets.splits import Splits
from keras_vae.datasets.transforms import Statistics, Transform, bits_per_dim

__all__ = [
    "Resident",
    "Splits",
    "Statistics",
    "Transform",
    "bits_per_dim",
    "from_arrays",
    "load",
    "semi_supervised",
]
