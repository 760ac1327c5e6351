"""The distance between the aggregate posterior and the prior, as the objectives that use one see it."""

import tensorflow as tf

from keras_vae.distributions.draws import fold_in
from keras_vae.divergences import SampleDistance
from keras_vae.errors import invalid
from keras_vae.objectives.gradients import check_prior_draws
from keras_vae.objectives.terms import Terms

# Folded into the seed for what is random in the distance itself.
_DISTANCE = 5


def distance_to_prior(terms: Terms, distance: SampleDistance) -> dict[str, tf.Tensor]:
    """D(q(z), p(z)) of the batch and the distance's monitors by name, scalars; computed once.

    Every one of the S sets of B draws is compared with a set of draws from the prior, and the mean is taken:
    draws of one example are no independent draws from q(z).

    Weights of examples are those of their points in q(z).

    Raises:
        ValueError: for a prior whose weights no draw leads a gradient to; for weights of examples with a
            distance that takes none.
    """
    return terms.once(("distance_to_prior", distance), lambda: _measure(terms, distance))


def _measure(terms: Terms, distance: SampleDistance) -> dict[str, tf.Tensor]:
    check_prior_draws(terms)
    size = terms.q.event_shape.num_elements()
    batch = tf.shape(terms.z)[:2]
    z, prior_z = (tf.reshape(draws, tf.concat([batch, [size]], 0)) for draws in (terms.z, terms.prior_z))
    weights = {}
    if terms.sample_weight is not None:
        if not distance.takes_weights:
            raise invalid(
                "sample_weight",
                "None, for a distance that takes no weights of points",
                type(distance).__name__,
            )
        weights["weights"] = tf.broadcast_to(terms.sample_weight, batch)
    figures = distance.measure(z, prior_z, fold_in(terms.seed, _DISTANCE), **weights)
    return {name: tf.reduce_mean(figure) for name, figure in figures.items()}


def of_every_example(value: tf.Tensor, terms: Terms) -> tf.Tensor:
    """A figure of the whole batch as a part of the loss, `[B]`, with itself as the mean."""
    return tf.broadcast_to(value, tf.shape(terms.x)[:1])


def check_unweighted(terms: Terms) -> None:
    """Raises `ValueError` for weights of examples, where z of one example counts in the figures of others."""
    if terms.sample_weight is not None:
        raise invalid(
            "sample_weight",
            "None, for a total correlation, which is estimated from a batch of equal examples",
            "weights",
            "Draw the examples in these proportions instead.",
        )
