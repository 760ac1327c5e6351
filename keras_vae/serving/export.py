"""`export`: versioned SavedModels of a model."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from keras_vae.errors import invalid
from keras_vae.serving import versions

if TYPE_CHECKING:
    from keras_vae import LatentVariableModel
    from keras_vae.datasets import Transform
    from keras_vae.runs import Run


def export(
    model: "LatentVariableModel",
    folder: str | os.PathLike,
    *,
    images: str = "float32",
    transform: "Transform | None" = None,
    anomaly_score: str | None = None,
    run: "Run | None" = None,
) -> dict[str, Path]:
    """Writes a model as three SavedModels, each the next version of its servable.

    `export(vae, "saved_models/mnist")` writes `saved_models/mnist_encoder/1`, `saved_models/mnist_decoder/1`
    and `saved_models/mnist_model/1`, the next call version 2 of all; the layout is TensorFlow Serving's. A
    version appears whole or not at all, and none is ever overwritten, whoever else exports. Batches may be of
    any size.

    Encoder:
        serving_default: `x` float32 `[batch] + event` to `mean` and `stddev`, `[batch] + latent`; to the
            parameters of q(z|x) where its mean is not known, as of most flows.
        sample: `x`, `seed` int32 `[2]` to `z`.
    Decoder:
        serving_default: `z` float32 `[batch] + latent` to `mean`, `[batch] + event`.
        sample: `seed` int32 `[2]`, `count` int32 scalar to `x`, with z from the prior.
        interpolate: `z_start` and `z_end`, `latent`, `steps` int32 scalar, at least 2, to `mean`,
            `[steps] + event`, at equal distances on the straight line from one to the other.
    Model:
        serving_default, reconstruct: `x` to `mean`, `[batch] + event`, at the mean of q(z|x). Neither where
            that mean is not known.
        log_likelihood: `x`, `seed`, `num_samples` int32 scalar to `log_likelihood`, `[batch]`, in nats, as
            `model.log_likelihood` computes it. Not where q(z|x) or the prior has no density, as in
            autoencoders without noise.
        anomaly_score: `x`, `seed`, `num_samples` to `anomaly_score`, `[batch]`, in nats, higher for what is
            less like the training data.
        classify: `x` to `probabilities`, `[batch, classes]`, of semi-supervised models.

    Of a conditional model, the signatures that need it take `y`, `[batch] + condition`, too; those without a
    batch, one condition for each result or `[1] + condition` for all. Where a classifier tells the class of
    x, -1 leaves it to that, and scores are of log p(x), without y.

    Randomness is in the graph and stateless: the same seed gives the same draws, those of the model in memory
    without XLA. Rows do not depend on each other in `serving_default`, `reconstruct` and `classify`, so that
    a server may join the requests of several clients.

    Each folder also holds requests to warm a server up and a model card, in `assets.extra`. A draft that a
    killed process left beside the versions, `.draft-...`, is removed by the first export a day later.

    Args:
        model: a model of this library.
        folder: the common beginning of the servables' paths: their folder and their name.
        images: how signatures take x and give `x` and `mean` of x. "float32": as the model does. "uint8":
            images of 0 to 255. "encoded": strings `[batch]`, PNG or JPEG as `x`; PNG out, under the names
            `x_bytes` and `mean_bytes`, by which TensorFlow Serving knows to send base64.
        transform: for "uint8" and "encoded", how the model's data were made of images, such as
            `datasets.load(...).transform`; None for 0 to 255 where the likelihood is over bytes, else
            [0, 1].
        anomaly_score: "negative_elbo", "reconstruction" or "negative_log_likelihood", see
            `evaluation.anomaly_auroc`; None for the first, or the second where q(z|x) has no density.
        run: the run that trained the model, for its model card.

    Returns:
        The new folders, by "encoder", "decoder" and "model".

    Raises:
        ValueError: before anything is written, if `model` is none or has weights that are not
            finite, `folder` has no name at its end, the data
            are no images, or for an anomaly score that the model does not have.
        OSError: if the disk is full or the folder not writable; nothing is left behind.

    Example:

    >>> import tempfile, keras_vae
    >>> from keras_vae import serving
    >>> vae = keras_vae.VAE.create((8, 8, 1), latent_size=2, hidden=(4,))
    >>> import tensorflow as tf
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     paths = serving.export(vae, f"{folder}/digits")
    ...     decoder = tf.saved_model.load(paths["decoder"])
    ...     draws = decoder.signatures["sample"](seed=tf.constant([0, 1]), count=tf.constant(5))
    >>> [f"{path.parent.name}/{path.name}" for path in paths.values()]
    ['digits_encoder/1', 'digits_decoder/1', 'digits_model/1']
    >>> draws["x"].shape
    TensorShape([5, 8, 8, 1])
    """
    from keras_vae.models import LatentVariableModel
    from keras_vae.runs import Run
    from keras_vae.serving import servables
    from keras_vae.serving.deployment import model_card, warmup
    from keras_vae.serving.images import get_format

    if not isinstance(model, LatentVariableModel):
        raise invalid("model", "a model of keras_vae", model)
    base = Path(folder)
    if not base.name:
        raise invalid("folder", "a folder and a name, such as saved_models/mnist", str(folder))
    if run is not None and not isinstance(run, Run):
        raise invalid("run", "a keras_vae.runs.Run, or None", run)
    _check_finite(model)
    written_as = get_format(model, images, transform)
    whole = servables.whole(model, written_as, anomaly_score)
    parts = {
        "encoder": servables.encoder(model, written_as),
        "decoder": servables.decoder(model, written_as),
        "model": whole,
    }
    names = {part: f"{base.name}_{part}" for part in parts}
    homes = {part: base.with_name(name) for part, name in names.items()}
    with versions.drafts(homes) as written:
        for part, servable in parts.items():
            servable.save(str(written[part]))
            warmup.write(written[part], names[part], servable)
            model_card.write(written[part], names[part], model, servable, run)
        return versions.publish(written, homes)


def _check_finite(model: "LatentVariableModel") -> None:
    """Raises `ValueError` for a model with a weight of NaN or infinity."""
    for variable in model.weights:
        values = np.asarray(variable)
        if variable.dtype.startswith("float") and not np.isfinite(values).all():
            raise invalid(
                "model",
                "finite weights",
                f"NaN or infinity in {variable.path}",
                "Train again with a lower learning rate, or load an earlier checkpoint.",
            )
