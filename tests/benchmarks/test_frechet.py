"""The Frechet distance against closed forms and SciPy's matrix square root."""

import keras
import numpy as np
import pytest
from scipy import linalg

from benchmarks import frechet


def samples(seed: int, count: int = 200, size: int = 5) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, size)) @ rng.normal(size=(size, size)) + rng.normal(size=size)


def test_equals_the_formula_with_scipys_square_root():
    x, y = samples(0), samples(1, count=300)
    covariances = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    root = linalg.sqrtm(covariances[0] @ covariances[1])
    expected = np.sum((x.mean(0) - y.mean(0)) ** 2) + np.trace(sum(covariances) - 2 * root).real
    # Square roots of eigenvalues lose half of the digits of float64.
    assert frechet.frechet_distance(x, y) == pytest.approx(expected, rel=1e-7)


def test_of_normals_with_equal_axes_is_the_distance_of_their_deviations():
    x = samples(2)
    # Of x and a * x + b: |m - a m - b|^2 + (1 - a)^2 tr C, since the two covariances commute.
    expected = np.sum((x.mean(0) - 3.0 * x.mean(0) - 2.0) ** 2) + 4.0 * np.trace(np.cov(x, rowvar=False))
    assert frechet.frechet_distance(x, 3.0 * x + 2.0) == pytest.approx(expected, rel=1e-7)


def test_one_feature_is_the_distance_of_mean_and_deviation():
    x, y = np.array([[0.0], [2.0]]), np.array([[1.0], [7.0]])
    # Deviations sqrt(2) and sqrt(18).
    assert frechet.frechet_distance(x, y) == pytest.approx(3.0**2 + (18**0.5 - 2**0.5) ** 2)


def test_is_zero_of_itself_symmetric_and_fine_without_full_rank():
    x, y = samples(3), samples(4)
    x[:, 2] = y[:, 2] = 0.0  # a feature that is never active
    x[:, 3] = x[:, 1]
    scale = np.trace(np.cov(x, rowvar=False))
    assert frechet.frechet_distance(x, x) == pytest.approx(0.0, abs=1e-7 * scale)
    there, back = frechet.frechet_distance(x, y), frechet.frechet_distance(y, x)
    assert np.isfinite(there)
    assert there == pytest.approx(back, rel=1e-6)


def test_classifier_is_kept_in_its_file(tmp_path, monkeypatch):
    monkeypatch.setattr(frechet, "EPOCHS", 1)
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 64)
    # Dark and bright images, which one epoch of few steps need not tell apart.
    images = (0.8 * labels[:, None, None, None] + 0.1 * rng.random((64, 8, 8, 1))).astype("float32")
    file = tmp_path / "here" / "features.keras"
    first = frechet.train(images, labels, (images, labels), file)
    assert first(images).shape == (64, frechet.FEATURES)
    monkeypatch.setattr(keras.Sequential, "fit", lambda *args, **kwargs: pytest.fail("trained again"))
    second = frechet.train(images, labels, (images, labels), file)
    np.testing.assert_array_equal(second(images), first(images))
    assert second.accuracy == first.accuracy
