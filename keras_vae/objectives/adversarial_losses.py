"""What the two players of an adversarial objective minimise, by name."""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

Loss = Callable[[tf.Tensor], tf.Tensor]


class AdversarialLoss(NamedTuple):
    """Functions of the critic's scores, element by element.

    real: the critic's loss of the scores of real values.
    fake: the critic's loss of the scores of fakes.
    generator: the loss of what makes the fakes, of their scores.
    """

    real: Loss
    fake: Loss
    generator: Loss


# Scores are logits for the first, and any numbers for the others.
ADVERSARIAL_LOSSES = {
    # Goodfellow et al., Generative Adversarial Nets, 2014, section 3.
    "non-saturating": AdversarialLoss(
        real=lambda score: tf.math.softplus(-score),
        fake=tf.math.softplus,
        generator=lambda score: tf.math.softplus(-score),
    ),
    # Arjovsky et al., Wasserstein GAN, 2017, Eq. 3.
    "wasserstein": AdversarialLoss(
        real=tf.negative,
        fake=tf.identity,
        generator=tf.negative,
    ),
    # Lim & Ye, Geometric GAN, 2017, Eq. 12 and 13; Miyato et al., 2018, Eq. 16 and 17.
    "hinge": AdversarialLoss(
        real=lambda score: tf.nn.relu(1.0 - score),
        fake=lambda score: tf.nn.relu(1.0 + score),
        generator=tf.negative,
    ),
    # Mao et al., Least Squares Generative Adversarial Networks, 2017, Eq. 9.
    "least-squares": AdversarialLoss(
        real=lambda score: 0.5 * tf.square(score - 1.0),
        fake=lambda score: 0.5 * tf.square(score),
        generator=lambda score: 0.5 * tf.square(score - 1.0),
    ),
}
