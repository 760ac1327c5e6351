"""How much of the latent a model uses, epoch by epoch."""

import warnings
from typing import Any

import keras
import numpy as np

from keras_vae.callbacks import _arguments
from keras_vae.errors import invalid
from keras_vae.evaluation import active_units
from keras_vae.evaluation.active_units import check_threshold


class CollapseReport(keras.callbacks.Callback):
    """Counts the active latent dimensions after an epoch, and warns once when none is left.

    Puts `active_units` into the epoch's logs, so that `fit`'s history, `CSVLogger`, `EarlyStopping` and the
    like see it; place it before them in `callbacks`.

    Args:
        x: data to encode, `[N] + event`, N >= 2; a thousand or two held-out examples are enough.
        threshold: variance of the posterior mean above which a dimension is active.
        every: epochs from one count to the next.

    Attributes:
        history: lists with one entry a count: "epoch", from 1 on; "active_units", a number; "active", a
            boolean array `latent`; "kl_per_dimension", nats `latent`, or None where it is not known exactly.

    Raises:
        ValueError: for arguments out of range, and when training begins, if `x` does not fit the model or its
            posterior has no known mean.

    Reference: Burda et al., Importance Weighted Autoencoders, 2016, section 5.2 (active units); Bowman et
    al., Generating Sentences from a Continuous Space, 2016, section 3.1 (collapse, and warm-up against it).

    Example:

    >>> import keras_vae
    >>> from keras_vae import layers
    >>> encoder = keras.Sequential([
    ...     keras.Input((4,)), keras.layers.Dense(4), layers.IndependentNormal(2)])
    >>> decoder = keras.Sequential([
    ...     keras.Input((2,)), keras.layers.Dense(4), layers.IndependentBernoulli(4)])
    >>> vae = keras_vae.VAE(encoder, decoder)
    >>> vae.compile(run_eagerly=True)
    >>> report = CollapseReport(np.eye(4))
    >>> history = vae.fit(np.eye(4, dtype="float32"), epochs=2, verbose=0, callbacks=[report])
    >>> report.history["epoch"], history.history["active_units"] == report.history["active_units"]
    ([1, 2], True)
    """

    def __init__(self, x: Any, threshold: float = 0.01, every: int = 1):
        super().__init__()
        self.x = _arguments.array(x)
        if len(self.x) < 2:
            raise invalid("x", "two or more examples", f"shape {self.x.shape}")
        check_threshold(threshold)
        self.threshold = threshold
        self.every = _arguments.whole("every", every)
        self.history: dict[str, list[Any]] = {}
        self._warned = False

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        _arguments.check_fits(self.model, self.x)
        _arguments.known_means(self.model, self.x[:2])
        self.history = {"epoch": [], "active_units": [], "active": [], "kl_per_dimension": []}
        self._warned = False

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if not _arguments.is_due(epoch, self.every):
            return
        means, statistics = _arguments.known_means(self.model, self.x)
        active = active_units(means, self.threshold)
        count = int(active.sum())
        if logs is not None:
            logs["active_units"] = count
        entry = {
            "epoch": epoch + 1,
            "active_units": count,
            "active": active,
            "kl_per_dimension": statistics.kl_per_dimension,
        }
        for name, value in entry.items():
            self.history[name].append(value)
        # NaN is not active either, but something else.
        if count == 0 and not self._warned and np.isfinite(means).all():
            self._warned = True
            warnings.warn(
                f"Posterior collapse after epoch {epoch + 1}: none of the {active.size} latent dimensions is "
                f"active, since no posterior mean varies over the data by more than {self.threshold:g}. A KL "
                'weight that rises from 0, as BetaVAE(beta="linear:0:1:10000"), or a smaller one helps.',
                stacklevel=2,
            )
