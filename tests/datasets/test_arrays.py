import numpy as np
import pytest

from keras_vae.datasets import Statistics, from_arrays

BYTES = np.random.default_rng(0).integers(0, 256, (40, 3, 2), np.uint8)


def values(dataset):
    return np.concatenate([*dataset.as_numpy_iterator()])


@pytest.mark.parametrize(
    "x",
    [BYTES, BYTES.astype(np.int64), BYTES / 255.0, (BYTES / 255.0).astype(np.float32)],
    ids=["uint8", "int64", "float64", "float32"],
)
def test_bytes_are_recognised_whatever_their_dtype(x):
    dataset = from_arrays(x, shuffle=False)
    np.testing.assert_array_equal(dataset.resident.x, BYTES)
    assert dataset.resident.x.dtype == np.uint8
    np.testing.assert_allclose(values(dataset), BYTES / 255.0, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, bool, np.float32])
def test_zeros_and_ones_are_black_and_white(dtype):
    x = (BYTES > 100).astype(dtype)
    dataset = from_arrays(x, shuffle=False)
    np.testing.assert_array_equal(values(dataset), x)
    assert dataset.resident.transform.support == "binary"
    np.testing.assert_array_equal(values(from_arrays(x, shuffle=False, scale="bytes")), 255.0 * x)


def test_other_floats_are_kept():
    x = np.random.default_rng(1).random((40, 3))
    dataset = from_arrays(x, shuffle=False)
    assert dataset.resident.x.dtype == np.float32
    np.testing.assert_allclose(values(dataset), x, rtol=1e-6)
    dynamic = values(from_arrays(x, binarize="dynamic"))
    assert set(np.unique(dynamic)) == {0.0, 1.0}
    with pytest.raises(ValueError, match="`dequantize`"):
        from_arrays(x, dequantize=True)


def test_real_values_are_standardised_by_given_statistics():
    x = np.random.default_rng(1).normal(5.0, 3.0, (200, 2))
    train = values(from_arrays(x, scale="standard", shuffle=False))
    np.testing.assert_allclose(train.mean(0), 0.0, atol=1e-6)
    np.testing.assert_allclose(train.std(0), 1.0, atol=1e-6)
    other = from_arrays(x, scale="standard", shuffle=False, statistics=Statistics((1.0, 2.0), (2.0, 4.0)))
    np.testing.assert_allclose(values(other), (x - [1, 2]) / [2, 4], rtol=1e-5, atol=1e-6)


def test_labels():
    x, y = next(iter(from_arrays(BYTES, np.arange(40)[:, None] % 3, shuffle=False)))
    np.testing.assert_array_equal(y, np.arange(40) % 3)
    assert y.dtype == "int32" and len(x) == 40


def test_evaluation_draws_are_the_same_every_pass():
    dataset = from_arrays(BYTES, dequantize=True, shuffle=False, training=False)
    np.testing.assert_array_equal(values(dataset), values(dataset))
    training = from_arrays(BYTES, dequantize=True, shuffle=False)
    assert (values(training) != values(training)).any()


def test_evaluation_keeps_the_order_so_that_examples_keep_their_draws():
    half = np.tile(np.arange(20, dtype=np.uint8)[:, None] * 3 + 100, (1, 500))
    dataset = from_arrays(half, np.arange(20), binarize="dynamic", batch_size=6, training=False)
    first, second = ([*dataset.as_numpy_iterator()] for _ in range(2))
    for (x, y), (again, same) in zip(first, second, strict=True):
        np.testing.assert_array_equal(x, again)
        np.testing.assert_array_equal(y, same)
    assert np.concatenate([y for _, y in first]).tolist() == list(range(20))
    trained = [y for _, y in from_arrays(half, np.arange(20)).as_numpy_iterator()]
    assert np.concatenate(trained).tolist() != list(range(20))


def test_fixed_binarisations_are_stored_binary():
    for how in ("static", "threshold"):
        dataset = from_arrays(BYTES, binarize=how, shuffle=False)
        assert set(np.unique(dataset.resident.x)) == {0, 255}
        first = values(dataset)
        np.testing.assert_array_equal(first, dataset.resident.x / 255)
        np.testing.assert_array_equal(first, values(dataset))


NAN = np.ones((4, 3))
NAN[2, 1] = np.nan


@pytest.mark.parametrize(
    ("x", "options", "message"),
    [
        (np.zeros((0, 3)), {}, "`x`.*examples"),
        (np.zeros(5), {}, "`x`.*examples"),
        (np.array([["a"]]), {}, "`x`.*real numbers.*dtype <U1"),
        (np.zeros((2, 2), complex), {}, "`x`.*complex128"),
        ([[1], [1, 2]], {}, "`x`.*dtype object"),
        (NAN, {}, r"`x`.*finite.*nan at \(2, 1\)"),
        (np.array([[300]]), {}, r"integers in 0..255.*\[300, 300\]"),
        (np.array([[-1]]), {}, "integers in 0..255"),
        (np.array([[0.0, 7.5]]), {}, r"floats in \[0, 7.5\].*cast to uint8"),
        (BYTES, {"y": np.zeros(3, int)}, r"`y`.*shape \(40,\)"),
        (BYTES, {"y": np.zeros(40)}, "`y`.*float64"),
        (BYTES, {"y": np.full(40, -1)}, "`y`.*-1"),
        (BYTES, {"binarize": "dynamik"}, "`binarize`.*Did you mean 'dynamic'"),
        (BYTES, {"scale": "units"}, "`scale`.*Did you mean 'unit'"),
        (BYTES, {"scale": "bytes", "binarize": "static"}, "`scale`.*'unit' when `binarize`"),
        (BYTES, {"scale": "bytes", "dequantize": True}, "`scale`.*'unit' when `dequantize`"),
        (BYTES, {"binarize": "static", "dequantize": True}, "`dequantize`"),
        (BYTES, {"batch_size": 0}, "`batch_size`"),
        (BYTES, {"batch_size": 2.0}, "`batch_size`"),
        (BYTES, {"seed": -1}, "`seed`"),
        (BYTES, {"seed": True}, "`seed`"),
        (BYTES, {"shuffle": True, "training": False}, "`shuffle`.*`training` is False"),
    ],
)
def test_errors(x, options, message):
    with pytest.raises(ValueError, match=message) as caught:
        from_arrays(x, **options)
    assert "\n" not in str(caught.value)
