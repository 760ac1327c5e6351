"""One search at a time in a folder."""

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from keras_vae.errors import invalid

try:
    import fcntl
except ImportError:  # no such locks on Windows
    fcntl = None  # type: ignore[assignment]

LOCK = ".lock"


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keeps `folder` for this process until the block ends, or the process does, however it ends.

    Two searches, or two chiefs, that write into one folder at the same time would mix their trials. Where
    the file system knows no locks, nothing is kept.

    Raises:
        ValueError: if another search holds the folder.
    """
    with open(folder / LOCK, "a+", encoding="utf-8") as file:
        try:
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "another process"
            hint = "Wait until that search has ended, stop it, or choose another folder."
            expected = "a folder that no other search is writing into"
            raise invalid("output", expected, f"{folder}, held by {holder}", hint) from None
        except OSError:
            pass  # a file system without locks
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        yield
