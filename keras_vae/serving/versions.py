"""Versions of servables on disk: each appears whole or not at all, and none is ever replaced."""

import errno
import shutil
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from keras_vae.runs.files import DRAFT

# Drafts that nobody has written to for so long are of processes that were killed.
STALE_SECONDS = 24 * 60 * 60
# Of exports of the same name that meet, one publishes a version at a time.
_ATTEMPTS = 100
_TAKEN = (errno.ENOTEMPTY, errno.EEXIST)


@contextmanager
def drafts(homes: Mapping[str, Path]) -> Iterator[dict[str, Path]]:
    """Paths for one new version of each servable, beside its versions, where a rename is atomic.

    Servers take no heed of such names, which are no numbers. What is still there at the end is removed, with
    the folders that were made for it, and so are drafts of processes that died more than a day ago.

    Args:
        homes: the folder of each servable's versions, by any key.
    """
    with ExitStack() as undo:
        paths = {}
        for key, home in homes.items():
            _remove_stale(home)
            for made in [path for path in (home, *home.parents) if not path.exists()][::-1]:
                undo.callback(_remove_empty, made)
            paths[key] = home / f"{DRAFT}{uuid.uuid4().hex}"
            undo.callback(shutil.rmtree, paths[key], ignore_errors=True)
        yield paths


def publish(written: Mapping[str, Path], homes: Mapping[str, Path]) -> dict[str, Path]:
    """Makes the drafts the next version of their servables, the same number for all, and returns its folders.

    The first rename claims the number: it fails where another process was faster, and the next is tried.

    Raises:
        OSError: where a folder cannot be renamed; no version is left behind then.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        version = str(next_version(homes.values()))
        try:
            return _rename(written, {key: home / version for key, home in homes.items()})
        except OSError as error:
            if error.errno not in _TAKEN or attempt == _ATTEMPTS:
                raise
    raise AssertionError("unreachable")


def next_version(homes: Iterable[Path]) -> int:
    """One more than the highest version in any of these folders."""
    names = [path.name for home in homes if home.is_dir() for path in home.iterdir()]
    return 1 + max((int(name) for name in names if name.isdecimal()), default=0)


def _rename(sources: Mapping[str, Path], targets: Mapping[str, Path]) -> dict[str, Path]:
    """All or none, unless the process is killed between two."""
    with ExitStack() as undo:
        for key, source in sources.items():
            # A rename to a folder that holds something fails, so no version is replaced whoever else exports.
            source.rename(targets[key])
            undo.callback(targets[key].rename, source)
        undo.pop_all()
    return dict(targets)


def _remove_empty(folder: Path) -> None:
    with suppress(OSError):  # it holds a version, or was never made
        folder.rmdir()


def _remove_stale(home: Path) -> None:
    for draft in home.glob(f"{DRAFT}*"):
        with suppress(OSError):  # others may remove it at the same time
            newest = max(path.stat().st_mtime for path in (draft, *draft.rglob("*")))
            if time.time() - newest > STALE_SECONDS:
                shutil.rmtree(draft, ignore_errors=True)
