"""The semi-supervised variational autoencoders M1, M2 and M1+M2."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import keras
import tensorflow as tf

from keras_vae import networks
from keras_vae.checks import check_count
from keras_vae.distributions import GumbelCategorical
from keras_vae.distributions.draws import fold_in
from keras_vae.errors import invalid, lookup
from keras_vae.models import checks
from keras_vae.models.conditions import condition_of, spread, takes_condition
from keras_vae.models.latent_variable_model import LatentVariableModel
from keras_vae.objectives import LatentClassificationELBO, SemiSupervisedELBO, Terms
from keras_vae.objectives.classifier import ClassifierObjective
from keras_vae.objectives.labels import UNLABELLED, Condition
from keras_vae.priors import ConditionalPrior, Prior
from keras_vae.schedules import Schedule

# Folded into a seed for draws of classes.
_CLASS = 6
_KINDS = {"m1": "m1", "m2": "m2"}


@keras.saving.register_keras_serializable(package="keras_vae")
class SemiSupervisedVAE(LatentVariableModel):
    """A VAE and a classifier that learn from few labels and many examples without.

    `fit(x, y)` takes class numbers, and -1 where the class is not known, mixed as they come;
    `datasets.semi_supervised` puts labelled examples into every batch.

    - M2: networks that take the class, q(z|x, y) and p(x|y, z), and a classifier q(y|x) that stands in where
      y is not known, summed over exactly. The one to begin with.
    - M1: networks without the class, the VAE, and a classifier of its codes. Prefer it where the codes are of
      use by themselves.
    - M1+M2: M2 of the codes of a trained model, `features=m1.encoder`; x of its networks are then these
      codes, which want a likelihood such as "normal". `encode` and `classify` still begin at the data;
      `decode`, `sample`, `predict` and likelihoods are of codes, which `m1.decode` takes on.

    Args:
        encoder: a Keras model from `[x, y]` (M2) or x (M1) that ends in a distribution layer over z.
        decoder: a Keras model from `[z, y]` (M2) or z (M1) that ends in a distribution layer over x.
        classifier: a Keras model from x (M2) or z (M1) that ends in `layers.OneHotCategorical`.
        prior: a `priors.Prior` over z; a standard normal if None.
        alpha: weight of the classifier's loss, the mean over the labelled examples of a batch; a number >= 0,
            a `schedules.Schedule` or its short form. None is 0.1, as in the paper, for M2, and 1 for M1,
            whose classifier nothing else teaches.
        class_prior: p(y) of M2, K probabilities; None for equal ones.
        features: a trained encoder whose draws stand for the data; copied, and not trained further.
        class_annealing: weight of the class's divergence in M2; see `SemiSupervisedELBO`.
        kl, num_samples, annealing, seed: see `VAE`.

    Metrics: `loss` = `reconstruction` + `kl` + `class_kl` (M2) + `classification`, in nats; `accuracy` of the
    labelled examples beside it.

    Of M2, `elbo`, `log_likelihood` and `evaluation.evaluate` are of log p(x), the class summed out by draws
    from q(y|x), or with `y=` of log p(x|y); `encode`, `reconstruct` and `predict` take the likeliest class
    where y is not given or -1, and `sample` draws it from p(y).

    Raises:
        ValueError: for networks and a classifier that do not fit, and, before any training, for labels that
            are missing, out of range, or unknown throughout.

    Example:

    >>> import numpy as np, keras_vae
    >>> m2 = keras_vae.SemiSupervisedVAE.create((8, 8, 1), latent_size=2, num_classes=10, hidden=(16,))
    >>> m2.classify(np.zeros([3, 8, 8, 1])).shape
    TensorShape([3, 10])

    Reference: Kingma et al., Semi-supervised Learning with Deep Generative Models, 2014.
    """

    takes_labels = True

    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        classifier: keras.Model,
        prior: Prior | None = None,
        alpha: float | str | Schedule | None = None,
        class_prior: Sequence[float] | None = None,
        features: keras.Model | None = None,
        kl: str = "auto",
        num_samples: int = 1,
        annealing: float | str | Schedule = 1.0,
        class_annealing: float | str | Schedule | None = None,
        **kwargs: Any,
    ):
        condition = condition_of(encoder, decoder)
        if isinstance(prior, ConditionalPrior):
            raise invalid("prior", "one that is the same for all classes", "ConditionalPrior")
        kind: type[ClassifierObjective] = (
            LatentClassificationELBO if condition is None else SemiSupervisedELBO
        )
        chosen: dict[str, Any] = {} if alpha is None else {"alpha": alpha}
        of_class = {"class_prior": class_prior, "class_annealing": class_annealing}
        if condition is not None:
            chosen |= of_class
        for name, value in of_class.items():
            if condition is None and value is not None:
                raise invalid(name, "None for M1, whose codes have no class", value)
        objective = kind(
            classifier, features=features, kl=kl, num_samples=num_samples, annealing=annealing, **chosen
        )
        if condition is not None:
            if not takes_condition(decoder):
                raise invalid("decoder", "a model of two inputs, z and the class, for M2", "one input")
            if condition != Condition((), "int32", objective.num_classes):
                received = f"{objective.num_classes} classes"
                raise invalid("classifier", f"the classes of the networks, {condition}", received)
        latent = checks.check_networks(encoder, decoder, prior, condition)
        wanted, received = latent.latent if condition is None else latent.data, classifier.inputs[0].shape[1:]
        if tuple(received) != wanted:
            raise invalid("classifier", f"a model that takes shape {wanted}", f"one that takes {received}")
        super().__init__(encoder, decoder, prior, objective, **kwargs)
        if condition is not None:
            # Outside of training, the classifier says what y does not.
            self.condition = replace(condition, unknown=True, required=False)

    @classmethod
    def create(  # type: ignore[override]
        cls,
        input_shape: tuple[int, ...],
        latent_size: int,
        num_classes: int,
        kind: str = "m2",
        network: str = "mlp",
        likelihood: Any = "bernoulli",
        posterior: Any = None,
        network_options: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ):
        """Builds the model in one line.

        Args:
            input_shape: shape of one example; of its codes where `features` are given.
            latent_size: number of latent dimensions.
            num_classes: number of classes, K.
            kind: "m2" or "m1". The classifier of M2 has the encoder's body; that of M1 is one of dense layers
                with the encoder's `hidden` or `dense` widths, activation, normalisation and dropout.
            network, likelihood, posterior, network_options, **kwargs: see `VAE.create`.
        """
        lookup("kind", kind, _KINDS)
        known = networks.option_names(network)
        options = {**(network_options or {}), **{name: kwargs[name] for name in kwargs if name in known}}
        others = {name: value for name, value in kwargs.items() if name not in known}
        if kind == "m2":
            classifier = networks.build_classifier(network, input_shape, num_classes, **options)
            options["num_classes"] = num_classes
        else:
            dense = {"hidden": options["dense"]} if "dense" in options else {}
            shared = set(networks.option_names("mlp")) & set(options) - {"rescale"}
            dense |= {name: options[name] for name in shared}
            classifier = networks.build_classifier("mlp", (latent_size,), num_classes, **dense)
        return super().create(
            input_shape, latent_size, network, likelihood, posterior, options, classifier=classifier, **others
        )

    def get_config(self) -> dict[str, Any]:
        return {"class_prior": None, "class_annealing": None, **super().get_config()}

    def classify(self, x: Any, batch_size: int = 512) -> tf.Tensor:
        """The probabilities of the classes, q(y|x) of M2 or q(y|z) at the mean of z of M1, `[N, K]`."""
        x = checks.check_batch("x", x, self.data_shape)
        check_count("batch_size", batch_size)
        starts = range(0, max(len(x), 1), batch_size)
        return tf.concat([self._classify(x[start : start + batch_size]) for start in starts], axis=0)

    def _classify(self, x: tf.Tensor) -> tf.Tensor:
        inputs = self._read(x)
        if not self._enumerates:
            inputs = self._posterior(inputs, None, training=False).mean()
        return tf.exp(self.objective.log_probabilities(inputs))

    @property
    def encoding_layers(self) -> list[keras.layers.Layer]:
        layers = super().encoding_layers
        return [*layers, self.objective.classifier] if self._enumerates else layers

    @property
    def _enumerates(self) -> bool:
        """Whether the class is a part of the latent: M2."""
        return takes_condition(self.decoder)

    def _terms_of(
        self,
        x: tf.Tensor,
        y: tf.Tensor | None,
        num_samples: int | None,
        seed: tf.Tensor,
        training: bool = False,
        sample_weight: tf.Tensor | None = None,
        inputs: tf.Tensor | None = None,
    ) -> Terms:
        """Of M2, the terms of every example with every class, `[K * B]`, class by class."""
        if not self._enumerates:
            return super()._terms_of(x, y, num_samples, seed, training, sample_weight, inputs)
        count = self.objective.num_classes
        every = tf.repeat(tf.range(count), tf.shape(x)[0])
        copies = tf.tile(x, [count, *[1] * (x.shape.rank - 1)])
        terms = super()._terms_of(copies, every, num_samples, seed, training)
        # The batch's own, which the objective reads.
        terms.y, terms.sample_weight = y, sample_weight
        return terms

    def estimate_terms(self, x: tf.Tensor, y: tf.Tensor | None, num_samples: int, seed: tf.Tensor) -> Terms:
        """The terms of estimates; of M2, of draws of the class, where y does not say it, and then of z."""
        if not self._enumerates:
            return super().estimate_terms(x, y, num_samples, seed)
        log_qy = self.objective.log_probabilities(x)
        classes = GumbelCategorical(log_qy).sample(num_samples, seed=fold_in(seed, _CLASS))
        drawn = tf.ones_like(classes, log_qy.dtype)
        if y is not None:
            unknown = tf.cast(y, tf.int32) == UNLABELLED
            classes = tf.where(unknown, classes, tf.cast(y, classes.dtype))
            drawn *= tf.cast(unknown, drawn.dtype)
        every = tf.reshape(classes, [-1])
        q = self._posterior(spread(x, tf.size(every)), every, training=False)
        z = q.sample(seed=seed)
        terms = Terms(
            x=x,
            y=None,
            q=q,
            prior=self.prior,
            decode=lambda z: self._likelihood(z, every, training=False),
            num_samples=num_samples,
            seed=seed,
        )
        kl = terms.exact_kl
        terms.z = tf.reshape(z, tf.concat([tf.shape(classes), tf.shape(z)[1:]], axis=0))
        of_class = tf.gather(log_qy, tf.transpose(classes), axis=1, batch_dims=1)
        # A class that is given is no part of the latent.
        log_qz = tf.reshape(q.log_prob(z), tf.shape(classes))
        log_qc = tf.cast(drawn * tf.transpose(of_class), log_qz.dtype)
        log_pc = tf.cast(drawn * tf.gather(self.objective.log_py, classes), log_qz.dtype)
        terms.log_qz = log_qz + log_qc
        terms.log_pz = terms.p_z.log_prob(terms.z) + log_pc
        if y is None or kl is None:
            terms.exact_kl = None
        else:
            # Exact where the class is given.
            terms.exact_kl = tf.reduce_mean(tf.reshape(kl, tf.shape(classes)) + log_qc - log_pc, axis=0)
        return terms

    def _complete(self, x: tf.Tensor, y: tf.Tensor | None) -> tf.Tensor | None:
        if not self._enumerates:
            return y
        likeliest = tf.argmax(self.objective.log_probabilities(x), axis=1, output_type=tf.int32)
        return likeliest if y is None else tf.where(tf.cast(y, tf.int32) < 0, likeliest, tf.cast(y, tf.int32))

    def _likelihood(self, z: tf.Tensor, y: tf.Tensor | None, training: bool) -> Any:
        if y is None and self._enumerates:
            raise invalid("y", "class numbers, which nothing but x could tell", None)
        return super()._likelihood(z, y, training)

    def _sample(self, num_samples: Any, seed: tf.Tensor, mean: bool, y: tf.Tensor | None) -> tf.Tensor:
        if y is None and self._enumerates:
            y = GumbelCategorical(self.objective.log_py).sample(num_samples, seed=fold_in(seed, _CLASS))
        return super()._sample(num_samples, seed, mean, y)
