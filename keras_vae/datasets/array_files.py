"""Arrays in NumPy's files."""

import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from keras_vae import errors
from keras_vae.datasets.arrays import as_labels, as_stored
from keras_vae.datasets.parts import ArrayPart, Source, fit_array

# The keys of a .npz file that may hold a split's examples; labels are called y accordingly.
KEYS = {
    "train": ("x_train", "x"),
    "validation": ("x_validation", "x_valid", "x_val"),
    "test": ("x_test",),
}


def array_file(path: Path, image_size: tuple[int, int] | None, real: bool) -> Source:
    """Reads a .npy file ([N, H, W], [N, H, W, C] or [N, D]) or a .npz file (keys as in `KEYS`)."""
    content = _read(path)
    x = _examples(path, content)
    if "train" not in x:
        accepted = ", ".join(key for keys in KEYS.values() for key in keys)
        hint = f"The accepted keys are {accepted}, and the same with y for labels."
        raise errors.invalid(
            "name", "a .npz file with a key x or x_train", f"{path} with keys {[*content]}", hint
        )
    stored, _ = as_stored(
        {split: content[key] for split, key in x.items()},
        {split: f"{path}:{key}" for split, key in x.items()},
        real,
    )
    parts = {}
    for split, key in x.items():
        images = _as_images(f"{path}:{key}", stored[split], image_size)
        y = content.get("y" + key[1:])
        labels = None if y is None else as_labels(f"{path}:y{key[1:]}", y, len(images))
        parts[split] = ArrayPart(images, labels)
    shapes = {split: part.shape for split, part in parts.items()}
    if len(set(shapes.values())) > 1:
        raise errors.invalid("name", "splits of one shape", f"{path} with shapes {shapes}")
    return Source(parts)


def _read(path: Path) -> dict[str, Any]:
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return {"x": loaded}
        with loaded:
            return {key: loaded[key] for key in loaded.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, pickle.UnpicklingError) as error:
        reason = f"The file could not be read: {' '.join(str(error).split())}"
        expected = "a readable .npy or .npz file without pickled objects"
        raise errors.invalid("name", expected, str(path), reason) from None


def _examples(path: Path, content: dict[str, Any]) -> dict[str, str]:
    found = {split: [key for key in keys if key in content] for split, keys in KEYS.items()}
    for keys in found.values():
        if len(keys) > 1:
            raise errors.invalid("name", f"one key of {', '.join(keys)}", str(path))
    return {split: keys[0] for split, keys in found.items() if keys}


def _as_images(received: str, x: np.ndarray, image_size: tuple[int, int] | None) -> np.ndarray:
    if x.ndim > 4:
        raise errors.invalid(received, "[N, H, W], [N, H, W, C] or [N, D]", f"shape {x.shape}")
    if x.ndim == 2:
        if image_size is not None:
            raise errors.invalid("image_size", "None for data [N, D]", image_size)
        return x
    return fit_array(x[..., None] if x.ndim == 3 else x, image_size)
