"""From a name to what it stands for."""

import os
from pathlib import Path
from typing import Any

from keras_vae import errors
from keras_vae.datasets import tfds_builders
from keras_vae.datasets.array_files import array_file
from keras_vae.datasets.digits import digits
from keras_vae.datasets.image_folder import image_folder
from keras_vae.datasets.parts import ArrayPart, Source, fit_array

ARRAY_SUFFIXES = (".npy", ".npz")
_EXPECTED = "'digits', a data set of tensorflow-datasets, a folder of images, or a .npy or .npz file"


def find(
    name: str | os.PathLike,
    *,
    image_size: tuple[int, int] | None,
    data_dir: str | os.PathLike | None,
    download: bool,
    labels: bool | str,
    real: bool,
) -> Source:
    """Returns the source called `name`; see `load` for the arguments.

    A name of tensorflow-datasets goes before a folder of that name here; "./mnist" is the folder.
    """
    if not isinstance(name, (str, os.PathLike)) or not os.fspath(name):
        raise errors.invalid("name", _EXPECTED, name)
    text = os.fspath(name)
    path = Path(text).expanduser()
    if text == "digits":
        return _embedded(image_size)
    if path.suffix.lower() in ARRAY_SUFFIXES and not path.is_dir():
        return array_file(_existing(path), image_size, real)
    as_path = isinstance(name, os.PathLike) or text.startswith((".", "~", os.sep))
    if not as_path and tfds_builders.base_name(text) in tfds_builders.known_names():
        return _builder(text, data_dir, download, labels, image_size)
    if path.is_dir():
        return image_folder(path, image_size)
    if path.is_file():
        raise errors.invalid("name", "a folder, or a file ending in .npy or .npz", text)
    if as_path:
        _existing(path)
    if tfds_builders.is_prepared(text, data_dir):
        return _builder(text, data_dir, download, labels, image_size)
    raise _unknown(text)


def _embedded(image_size: tuple[int, int] | None) -> Source:
    source = digits()
    parts: dict[str, Any] = {
        split: ArrayPart(fit_array(part.x, image_size), part.y, part.stratify)
        for split, part in source.parts.items()
    }
    return Source(parts, source.class_names, source.num_classes)


def _builder(
    name: str,
    data_dir: str | os.PathLike | None,
    download: bool,
    labels: bool | str,
    image_size: tuple[int, int] | None,
) -> Source:
    return tfds_builders.tfds_source(
        name, data_dir=data_dir, download=download, labels=labels, image_size=image_size
    )


def _existing(path: Path) -> Path:
    if not path.exists():
        raise errors.invalid("name", "an existing file or folder", str(path))
    return path


def _unknown(text: str) -> ValueError:
    # The hint alone: the hundreds of known names would bury it.
    hint = errors._did_you_mean(text, ("digits", *tfds_builders.known_names()))
    return errors.invalid("name", _EXPECTED, text, hint)
