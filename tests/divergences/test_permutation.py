"""Shuffles of latent dimensions over the batch."""

import numpy as np
import pytest
import tensorflow as tf

from keras_vae.divergences import permute_dimensions

Z = np.random.default_rng(0).normal(size=(7, 3, 2)).astype("float32")


def test_every_dimension_keeps_its_values_and_loses_its_partners():
    shuffled = permute_dimensions(Z, [1, 2]).numpy()
    np.testing.assert_array_equal(np.sort(shuffled, axis=0), np.sort(Z, axis=0))
    pairs = zip(np.reshape(shuffled, [7, 6]).T, np.reshape(Z, [7, 6]).T, strict=True)
    orders = {tuple(np.argmax(column[:, None] == old[None], axis=1)) for column, old in pairs}
    assert len(orders) == 6


def test_all_permutations_are_equally_likely():
    draws = [tuple(permute_dimensions(np.arange(3.0)[:, None], [i, 0]).numpy()[:, 0]) for i in range(600)]
    counts = np.unique(draws, axis=0, return_counts=True)[1]
    assert len(counts) == 6
    # Chi-squared with 5 degrees of freedom exceeds 20.5 once in a thousand.
    assert np.sum((counts - 100.0) ** 2 / 100.0) < 20.5


def test_seed_decides_also_in_compiled_code():
    compiled = tf.function(permute_dimensions, jit_compile=True)
    np.testing.assert_array_equal(permute_dimensions(Z, [1, 2]), permute_dimensions(Z, [1, 2]))
    np.testing.assert_array_equal(
        compiled(tf.constant(Z), tf.constant([1, 2])), permute_dimensions(Z, [1, 2])
    )
    assert not np.array_equal(permute_dimensions(Z, [1, 2]), permute_dimensions(Z, [1, 3]))


@pytest.mark.parametrize("count", [1, 2])
def test_small_batches(count):
    assert permute_dimensions(Z[:count], [0, 0]).shape == (count, 3, 2)
