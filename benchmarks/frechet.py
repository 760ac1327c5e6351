"""The Frechet distance between two samples, in the features of a small classifier of their kind.

Heusel et al., GANs Trained by a Two Time-Scale Update Rule, 2017, Eq. 6, with a network trained here in place
of Inception, so that nothing is downloaded: distances compare with each other, not with published ones.
"""

from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

FEATURES = 128
EPOCHS = 4
# One network for all seeds of a row, so that their distances are in the same unit.
SEED = 0


def frechet_distance(x: np.ndarray, y: np.ndarray) -> float:
    """|m_x - m_y|^2 + tr(C_x + C_y - 2 (C_x C_y)^(1/2)), of the samples' means and covariances.

    Args:
        x, y: features, `[N, D]` and `[M, D]`, at least two of each.

    Returns:
        The squared 2-Wasserstein distance of two normals with the samples' moments.
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    mean = np.sum((x.mean(axis=0) - y.mean(axis=0)) ** 2)
    # Symmetric, so that covariances without full rank, of features that are never active, do no harm:
    # C_x C_y has the eigenvalues of C_x^(1/2) C_y C_x^(1/2).
    values, vectors = np.linalg.eigh(np.atleast_2d(np.cov(x, rowvar=False)))
    root = vectors * np.sqrt(np.maximum(values, 0.0)) @ vectors.T
    other = np.atleast_2d(np.cov(y, rowvar=False))
    cross = np.linalg.eigvalsh(root @ other @ root)
    return float(mean + values.sum() + np.trace(other) - 2.0 * np.sqrt(np.maximum(cross, 0.0)).sum())


@dataclass(frozen=True)
class Features:
    """What a classifier of images sees before its last layer.

    Args:
        body: the classifier without that layer, from images `[N, H, W, C]` in [0, 1] to `[N, FEATURES]`.
        accuracy: share of the test images whose label the classifier finds.
    """

    body: keras.Model
    accuracy: float

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Features `[N, FEATURES]` of images in [0, 1]."""
        return self.body.predict(images, batch_size=1000, verbose=0)


def train(
    x: np.ndarray, y: np.ndarray, test: tuple[np.ndarray, np.ndarray], file: Path | None = None
) -> Features:
    """Trains the classifier.

    Args:
        x: images `[N, H, W, C]` in [0, 1].
        y: labels `[N]`, from 0.
        test: images and labels on which it is judged.
        file: where to keep the classifier; if it is there, it is taken from there.
    """
    if file is not None and file.exists():
        classifier = keras.models.load_model(file)
    else:
        keras.utils.set_random_seed(SEED)
        layers = keras.layers
        classifier = keras.Sequential(
            [
                keras.Input(x.shape[1:]),
                layers.Conv2D(32, 3, strides=2, padding="same", activation="relu"),
                layers.Conv2D(64, 3, strides=2, padding="same", activation="relu"),
                layers.Flatten(),
                layers.Dense(FEATURES, activation="relu", name="features"),
                layers.Dense(int(y.max()) + 1),
            ]
        )
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        classifier.compile("adam", loss, metrics=["accuracy"])
        classifier.fit(x, y, batch_size=128, epochs=EPOCHS, verbose=0)
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            classifier.save(file)
    predicted = classifier.predict(test[0], batch_size=1000, verbose=0).argmax(axis=1)
    body = keras.Model(classifier.inputs, classifier.get_layer("features").output)
    return Features(body, float(np.mean(predicted == test[1])))
