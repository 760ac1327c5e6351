import numpy as np
import pytest

from keras_vae import datasets

RNG = np.random.default_rng(0)


def images(n, *shape):
    return RNG.integers(0, 256, (n, *shape), np.uint8)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((6, 5), (6, 5, 1)), ((6, 5, 3), (6, 5, 3)), ((7,), (7,))],
)
def test_npy(tmp_path, shape, expected):
    x = images(20, *shape)
    np.save(tmp_path / "data.npy", x)
    splits = datasets.load(tmp_path / "data.npy", validation=0, shuffle=False)
    assert splits.image_shape == expected and splits.test is None and splits.validation is None
    np.testing.assert_array_equal(splits.arrays("train")[0].reshape(x.shape), x)
    batch = next(iter(splits.train)).numpy()
    np.testing.assert_allclose(batch, x.reshape(20, *expected) / 255.0, rtol=1e-6)


def test_npz_with_all_splits_and_labels(tmp_path):
    parts = {f"x_{s}": images(n, 4, 4) for s, n in (("train", 12), ("val", 3), ("test", 5))}
    labels = {"y" + k[1:]: RNG.integers(0, 3, len(v)) for k, v in parts.items()}
    labels["y_train"][0] = 3
    np.savez(tmp_path / "data.npz", **parts, **labels)
    splits = datasets.load(str(tmp_path / "data.npz"), labels=True)
    assert splits.sizes == {"train": 12, "validation": 3, "test": 5}
    assert splits.num_classes == 4
    for split, key in (("train", "train"), ("validation", "val"), ("test", "test")):
        x, y = splits.arrays(split)
        np.testing.assert_array_equal(x[..., 0], parts[f"x_{key}"])
        np.testing.assert_array_equal(y, labels[f"y_{key}"])


def test_npz_with_x_alone_and_image_size(tmp_path):
    np.savez(tmp_path / "data.npz", x=images(30, 8, 12, 3))
    splits = datasets.load(tmp_path / "data.npz", image_size=4, validation=6)
    assert splits.image_shape == (4, 4, 3) and splits.sizes == {"train": 24, "validation": 6}
    assert splits.arrays("train")[0].dtype == np.uint8


def test_tables_of_real_numbers_need_standard_scale(tmp_path):
    x = RNG.normal(100.0, 20.0, (100, 3))
    np.save(tmp_path / "table.npy", x)
    with pytest.raises(ValueError, match="scale='standard'"):
        datasets.load(tmp_path / "table.npy")
    splits = datasets.load(tmp_path / "table.npy", scale="standard", validation=20, shuffle=False)
    train = np.concatenate([*splits.train.as_numpy_iterator()])
    np.testing.assert_allclose(train.mean(0), 0.0, atol=1e-5)
    np.testing.assert_allclose(train.std(0), 1.0, atol=1e-5)
    # By the training set's statistics, so not centred itself.
    raw = splits.arrays("train")[0].astype(np.float64)
    held = np.concatenate([*splits.validation.as_numpy_iterator()])
    expected = (splits.arrays("validation")[0] - raw.mean(0)) / raw.std(0)
    np.testing.assert_allclose(held, expected, atol=1e-5)


def test_splits_are_stored_alike(tmp_path):
    # The black test set is bytes because the training set is, and is not taken for 0 and 1.
    np.savez(tmp_path / "data.npz", x_train=images(9, 4, 4), x_test=np.ones((3, 4, 4), int))
    x, _ = datasets.load(tmp_path / "data.npz").arrays("test")
    assert (x == 1).all()


def write_truncated(path):
    np.save(path, images(20, 4))
    path.write_bytes(path.read_bytes()[:-30])


def write_pickled(path):
    np.save(path, np.array([{"a": 1}], object), allow_pickle=True)


def write_pickled_npz(path):
    np.savez(path, x=np.array([{"a": 1}], object))


NAN = np.array([[0.5, np.nan]])


@pytest.mark.parametrize(
    ("name", "write", "message"),
    [
        ("a.npz", lambda p: np.savez(p, images=images(3, 2), z=1), r"keys \['images', 'z'\].*x_train"),
        ("a.npz", lambda p: np.savez(p, x=images(3, 2), x_train=images(3, 2)), "one key of x_train, x"),
        ("a.npz", write_pickled_npz, "without pickled objects.*a.npz.*allow_pickle=False"),
        ("a.npz", lambda p: p.write_bytes(b"PK\x03\x04 nothing"), "readable .npy or .npz"),
        (
            "a.npz",
            lambda p: np.savez(p, x_train=images(3, 4, 4), x_test=images(3, 5, 4)),
            r"splits of one shape.*\(5, 4, 1\)",
        ),
        ("a.npz", lambda p: np.savez(p, x=images(3, 2), y=np.zeros(2, int)), r"a.npz:y.*shape \(3,\)"),
        ("a.npy", write_truncated, "readable .npy"),
        ("a.npy", write_pickled, "without pickled objects"),
        ("a.npy", lambda p: p.write_bytes(b"nonsense"), "without pickled objects"),
        ("a.npy", lambda p: p.write_bytes(b""), "readable .npy"),
        ("a.npy", lambda p: np.save(p, NAN), r"a.npy:x.*nan at \(0, 1\)"),
        ("a.npy", lambda p: np.save(p, np.zeros((0, 4))), r"shape \(0, 4\)"),
        ("a.npy", lambda p: np.save(p, np.array([["a"]])), "real numbers"),
        ("a.npy", lambda p: np.save(p, images(2, 3, 3, 3, 3)), r"\[N, H, W, C\]"),
        ("a.npy", lambda p: None, "existing file or folder"),
        ("a.csv", lambda p: p.write_text("1,2"), "ending in .npy or .npz.*a.csv"),
    ],
)
def test_errors(tmp_path, name, write, message):
    write(tmp_path / name)
    with pytest.raises(ValueError, match=message) as caught:
        datasets.load(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_options_that_the_file_cannot_meet(tmp_path):
    np.save(tmp_path / "a.npy", images(4, 3))
    for options, message in (
        ({"image_size": 4}, "`image_size`"),
        ({"labels": True}, "`labels`.*no labels"),
        ({"labels": "label"}, "`labels`.*tensorflow-datasets"),
        ({"validation": 4}, "`validation`.*fewer than the 4"),
    ):
        with pytest.raises(ValueError, match=message):
            datasets.load(tmp_path / "a.npy", **options)
