"""Waking the library up, without the noise of its native parts."""

import importlib
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


def load_library() -> None:
    """Imports TensorFlow and the library, which takes seconds; commands call it when they need them.

    What native code writes to stderr meanwhile, notes on drivers and instruction sets, is shown only if the
    import fails.
    """
    # "Assets written to", that no optimizer variables were restored, that many models were traced.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    if "tensorflow" in sys.modules and "keras_vae.models" in sys.modules:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _held_back_stderr():
        tensorflow = importlib.import_module("tensorflow")
        tensorflow.config.list_physical_devices()
        importlib.import_module("keras_vae.models")


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
