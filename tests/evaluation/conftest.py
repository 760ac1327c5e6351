"""Models that trace quickly: XLA takes seconds to compile what these tests run for milliseconds."""

import pytest

from tests.oracles import LinearGaussian


@pytest.fixture(scope="session")
def oracle():
    return LinearGaussian.make()


@pytest.fixture(scope="session")
def without_xla():
    """Marks a model as one that XLA cannot compile."""

    def mark(model):
        model.encoder.supports_jit = False
        return model

    return mark


@pytest.fixture(scope="session")
def exact(oracle, without_xla):
    """The encoder is the exact posterior."""
    return without_xla(oracle.build())


@pytest.fixture(scope="session")
def wide(oracle, without_xla):
    """The encoder is 1.4 times too wide and off by 0.1."""
    return without_xla(oracle.build(widen=1.4, shift=0.1))
