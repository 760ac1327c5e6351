"""The semi-supervised adversarial autoencoder."""

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from keras_vae.checks import check_count
from keras_vae.errors import invalid
from keras_vae.layers import SoftmaxAndStyle, get_posterior
from keras_vae.models import checks
from keras_vae.models.conditions import condition_of
from keras_vae.models.latent_variable_model import LatentVariableModel
from keras_vae.objectives import SemiSupervisedAdversarialReconstruction
from keras_vae.objectives.critic_arguments import Critic
from keras_vae.priors import OneHotAndNormal, Prior
from keras_vae.probes import probe
from keras_vae.schedules import Schedule


@keras.saving.register_keras_serializable(package="keras_vae")
class SemiSupervisedAdversarialAutoencoder(LatentVariableModel):
    """The adversarial autoencoder that parts class from style, with labels for some examples or for none.

    The latent is `[y, z]`: the encoder's probabilities of K classes, and a style. One critic drives y to
    one-hot vectors with every class as frequent, another z to the prior's styles, and labelled examples pull
    y to their class:

        -E_q[log p(x|y, z)] + weight * (g(D_y(y)) + g(D_z(z))) - label_weight * E_labelled[log y_c].

    Prefer it where few examples have labels, or for clusters that no label names, in which the paper takes
    more clusters than there are classes; `AdversarialAutoencoder` where there are no classes to find.

    Args:
        encoder: a Keras model from x, `[B] + event`, that ends in `layers.SoftmaxAndStyle`.
        decoder: a Keras model from `[y, z]`, `[B, K + D]`, that ends in a distribution layer over x.
        prior: a `priors.Prior` over `[y, z]` without weights to train; every class as likely and a standard
            normal style, `priors.OneHotAndNormal`, if None.
        weight: of both adversarial parts, a number >= 0, a `schedules.Schedule`, or its short form.
        label_weight: of the cross-entropy, the same. The reconstruction is summed over the event, so the
            right weights grow with it.
        class_critic, style_critic: a Keras model from y, `[B, K]`, or from z, `[B, D]`, to scores, `[B, 1]`;
            or widths of the hidden layers of an MLP, (256, 256) if None.
        adversarial_loss, r1, gradient_penalty, spectral_norm, critic_steps: of both games; see
            `AdversarialAutoencoder`.
        num_samples, seed: see `VAE`.

    `fit(x, y)` takes class numbers, -1 for an example without a label; without y all are. Labels count by
    batch: `datasets.semi_supervised` puts some into each. `classify(x)` gives probabilities of the classes.
    The two critics are one Keras model with an optimizer of its own, `compile(critic_optimizer=...)`.

    Metrics: `loss` = `reconstruction` + `weighted_class_adversarial` + `weighted_style_adversarial`
    + `weighted_classification`. Beside it `classification` and `accuracy`, averages over labelled examples, 0
    where there are none; `class_adversarial` and `style_adversarial`; the weights; and of each critic its
    loss and accuracy, such as `class_critic_loss` and `class_critic_accuracy`.

    Raises:
        ValueError: for an encoder that does not end in `SoftmaxAndStyle`, conditional networks, and a prior
            with weights to train; in training, for labels that are no class numbers.

    Example:

    >>> import numpy as np, keras_vae
    >>> model = keras_vae.SemiSupervisedAdversarialAutoencoder.create(
    ...     (8, 8, 1), latent_size=2, num_classes=3, hidden=(16,))
    >>> model.latent_shape, model.classify(np.zeros([5, 8, 8, 1])).shape
    ((5,), TensorShape([5, 3]))

    Reference: Makhzani et al., Adversarial Autoencoders, 2015, section 5; without labels, section 6.
    """

    default_posterior = "deterministic"

    takes_labels = True

    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        prior: Prior | None = None,
        weight: float | str | Schedule = 1.0,
        label_weight: float | str | Schedule = 1.0,
        class_critic: Critic = None,
        style_critic: Critic = None,
        adversarial_loss: str = "non-saturating",
        r1: float = 0.0,
        gradient_penalty: float = 0.0,
        spectral_norm: bool = False,
        critic_steps: int = 1,
        num_samples: int = 1,
        **kwargs: Any,
    ):
        if condition_of(encoder, decoder) is not None:
            raise invalid("encoder", "networks of one input, since y are labels here", "a condition")
        latent_size, num_classes = _sizes(encoder, decoder, prior)
        remedies = (adversarial_loss, r1, gradient_penalty, spectral_norm, critic_steps)
        objective = SemiSupervisedAdversarialReconstruction(
            num_classes, weight, label_weight, class_critic, style_critic, *remedies, num_samples
        )
        prior = OneHotAndNormal(latent_size, num_classes) if prior is None else prior
        super().__init__(encoder, decoder, prior, objective, **kwargs)

    @classmethod
    def create(  # type: ignore[override]
        cls,
        input_shape: tuple[int, ...],
        latent_size: int,
        num_classes: int,
        network: str = "mlp",
        likelihood: Any = "bernoulli",
        posterior: Any = None,
        network_options: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ):
        """Builds the model in one line.

        Args:
            latent_size: number of dimensions of the style.
            num_classes: K, at least 2.
            posterior: name, class or instance of the distribution layer of the style; "deterministic" by
                default.
            input_shape, network, likelihood, network_options, **kwargs: see `LatentVariableModel.create`.
        """
        count = check_count("num_classes", num_classes, 2)
        style = get_posterior(cls.default_posterior if posterior is None else posterior, latent_size)
        layer = SoftmaxAndStyle(count, style)
        return super().create(
            input_shape, count + latent_size, network, likelihood, layer, network_options, **kwargs
        )

    def classify(self, x: Any, batch_size: int = 512) -> tf.Tensor:
        """The encoder's probabilities of the classes, y, `[N, K]`.

        Args:
            x: `[N] + event`.
            batch_size: examples to encode at once.
        """
        x = checks.check_batch("x", x, self.data_shape)
        size = check_count("batch_size", batch_size)
        starts = range(0, max(1, len(x)), size)
        return tf.concat([self._classify(x[start : start + size]) for start in starts], axis=0)

    def _classify(self, x: tf.Tensor) -> tf.Tensor:
        return tf.nn.softmax(self.encode(x).class_logits)

    def get_config(self) -> dict[str, Any]:
        # The encoder says how many classes there are.
        return {key: value for key, value in super().get_config().items() if key != "num_classes"}


def _sizes(encoder: keras.Model, decoder: keras.Model, prior: Prior | None) -> tuple[int, int]:
    """The numbers of dimensions of the latent and of its classes."""
    shapes = checks.check_networks(encoder, decoder, prior)
    q = encoder(probe(shapes.data), training=False)
    logits = getattr(q, "class_logits", None)
    if logits is None:
        raise invalid("encoder", "a model that ends in keras_vae.layers.SoftmaxAndStyle", q.name)
    return shapes.latent[0], logits.shape[-1]
