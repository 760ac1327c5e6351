import numpy as np
import pytest
import tensorflow as tf

from keras_vae.datasets import Statistics, Transform, bits_per_dim
from keras_vae.datasets.transforms import DRAWS, SCALES, binarize_fixed

SEED = tf.constant([3, 4])
BYTES = np.arange(256, dtype=np.uint8).reshape(256, 1)


def compiled(transform):
    return tf.function(transform, jit_compile=True)


@pytest.mark.parametrize("draw", DRAWS)
def test_draws_are_equal_compiled_or_not(draw):
    # Bits and not floats are drawn for this; dividing may differ in the last place.
    x = np.random.default_rng(0).integers(0, 256, (33, 5, 3), np.uint8)
    transform = Transform(draw=draw)
    np.testing.assert_allclose(compiled(transform)(x, SEED), transform(x, SEED), rtol=2e-7)
    again, other = transform(x, SEED), transform(x, tf.constant([3, 5]))
    np.testing.assert_array_equal(transform(x, SEED), again)
    assert (draw in ("dynamic", "dequantize")) == bool(np.any(other != again))


@pytest.mark.parametrize(
    ("scale", "low", "high", "expected"),
    [
        ("unit", 0.0, 1.0, BYTES / 255.0),
        ("bytes", 0.0, 255.0, BYTES.astype(float)),
        ("symmetric", -1.0, 1.0, BYTES / 127.5 - 1.0),
    ],
)
def test_scales(scale, low, high, expected):
    transform = Transform(scale=scale)
    for function in (transform, compiled(transform)):
        result = function(BYTES, SEED).numpy()
        np.testing.assert_allclose(result, expected, atol=1e-6)
        assert result.dtype == np.float32
        assert (result.min(), result.max()) == (low, high)  # exactly
    # Floats in [0, 1] give the same.
    unit = (BYTES / 255.0).astype(np.float32)
    np.testing.assert_allclose(transform(unit, SEED), expected, rtol=1e-6, atol=1e-6)


def test_bytes_stay_exact_integers():
    for function in (Transform(scale="bytes"), compiled(Transform(scale="bytes"))):
        np.testing.assert_array_equal(function(BYTES, SEED), BYTES)


