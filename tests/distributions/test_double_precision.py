"""Parameters in NumPy's float64 stay what they are."""

import numpy as np
import pytest

from keras_vae.distributions import DiscretizedLogistic, PixelCategorical


@pytest.mark.parametrize(
    "make",
    [
        lambda: DiscretizedLogistic(np.zeros(2), np.ones(2)),
        lambda: DiscretizedLogistic(0.0, np.ones(2)),
        lambda: PixelCategorical(np.zeros([2, 3])),
    ],
)
def test_parameters_keep_their_dtype(make):
    p = make()
    assert p.dtype == "float64"
    assert p.log_prob(np.ones(2)).dtype == "float64"
    assert p.mean().dtype == p.variance().dtype == "float64"


def test_numbers_are_single():
    assert DiscretizedLogistic([1, 2], 1).dtype == "float32"
    assert PixelCategorical([0.0, 1.0]).dtype == "float32"
