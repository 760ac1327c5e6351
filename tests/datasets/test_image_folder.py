import numpy as np
import pytest
from PIL import Image

from keras_vae import datasets


def write(path, pixels, mode=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, np.uint8), mode).save(path)


def grey(value, height=6, width=5):
    return np.full((height, width), value)


@pytest.fixture
def classes(tmp_path):
    """Two classes of 10 grey images each; every image has its own shade."""
    for i in range(10):
        write(tmp_path / "cats" / f"{i}.png", grey(10 * i))
        write(tmp_path / "dogs" / "more" / f"{i}.bmp", grey(10 * i + 5))
    (tmp_path / "README.txt").write_text("not an image")
    (tmp_path / ".hidden").mkdir()
    write(tmp_path / ".hidden" / "a.png", grey(1))
    return tmp_path


def shades(splits, split):
    return splits.arrays(split)[0][:, 0, 0, 0].tolist()


@pytest.mark.parametrize("cache", [True, False], ids=["memory", "streamed"])
def test_sub_folders_are_classes(classes, cache):
    splits = datasets.load(classes, labels=True, validation=4, batch_size=3, cache=cache)
    assert splits.image_shape == (6, 5, 1)
    assert splits.class_names == ("cats", "dogs") and splits.num_classes == 2
    assert splits.sizes == {"train": 16, "validation": 4}
    x, y = splits.arrays("train")
    np.testing.assert_array_equal(y, x[:, 0, 0, 0] % 10 == 5)
    held = shades(splits, "validation")
    assert sorted(shades(splits, "train") + held) == list(range(0, 100, 5))
    for _ in range(2):
        batches = [*splits.train.as_numpy_iterator()]
        seen = np.concatenate([np.rint(255 * x[:, 0, 0, 0]) for x, _ in batches])
        labels = np.concatenate([y for _, y in batches])
        assert sorted(seen) == sorted(shades(splits, "train"))
        np.testing.assert_array_equal(labels, seen % 10 == 5)


def test_memory_and_streams_hold_the_same(classes):
    one = datasets.load(classes, cache=True)
    two = datasets.load(classes, memory_limit=0)
    assert hasattr(one.train, "resident") and not hasattr(two.train, "resident")
    for split in one.sizes:
        np.testing.assert_array_equal(one.arrays(split)[0], two.arrays(split)[0])
        assert two.arrays(split)[0] is two.arrays(split)[0]  # read once


def test_sub_folders_named_like_splits_are_splits(classes, tmp_path_factory):
    root = tmp_path_factory.mktemp("split")
    for split, count in (("train", 6), ("val", 2), ("test", 3)):
        for i in range(count):
            write(root / split / "a" / f"{i}.png", grey(i))
            if split != "test":
                write(root / split / "b" / f"{i}.png", grey(100 + i))
    splits = datasets.load(root, labels=True)
    assert splits.sizes == {"train": 12, "validation": 4, "test": 3}
    assert splits.class_names == ("a", "b")
    assert shades(splits, "test") == [0, 1, 2]


def test_image_size_cuts_the_middle_and_keeps_the_colours(tmp_path):
    pixels = np.zeros((10, 20, 3))
    pixels[:, 5:15] = (200, 100, 50)  # the middle square
    write(tmp_path / "wide.png", pixels)
    write(tmp_path / "tall.png", np.transpose(pixels, (1, 0, 2)))
    write(tmp_path / "grey.jpg", grey(77, 30, 30))
    splits = datasets.load(tmp_path, image_size=4, validation=0, shuffle=False)
    x, y = splits.arrays("train")
    assert y is None and x.shape == (3, 4, 4, 3)
    assert (np.abs(x[0].astype(int) - 77) <= 1).all()  # grey.jpg, in colour like the others
    np.testing.assert_array_equal(x[1:], np.broadcast_to([200, 100, 50], (2, 4, 4, 3)))
    assert datasets.load(tmp_path, image_size=(2, 6)).image_shape == (2, 6, 3)


def test_modes(tmp_path):
    write(tmp_path / "a.png", np.array([[[10, 255], [200, 0]]]), "LA")
    Image.fromarray(np.array([[257 * 10, 257 * 200]], np.uint16)).save(tmp_path / "b.png")
    Image.fromarray(np.array([[10, 200]], np.uint8)).save(tmp_path / "c.gif")
    x, _ = datasets.load(tmp_path, image_size=(1, 2), validation=0).arrays("train")
    np.testing.assert_array_equal(x[:2, 0, :, 0], [[10, 200]] * 2)
    assert x.shape == (3, 1, 2, x.shape[-1])


def test_black_and_white(tmp_path):
    for i in range(4):
        Image.fromarray(np.eye(4, dtype=bool)).save(tmp_path / f"{i}.png")
    for options in ({}, {"cache": False}):
        splits = datasets.load(tmp_path, validation=0, **options)
        np.testing.assert_array_equal(next(iter(splits.train))[0, ..., 0], np.eye(4))
    assert datasets.load(tmp_path, validation=0).support == "binary"


