"""A config that trains in a second, and a run of it."""

import pytest

from keras_vae import runs


@pytest.fixture(scope="session")
def tiny():
    return runs.RunConfig(
        dataset=runs.DatasetConfig("digits", binarize="dynamic", max_examples=96),
        model=runs.ModelConfig(latent_size=3, options={"hidden": [16]}),
        training=runs.TrainingConfig(epochs=2, batch_size=32, nan_guard=False),
        seed=3,
    )


@pytest.fixture(scope="session")
def trained(tiny, tmp_path_factory):
    return runs.train(tiny, tmp_path_factory.mktemp("runs") / "tiny")
