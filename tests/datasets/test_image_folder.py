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
    (empty / "a.tiff").write_bytes(b"")
    assert "unsupported kinds .tiff" in message_of(empty)
    write(empty / "a.png", grey(3))
    assert "no labels" in message_of(empty, labels=True)
    assert "fewer than the 1" in message_of(empty)
    assert "existing" in message_of(empty / "nowhere")


def test_a_truncated_file_is_named_where_its_header_is_right(classes):
    path = classes / "cats" / "5.png"
    write(path, np.random.default_rng(0).integers(0, 256, (6, 5)))
    path.write_bytes(path.read_bytes()[:-25])
    assert "cats/5.png" in message_of(classes)


def test_classes_of_a_split_must_be_those_of_train(tmp_path):
    write(tmp_path / "train" / "a" / "0.png", grey(1))
    write(tmp_path / "test" / "b" / "0.png", grey(1))
    message = message_of(tmp_path)
    assert "('a',)" in message and "('b',)" in message
