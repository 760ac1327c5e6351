"""Folders of image files."""

import os
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import tensorflow as tf

from keras_vae import errors
from keras_vae.datasets.parts import ArrayPart, Source, divide, fit_image

EXTENSIONS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
# Sub-folders with these names, in any case, are splits; all others are classes.
SPLITS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "test": "test",
    "testing": "test",
}
# Sub-folders that stand beside splits and hold no examples: masks, labels.
_BESIDE_SPLITS = {"ground_truth", "ground-truth", "groundtruth", "mask", "masks", "annotation", "annotations"}
_EXIF_ORIENTATION = 0x0112
_GREY_MODES = {"1", "L", "LA", "I;16"}

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class FolderPart:
    """Image files of one split.

    Args:
        paths: the files.
        labels: int32 [N], or None without classes.
        shape: (height, width, channels) of the decoded images.
    """

    paths: tuple[Path, ...]
    labels: np.ndarray | None
    shape: tuple[int, int, int]

    @property
    def size(self) -> int:
        return len(self.paths)

    @property
    def labelled(self) -> bool:
        return self.labels is not None

    def cap(self, count: int, seed: int) -> "FolderPart":
        return self._take(divide(self.size, count, seed)[1]) if count < self.size else self

    def hold_out(self, count: int, seed: int) -> tuple["FolderPart", "FolderPart"]:
        kept, held = divide(self.size, count, seed)
        return self._take(kept), self._take(held)

    def _take(self, at: np.ndarray) -> "FolderPart":
        labels = None if self.labels is None else self.labels[at]
        return replace(self, paths=tuple(self.paths[i] for i in at), labels=labels)

    def read(self) -> ArrayPart:
        x = np.empty((self.size, *self.shape), np.uint8)

        def fill(i: int) -> None:
            x[i] = decode(self.paths[i], self.shape)

        _in_threads(fill, range(self.size))
        return ArrayPart(x, self.labels)

    def stream(self, seed: int | None) -> tf.data.Dataset:
        columns: dict[str, Any] = {"x": [str(path) for path in self.paths]}
        if self.labels is not None:
            columns["y"] = self.labels
        files = tf.data.Dataset.from_tensor_slices(columns)
        if seed is not None:
            files = files.shuffle(self.size, seed, reshuffle_each_iteration=True)

        def load(path: bytes) -> np.ndarray:
            return decode(Path(path.decode()), self.shape)

        def element(columns: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            image = tf.numpy_function(load, [columns["x"]], tf.uint8, stateful=False)
            return {**columns, "x": tf.ensure_shape(image, self.shape)}

        return files.map(element, num_parallel_calls=tf.data.AUTOTUNE)


def image_folder(root: Path, image_size: tuple[int, int] | None) -> Source:
    """Finds the images under a folder; sub-folders are splits (train, test, ...) or classes.

    The classes are those of all splits together: data for anomaly detection have some in the test split only.
    """
    roots = _split_roots(root)
    by_split = {split: _class_names(folder) for split, folder in roots.items()}
    class_names = _union(roots, by_split)
    files = {split: _files(folder, class_names) for split, folder in roots.items()}
    for split, (paths, _) in files.items():
        if not paths:
            raise _no_images(roots[split])
    every = [path for paths, _ in files.values() for path in paths]
    shape = _common_shape(every, image_size)
    parts = {split: FolderPart(paths, labels, shape) for split, (paths, labels) in files.items()}
    return Source(parts, class_names, None if class_names is None else len(class_names))


def decode(path: Path, shape: tuple[int, int, int]) -> np.ndarray:
    """One file as a uint8 image of `shape`, cut and resized if it has another size."""
    image = _open(path, lambda image: _pixels(_upright(image), shape[-1]))
    if image.shape != shape:
        with tf.device("CPU:0"):
            image = fit_image(image, shape[:2]).numpy()
    return image


def _upright(image: Any) -> Any:
    """The image turned as its camera was held."""
    from PIL import ImageOps

    return ImageOps.exif_transpose(image) if _orientation(image) != 1 else image


def _orientation(image: Any) -> int:
    return image.getexif().get(_EXIF_ORIENTATION, 1)


def _header(image: Any) -> tuple[int, int, str]:
    """Height, width and mode of the image once it is upright."""
    height, width = image.height, image.width
    # From 5 on, the orientations lie on their side.
    return (width, height, image.mode) if _orientation(image) >= 5 else (height, width, image.mode)


def _pixels(image: Any, channels: int) -> np.ndarray:
    if image.mode == "I;16":  # Pillow would clip the 16 bits
        grey = np.rint(np.asarray(image) / 257.0).astype(np.uint8)[..., None]
        return np.repeat(grey, channels, axis=-1)
    pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"))
    return pixels[..., None] if channels == 1 else pixels


def _open(path: Path, use: Callable[[Any], T]) -> T:
    from PIL import Image

    try:
        with Image.open(path) as image:
            return use(image)
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        reason = f"The file could not be read: {' '.join(str(error).split())}"
        raise errors.invalid("name", "readable image files", str(path), reason) from None


def _split_roots(root: Path) -> dict[str, Path]:
    """The folders of the splits, or the folder itself as "train" where its sub-folders are no splits.

    They are splits if all of them have names of splits, masks and annotations aside, or if two splits are
    among them: one alone may be a class, a picture of a train.
    """
    folders = {child.name: child for child in _folders(root)}
    splits = {name: SPLITS[name.lower()] for name in folders if name.lower() in SPLITS}
    others = [name for name in folders if name not in splits]
    data = [name for name in others if name.lower() not in _BESIDE_SPLITS]
    if "train" not in splits.values() or (data and len(splits) < 2):
        return {"train": root}
    roots: dict[str, Path] = {}
    for name, split in splits.items():
        if split in roots:
            raise errors.invalid("name", "one folder of each split", str(root), f"Twice: {name}.")
        roots[split] = folders[name]
    if others:
        warnings.warn(
            f"{root} has the splits {', '.join(splits)}. Other folders are not read: {', '.join(others)}.",
            stacklevel=2,
        )
    return roots


def _union(roots: dict[str, Path], by_split: dict[str, tuple[str, ...] | None]) -> tuple[str, ...] | None:
    """The classes of all splits; None where none has any."""
    with_classes = {split: names for split, names in by_split.items() if names is not None}
    if not with_classes:
        return None
    for split, names in by_split.items():
        if names is None and _images(roots[split], "*"):
            other, classes = next(iter(with_classes.items()))
            raise errors.invalid("name", f"the classes {classes} of {roots[other]} in {roots[split]}", "none")
    return tuple(sorted(set().union(*with_classes.values())))


def _folders(root: Path) -> list[Path]:
    """Sub-folders but for hidden ones and those that archives of a Mac bring."""
    return sorted(c for c in root.iterdir() if c.is_dir() and not c.name.startswith((".", "__MACOSX")))


def _images(folder: Path, pattern: str) -> list[Path]:
    return sorted(
        path
        for path in folder.glob(pattern)
        if path.suffix.lower() in EXTENSIONS and not path.name.startswith(".") and path.is_file()
    )


def _class_names(root: Path) -> tuple[str, ...] | None:
    names = tuple(folder.name for folder in _folders(root) if _images(folder, "**/*"))
    if names and _images(root, "*"):
        raise errors.invalid(
            "name",
            "images in the folder itself or in sub-folders, one a class, not in both",
            str(root),
        )
    return names or None


def _files(root: Path, class_names: tuple[str, ...] | None) -> tuple[tuple[Path, ...], np.ndarray | None]:
    if class_names is None:
        return tuple(_images(root, "*")), None
    by_class = [_images(root / name, "**/*") for name in class_names]
    labels = np.repeat(np.arange(len(by_class)), [len(paths) for paths in by_class])
    return tuple(path for paths in by_class for path in paths), labels.astype(np.int32)


def _no_images(root: Path) -> ValueError:
    others = sorted({path.suffix for path in root.glob("**/*") if path.is_file() and path.suffix})
    hint = f"It holds files of the unsupported kinds {', '.join(others)}." if others else ""
    return errors.invalid("name", f"a folder with images ({', '.join(EXTENSIONS)})", str(root), hint)


def _common_shape(paths: Sequence[Path], image_size: tuple[int, int] | None) -> tuple[int, int, int]:
    headers = _in_threads(lambda path: _open(path, _header), paths)
    channels = 1 if all(mode in _GREY_MODES for _, _, mode in headers) else 3
    if image_size is not None:
        return (*image_size, channels)
    height, width, _ = headers[0]
    for path, (other_height, other_width, _) in zip(paths, headers, strict=True):
        if (other_height, other_width) != (height, width):
            raise errors.invalid(
                "image_size",
                "a size, since the images differ in theirs",
                f"None, with {paths[0]} of {height}x{width} and {path} of {other_height}x{other_width}",
            )
    return height, width, channels


def _in_threads(function: Callable[[Any], T], items: Sequence[Any]) -> list[T]:
    with ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as threads:
        return list(threads.map(function, items))
