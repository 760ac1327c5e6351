"""What every corruption must do, and the distribution of each one's noise."""

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_vae import corruptions

CASES = {
    "gaussian:0.5": corruptions.Gaussian(0.5),
    "masking:0.25": corruptions.Masking(0.25),
    "salt-and-pepper:0.4:-1:2": corruptions.SaltAndPepper(0.4, -1.0, 2.0),
}
EVERY = pytest.mark.parametrize("corruption", CASES.values(), ids=CASES)
# No value of the data is one that a corruption puts there.
X = np.random.default_rng(0).uniform(0.1, 0.9, size=(200, 500)).astype("float32")
SEED = tf.constant([3, 4])


def test_every_public_corruption_has_a_case():
    public = {getattr(corruptions, name) for name in corruptions.__all__}
    public = {kind for kind in public if inspect.isclass(kind)}
    assert public - {corruptions.Corruption} == {type(case) for case in CASES.values()}


@pytest.mark.parametrize("text", CASES)
def test_short_strings(text):
    assert repr(corruptions.get(text)) == repr(CASES[text])


def test_what_is_left_out_of_a_string_is_the_default():
    assert repr(corruptions.get("salt-and-pepper:0.4")) == "SaltAndPepper(rate=0.4, low=0.0, high=1.0)"


@EVERY
def test_round_trip(corruption):
    config = keras.saving.serialize_keras_object(corruption)
    for again in (keras.saving.deserialize_keras_object(config), corruptions.get(config)):
        assert type(again) is type(corruption)
        assert again.get_config() == corruption.get_config()
    assert corruptions.get(corruption) is corruption


@EVERY
def test_the_seed_decides(corruption):
    np.testing.assert_array_equal(corruption(X, SEED), corruption(X, SEED))
    assert not np.array_equal(corruption(X, SEED), corruption(X, tf.constant([3, 5])))


@EVERY
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_shape_and_dtype_stay(corruption, dtype):
    x = X[:, :12].astype(dtype).reshape([-1, 2, 3, 2])
    noisy = corruption(tf.constant(x), SEED)
    assert (noisy.shape, noisy.dtype) == (x.shape, dtype)
    assert not np.array_equal(noisy, x)


@EVERY
def test_examples_get_noise_of_their_own(corruption):
    x = np.full([2, 500], 0.5, "float32")
    first, second = corruption(x, SEED).numpy()
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("text", ["gaussian:0", "masking:0", "salt-and-pepper:0"])
def test_no_noise_is_the_identity(text):
    np.testing.assert_array_equal(corruptions.get(text)(X, SEED), X)


def test_gaussian_noise_is_normal():
    noise = CASES["gaussian:0.5"](X, SEED).numpy() - X
    # 100,000 draws: five standard errors of the mean, of the deviation and of the kurtosis.
    assert abs(noise.mean()) < 5 * 0.5 / np.sqrt(noise.size)
    assert abs(noise.std() - 0.5) < 5 * 0.5 / np.sqrt(2 * noise.size)
    assert abs(np.mean((noise / 0.5) ** 4) - 3.0) < 5 * np.sqrt(96.0 / noise.size)


def share_of(mask, rate):
    return abs(mask.mean() - rate) < 5 * np.sqrt(rate * (1 - rate) / mask.size)


def test_masking_hides_its_share_and_nothing_else():
    noisy = CASES["masking:0.25"](X, SEED).numpy()
    hidden = noisy == 0.0
    assert share_of(hidden, 0.25)
    np.testing.assert_array_equal(noisy[~hidden], X[~hidden])


def test_salt_and_pepper_are_equally_frequent():
    noisy = CASES["salt-and-pepper:0.4:-1:2"](X, SEED).numpy()
    low, high = noisy == -1.0, noisy == 2.0
    assert share_of(low, 0.2)
    assert share_of(high, 0.2)
    kept = ~(low | high)
    np.testing.assert_array_equal(noisy[kept], X[kept])


@pytest.mark.parametrize(
    ("identifier", "message"),
    [
        ("maskign:0.3", "Did you mean 'masking'"),
        ("masking", "'masking:rate'"),
        ("masking:0.3:1", "'masking:rate'"),
        ("masking:much", "'masking:rate'"),
        ("salt-and-pepper", r"'salt-and-pepper:rate\[:low\[:high\]\]'"),
        ("masking:1", r"`rate`.*\[0, 1\)"),
        ("masking:-0.1", "`rate`"),
        ("masking:nan", "`rate`"),
        ("gaussian:-1", "`stddev`"),
        ("gaussian:inf", "`stddev`"),
        ("salt-and-pepper:0.5:1:0", "`low`.*below high"),
        ("salt-and-pepper:0.5:1:1", "`low`"),
        (0.3, "`noise`"),
        (None, "`noise`"),
        ({"class_name": "Dense"}, "`noise`"),
    ],
)
def test_bad_identifiers(identifier, message):
    with pytest.raises(ValueError, match=message) as error:
        corruptions.get(identifier, "noise")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("rate", [True, "0.3", None])
def test_rates_are_numbers(rate):
    with pytest.raises(ValueError, match="`rate`"):
        corruptions.Masking(rate)
