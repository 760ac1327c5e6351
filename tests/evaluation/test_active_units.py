"""Active units on constructed cases."""

import numpy as np
import pytest

from keras_vae.evaluation import active_units


def test_good_and_collapsed_dimensions():
    rng = np.random.default_rng(0)
    scales = np.array([1.0, 0.0, 0.5, 0.05, 0.15])  # variances 1, 0, 0.25, 0.0025, 0.0225
    means = 3.0 + scales * rng.normal(size=(5000, 5))
    assert active_units(means).tolist() == [True, False, True, False, True]
    assert active_units(means, threshold=0.1).tolist() == [True, False, True, False, False]


def test_the_threshold_itself_is_not_active():
    means = np.array([[-1.0], [1.0]])  # of variance 1
    assert active_units(means, 1.0).tolist() == [False]
    assert active_units(means, np.nextafter(1.0, 0.0)).tolist() == [True]


def test_far_from_zero_in_float32():
    """The variance of 1e4 + {0, 1} is 0.25, which sums of float32 squares would miss."""
    means = (1e4 + np.tile([0.0, 1.0], 5000)[:, None]).astype("float32")
    assert active_units(means, 0.2499).tolist() == [True]
    assert active_units(means, 0.2501).tolist() == [False]


def test_latent_shapes():
    assert active_units(np.random.default_rng(0).normal(size=(10, 2, 3))).shape == (2, 3)


@pytest.mark.parametrize("means", [np.zeros((1, 3)), np.zeros((0, 3)), 1.0])
def test_needs_two_examples(means):
    with pytest.raises(ValueError, match="two or more examples"):
        active_units(means)


@pytest.mark.parametrize("threshold", [-0.1, float("nan"), "0.1", True])
def test_threshold(threshold):
    with pytest.raises(ValueError, match="`threshold`"):
        active_units(np.zeros((3, 2)), threshold)
