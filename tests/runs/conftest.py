"""A config that trains in seconds, and a run of it."""

import pytest

from keras_vae import runs


@pytest.fixture(scope="session")
def tiny():
    # 64 examples to train on and 16 held out are whole batches, and a guard is woven into the training step:
    # so there is less to compile.
    return runs.RunConfig(
        dataset=runs.DatasetConfig("digits", binarize="dynamic", max_examples=80, validation=16),
        model=runs.ModelConfig(latent_size=3, options={"hidden": [16]}),
        training=runs.TrainingConfig(epochs=2, batch_size=32, nan_guard=False),
        seed=3,
    )


@pytest.fixture(scope="session")
def trained(tiny, without_xla, tmp_path_factory):
    with without_xla():
        return runs.train(tiny, tmp_path_factory.mktemp("runs") / "tiny")


@pytest.fixture(autouse=True)
def compile_nothing(without_xla):
    """XLA changes nothing in what runs record."""
    with without_xla():
        yield
