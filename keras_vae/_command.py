"""TensorFlow's start, without the noise of its native parts where this process is the command line."""

import importlib
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# What `sys.argv[0]` is of the installed command, and of `python -m keras_vae` until its module is found.
_COMMANDS = ("keras-vae", "keras-vae.exe", "-m")


def is_command() -> bool:
    """Whether this process is `keras-vae`, not a program that uses the library."""
    return bool(sys.argv) and Path(sys.argv[0]).name in _COMMANDS


def import_tensorflow() -> None:
    """Imports TensorFlow and looks for its devices.

    What native code writes to stderr meanwhile, notes on drivers and instruction sets, is shown only if the
    import fails.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _held_back_stderr():
        tensorflow = importlib.import_module("tensorflow")
        tensorflow.config.list_physical_devices()


@contextmanager
def _held_back_stderr() -> Iterator[None]:
    """Keeps what is written to file descriptor 2, and writes it there if the block fails."""
    try:
        stderr = os.dup(2)
    except OSError:  # there is no stderr
        yield
        return
    with tempfile.TemporaryFile() as held:
        sys.stderr.flush()
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(stderr, held.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