def test_max_examples(classes):
    splits = datasets.load(classes, max_examples=10, validation=0.2)
    assert splits.sizes == {"train": 8, "validation": 2}
    assert len(set(shades(splits, "train") + shades(splits, "validation"))) == 10


def message_of(root, **options):
    with pytest.raises(ValueError) as caught:
        datasets.load(root, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_errors(classes, tmp_path_factory):
    (classes / "cats" / "5.png").write_bytes((classes / "cats" / "5.png").read_bytes()[:50])
    message = message_of(classes)
    assert "readable image files" in message and "cats/5.png" in message
    (classes / "cats" / "5.png").write_bytes(b"not an image")
    assert "cats/5.png" in message_of(classes)
    write(classes / "cats" / "5.png", grey(1, 7, 8))
    message = message_of(classes)
    assert "`image_size`" in message and "0.png of 6x5" in message and "5.png of 7x8" in message
    write(classes / "loose.png", grey(1))
    assert "not in both" in message_of(classes)
    for size in (0, (1, 2, 3), 2.5, "64"):
        assert "`image_size`" in message_of(classes, image_size=size)

    empty = tmp_path_factory.mktemp("empty")
    assert ".png" in message_of(empty)
    (empty / "a.jp2").write_bytes(b"")
    assert "unsupported kinds .jp2" in message_of(empty)
    write(empty / "a.png", grey(3))
    assert "no labels" in message_of(empty, labels=True)
    assert "fewer than the 1" in message_of(empty)
    assert "existing" in message_of(empty / "nowhere")


def test_a_truncated_file_is_named_where_its_header_is_right(classes):
    path = classes / "cats" / "5.png"
    write(path, np.random.default_rng(0).integers(0, 256, (6, 5)))
    path.write_bytes(path.read_bytes()[:-25])
    assert "cats/5.png" in message_of(classes)


def test_classes_are_those_of_all_splits(tmp_path):
    for i in range(4):
        write(tmp_path / "train" / "good" / f"{i}.png", grey(i))
    write(tmp_path / "test" / "good" / "0.png", grey(10))
    write(tmp_path / "test" / "scratch" / "0.png", grey(11))
    splits = datasets.load(tmp_path, labels=True, validation=0, shuffle=False)
    assert splits.class_names == ("good", "scratch") and splits.num_classes == 2
    assert splits.sizes == {"train": 4, "test": 2}
    assert [int(y) for _, batch in splits.test for y in batch] == [0, 1]
    write(tmp_path / "validation" / "0.png", grey(12))
    assert "('good',)" in message_of(tmp_path) or "('good', 'scratch')" in message_of(tmp_path)


@pytest.mark.parametrize("names", [("train", "test"), ("Train", "Test"), ("training", "testing")])
def test_folders_beside_the_splits_are_not_read(tmp_path, names):
    train, test = names
    for i in range(4):
        write(tmp_path / train / "good" / f"{i}.png", grey(i))
    write(tmp_path / test / "good" / "0.png", grey(10))
    write(tmp_path / "ground_truth" / "good" / "0.png", grey(255))
    write(tmp_path / "__MACOSX" / train / "good" / "0.png", grey(254))
    (tmp_path / "annotations").mkdir()
    with pytest.warns(UserWarning, match="not read: annotations, ground_truth"):
        splits = datasets.load(tmp_path, labels=True, validation=0)
    assert splits.sizes == {"train": 4, "test": 1}
    assert splits.class_names == ("good",)


def test_a_class_called_train_stays_one(tmp_path):
    for name in ("car", "train"):
        for i in range(2):
            write(tmp_path / name / f"{i}.png", grey(i))
    assert datasets.load(tmp_path, labels=True, validation=0).class_names == ("car", "train")


@pytest.mark.parametrize(("orientation", "turns"), [(3, 2), (6, 3), (8, 1)])
def test_images_are_upright(tmp_path, orientation, turns):
    stored = np.arange(30, dtype=np.uint8).reshape(6, 5) * 8
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(stored).save(tmp_path / "0.png", exif=exif)
    Image.fromarray(np.rot90(stored, turns)).save(tmp_path / "1.png")
    (x,) = datasets.load(tmp_path, validation=0, shuffle=False, scale="bytes").train
    np.testing.assert_array_equal(x[0, ..., 0], np.rot90(stored, turns))
    np.testing.assert_array_equal(x[1], x[0])


@pytest.mark.parametrize("kind", ["webp", "tif", "tiff"])
def test_webp_and_tiff(tmp_path, kind):
    options = {"lossless": True} if kind == "webp" else {}
    for i in range(2):
        Image.fromarray(np.full((4, 4, 3), 40 * i + 7, np.uint8)).save(tmp_path / f"{i}.{kind}", **options)
    (x,) = datasets.load(tmp_path, validation=0, shuffle=False, scale="bytes").train
    np.testing.assert_array_equal(x[:, 0, 0, 0], [7.0, 47.0])
