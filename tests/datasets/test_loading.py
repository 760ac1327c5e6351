import numpy as np
import pytest

from keras_vae import datasets


def one_pass(dataset):
    return np.concatenate([*dataset.as_numpy_iterator()])


@pytest.fixture(scope="module")
def digits():
    return datasets.load("digits", labels=True)


def test_digits_are_bytes_of_all_the_data(digits):
    from sklearn.datasets import load_digits

    x = np.concatenate([digits.arrays(split)[0] for split in digits.sizes])
    assert x.dtype == np.uint8 and x.max() == 255 and x.shape == (1797, 8, 8, 1)
    sixteenths = np.rint(x[..., 0] * (16 / 255))
    original = load_digits().images
    assert sorted(map(bytes, sixteenths.astype(np.uint8))) == sorted(map(bytes, original.astype(np.uint8)))


def test_digits_are_stratified(digits):
    everything = np.concatenate([digits.arrays(split)[1] for split in digits.sizes])
    for split, size in digits.sizes.items():
        counts = np.bincount(digits.arrays(split)[1], minlength=10)
        assert (np.abs(counts - size * np.bincount(everything) / 1797) <= 1.5).all()


def test_the_test_set_is_the_same_whatever_the_seed(digits):
    other = datasets.load("digits", seed=5, validation=100)
    np.testing.assert_array_equal(other.arrays("test")[0], digits.arrays("test")[0])
    assert (other.arrays("train")[0][:50] != digits.arrays("train")[0][:50]).any()


@pytest.mark.parametrize(("validation", "count"), [(0.1, 10), (7, 7), (1, 1), (0.001, 1), (0.99, 99)])
def test_validation_and_train_partition_the_data(tmp_path, validation, count):
    x = np.arange(100, dtype=np.uint8)[:, None]
    np.save(tmp_path / "numbers.npy", x)
    splits = datasets.load(tmp_path / "numbers.npy", validation=validation, seed=3)
    train, held = (splits.arrays(split)[0][:, 0] for split in ("train", "validation"))
    assert len(held) == count
    np.testing.assert_array_equal(np.sort(np.concatenate([train, held])), np.arange(100))
    permutation = np.random.default_rng(3).permutation(100)
    np.testing.assert_array_equal(held, np.sort(permutation[100 - count :]))
    again = datasets.load(tmp_path / "numbers.npy", validation=validation, seed=3, labels=False)
    np.testing.assert_array_equal(again.arrays("validation")[0][:, 0], held)
    other = datasets.load(tmp_path / "numbers.npy", validation=validation, seed=4)
    assert count > 50 or set(other.arrays("validation")[0][:, 0]) != set(held)


def test_same_seed_same_epochs():
    one, two = (datasets.load("digits", binarize="dynamic", seed=2) for _ in range(2))
    first = one_pass(one.train)
    np.testing.assert_array_equal(first, one_pass(two.train))
    second = one_pass(one.train)
    assert (first != second).any()
    np.testing.assert_array_equal(second, one_pass(two.train))
    for split in ("validation", "test"):
        np.testing.assert_array_equal(one_pass(getattr(one, split)), one_pass(getattr(one, split)))
        np.testing.assert_array_equal(one_pass(getattr(one, split)), one_pass(getattr(two, split)))
    other = datasets.load("digits", binarize="dynamic", seed=3)
    assert (one_pass(other.test) != one_pass(one.test)).any()


def test_dynamic_training_means_are_the_intensities(tmp_path):
    image = datasets.load("digits").arrays("test")[0][0]
    np.save(tmp_path / "same.npy", np.tile(image, (3000, 1, 1, 1)))
    splits = datasets.load(tmp_path / "same.npy", binarize="dynamic")
    for split in ("train", "validation"):
        draws = one_pass(getattr(splits, split))
        p = image / 255.0
        # 64 pixels at 4 standard errors: one seed in 250 has an outlier by chance.
        assert (np.abs(draws.mean(0) - p) <= 4 * np.sqrt(p * (1 - p) / len(draws))).all()


@pytest.mark.parametrize("how", ["static", "threshold"])
def test_fixed_binarisation_is_the_same_every_epoch(how):
    splits = datasets.load("digits", binarize=how, shuffle=False)
    first = one_pass(splits.train)
    assert splits.support == "binary" and set(np.unique(first)) == {0.0, 1.0}
    np.testing.assert_array_equal(first, one_pass(splits.train))
    np.testing.assert_array_equal(first, splits.arrays("train")[0] / 255)
    if how == "threshold":
        plain = datasets.load("digits", shuffle=False)
        np.testing.assert_array_equal(first, one_pass(plain.train) > 0.5)


