"""The maximum mean discrepancy against loops in float64."""

import numpy as np
import pytest
import tensorflow as tf

from keras_vae.divergences import mmd

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(6, 3)) + 0.5, RNG.normal(size=(4, 3))
SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


def kernel(name, x, y, scales, variance):
    widths = [scale * 2.0 * len(x) * variance for scale in scales]
    distance = np.sum((x - y) ** 2)
    return sum(width / (width + distance) if name == "imq" else np.exp(-distance / width) for width in widths)


def truth(x, y, name="imq", scales=SCALES, unbiased=True, variance=1.0):
    def mean(a, b, skip):
        values = [
            kernel(name, p, q, scales, variance)
            for i, p in enumerate(a)
            for j, q in enumerate(b)
            if not (skip and i == j)
        ]
        return np.mean(values)

    return mean(x, x, unbiased) + mean(y, y, unbiased) - 2.0 * mean(x, y, False)


def single(*values):
    return [tf.constant(value, tf.float32) for value in values]


@pytest.mark.parametrize("unbiased", [True, False])
@pytest.mark.parametrize("name", ["imq", "rbf"])
@pytest.mark.parametrize(("scales", "variance"), [(SCALES, 1.0), ((0.3,), 2.0)])
def test_mmd_against_loops(name, unbiased, scales, variance):
    value = mmd(*single(X, Y), name, scales, unbiased, variance)
    assert value.dtype == tf.float32
    assert float(value) == pytest.approx(truth(X, Y, name, scales, unbiased, variance), rel=1e-4)


@pytest.mark.parametrize("name", ["imq", "rbf"])
def test_gradient_against_differences(name):
    (x,) = single(X)
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = mmd(x, *single(Y), name)
    gradient, step = tape.gradient(value, x).numpy(), 1e-5
    for i, j in np.ndindex(X.shape):
        shift = np.zeros_like(X)
        shift[i, j] = step
        slope = (truth(X + shift, Y, name) - truth(X - shift, Y, name)) / (2.0 * step)
        assert gradient[i, j] == pytest.approx(slope, rel=1e-3, abs=1e-5)


def test_closed_form_of_two_points():
    """One point each: k(x, x) + k(y, y) - 2 k(x, y), with C = 2 d."""
    x, y = single([[0.0, 0.0]], [[3.0, 4.0]])
    assert float(mmd(x, y, scales=[1.0])) == pytest.approx(2.0 - 2.0 * 4.0 / (4.0 + 25.0), rel=1e-6)


def test_every_batch_is_compared_by_itself():
    x, y = single(RNG.normal(size=(2, 5, 3)), RNG.normal(size=(2, 5, 3)))
    np.testing.assert_allclose(mmd(x, y), [mmd(x[0], y[0]), mmd(x[1], y[1])], rtol=1e-5)


def test_unbiased_is_zero_on_average_and_biased_never_negative():
    x, y = single(RNG.normal(size=(400, 10, 3)), RNG.normal(size=(400, 10, 3)))
    unbiased, biased = mmd(x, y).numpy(), mmd(x, y, unbiased=False).numpy()
    error = unbiased.std() / np.sqrt(len(unbiased))
    assert abs(unbiased.mean()) < 4.0 * error < 0.05 < biased.mean()
    assert (unbiased < 0.0).any() and (biased >= 0.0).all()


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"kernel": "linear"}, "kernel"),
        ({"scales": []}, "scales"),
        ({"scales": [1.0, 0.0]}, "scales"),
        ({"scales": 1.0}, "scales"),
        ({"variance": 0.0}, "variance"),
        ({"variance": float("nan")}, "variance"),
    ],
)
def test_bad_arguments(arguments, name):
    with pytest.raises(ValueError, match=f"`{name}`"):
        mmd(*single(X, Y), **arguments)
