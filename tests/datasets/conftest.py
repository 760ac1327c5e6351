"""A small data set of tensorflow-datasets, prepared on the fly without a download."""

import numpy as np
import pytest

SIZES = {"train": 60, "validation": 10, "test": 20}


def tiny_image(i: int) -> np.ndarray:
    """A 6x5 colour image that tells its number: every pixel of every channel holds it."""
    return np.full((6, 5, 3), i, np.uint8)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """The folder of prepared data sets: 'tiny' (labels, own validation) and 'uneven' (sizes differ)."""
    import tensorflow_datasets as tfds

    class Tiny(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            features = {
                "image": tfds.features.Image(shape=(6, 5, 3)),
                "label": tfds.features.ClassLabel(names=["even", "odd"]),
                "facts": {"big": np.bool_, "third": np.int64, "half": np.float32},
            }
            return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

        def _split_generators(self, dl_manager):
            starts = {"train": 0, "validation": 100, "test": 200}
            return {s: self._generate_examples(starts[s], SIZES[s]) for s in SIZES}

        def _generate_examples(self, start, size):
            for i in range(start, start + size):
                facts = {"big": i >= 30, "third": i % 3, "half": i / 2}
                yield i, {"image": tiny_image(i), "label": i % 2, "facts": facts}

    class Uneven(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            features = tfds.features.FeaturesDict({"photo": tfds.features.Image()})
            return tfds.core.DatasetInfo(builder=self, features=features)

        def _split_generators(self, dl_manager):
            return {"pictures": self._generate_examples()}

        def _generate_examples(self):
            for i in range(8):
                yield i, {"photo": np.full((10 + i, 20 + i, 3), 10 * i, np.uint8)}

    class Broken(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            features = tfds.features.FeaturesDict({"image": tfds.features.Image(shape=(2, 2, 1))})
            return tfds.core.DatasetInfo(builder=self, features=features)

        def _split_generators(self, dl_manager):
            raise ConnectionError("first line\nsecond line")

        def _generate_examples(self):
            yield

    folder = tmp_path_factory.mktemp("tfds")
    Tiny(data_dir=folder).download_and_prepare()
    Uneven(data_dir=folder).download_and_prepare()
    return folder
