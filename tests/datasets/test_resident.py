import gc

import numpy as np
import pytest
import tensorflow as tf

from keras_vae.datasets import Resident, Transform
from keras_vae.datasets.resident import draw_seed

N, BATCH = 23, 5
X = np.random.default_rng(0).integers(0, 256, (N, 4, 3), np.uint8)
Y = np.arange(N, dtype=np.int32)


def make(draw="dynamic", shuffle=True, seed=7, fresh=True):
    return Resident(X, Y, Transform(draw=draw), BATCH, shuffle, seed, fresh)


def one_pass(dataset):
    batches = list(dataset.as_numpy_iterator())
    return np.concatenate([x for x, _ in batches]), np.concatenate([y for _, y in batches])


@pytest.mark.parametrize(
    ("draw", "shuffle", "fresh"),
    [("dynamic", True, True), ("dequantize", False, True), ("dynamic", False, False)],
)
def test_one_compiled_program_makes_the_pipeline_batches(draw, shuffle, fresh):
    resident = make(draw, shuffle, fresh=fresh)

    @tf.function(jit_compile=True)
    def epoch_of(epoch):
        order = resident.order(epoch)
        starts = range(0, N, BATCH)
        ats = [order[start : start + BATCH] for start in starts]
        xs = [resident.transform(tf.gather(X, a), resident.batch_seed(epoch, i)) for i, a in enumerate(ats)]
        return tf.concat(xs, 0), tf.gather(Y, order)

    dataset = resident.to_dataset()
    for epoch in range(2):
        x, y = epoch_of(tf.constant(epoch))
        piped_x, piped_y = one_pass(dataset)
        np.testing.assert_array_equal(piped_y, y)
        np.testing.assert_allclose(piped_x, x, rtol=2e-7)  # a division's last place


def test_every_example_comes_once_an_epoch_in_a_new_order():
    dataset = make().to_dataset()
    orders = [one_pass(dataset)[1] for _ in range(3)]
    for order in orders:
        np.testing.assert_array_equal(np.sort(order), Y)
    assert not np.array_equal(orders[0], orders[1])
    assert not np.array_equal(orders[1], orders[2])


def test_order_is_uniform():
    # Where does example 0 land? 2000 epochs over 5 places: chi-squared with 4 degrees, 0.999: 18.5.
    resident = Resident(X[:5], None, Transform(), 5, True, 1)
    orders = tf.function(lambda: tf.map_fn(resident.order, tf.range(2000)))().numpy()
    counts = np.bincount(np.argwhere(orders == 0)[:, 1], minlength=5)
    assert ((counts - 400) ** 2 / 400).sum() < 18.5


def test_no_two_seeds_of_small_numbers_are_equal():
    seeds = [tuple(draw_seed(s, e, 0).numpy()) for s in range(20) for e in range(20)]
    assert len(set(seeds)) == 400
    epoch = tf.constant(2**31 - 1)  # wraps, compiled or not
    compiled = tf.function(lambda e: draw_seed(3, e, 5), jit_compile=True)
    np.testing.assert_array_equal(compiled(epoch), draw_seed(3, epoch, 5))


def test_seeds_repeat_and_differ():
    first, second, other = make(), make(), make(seed=8)
    one, two, three = (r.to_dataset() for r in (first, second, other))
    epochs = [[one_pass(d) for _ in range(2)] for d in (one, two, three)]
    for epoch in range(2):
        for a, b in zip(epochs[0][epoch], epochs[1][epoch], strict=True):
            np.testing.assert_array_equal(a, b)
    assert not np.array_equal(epochs[0][0][1], epochs[2][0][1])


def test_fresh_draws_differ_by_epoch_and_batch_and_fixed_draws_by_batch_only():
    same = np.full((2 * BATCH, 50), 128, np.uint8)
    for fresh in (True, False):
        resident = Resident(same, None, Transform(draw="dynamic"), BATCH, False, 0, fresh)
        dataset = resident.to_dataset()
        first, second = (np.stack([*dataset.as_numpy_iterator()]) for _ in range(2))
        assert not np.array_equal(first[0], first[1])
        assert np.array_equal(first, second) != fresh


def test_repeat_goes_on_to_the_next_epoch():
    dataset = make().to_dataset()
    _, y = one_pass(dataset.repeat(2))
    other = make().to_dataset()
    expected = [one_pass(other)[1] for _ in range(2)]
    np.testing.assert_array_equal(y, np.concatenate(expected))


def test_length_batches_and_spec():
    dataset = make().to_dataset()
    assert len(dataset) == make().steps == 5
    assert [len(y) for _, y in dataset] == [5, 5, 5, 5, 3]
    assert dataset.element_spec[0] == tf.TensorSpec((None, 4, 3), tf.float32)
    assert dataset.element_spec[1] == tf.TensorSpec((None,), tf.int32)
    assert dataset.resident.x is X
    assert not hasattr(dataset.map(lambda x, y: x), "resident")  # changed data are others


def test_the_pass_counter_outlives_the_dataset_it_was_made_for():
    derived = make().to_dataset().map(lambda x, y: y)
    gc.collect()
    first, second = (np.concatenate([*derived.as_numpy_iterator()]) for _ in range(2))
    assert not np.array_equal(first, second)


def test_iterator_checkpoint_resumes_within_an_epoch(tmp_path):
    dataset = make().to_dataset()
    one_pass(dataset)
    iterator = iter(dataset)
    next(iterator)
    path = tf.train.Checkpoint(iterator=iterator).write(str(tmp_path / "state"))
    expected = [y.numpy() for _, y in iterator]
    resumed = iter(make().to_dataset())
    tf.train.Checkpoint(iterator=resumed).read(path)
    np.testing.assert_array_equal(np.concatenate(expected), np.concatenate([y.numpy() for _, y in resumed]))


def test_no_labels_gives_single_tensors():
    dataset = Resident(X, None, Transform(), BATCH, False, 0).to_dataset()
    np.testing.assert_allclose(np.concatenate([*dataset.as_numpy_iterator()]), X / 255.0, rtol=1e-6)
