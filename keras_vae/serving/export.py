"""`export`: versioned SavedModels of a model's halves."""

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from keras_vae.errors import invalid

if TYPE_CHECKING:
    from keras_vae import LatentVariableModel


def export(model: "LatentVariableModel", folder: str | os.PathLike) -> dict[str, Path]:
    """Writes encoder and decoder as SavedModels, each the next version of its servable.

    `export(vae, "saved_models/mnist")` writes `saved_models/mnist_encoder/1` and
    `saved_models/mnist_decoder/1`, the next call version 2 of both; the layout is TensorFlow Serving's. A
    version appears whole or not at all, and none is ever overwritten. Batches may be of any size.

    Encoder:
        serving_default: `x` float32 `[batch] + event` to `mean` and `stddev`, `[batch] + latent`.
        sample: `x`, `seed` int32 `[2]` to `z`.
    Decoder:
        serving_default: `z` float32 `[batch] + latent` to `mean`, `[batch] + event`.
        sample: `seed` int32 `[2]`, `count` int32 scalar to `x`, with z from the prior.

    Of a conditional model, the signatures that need it take `y`, `[batch] + condition`, too.

    Randomness is in the graph and stateless: the same seed gives the same draws.

    Args:
        model: a model of this library.
        folder: the common beginning of the servables' paths: their folder and their name.

    Returns:
        The new folders, by "encoder" and "decoder".

    Raises:
        ValueError: if `model` is none, or `folder` has no name at its end.

    Example:

    >>> import tempfile, keras_vae
    >>> from keras_vae import serving
    >>> vae = keras_vae.VAE.create((8, 8, 1), latent_size=2, hidden=(4,))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     paths = serving.export(vae, f"{folder}/digits")
    ...     [str(path.relative_to(folder)) for path in paths.values()]
    ['digits_encoder/1', 'digits_decoder/1']

    >>> import tensorflow as tf
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     decoder = tf.saved_model.load(serving.export(vae, f"{folder}/digits")["decoder"])
    ...     draws = decoder.signatures["sample"](seed=tf.constant([0, 1]), count=tf.constant(5))
    >>> draws["x"].shape
    TensorShape([5, 8, 8, 1])
    """
    from keras_vae.models import LatentVariableModel
    from keras_vae.serving import servables

    if not isinstance(model, LatentVariableModel):
        raise invalid("model", "a model of keras_vae", model)
    base = Path(folder)
    if not base.name:
        raise invalid("folder", "a folder and a name, such as saved_models/mnist", str(folder))
    halves = {"encoder": servables.encoder(model), "decoder": servables.decoder(model)}
    homes = {half: base.with_name(f"{base.name}_{half}") for half in halves}
    with contextlib.ExitStack() as drafts:
        written = {}
        for half, servable in halves.items():
            # Beside the versions, where a rename is atomic; servers take no heed of such a name.
            draft = homes[half] / f".draft-{uuid.uuid4().hex}"
            drafts.callback(shutil.rmtree, draft, ignore_errors=True)
            servable.save(str(draft))
            written[half] = draft
        return _publish(written, homes)


def _publish(drafts: dict[str, Path], homes: dict[str, Path]) -> dict[str, Path]:
    """Moves the drafts to the next version that none of the homes has."""
    version = str(_next_version(homes.values()))
    # A rename to a folder that holds something fails, so no version is replaced whoever else exports.
    return {half: draft.rename(homes[half] / version) for half, draft in drafts.items()}


def _next_version(homes: Iterable[Path]) -> int:
    """One more than the highest version in any of these folders."""
    names = [path.name for home in homes if home.is_dir() for path in home.iterdir()]
    return 1 + max((int(name) for name in names if name.isdecimal()), default=0)
