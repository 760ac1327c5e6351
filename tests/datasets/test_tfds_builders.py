import os
import socket

import numpy as np
import pytest

from keras_vae import datasets

SIZES = {"train": 60, "validation": 10, "test": 20}  # of conftest.py's "tiny"


def numbers(x):
    return np.rint(x[:, 0, 0, 0]).astype(int)


@pytest.mark.parametrize("cache", [True, False], ids=["memory", "streamed"])
def test_own_splits(tiny, cache):
    splits = datasets.load("tiny", data_dir=tiny, labels=True, scale="bytes", batch_size=7, cache=cache)
    assert splits.sizes == SIZES and splits.image_shape == (6, 5, 3)
    assert splits.num_classes == 2 and splits.class_names == ("even", "odd")
    assert hasattr(splits.train, "resident") == cache
    for split, start in (("train", 0), ("validation", 100), ("test", 200)):
        batches = [*getattr(splits, split).as_numpy_iterator()]
        seen = numbers(np.concatenate([x for x, _ in batches]))
        assert sorted(seen) == list(range(start, start + SIZES[split]))
        np.testing.assert_array_equal(np.concatenate([y for _, y in batches]), seen % 2)
        x, y = splits.arrays(split)
        np.testing.assert_array_equal(numbers(x) % 2, y)


@pytest.mark.parametrize("cache", [True, False], ids=["memory", "streamed"])
def test_no_validation_and_max_examples(tiny, cache):
    splits = datasets.load("tiny", data_dir=tiny, validation=0, max_examples=15, cache=cache)
    assert splits.sizes == {"train": 15, "test": 15} and splits.validation is None
    assert splits.num_classes is None


@pytest.mark.parametrize("cache", [True, False], ids=["memory", "streamed"])
def test_the_only_split_is_divided_and_uneven_images_are_resized(tiny, cache):
    splits = datasets.load("uneven", data_dir=tiny, validation=0.25, image_size=4, scale="bytes", cache=cache)
    assert splits.sizes == {"train": 6, "validation": 2} and splits.test is None
    held = numbers(splits.arrays("validation")[0])
    kept = numbers(splits.arrays("train")[0])
    assert sorted([*held, *kept]) == list(range(0, 80, 10))
    assert next(iter(splits.train)).shape == (6, 4, 4, 3)


def test_other_labels(tiny):
    for label, expected in (("facts/third", lambda i: i % 3), ("facts/big", lambda i: i >= 30)):
        x, y = datasets.load("tiny", data_dir=tiny, labels=label, validation=0).arrays("train")
        np.testing.assert_array_equal(y, expected(numbers(x)))


def message_of(name, **options):
    with pytest.raises(ValueError) as caught:
        datasets.load(name, **options)
    assert "\n" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return str(caught.value)


def test_errors(tiny):
    message = message_of("tiny", data_dir=tiny, labels="facts/half")
    assert "label, facts/big, facts/third" in message
    assert "`image_size`" in message_of("uneven", data_dir=tiny)
    assert "integer feature" in message_of("uneven", data_dir=tiny, image_size=4, labels=True)
    assert "Did you mean 'mnist'?" in message_of("mnsit")
    assert "Did you mean 'digits'?" in message_of("digit")
    assert "Did you mean 'emnist/letters'?" in message_of("emnist/leters")
    assert "image feature" in message_of("imdb_reviews", data_dir=tiny)
    for name in ("", None, 3):
        assert "`name`" in message_of(name)


def test_a_failed_download_says_how_to_prepare(tiny, monkeypatch):
    message = message_of("broken", data_dir=tiny)
    assert f"tfds.load('broken', data_dir={str(tiny)!r})" in message
    assert "ConnectionError: first line second line" in message
    assert "download=False" in message_of("mnist", data_dir=tiny, download=False)

    def no_network(*args):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    for proxy in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(proxy)
    message = message_of("cifar10", data_dir=tiny)  # at once, without a dozen attempts
    assert "cannot resolve www.cs.toronto.edu" in message


def test_the_environment_names_the_folder(tiny, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tiny))
    assert datasets.load("tiny", validation=0).sizes["train"] == SIZES["train"]


@pytest.fixture(scope="module")
def mnist():
    if "TFDS_DATA_DIR" not in os.environ:
        pytest.skip("needs MNIST prepared by tensorflow-datasets in the folder TFDS_DATA_DIR")
    return datasets.load("mnist", labels=True, binarize="dynamic", download=False)


def test_mnist(mnist):
    assert mnist.sizes == {"train": 54000, "validation": 6000, "test": 10000}
    assert (mnist.num_classes, mnist.image_shape, mnist.support) == (10, (28, 28, 1), "binary")
    (x, y), (held, held_y) = mnist.arrays("train"), mnist.arrays("validation")
    # The published counts of ones and nines in the 60 000, and the mean intensity 33.3184.
    assert (y == 1).sum() + (held_y == 1).sum() == 6742
    assert (y == 9).sum() + (held_y == 9).sum() == 5949
    everything = (x.sum(dtype=np.int64) + held.sum(dtype=np.int64)) / (60000 * 784)
    assert everything == pytest.approx(33.3184, abs=1e-4)
    batch, _ = next(iter(mnist.train))
    assert set(np.unique(batch)) == {0.0, 1.0}


def test_mnist_streamed(mnist):
    splits = datasets.load("mnist", max_examples=3000, cache=False, labels=True, download=False)
    x, y = splits.arrays("test")
    test_x, test_y = mnist.arrays("test")
    np.testing.assert_array_equal(x, test_x[:3000])
    np.testing.assert_array_equal(y, test_y[:3000])
    assert sum(len(x) for x, _ in splits.train) == 2700
