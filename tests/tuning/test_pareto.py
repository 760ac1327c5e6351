"""The front against every pair, its area against counted cells."""

import itertools

import numpy as np
import pytest

from keras_vae.tuning.pareto import hypervolume, pareto_front


def dominates(a, b):
    return a[0] <= b[0] and a[1] <= b[1] and (a[0] < b[0] or a[1] < b[1])


def front_by_pairs(points):
    """Indices that no other point dominates and no earlier one equals, in the order given."""
    finite = [i for i, point in enumerate(points) if np.isfinite(point).all()]
    return [
        i
        for i in finite
        if not any(dominates(points[j], points[i]) for j in finite)
        and not any(tuple(points[j]) == tuple(points[i]) for j in finite if j < i)
    ]


def area_by_cells(points, reference):
    """Of points in whole numbers: how many unit cells up to the reference some point dominates."""
    cells = itertools.product(
        *(
            range(int(min(column.min(), end)), int(end))
            for column, end in zip(points.T, reference, strict=True)
        )
    )
    return sum(any(rate <= x and distortion <= y for rate, distortion in points) for x, y in cells)


SEEDS = range(20)


def random_points(seed):
    """Up to 30 points on a small grid, where equal figures are common, every other time with infinities."""
    rng = np.random.default_rng(seed)
    points = rng.integers(-3, 10, size=(rng.integers(1, 30), 2)).astype("float64")
    if seed % 2:
        points[rng.random(points.shape) < 0.1] = rng.choice([np.nan, np.inf, -np.inf])
    return points


def test_by_hand():
    rates = [4.0, 1.0, 2.0, 2.0, 3.0, 6.0, 4.0]
    distortions = [3.0, 9.0, 5.0, 5.0, 5.0, 3.0, 4.0]
    # The model 3 equals 2; 4 has the distortion of 2 at a higher rate, and 5 and 6 are no better than 0.
    front = pareto_front(rates, distortions)
    assert front.tolist() == [1, 2, 0]
    assert front.dtype == np.int64


@pytest.mark.parametrize("seed", SEEDS)
def test_the_front_is_what_pairs_say(seed):
    points = random_points(seed)
    assert sorted(pareto_front(*points.T)) == front_by_pairs(points)


@pytest.mark.parametrize("seed", SEEDS)
def test_along_the_front_rate_rises_and_distortion_falls(seed):
    rates, distortions = random_points(seed).T
    front = pareto_front(rates, distortions)
    assert np.all(np.diff(rates[front]) > 0)
    assert np.all(np.diff(distortions[front]) < 0)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_front_does_not_depend_on_the_order(seed):
    points = random_points(seed)
    order = np.random.default_rng(seed).permutation(len(points))
    shuffled = points[order]
    np.testing.assert_array_equal(shuffled[pareto_front(*shuffled.T)], points[pareto_front(*points.T)])
    # And the front is its own front.
    front = points[pareto_front(*points.T)]
    assert pareto_front(*front.T).tolist() == list(range(len(front)))


def test_figures_that_are_not_finite_are_never_on_the_front():
    rates = [np.nan, -np.inf, 1.0, 0.0, np.inf, 2.0]
    distortions = [0.0, 0.0, np.nan, -np.inf, 1.0, 3.0]
    assert pareto_front(rates, distortions).tolist() == [5]
    assert pareto_front(rates[:5], distortions[:5]).tolist() == []
    assert hypervolume(rates, distortions, (4.0, 4.0)) == 2.0
    # As of failed trials.
    assert pareto_front([None, 1.0], [None, 2.0]).tolist() == [1]


def test_no_models():
    assert pareto_front([], []).tolist() == []
    assert pareto_front([], []).dtype == np.int64
    assert hypervolume([], [], (1.0, 1.0)) == 0.0


def test_large_numbers_are_told_apart():
    """In float32 both distortions would be the same."""
    assert pareto_front([1.0, 2.0], [1e8 + 1.0, 1e8]).tolist() == [0, 1]


@pytest.mark.parametrize(
    ("points", "reference", "expected"),
    [
        ([(1.0, 1.0)], (3.0, 5.0), 8.0),
        # 4 x 1 and 2 x 3 that share 2 x 1, then a third that adds 1 x 1.
        ([(1.0, 4.0), (3.0, 2.0)], (5.0, 5.0), 8.0),
        ([(1.0, 4.0), (3.0, 2.0), (4.0, 1.0)], (5.0, 5.0), 9.0),
        # Dominated, doubled or no better than the reference: nothing more.
        ([(1.0, 4.0), (3.0, 2.0), (3.5, 4.5), (1.0, 4.0), (0.0, 6.0), (5.0, 0.0)], (5.0, 5.0), 8.0),
        ([(-2.0, -1.5)], (0.0, 0.5), 4.0),
        ([(5.0, 5.0)], (5.0, 5.0), 0.0),
        ([(6.0, 7.0)], (5.0, 5.0), 0.0),
    ],
)
def test_areas_by_hand(points, reference, expected):
    assert hypervolume(*zip(*points, strict=True), reference) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("reference", [(10.0, 10.0), (4.0, 6.0), (0.0, 12.0)])
@pytest.mark.parametrize("seed", SEEDS)
def test_the_area_is_that_of_counted_cells(seed, reference):
    points = random_points(seed)
    finite = points[np.isfinite(points).all(axis=1)]
    expected = area_by_cells(finite, reference) if len(finite) else 0
    assert hypervolume(*points.T, reference) == expected  # sums of whole numbers are exact


@pytest.mark.parametrize("seed", SEEDS)
def test_the_area_grows_when_a_model_joins_the_front_and_only_then(seed):
    points, reference = random_points(seed), (11.0, 11.0)
    front = pareto_front(*points.T)
    added = np.random.default_rng(seed).integers(-3, 10, size=2)
    both = np.concatenate([points, added[None]])
    before, after = hypervolume(*points.T, reference), hypervolume(*both.T, reference)
    assert (after > before) == (len(points) in pareto_front(*both.T))
    assert hypervolume(*points[front].T, reference) == before


def test_random_fractions_keep_their_area_when_rate_and_distortion_change_places():
    rng = np.random.default_rng(0)
    for _ in range(20):
        rates, distortions = rng.normal(size=(2, 15))
        area = hypervolume(rates, distortions, (1.0, 2.0))
        assert hypervolume(distortions, rates, (2.0, 1.0)) == pytest.approx(area, rel=1e-12)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (([1.0, 2.0], [1.0]), r"`distortions`\. Expected: 2 numbers, as many as rates\. Received: 1\."),
        (
            ([[1.0]], [1.0]),
            r"`rates`\. Expected: one number per model, shape \[N\]\. Received: shape \(1, 1\)",
        ),
        ((1.0, 1.0), r"`rates`.* shape \(\)"),
        ((["a"], [1.0]), "`rates`"),
        (([1.0], [[1.0], [2.0, 3.0]]), "`distortions`"),
    ],
)
def test_bad_figures_are_refused(arguments, match):
    with pytest.raises(ValueError, match=match):
        pareto_front(*arguments)
    with pytest.raises(ValueError, match=match):
        hypervolume(*arguments, (1.0, 1.0))


@pytest.mark.parametrize(
    "reference", [1.0, (1.0,), (1.0, 2.0, 3.0), (np.inf, 1.0), (1.0, np.nan), "ab", None]
)
def test_bad_references_are_refused(reference):
    with pytest.raises(ValueError, match=r"`reference`\. Expected: a rate and a distortion"):
        hypervolume([1.0], [1.0], reference)