def test_standard_is_standardised_per_channel():
    x = np.random.default_rng(1).integers(0, 200, (500, 4, 4, 2)).astype(np.uint8)
    x[..., 1] //= 4
    statistics = Statistics.of(np.array_split(x, 7))
    unit = x.astype(np.float64) / 255.0
    np.testing.assert_allclose(statistics.mean, unit.mean((0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(statistics.std, unit.std((0, 1, 2)), rtol=1e-12)
    result = Transform("standard", statistics=statistics)(x, SEED).numpy()
    np.testing.assert_allclose(result.mean((0, 1, 2), np.float64), 0.0, atol=1e-6)
    np.testing.assert_allclose(result.std((0, 1, 2), np.float64), 1.0, atol=1e-6)


def test_statistics_survive_a_large_mean_and_a_constant_channel():
    x = np.stack([1e6 + np.arange(100) % 2, np.full(100, 7.0)], axis=-1)
    statistics = Statistics.of(np.array_split(x, 3))
    np.testing.assert_allclose(statistics.mean, [1e6 + 0.5, 7.0])
    np.testing.assert_allclose(statistics.std, [0.5, 1.0])


@pytest.mark.parametrize("scale", SCALES)
def test_to_unit_undoes_the_scale(scale):
    statistics = Statistics((0.3,), (0.2,))
    transform = Transform(scale, statistics=statistics)
    np.testing.assert_allclose(transform.to_unit(transform(BYTES, SEED)), BYTES / 255.0, atol=1e-6)


def test_dynamic_mean_is_the_intensity():
    draws = 4000
    x = np.repeat(BYTES.T, draws, axis=0)
    result = Transform(draw="dynamic")(x, SEED).numpy()
    assert set(np.unique(result)) == {0.0, 1.0}
    p = BYTES[:, 0] / 255.0
    error = np.sqrt(p * (1 - p) / draws)
    # 256 pixels at 4 standard errors: about one in 60 seeds has an outlier by chance.
    assert (np.abs(result.mean(0) - p) <= 4 * error).all()
    assert (result[:, 0] == 0).all() and (result[:, 255] == 1).all()


def test_dequantized_floor_recovers_the_bytes():
    x = np.repeat(BYTES, 5000, axis=1)  # wide enough for noise next to 1
    transform = Transform(draw="dequantize")
    for function in (transform, compiled(transform)):
        result = function(x, SEED).numpy()
        assert result.min() >= 0.0 and result.max() < 1.0
        np.testing.assert_array_equal(np.floor(result * 256.0), x)
    noise = result * 256.0 - x
    # Uniform noise: mean 1/2 and variance 1/12, each to 5 standard errors.
    n = noise.size
    assert abs(noise.mean(dtype=np.float64) - 0.5) < 5 * np.sqrt(1 / 12 / n)
    assert abs(noise.var(dtype=np.float64) - 1 / 12) < 5 * np.sqrt(1 / 180 / n)


def test_neighbouring_seeds_are_uncorrelated():
    # Neighbours in the first number are epochs, in the second batches; 5 standard errors.
    x = np.full((100, 1000), 128, np.uint8)
    seeds = [(5, 0), (5, 1), (6, 0), (6, 1), (5, -1), (0, 0)]
    noise = [256 * Transform(draw="dequantize")(x, tf.constant(s)).numpy() - 128.5 for s in seeds]
    products = np.corrcoef([n.ravel() for n in noise]) - np.eye(len(seeds))
    assert np.abs(products).max() < 5 / np.sqrt(x.size)


def test_threshold():
    result = Transform(draw="threshold")(BYTES, SEED).numpy()
    np.testing.assert_array_equal(result, BYTES >= 128)
    np.testing.assert_array_equal(binarize_fixed(BYTES, "threshold", 0), 255 * (BYTES >= 128))


def test_static_has_the_intensity_as_its_mean():
    x = np.repeat(BYTES.T, 4000, axis=0)
    result = binarize_fixed(x, "static", seed=1)
    np.testing.assert_array_equal(result, binarize_fixed(x, "static", seed=1))
    assert (result != binarize_fixed(x, "static", seed=2)).any()
    p = BYTES[:, 0] / 255.0
    assert (np.abs((result / 255).mean(0) - p) <= 4 * np.sqrt(p * (1 - p) / 4000)).all()


def test_support():
    assert Transform().support == "unit"
    assert Transform(draw="dynamic").support == "binary"
    assert Transform(draw="threshold").support == "binary"
    assert Transform(draw="dequantize").support == "unit"
    assert Transform("bytes").support == "bytes"
    assert Transform("symmetric").support == "real"


def test_bits_per_dim_of_known_densities():
    # A density of 1 over [0, 1) says nothing about the byte: 8 bits. Discrete nats just convert.
    assert bits_per_dim(0.0, (3, 2)) == pytest.approx(8.0)
    assert bits_per_dim(6 * np.log(2.0), (3, 2), levels=1) == pytest.approx(1.0)
    # A density uniform over one byte's cell makes the byte certain: no bits.
    assert bits_per_dim(-6 * np.log(256.0), (3, 2)) == pytest.approx(0.0)


def test_errors():
    with pytest.raises(ValueError, match="Did you mean 'unit'"):
        Transform(scale="unti")
    with pytest.raises(ValueError, match="Did you mean 'dynamic'"):
        Transform(draw="dynamik")
    with pytest.raises(ValueError, match="`statistics`"):
        Transform("standard")(BYTES, SEED)
    with pytest.raises(ValueError, match="`event_shape`"):
        bits_per_dim(1.0, (0, 3))
