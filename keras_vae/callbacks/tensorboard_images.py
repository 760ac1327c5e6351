"""What a model of images draws, in TensorBoard's Images tab."""

import os
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from keras_vae.callbacks import _arguments
from keras_vae.evaluation import posterior_statistics
from keras_vae.models import LatentVariableModel, checks

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# A traversal goes from -3 to 3, where a standard normal has 99.7% of its mass.
_REACH = 3.0
_DPI = 100
_SEED = (0, 0)


class TensorBoardImages(keras.callbacks.Callback):
    """Writes reconstructions, samples and latent traversals of a model of images for TensorBoard.

    - "reconstructions": the first `num` of `x` above what the model makes of them.
    - "samples": `num` squared means of p(x|z), at draws of z from the prior that are the same after every
      epoch, so that a tile can be followed.
    - "traversals": for each of the `num` dimensions of largest KL, the first example with that dimension
      moved from -3 to 3, and of the class that a semi-supervised model finds for it. Left out where the
      latent is no vector with a known posterior mean.

    Args:
        log_dir: TensorBoard's folder; the events go to its subfolder "images", beside "train" and
            "validation" of `keras.callbacks.TensorBoard`.
        x: images, `[N, H, W]`, `[N, H, W, 1]` or `[N, H, W, 3]`, best held out; all are encoded for the KL of
            the dimensions, so some hundred will do.
        every: epochs from one drawing to the next; the first epoch is drawn too.
        num: images in a row.

    Raises:
        ValueError: for `x` that are no images or do not fit the model, and counts below 1; when training
            begins, for a conditional model and for one whose decoder gives codes, M1+M2.

    Example:

    >>> from keras_vae.callbacks import TensorBoardImages
    >>> TensorBoardImages("runs/digits/logs", np.zeros([20, 8, 8, 1]), every=5).every
    5
    """

    def __init__(self, log_dir: str | os.PathLike, x: Any, every: int = 1, num: int = 8):
        super().__init__()
        self.log_dir = os.fspath(log_dir)
        self.x = _arguments.images(x)
        self.every = _arguments.whole("every", every)
        self.num = _arguments.whole("num", num)
        self._writer: Any = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        _arguments.check_fits(self.model, self.x, draws=True)
        self._writer = tf.summary.create_file_writer(os.path.join(self.log_dir, "images"))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if epoch > 0 and not _arguments.is_due(epoch, self.every):
            return
        from keras_vae import plots

        # Drawn ahead of the writer's scope, where summaries of the user's own layers would be recorded.
        drawn = {name: plots.to_png(figure, dpi=_DPI) for name, figure in self._figures().items()}
        with self._writer.as_default(step=epoch):
            for name, png in drawn.items():
                tf.summary.image(name, tf.io.decode_png(png, channels=3)[tf.newaxis])
        self._writer.flush()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self._writer is not None:
            self._writer.close()

    def _figures(self) -> "dict[str, Figure]":
        from keras_vae import plots

        model, first = self.model, self.x[: self.num]
        samples = model.sample(self.num**2, seed=_SEED, mean=True)
        figures = {
            "reconstructions": plots.reconstructions(
                self._shown(first), self._shown(model.reconstruct(first)), num=self.num
            ),
            "samples": plots.image_grid(self._shown(samples), cols=self.num),
        }
        traversals = self._traversals()
        return figures if traversals is None else {**figures, "traversals": traversals}

    def _traversals(self) -> "Figure | None":
        from keras_vae import plots

        means, kl = posterior_statistics(self.model, self.x)
        if means is None or means.ndim != 2:
            return None
        # Where the KL is not known, dimensions whose mean varies most come first.
        dimensions = np.argsort(-(means.var(axis=0) if kl is None else kl), kind="stable")[: self.num]
        values = np.linspace(-_REACH, _REACH, self.num, dtype=means.dtype)
        z = np.tile(means[0], (len(dimensions), len(values), 1))
        for row, dimension in enumerate(dimensions):
            z[row, :, dimension] = values
        first = self.model._complete(checks.as_float(self.x[:1]), None)
        images = self._shown(self.model.decode(z, first).mean())
        labels = [int(dimension) for dimension in dimensions]
        return plots.traversals(images, labels, None if kl is None else kl[dimensions], column_values=values)

    def _shown(self, values: Any) -> np.ndarray:
        return to_unit(self.model, values)


def to_unit(model: LatentVariableModel, values: Any) -> np.ndarray:
    """Data of a model as numbers in [0, 1]: bytes are divided by 255; what is no integer stays as it is."""
    support = checks.support_of(model.decoder)
    values = np.asarray(values, np.float32)
    # `scale` and `offset` bring integers to [-1, 1].
    whole = support.scale != 1.0
    return np.clip((values * support.scale + support.offset + 1.0) / 2.0 if whole else values, 0.0, 1.0)
