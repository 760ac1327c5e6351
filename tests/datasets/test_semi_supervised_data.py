"""Few labels among many examples."""

import numpy as np
import pytest

from keras_vae import datasets

X = np.random.default_rng(0).random((103, 4)).astype("float32")
Y = np.arange(103) % 10


def test_keeps_as_many_labels_of_each_class():
    kept = datasets.semi_supervised(X, Y, num_labels=30, batch_size=20).resident.y
    assert np.bincount(kept[kept >= 0]).tolist() == [3] * 10
    np.testing.assert_array_equal(kept[kept >= 0], Y[kept >= 0])
    other = datasets.semi_supervised(X, Y, num_labels=30, batch_size=20, seed=1).resident.y
    assert not np.array_equal(kept, other)


def test_every_batch_holds_labelled_examples_and_no_example_comes_early():
    data = datasets.semi_supervised(X, Y, num_labels=20, labelled_per_batch=5, batch_size=20)
    batches = list(data)
    assert [len(y) for _, y in batches] == [20, 20, 20, 20, 20, 3]
    assert [int((y.numpy() >= 0).sum()) for _, y in batches] == [5, 5, 5, 5, 5, 3]
    order = data.resident.order(0).numpy()
    labelled = order[data.resident.y[order] >= 0]
    assert len(set(labelled[:20])) == 20  # all before any again
    others = order[data.resident.y[order] < 0]
    assert len(set(others)) == len(others)
    for (x, y), start in zip(batches, range(0, 103, 20), strict=True):
        rows = data.resident.order(0).numpy()[start : start + 20]
        np.testing.assert_allclose(x, X[rows], atol=1e-6)
        np.testing.assert_array_equal(y, data.resident.y[rows])


def test_orders_differ_from_epoch_to_epoch_and_follow_the_seed():
    data = datasets.semi_supervised(X, Y, num_labels=20, batch_size=20).resident
    again = datasets.semi_supervised(X, Y, num_labels=20, batch_size=20).resident
    assert not np.array_equal(data.order(0), data.order(1))
    np.testing.assert_array_equal(data.order(1), again.order(1))


def test_labels_that_are_unknown_already_stay_so():
    y = np.where(np.arange(103) < 10, Y, -1)
    data = datasets.semi_supervised(X, y, batch_size=16)
    assert (data.resident.y >= 0).sum() == 10
    assert [int((y.numpy() >= 0).sum()) for _, y in data][:3] == [2, 2, 2]


def test_all_labelled():
    data = datasets.semi_supervised(X, Y, batch_size=20)
    assert sorted(data.resident.order(0).numpy()) == list(range(103))


def test_counts_of_numpy_are_counts():
    kept = datasets.semi_supervised(X, Y, np.int64(30), np.int32(5), batch_size=20).resident
    expected = datasets.semi_supervised(X, Y, 30, 5, batch_size=20).resident
    np.testing.assert_array_equal(kept.y, expected.y)
    np.testing.assert_array_equal(kept.order(0), expected.order(0))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"num_labels": True}, "multiple of the 10 classes"),
        ({"num_labels": np.float64(10.0)}, "multiple of the 10 classes"),
        ({"labelled_per_batch": True}, "from 1 to 20"),
        ({"shuffle": False}, "`shuffle`"),
        ({"num_labels": 25}, "multiple of the 10 classes"),
        ({"num_labels": 0}, "multiple of the 10 classes"),
        ({"num_labels": 200}, "at most"),
        ({"labelled_per_batch": 0}, "from 1 to 20"),
        ({"labelled_per_batch": 21}, "from 1 to 20"),
        ({"y": np.full(103, -1)}, "with a label"),
        ({"y": np.full(103, -2)}, "label"),
        ({"y": Y[:50]}, "103"),
        ({"y": Y / 2}, "class numbers"),
    ],
)
def test_bad_arguments_are_refused(changes, words):
    arguments = {"x": X, "y": Y, "batch_size": 20, **changes}
    with pytest.raises(ValueError, match=words):
        datasets.semi_supervised(**arguments)
