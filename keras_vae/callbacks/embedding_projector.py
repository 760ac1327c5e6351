"""The latent space in TensorBoard's Projector tab."""

import math
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_vae.callbacks import _arguments
from keras_vae.callbacks.tensorboard_images import to_unit
from keras_vae.errors import invalid
from keras_vae.models import LatentVariableModel

# What browsers take as one texture.
_MAX_SPRITE_SIDE = 8192


class EmbeddingProjector(keras.callbacks.Callback):
    """Writes posterior means, labels and thumbnails for TensorBoard's Projector: PCA, t-SNE and UMAP in 3-D.

    Files: `latents.tsv`, a row of means per example; `metadata.tsv`, labels; `sprite.png`, thumbnails in a
    square, row by row; `projector_config.pbtxt`, which tells TensorBoard of the others. Start it with
    `tensorboard --logdir LOG_DIR`.

    Args:
        log_dir: TensorBoard's folder, into which the files go.
        x: data, `[N] + event`; up to some 10,000 stay smooth in a browser.
        labels: `[N]` numbers or strings to colour by and search for; several by name, as
            `{"digit": ..., "writer": ...}`; or None.
        images: whether to show the data as thumbnails; only where they are images.
        every: epochs from one writing to the next; the end of training is always written.

    Raises:
        ValueError: for lengths that differ, `x` that does not fit the model, or a posterior without a known
            mean.

    Example:

    >>> projector = EmbeddingProjector("runs/digits/logs", np.zeros([3, 8, 8, 1]), ["a", "b", "a"])
    >>> list(projector.labels)
    ['label']
    """

    def __init__(
        self,
        log_dir: str | os.PathLike,
        x: Any,
        labels: Sequence[Any] | Mapping[str, Sequence[Any]] | None = None,
        images: bool = True,
        every: int = 1,
    ):
        super().__init__()
        self.log_dir = Path(log_dir)
        self.x = _arguments.array(x)
        self.labels = _columns(labels, len(self.x))
        self.images = images
        self.every = _arguments.whole("every", every)
        self._written = -1
        self._epoch = -1

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        _arguments.check_fits(self.model, self.x)
        _arguments.known_means(self.model, self.x[:1])
        self._written = self._epoch = -1
        self.log_dir.mkdir(parents=True, exist_ok=True)
        if self.labels:
            _write(self.log_dir / "metadata.tsv", _metadata(self.labels).encode())
        thumbnails = self._thumbnails()
        if thumbnails is not None:
            _write(self.log_dir / "sprite.png", tf.io.encode_png(sprite(thumbnails)).numpy())
        config = _config(bool(self.labels), None if thumbnails is None else thumbnails.shape[1:3])
        _write(self.log_dir / "projector_config.pbtxt", config.encode())

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._epoch = epoch
        if _arguments.is_due(epoch, self.every):
            self._write_latents()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self._written < self._epoch:
            self._write_latents()

    def _write_latents(self) -> None:
        means = _arguments.known_means(self.model, self.x)[0].reshape(len(self.x), -1)
        lines = ("\t".join(f"{value:.7g}" for value in row) for row in means.tolist())
        _write(self.log_dir / "latents.tsv", ("\n".join(lines) + "\n").encode())
        self._written = self._epoch

    def _thumbnails(self) -> np.ndarray | None:
        """uint8 `[N, h, w, C]`, thinned out where the sprite would be too large; None for other data."""
        if not self.images or not _are_images(self.x):
            return None
        return thumbnails(self.model, self.x)


def thumbnails(model: LatentVariableModel, x: np.ndarray) -> np.ndarray:
    x = x if x.ndim == 4 else x[..., np.newaxis]
    side = math.ceil(math.sqrt(len(x))) * max(x.shape[1:3])
    step = math.ceil(side / _MAX_SPRITE_SIDE)
    return np.round(255.0 * to_unit(model, x[:, ::step, ::step])).astype(np.uint8)


def sprite(images: np.ndarray) -> np.ndarray:
    """Images `[N, h, w, C]` as one, in as square a table as they make, row by row; the rest is white."""
    count, high, wide, channels = images.shape
    cols = math.ceil(math.sqrt(count))
    rows = math.ceil(count / cols)
    table = np.full((rows * cols, high, wide, channels), 255, np.uint8)
    table[:count] = images
    table = table.reshape(rows, cols, high, wide, channels).transpose(0, 2, 1, 3, 4)
    return table.reshape(rows * high, cols * wide, channels)


def _are_images(x: np.ndarray) -> bool:
    return x.ndim == 3 or (x.ndim == 4 and x.shape[-1] in (1, 3))


def _columns(labels: Sequence[Any] | Mapping[str, Sequence[Any]] | None, count: int) -> dict[str, np.ndarray]:
    if labels is None:
        return {}
    named = labels if isinstance(labels, Mapping) else {"label": labels}
    columns = {str(name): np.asarray(column) for name, column in named.items()}
    for name, column in columns.items():
        if column.shape != (count,):
            raise invalid("labels", f"{count} labels, as many as examples", f"{name} of shape {column.shape}")
    return columns


def _metadata(columns: dict[str, np.ndarray]) -> str:
    """One column has no header, several have one: so the projector reads them."""
    rows = [tuple(columns)] if len(columns) > 1 else []
    rows += zip(*(column.tolist() for column in columns.values()), strict=True)
    return "".join("\t".join(_cell(value) for value in row) + "\n" for row in rows)


def _cell(value: Any) -> str:
    """The value on one line without tabs; the projector takes no empty line."""
    return " ".join(str(value).split()) or "-"


def _config(has_labels: bool, thumbnail: tuple[int, ...] | None) -> str:
    """A ProjectorConfig message as text."""
    lines = ['  tensor_name: "latents"', '  tensor_path: "latents.tsv"']
    if has_labels:
        lines.append('  metadata_path: "metadata.tsv"')
    if thumbnail is not None:
        high, wide = thumbnail
        lines += [
            "  sprite {",
            '    image_path: "sprite.png"',
            f"    single_image_dim: {wide}",
            f"    single_image_dim: {high}",
            "  }",
        ]
    return "\n".join(["embeddings {", *lines, "}", ""])


def _write(path: Path, content: bytes) -> None:
    """Atomically, for TensorBoard may be reading."""
    handle, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.chmod(draft, 0o644)
        os.replace(draft, path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
