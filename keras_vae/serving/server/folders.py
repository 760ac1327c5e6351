"""Which folders hold the servables that a server was asked for."""

import os
from collections.abc import Iterable
from pathlib import Path

from keras_vae.errors import invalid

# What `export` adds to the name of a model.
KINDS = ("encoder", "decoder", "model")


def servables_in(folders: str | os.PathLike | Iterable[str | os.PathLike]) -> dict[str, Path]:
    """The folder of each servable by its name.

    Args:
        folders: one or several; each the folder of a servable, with a folder in it for each version, or the
            common beginning of those that `export` wrote.

    Raises:
        ValueError: if one leads to no servable, or two to servables of the same name.

    Example:

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for path in ("mnist_encoder/1", "mnist_decoder/1"):
    ...         (Path(folder) / path).mkdir(parents=True)
    ...     list(servables_in(f"{folder}/mnist")), list(servables_in([f"{folder}/mnist_decoder"]))
    (['mnist_encoder', 'mnist_decoder'], ['mnist_decoder'])
    """
    asked = [folders] if isinstance(folders, str | os.PathLike) else list(folders)
    if not asked:
        raise invalid("folders", "at least one folder", asked)
    found: dict[str, Path] = {}
    for folder in asked:
        for path in _servables(Path(folder)):
            if found.setdefault(path.name, path) != path:
                hint = "Requests name a model by the last part of its path."
                raise invalid("folders", "servables of different names", f"{found[path.name]}, {path}", hint)
    return found


def _servables(folder: Path) -> list[Path]:
    path = folder.absolute()
    if versions_in(path):
        return [path]
    halves = [path.with_name(f"{path.name}_{kind}") for kind in KINDS] if path.name else []
    existing = [half for half in halves if versions_in(half)]
    if not existing:
        expected = "the folder of a servable, with versions 1, 2, ..., or the name given to export"
        raise invalid("folders", expected, str(folder), "keras-vae export writes such folders.")
    return existing


def versions_in(folder: Path) -> dict[int, Path]:
    """The versions in a servable's folder: the folders that are named by a number of 64 bits."""
    if not folder.is_dir():
        return {}
    paths = (path for path in folder.iterdir() if path.name.isascii() and path.name.isdecimal())
    numbered = {int(path.name): path for path in paths if len(path.name) < 20 and path.is_dir()}
    return {number: path for number, path in numbered.items() if number < 2**63}
