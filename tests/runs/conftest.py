"""A config that trains in seconds, and a run of it."""

import pytest

from keras_vae import LatentVariableModel, runs


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
    return runs.train(tiny, tmp_path_factory.mktemp("runs") / "tiny")


@pytest.fixture(scope="session", autouse=True)
def without_xla():
    """Compiling takes most of the time of a small training, and changes nothing in what runs record."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LatentVariableModel, "jit_compile_by_default", lambda self: False)
        yield
