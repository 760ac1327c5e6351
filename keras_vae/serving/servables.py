"""The servables of a model: encoder, decoder, and what needs both."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from keras_vae.evaluation.anomaly import get_score
from keras_vae.models.estimates import has_density
from keras_vae.probes import probe
from keras_vae.serving import arguments, estimates
from keras_vae.serving.arguments import COUNT, NUM_SAMPLES, SEED, STEPS
from keras_vae.serving.images import Values, get_format
from keras_vae.serving.servable import Servable, Signature, Specs
from keras_vae.serving.statistics import known_statistics, knows_mean

if TYPE_CHECKING:
    from keras_vae import LatentVariableModel

# Rows at once of the estimates, as by default in memory; for the rest a request's rows are a batch.
_BATCH_SIZE = 512

Signatures = dict[str, tuple[Signature, Specs]]


def encoder(model: "LatentVariableModel", images: Values | None = None) -> Servable:
    """q(z|x) of a model.

    Signatures:
        serving_default: x to `mean` and `stddev`, `[batch] + latent`, as far as they are known; where the
            mean is not, to the parameters. None where nothing is known without draws. Row by row.
        sample: x and `seed` int32 `[2]` to `z`, one draw each; the same seed gives the same draws.

    Where the encoder is conditional, both take `y`, `[batch] + condition`, too.
    """
    images = images or get_format(model, "float32")
    known = known_statistics(model.encode(probe(model.data_shape), _probe(model)))

    def encode(x: tf.Tensor, *y: tf.Tensor) -> Any:
        x = images.read(x)
        return model.encode(x, *arguments.one_each(model.condition, y, tf.shape(x)[0]))

    def posterior(x: tf.Tensor, *y: tf.Tensor) -> dict[str, tf.Tensor]:
        q = encode(x, *y)
        return {name: tf.cast(statistic(q), tf.float32) for name, statistic in known.items()}

    def sample(x: tf.Tensor, seed: tf.Tensor, *y: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"z": tf.cast(encode(x, *y).sample(seed=seed), tf.float32)}

    y = arguments.condition_spec(model, model.encoder)
    signatures: Signatures = {"sample": (sample, (images.spec, SEED, *y))}
    if known:
        signatures = {"serving_default": (posterior, (images.spec, *y)), **signatures}
    return Servable(signatures, "encoder", images.file_shape)


def decoder(model: "LatentVariableModel", images: Values | None = None) -> Servable:
    """p(x|z) of a model, and draws of x.

    Signatures:
        serving_default: `z` float32 `[batch] + latent` to `mean`, `[batch] + event`. Row by row.
        sample: `seed` int32 `[2]` and `count` int32 scalar to `x`, draws from the model, z from the prior:
            what `model.sample(count, seed)` gives. The same seed gives the same draws.
        interpolate: `z_start` and `z_end`, `latent`, and `steps` int32 scalar to `mean`, `[steps] + event`,
            at equal distances on the straight line between the two, both ends among them.

    Where the decoder is conditional, the first takes `y`, `[batch] + condition`, too, and the others one
    condition for each row of the result, or `[1] + condition`.
    """
    images = images or get_format(model, "float32")
    z = tf.TensorSpec([None, *model.latent_shape], tf.float32, "z")
    ends = [tf.TensorSpec(model.latent_shape, tf.float32, name) for name in ("z_start", "z_end")]
    zeros = probe(model.latent_shape)
    known = known_statistics(model.decode(zeros, _probe(model)), moments=["mean"])
    # There is no x here to tell the class of -1 by.
    condition = None if model.condition is None else replace(model.condition, unknown=False)

    def likelihood(z: tf.Tensor, *y: tf.Tensor) -> dict[str, tf.Tensor]:
        p = model.decode(z, *arguments.one_each(condition, y, tf.shape(z)[0]))
        if "mean" in known:
            return images.write("mean", p.mean())
        return {name: tf.cast(statistic(p), tf.float32) for name, statistic in known.items()}

    def sample(seed: tf.Tensor, count: tf.Tensor, *y: tf.Tensor) -> dict[str, tf.Tensor]:
        count = arguments.at_least("count", 1, count)
        given = arguments.one_or_each(condition, y, count)
        return images.write("x", model._sample(count, seed, False, *(given or [None])))

    def interpolate(
        z_start: tf.Tensor, z_end: tf.Tensor, steps: tf.Tensor, *y: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        # Straight, which every prior allows; a great circle belongs to the standard normal alone.
        steps = arguments.at_least("steps", 2, steps)
        line = tf.ensure_shape(tf.linspace(z_start, z_end, steps), z.shape)
        return likelihood(line, *arguments.one_or_each(condition, y, steps))

    y = arguments.condition_spec(model, model.decoder)
    drawn = arguments.condition_spec(model, model.decoder, model.prior)
    signatures: Signatures = {"sample": (sample, (SEED, COUNT, *drawn))}
    if known:
        between = {"interpolate": (interpolate, (*ends, STEPS, *y))}
        signatures = {"serving_default": (likelihood, (z, *y)), **signatures, **between}
    return Servable(signatures, "decoder", images.file_shape)


def whole(
    model: "LatentVariableModel", images: Values | None = None, anomaly_score: str | None = None
) -> Servable:
    """What a model says of x.

    Signatures:
        reconstruct, which is also serving_default: x to `mean`, `[batch] + event`, that of p(x|z) at the
            mean of q(z|x). Row by row. For posteriors and likelihoods whose means are known.
        log_likelihood: x, `seed` int32 `[2]` and `num_samples` int32 scalar to `log_likelihood`, `[batch]`,
            in nats: `model.log_likelihood`. For posteriors with a density.
        anomaly_score: the same to `anomaly_score`, `[batch]`, in nats, higher for stranger x; see
            `evaluation.anomaly_auroc`.
        classify: x to `probabilities`, `[batch, classes]`, of models with a `classify`. Row by row.

    Of a conditional model all but the last take `y`, `[batch] + condition`, too. Where a classifier tells
    the class of x, a reconstruction takes -1, and the scores are of log p(x), without y.

    Args:
        model: a `VAE`, ...
        images: how x is taken and given.
        anomaly_score: a score of `evaluation.anomaly_auroc`; None for "negative_elbo" or, where the posterior
            has no density, "reconstruction".

    Raises:
        ValueError: for a score that is not known or that the model does not have.
    """
    images = images or get_format(model, "float32")
    dense = has_density(model)
    score = get_score(
        "anomaly_score", anomaly_score or ("negative_elbo" if dense else "reconstruction"), model
    )

    def reconstruct(x: tf.Tensor, *y: tf.Tensor) -> dict[str, tf.Tensor]:
        x = images.read(x)
        given = arguments.one_each(model.condition, y, tf.shape(x)[0])
        return images.write("mean", model._reconstruction(x, *(given or [None])))

    def estimated(name: str, estimate: Callable[..., Any]) -> Signature:
        def call(
            x: tf.Tensor, seed: tf.Tensor, num_samples: tf.Tensor, *y: tf.Tensor
        ) -> dict[str, tf.Tensor]:
            x = images.read(x)
            num_samples = arguments.at_least("num_samples", 1, num_samples)
            given = arguments.one_each(model.condition, y, tf.shape(x)[0])
            options = {"num_samples": num_samples, "batch_size": _BATCH_SIZE, "seed": seed}
            return {name: estimate(model, x, y=given[0] if given else None, **options)}

        return call

    def log_likelihood(*args: Any, **options: Any) -> tf.Tensor:
        return estimates.log_likelihood(*args, **options).log_likelihood

    def classify(x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"probabilities": tf.cast(model._classify(images.read(x)), tf.float32)}

    y = arguments.condition_spec(model, model.encoder, model.decoder)
    drawn = (images.spec, SEED, NUM_SAMPLES)
    if model.condition is not None and model.condition.required:
        drawn += arguments.condition_spec(model, model.encoder, model.decoder, model.prior)
    signatures: Signatures = {}
    if _reconstructs(model):
        signatures["serving_default"] = signatures["reconstruct"] = (reconstruct, (images.spec, *y))
    if dense:
        signatures["log_likelihood"] = (estimated("log_likelihood", log_likelihood), drawn)
    signatures["anomaly_score"] = (estimated("anomaly_score", partial(score.of, estimates)), drawn)
    if hasattr(model, "_classify"):
        signatures["classify"] = (classify, (images.spec,))
    return Servable(signatures, "model", images.file_shape)


def _reconstructs(model: "LatentVariableModel") -> bool:
    """Whether the means are known that a reconstruction is made of."""
    x, y = probe(model.data_shape), _probe(model)
    z = probe(model.latent_shape)
    return knows_mean(model.encode(x, y)) and knows_mean(model.decode(z, y))


def _probe(model: "LatentVariableModel") -> tf.Tensor | None:
    return None if model.condition is None else model.condition.probe()
