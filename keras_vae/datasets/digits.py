"""The embedded data set, which needs no download."""

from keras_vae.datasets.parts import ArrayPart, Source, divide

TEST_SIZE = 360


def digits() -> Source:
    """8x8 hand-written digits of scikit-learn: 1437 to train and validate, 360 to test.

    The test examples are the same whatever the seed, so that no model is tested on what another
    seed trained. Both divisions keep the proportions of the classes.
    """
    import numpy as np
    from sklearn.datasets import load_digits

    data = load_digits()
    # The sixteenths of ink become bytes, as other sets have.
    images = np.rint(data.images[..., None] * (255.0 / 16.0)).astype(np.uint8)
    labels = data.target.astype(np.int32)
    train, test = divide(len(images), TEST_SIZE, seed=0, strata=labels)
    everything = ArrayPart(images, labels, stratify=True)
    parts = {"train": everything.take(train), "test": everything.take(test)}
    return Source(parts, tuple("0123456789"), 10)