def test_shuffle_covers_every_example_once(digits):
    labels = [np.concatenate([y for _, y in digits.train]) for _ in range(2)]
    assert (labels[0] != labels[1]).any()
    for epoch in labels:
        np.testing.assert_array_equal(np.bincount(epoch), np.bincount(digits.arrays("train")[1]))
    ordered = datasets.load("digits", shuffle=False, scale="bytes")
    np.testing.assert_array_equal(one_pass(ordered.train), ordered.arrays("train")[0])
    np.testing.assert_array_equal(one_pass(ordered.test), ordered.arrays("test")[0])


def test_dequantized_bytes_come_back():
    splits = datasets.load("digits", dequantize=True, shuffle=False)
    first, second = one_pass(splits.train), one_pass(splits.train)
    assert (first != second).any()
    np.testing.assert_array_equal(np.floor(256.0 * first), splits.arrays("train")[0])
    np.testing.assert_array_equal(np.floor(256.0 * second), splits.arrays("train")[0])


@pytest.mark.parametrize(
    ("scale", "support"),
    [("unit", "unit"), ("bytes", "bytes"), ("symmetric", "real"), ("standard", "real")],
)
def test_scales_and_their_support(scale, support):
    splits = datasets.load("digits", scale=scale, shuffle=False)
    assert splits.support == support
    x = one_pass(splits.train)
    np.testing.assert_allclose(splits.transform.to_unit(x), splits.arrays("train")[0] / 255.0, atol=1e-6)
    if scale == "standard":  # by the training images alone
        assert abs(x.mean()) < 1e-5 < abs(one_pass(splits.test).mean())


def test_datasets_carry_their_resident(digits):
    for split in ("train", "validation", "test"):
        dataset = getattr(digits, split)
        assert dataset.resident.x is digits.arrays(split)[0]
        assert dataset.resident.shuffle == dataset.resident.fresh == (split == "train")
        assert len(dataset) == dataset.resident.steps
    seeds = {getattr(digits, split).resident.seed for split in digits.sizes}
    assert len(seeds) == 3


def test_labels_and_sizes(digits):
    assert digits.num_classes == 10 and digits.class_names == tuple("0123456789")
    x, y = next(iter(digits.train))
    assert x.shape == (128, 8, 8, 1) and y.dtype == "int32"
    unlabelled = datasets.load("digits")
    assert unlabelled.num_classes is None
    np.testing.assert_array_equal(unlabelled.arrays("test")[1], digits.arrays("test")[1])
    assert datasets.load("digits", image_size=16).image_shape == (16, 16, 1)
    small = datasets.load("digits", max_examples=50, validation=0.2)
    assert small.sizes == {"train": 40, "validation": 10, "test": 50}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"binarize": "statik"}, "Did you mean 'static'"),
        ({"scale": "byte"}, "Did you mean 'bytes'"),
        ({"scale": "symmetric", "binarize": "dynamic"}, "`scale`"),
        ({"scale": "standard", "dequantize": True}, "`scale`"),
        ({"binarize": "dynamic", "dequantize": True}, "`dequantize`"),
        ({"validation": 1.0}, "`validation`"),
        ({"validation": -0.1}, "`validation`"),
        ({"validation": float("nan")}, "`validation`"),
        ({"validation": True}, "`validation`"),
        ({"validation": "10%"}, "`validation`"),
        ({"validation": 1437}, "`validation`.*fewer than the 1437"),
        ({"validation": -1}, "`validation`"),
        ({"batch_size": 0}, "`batch_size`"),
        ({"batch_size": "8"}, "`batch_size`"),
        ({"max_examples": 0}, "`max_examples`"),
        ({"seed": -3}, "`seed`"),
        ({"image_size": -2}, "`image_size`"),
        ({"labels": "label"}, "`labels`"),
        ({"labels": 1}, "`labels`"),
        ({"cache": 1}, "`cache`"),
        ({"memory_limit": -1}, "`memory_limit`"),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message) as caught:
        datasets.load("digits", **options)
    assert "\n" not in str(caught.value)


def test_an_unknown_split_is_an_error(digits):
    with pytest.raises(ValueError, match="Did you mean 'validation'"):
        digits.arrays("valid")
    with pytest.raises(ValueError, match="`split`"):
        datasets.load("digits", validation=0).arrays("validation")
