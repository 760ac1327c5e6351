import os

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_vae import datasets
from keras_vae.datasets import streams


def load(tiny, **options):
    return datasets.load("tiny", data_dir=tiny, batch_size=7, cache=options.pop("cache", False), **options)


def one_pass(dataset):
    return np.concatenate([*dataset.as_numpy_iterator()])


def test_draws_and_orders_repeat_by_seed(tiny):
    first, second = (load(tiny, binarize="dynamic", max_examples=20) for _ in range(2))
    epochs = [one_pass(first.train), one_pass(first.train)]
    for epoch in epochs:
        np.testing.assert_array_equal(epoch, one_pass(second.train))
    assert (epochs[0] != epochs[1]).any()
    np.testing.assert_array_equal(one_pass(first.test), one_pass(first.test))
    other = load(tiny, binarize="dynamic", max_examples=20, seed=1)
    assert (epochs[0] != one_pass(other.train)).any()
    assert len(first.train) == 3


def test_dequantized_bytes_come_back(tiny):
    splits = load(tiny, dequantize=True)
    train = one_pass(splits.train)
    assert sorted(np.floor(256.0 * train[:, 0, 0, 0])) == list(range(60))
    assert np.unique(train).size > 0.9 * train.size / 2  # 16 bits of noise, few coincide


def test_static_is_the_same_draw_in_every_order(tiny):
    splits = load(tiny, binarize="static", scale="unit")
    first, second = one_pass(splits.train), one_pass(splits.train)
    assert set(np.unique(first)) == {0.0, 1.0} and splits.support == "binary"
    assert (first != second).any()
    stored = splits.arrays("train")[0] / 255.0
    for values in (first, second):
        assert sorted(v.tobytes() for v in values) == sorted(v.tobytes() for v in stored.astype(np.float32))
    # The draws of 60 images of 90 pixels of one intensity each, 5 standard errors.
    p = np.arange(60) / 255
    expected, error = 90 * p.sum(), np.sqrt(90 * (p * (1 - p)).sum())
    assert abs(first.sum() - expected) < 5 * error


def test_threshold_and_standard(tiny):
    splits = load(tiny, binarize="threshold")
    assert one_pass(splits.test).all()  # 200 and more
    assert not one_pass(splits.train).any()
    assert (splits.arrays("test")[0] == 255).all()
    train = one_pass(load(tiny, scale="standard").train)
    np.testing.assert_allclose(train.mean((0, 1, 2)), 0.0, atol=1e-5)
    np.testing.assert_allclose(train.std((0, 1, 2)), 1.0, atol=1e-5)


def test_cache_file(tiny, tmp_path):
    splits = load(tiny, cache=tmp_path / "cache", memory_limit=0, scale="bytes")
    assert not hasattr(splits.train, "resident")
    first, second = one_pass(splits.train), one_pass(splits.train)
    assert list(tmp_path.iterdir())
    for values in (first, second):
        assert sorted(np.rint(values[:, 0, 0, 0])) == list(range(60))
    assert (first != second).any()
    # Other data never come from these files.
    other = load(tiny, cache=tmp_path / "cache", memory_limit=0, scale="bytes", max_examples=9)
    assert len(one_pass(other.train)) == 9


def test_a_cache_that_cannot_be_written_is_refused_at_the_call(tiny, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"argument `cache`.*a folder that exists.*Make the folder"):
        load(tiny, cache=tmp_path / "missing" / "cache", memory_limit=0)
    one_pass(load(tiny, cache=tmp_path / "cache", memory_limit=0).train)
    # Of any user, as root may write everywhere.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(ValueError, match=r"argument `cache`.*can be written to"):
        load(tiny, cache=tmp_path / "other", memory_limit=0)
    assert len(one_pass(load(tiny, cache=tmp_path / "cache", memory_limit=0).train)) == 60


def test_a_byte_after_black_and_white_fails_and_does_not_overflow(tmp_path, monkeypatch):
    """200 * 255 would be 56 in a byte."""
    monkeypatch.setattr(streams, "LOOKED_AT", 6)
    for number, value in enumerate([1] * 8 + [200]):
        Image.fromarray(np.full((3, 4), value, np.uint8)).save(tmp_path / f"{number}.png")
    options = {"validation": 0, "batch_size": 4, "shuffle": False, "scale": "bytes"}
    splits = datasets.load(tmp_path, cache=False, **options)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"byte above 1.*cache=True"):
        one_pass(splits.train)
    with pytest.raises(tf.errors.InvalidArgumentError, match="byte above 1"):
        splits.arrays("train")
    in_memory = one_pass(datasets.load(tmp_path, cache=True, **options).train)
    assert np.unique(in_memory).tolist() == [1.0, 200.0]
    (tmp_path / "8.png").unlink()
    assert np.unique(one_pass(datasets.load(tmp_path, cache=False, **options).train)).tolist() == [255.0]
