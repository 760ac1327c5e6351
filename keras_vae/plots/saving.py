"""From a figure to a PNG."""

import io
import os
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from keras_vae.errors import invalid

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 150


def to_png(figure: "Figure", dpi: int = DPI) -> bytes:
    """Returns `figure` as the bytes of a PNG, cut to what is drawn with a small margin.

    Args:
        figure: any matplotlib figure.
        dpi: pixels per inch.

    Raises:
        ValueError: if `figure` cannot be drawn, or `dpi` is not positive.

    Example:

    >>> from keras_vae.plots import kl_per_dimension
    >>> to_png(kl_per_dimension([1.0, 0.0]))[1:4]
    b'PNG'
    """
    if not hasattr(figure, "savefig"):
        raise invalid("figure", "a matplotlib Figure", type(figure).__name__)
    if isinstance(dpi, bool) or not isinstance(dpi, (int, float)) or not 0 < dpi <= 2400:
        raise invalid("dpi", "a number in (0, 2400]", dpi)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, facecolor="white", bbox_inches="tight", pad_inches=0.12)
    return buffer.getvalue()


def save(figure: "Figure", path: str | os.PathLike, dpi: int = DPI) -> Path:
    """Writes `figure` to a PNG file, atomically: a reader sees the old file or the new one, whole.

    Args:
        figure: any matplotlib figure.
        path: file that ends in `.png`; missing folders are made, an old file is replaced.
        dpi: pixels per inch.

    Returns:
        The path.

    Raises:
        ValueError: if `path` does not end in `.png`, or `figure` cannot be drawn.

    Example:

    >>> import tempfile
    >>> from keras_vae.plots import kl_per_dimension
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(kl_per_dimension([1.0, 0.0]), f"{folder}/kl.png").name
    'kl.png'
    """
    target = Path(path)
    if target.suffix.lower() != ".png":
        raise invalid("path", "a file name that ends in .png", str(path))
    png = to_png(figure, dpi)
    target.parent.mkdir(parents=True, exist_ok=True)
    # Beside the target, because a rename is atomic only inside one file system.
    draft = target.with_name(f".{target.stem}-{uuid.uuid4().hex}.tmp")
    try:
        draft.write_bytes(png)
        os.replace(draft, target)
    finally:
        draft.unlink(missing_ok=True)
    return target
