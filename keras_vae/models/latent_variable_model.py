"""The base of every model, with the only `train_step`, `test_step` and `predict_step`."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae import networks
from keras_vae.checks import check_count
from keras_vae.distributions.draws import fold_in
from keras_vae.errors import invalid
from keras_vae.models import checks, estimates
from keras_vae.models.conditions import check_rows, condition_of, spread, takes_condition
from keras_vae.models.resident import ResidentTrainer
from keras_vae.objectives import Objective, Terms
from keras_vae.objectives.objective import deserialize_arguments
from keras_vae.priors import FittedMixture, Prior
from keras_vae.probes import probe

tfd = tfp.distributions

# Folded into a step's seed for the noise of its inputs, and for the critic's further updates.
_CORRUPTION, _CRITIC, _FEATURES = 1, 3, 5


@keras.saving.register_keras_serializable(package="keras_vae")
class LatentVariableModel(ResidentTrainer):
    """x -> encoder -> q(z|x) -> z -> decoder -> p(x|z), trained on any objective that reads those.

    `VAE`, `BetaVAE` and the others are this model with an objective; use it directly with an `Objective` of
    your own. It is a Keras `Model`: `compile`, `fit`, `evaluate`, `predict`, `save` and callbacks work as
    ever. Losses and log-densities are in nats, summed over the event and averaged over the batch.

    Networks with two inputs make it conditional: the encoder's are then x and y, the decoder's z and y, and
    all probabilities are given y, a class number or any tensor. `fit` takes y as labels are taken, `predict`
    and the call take `(x, y)`, and the other methods `y=`.

    Args:
        encoder: a Keras model from x, `[B] + event`, that ends in a distribution layer.
        decoder: a Keras model from z, `[B] + latent`, that ends in a distribution layer over x.
        prior: a `priors.Prior` over z; a standard normal if None, and fair coins for a posterior of bits.
        objective: an `objectives.Objective`.
        seed: seed of the draws of z; random if None, and reproducible after `keras.utils.set_random_seed`.

    Raises:
        ValueError: if the encoder or the decoder does not end in a distribution, or if the shapes of encoder,
            prior and decoder do not fit.
    """

    default_posterior = "normal"
    # Whether the model is of no use without labels, whatever the networks.
    takes_labels = False

    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        prior: Prior | None = None,
        objective: Objective | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if not isinstance(objective, Objective):
            raise invalid("objective", "a keras_vae.objectives.Objective", objective)
        condition = condition_of(encoder, decoder, prior)
        shapes = checks.check_networks(encoder, decoder, prior, condition)
        checks.check_belief(prior, objective)
        self.encoder, self.decoder, self.objective = encoder, decoder, objective
        self.condition = condition
        # What training asks of y.
        self.labels = condition if objective.labels is None else objective.labels
        self.prior = shapes.default_prior() if prior is None else prior
        features = objective.features
        self.data_shape = shapes.data if features is None else checks.check_features(features, shapes.data)
        self.latent_shape = shapes.latent
        self.seed = seed
        # For calls outside of training.
        self.seed_generator = keras.random.SeedGenerator(seed)
        # Training draws by this seed and the step, so that a resumed run draws what it would have drawn.
        self._draw_seed = keras.random.SeedGenerator(seed).state
        # Training steps taken, the argument of every schedule. Saved and resumed with the weights.
        self.step = self.add_weight(
            name="step", shape=(), initializer="zeros", trainable=False, dtype="int32"
        )
        names = (*objective.part_names, *objective.critic_part_names, *objective.monitor_names)
        self._trackers = {name: keras.metrics.Mean(name=name) for name in names}
        # Weight decay and the like, added by the layers of the networks themselves.
        self._regularization = keras.metrics.Mean(name="regularization")
        self._regularized = False
        self._try_once()

    def _try_once(self) -> None:
        """One batch of zeros through the model and its objective, so that what cannot work fails now."""
        x = probe(self.data_shape)
        y = None if self.condition is None else self.condition.probe()
        self(x if y is None else (x, y))
        terms = self.terms(x, y)
        parts = self.objective.parts(terms)
        reparameterized = terms.q.reparameterization_type == tfd.FULLY_REPARAMETERIZED
        if self.objective.differentiates_draws and not reparameterized:
            raise invalid(
                "encoder",
                "a posterior whose draws carry a gradient, such as keras_vae.layers.IndependentNormal",
                terms.q.name,
                "VAE, BetaVAE and IWAE train others too.",
            )
        names = self.objective.part_names
        if set(parts) != set(names) or any(part.shape != x.shape[:1] for part in parts.values()):
            raise invalid(
                "objective",
                f"parts named {', '.join(names)}, each of shape [batch]",
                {name: tuple(part.shape) for name, part in parts.items()},
            )

    @classmethod
    def create(
        cls,
        input_shape: tuple[int, ...],
        latent_size: int,
        network: str = "mlp",
        likelihood: Any = "bernoulli",
        posterior: Any = None,
        network_options: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ):
        """Builds the model in one line.

        Args:
            input_shape: shape of one example, such as `(28, 28, 1)`.
            latent_size: number of latent dimensions.
            network: "mlp", "conv" or "resnet"; see `keras_vae.networks`.
            likelihood: name, class or instance of a distribution layer for p(x|z).
            posterior: the same for q(z|x); by default "normal", and "deterministic" for autoencoders.
            network_options: arguments of the network, for when their names clash with the model's.
            **kwargs: arguments of the network (`hidden=`, `filters=`, `activation=`, ...) and of the model
                (`beta=`, `prior=`, ...). Of the network's, `num_classes=` or `condition_shape=` makes the
                model conditional.

        Example:

        >>> import keras_vae
        >>> vae = keras_vae.VAE.create((8, 8, 1), latent_size=2, hidden=(16,))
        >>> vae.encoder.name, vae.latent_shape
        ('encoder', (2,))
        """
        options = networks.option_names(network)
        chosen = {**(network_options or {}), **{k: v for k, v in kwargs.items() if k in options}}
        arguments = {k: v for k, v in kwargs.items() if k not in options}
        checks.check_arguments(cls, arguments, options)
        encoder, decoder = networks.build(
            network,
            input_shape,
            latent_size,
            posterior=cls.default_posterior if posterior is None else posterior,
            likelihood=likelihood,
            **chosen,
        )
        return cls(encoder, decoder, **arguments)

    # --- the model's distributions -----------------------------------------------------------

    def call(self, x: Any, training: bool = False) -> tfd.Distribution:
        """p(x|z) for one draw of z from q(z|x), batch shape `[B]`; of a conditional model, for `(x, y)`."""
        x, y = self._x_and_y(x)
        x = self._read(x)
        y = self._complete(x, y)
        z = self._posterior(x, y, training).sample(seed=self._next_seed())
        return self._likelihood(z, y, training)

    @property
    def encoding_layers(self) -> list[keras.layers.Layer]:
        """The layers that `encode` reads."""
        features = self.objective.features
        return [self.encoder] if features is None else [self.encoder, features]

    def encode(self, x: Any, y: Any = None, training: bool = False) -> tfd.Distribution:
        """q(z|x), or q(z|x, y), batch shape `[B]`, event shape `latent_shape`."""
        x = checks.check_batch("x", x, self.data_shape)
        y = self._given(y, self.encoder)
        check_rows(y, x.shape[0])
        x = self._read(x)
        return self._posterior(x, self._complete(x, y), training)

    def decode(self, z: Any, y: Any = None, training: bool = False) -> tfd.Distribution:
        """p(x|z), or p(x|z, y), for latents `[...] + latent_shape`, batch shape `[...]`.

        Of a conditional model, y holds a condition for each latent of the last batch dimension, or one.
        """
        z = checks.check_batch("z", z, self.latent_shape, any_batch=True)
        y = self._given(y, self.decoder, with_x=False)
        check_rows(y, z.shape[-1 - len(self.latent_shape)], "the last batch dimension of z", or_one=True)
        batch_shape = tf.shape(z)[: z.shape.rank - len(self.latent_shape)]
        if z.shape.rank == len(self.latent_shape) + 1:
            return self._likelihood(z, y, training)
        flat = tf.reshape(z, tf.concat([[-1], self.latent_shape], axis=0))
        return tfd.BatchReshape(self._likelihood(flat, y, training), batch_shape)

    def reconstruct(self, x: Any, y: Any = None) -> tf.Tensor:
        """The mean of p(x|z) at the mean of q(z|x), `[B] + event`; deterministic."""
        x, y = checks.check_batch("x", x, self.data_shape), self._given(y)
        check_rows(y, x.shape[0])
        return self._reconstruction(x, y)

    def sample(
        self, num_samples: int, seed: int | tf.Tensor | None = None, mean: bool = False, y: Any = None
    ) -> tf.Tensor:
        """Draws x from the model: z from the prior, then x from p(x|z).

        Args:
            num_samples: how many, at least 1.
            seed: an integer, or int32 `[2]`; the same seed gives the same draws. None takes the next of the
                model's own.
            mean: whether to return the mean of p(x|z), the usual picture, instead of a draw from it.
            y: of a conditional model, `[num_samples]` conditions, or one for all, `[1]`.

        Returns:
            `[num_samples] + event`.
        """
        check_count("num_samples", num_samples)
        y = self._given(y, with_x=False)
        if y is not None and len(y) not in (1, num_samples):
            raise invalid("y", f"1 or {num_samples} conditions, as num_samples says", f"{len(y)}")
        return self._sample(num_samples, self._seed_or_next(seed), mean, spread(y, num_samples))

    def _sample(self, num_samples: Any, seed: tf.Tensor, mean: bool, y: tf.Tensor | None) -> tf.Tensor:
        z_seed, x_seed = tfp.random.split_seed(seed)
        prior = self.prior.given(y)
        z = prior.sample(() if prior.batch_shape.rank else num_samples, seed=z_seed)
        p = self._likelihood(z, y, training=False)
        return p.mean() if mean else tf.cast(p.sample(seed=x_seed), self.compute_dtype)

    def _read(self, x: tf.Tensor, seed: tf.Tensor | None = None) -> tf.Tensor:
        """What the networks see of x: x itself, or codes of it, drawn with a seed or else their mean."""
        features = self.objective.features
        if features is None:
            return x
        q = features(x, training=False)
        codes = q.mean() if seed is None else q.sample(seed=fold_in(seed, _FEATURES))
        return tf.stop_gradient(codes)

    def _complete(self, x: tf.Tensor, y: tf.Tensor | None) -> tf.Tensor | None:
        """y with what a model finds out itself of it, from what `_read` gave."""
        del x
        return y

    def _posterior(self, x: tf.Tensor, y: tf.Tensor | None, training: bool) -> tfd.Distribution:
        """q(z|x, y) of the encoder, where y are as many conditions as x or a divisor of them."""
        if takes_condition(self.encoder):
            return self.encoder([x, spread(y, tf.shape(x)[0])], training=training)
        return self.encoder(x, training=training)

    def _likelihood(self, z: tf.Tensor, y: tf.Tensor | None, training: bool) -> tfd.Distribution:
        """p(x|z, y) of the decoder, where y are as many conditions as z or a divisor of them."""
        if takes_condition(self.decoder):
            return self.decoder([z, spread(y, tf.shape(z)[0])], training=training)
        return self.decoder(z, training=training)

    def _given(self, y: Any, network: Any = None, with_x: bool = True) -> tf.Tensor | None:
        """The condition that came with a call, checked; None for a network that takes none.

        Only with x may classes be unknown.
        """
        if self.condition is None:
            if y is not None:
                raise invalid("y", "None, since no network of this model takes a condition", y)
            return None
        if y is None and (not self.condition.required or (network and not takes_condition(network))):
            return None
        (self.condition if with_x else replace(self.condition, unknown=False)).check(y)
        return self.condition.cast(y)

    def _x_and_y(self, data: Any) -> tuple[Any, Any]:
        """The two halves of what a conditional model is called with."""
        if self.condition is None or (not self.condition.required and tf.is_tensor(data)):
            return data, None
        if not isinstance(data, (list, tuple)) or len(data) != 2:
            raise invalid("x", "(x, y), as this model is conditional", f"a {type(data).__name__}")
        x, y = data[0], self.condition.cast(data[1])
        check_rows(y, x.shape[0])
        return x, y

    def fit_prior(
        self, x: Any, num_components: int = 10, seed: int = 0, batch_size: int = 512, y: Any = None
    ) -> Prior:
        """Puts a mixture of normals, fitted to the codes of x, in the prior's place, to generate from.

        For models whose training does not bring codes and prior together, as autoencoders, and for those in
        which it has not succeeded. Codes are one draw each from q(z|x). The prior is saved with the model,
        and `sample`, `elbo` and `log_likelihood` use it. It has no weights to train; where the one before
        had, the model is compiled again, and its optimizer starts anew.

        Args:
            x: training data, `[N] + event`, an array.
            num_components: how many normals, with full covariances; 1 fits one normal.
            seed: of the fit and of the draws, an integer >= 0.
            batch_size: examples to encode at once.
            y: of a model whose encoder is conditional, `[N]` conditions. The prior is of all codes together.

        Returns:
            The new prior, a `priors.FittedMixture`.

        Raises:
            ValueError: for fewer examples than components, fewer than 2, or codes that are not finite.
            ImportError: if scikit-learn is missing.

        Reference: Ghosh et al., From Variational to Deterministic Autoencoders, 2020, section 4.
        """
        x = checks.check_batch("x", x, self.data_shape)
        check_count("seed", seed, 0)
        size = check_count("batch_size", batch_size)
        key = self._seed_or_next(seed)
        y = self._given(y, self.encoder)
        check_rows(y, len(x))
        codes = [
            self.encode(x[start : start + size], None if y is None else y[start : start + size]).sample(
                seed=fold_in(key, start)
            )
            for start in range(0, len(x), size)
        ]
        if not codes:
            raise invalid("x", "at least 2 examples", f"shape {tuple(x.shape)}")
        self._replace_prior(FittedMixture.fit(tf.concat(codes, axis=0), num_components, seed))
        return self.prior

    def _replace_prior(self, prior: Prior) -> None:
        trained = bool(self.prior.trainable_variables)
        # Keras would refuse a built model another layer, and keep the one that its attribute no longer names.
        self._tracker.replace_tracked_value("layers", self.prior, prior)
        self.prior = prior
        # Traced functions hold the prior before.
        self._untracked.functions.clear()
        self._untracked.estimates.clear()
        if trained and self.compiled:
            self.compile_from_config(self.get_compile_config())

    # --- estimates ----------------------------------------------------------------------------

    def terms(
        self,
        x: tf.Tensor,
        y: Any = None,
        num_samples: int | None = None,
        seed: tf.Tensor | None = None,
        training: bool = False,
        sample_weight: tf.Tensor | None = None,
        inputs: tf.Tensor | None = None,
    ) -> Terms:
        """The table of terms of one batch, which objectives and estimates read.

        Args:
            x: `[B] + event`.
            y: conditions or labels, or None; num_samples, seed, sample_weight: see `Terms`.
            training: whether layers run as in training.
            inputs: what the encoder sees instead of x.
        """
        if y is not None and self.condition is not None:
            y = self.condition.cast(y)
        seed = self._next_seed() if seed is None else seed
        if self.objective.features is not None:
            x, inputs = self._read(x, seed), None
        return self._terms_of(x, y, num_samples, seed, training, sample_weight, inputs)

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
        """The terms of what the networks read."""
        return Terms(
            x=x,
            y=y,
            q=self._posterior(x if inputs is None else inputs, y, training),
            prior=self.prior,
            decode=lambda z: self._likelihood(z, y, training),
            num_samples=self.objective.num_samples if num_samples is None else num_samples,
            seed=seed,
            step=self.step,
            sample_weight=sample_weight,
            encode=lambda x: self._posterior(x, y, training),
            training=training,
            decoder_weights=self.decoder.trainable_variables,
        )

    def estimate_terms(self, x: tf.Tensor, y: tf.Tensor | None, num_samples: int, seed: tf.Tensor) -> Terms:
        """The terms that estimates of log p(x), or of log p(x|y), read; x is what the networks see."""
        return self._terms_of(x, y, num_samples, seed)

    def elbo(
        self,
        x: Any,
        num_samples: int = 1,
        batch_size: int = 512,
        seed: int | None = None,
        y: Any = None,
    ) -> tf.Tensor:
        """The evidence lower bound on log p(x) of every example, `[N]`, in nats.

        Whatever the model was trained on, this is E_q[log p(x|z)] - KL(q(z|x) || p(z)) with a weight of 1.
        The KL is exact where known; the expectation is the mean over `num_samples` draws. Of a conditional
        model it bounds log p(x|y), and needs y.
        """
        return estimates.elbo(self, x, num_samples, batch_size, self._seed_or_next(seed), y=self._given(y))

    def log_likelihood(
        self,
        x: Any,
        num_samples: int = 500,
        batch_size: int = 512,
        seed: int | None = None,
        y: Any = None,
    ) -> tf.Tensor:
        """log p(x) of every example estimated by importance sampling from q(z|x), `[N]`, in nats.

        log (1/K) sum_k p(x|z_k) p(z_k) / q(z_k|x), K = `num_samples`: a lower bound on average that rises to
        log p(x) with K (Burda et al., 2016, Eq. 8). Memory does not grow with K or N: draws are processed in
        chunks and summed as a running log-sum-exp. Of a conditional model it is log p(x|y), and needs y.
        """
        estimate = estimates.log_likelihood(
            self, x, num_samples, batch_size, self._seed_or_next(seed), y=self._given(y)
        )
        return estimate.log_likelihood

    # --- the one training loop ---------------------------------------------------------------

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        self.objective.update(self.step)
        critic = self.objective.critic
        critic_weights = [] if critic is None else critic.trainable_variables
        critic_ids = {id(variable) for variable in critic_weights}
        weights = [v for v in self.trainable_variables if id(v) not in critic_ids]
        if self.objective.critic_steps > 1:
            self._critic_ahead(x, y, sample_weight, critic_weights)
        with tf.GradientTape(persistent=critic is not None) as tape:
            terms, loss = self._loss(x, y, sample_weight, training=True)
            scaled = self._scaled(loss, self.optimizer)
            if critic is not None:
                critic_loss = self._critic_loss(terms)
                critic_scaled = self._scaled(critic_loss, self.critic_optimizer)
        # Both gradients before either step: the two players move at once.
        gradients = tape.gradient(scaled, weights)
        if critic is not None:
            critic_gradients = tape.gradient(critic_scaled, critic_weights)
            self.critic_optimizer.apply_gradients(zip(critic_gradients, critic_weights, strict=True))
        if weights:
            self.optimizer.apply_gradients(zip(gradients, weights, strict=True))
        self.objective.finish(terms)
        self.step.assign_add(1)
        return self.get_metrics_result()

    def test_step(self, data: Any) -> dict[str, tf.Tensor]:
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        terms, _ = self._loss(x, y, sample_weight, training=False)
        if self.objective.critic is not None:
            self._critic_loss(terms)
        return self.get_metrics_result()

    def predict_step(self, data: Any) -> tf.Tensor:
        x, y, _ = keras.utils.unpack_x_y_sample_weight(data)
        return self._reconstruction(*self._x_and_y(x if self.condition is None or y is None else (x, y)))

    def _critic_ahead(self, x: Any, y: Any, sample_weight: Any, weights: list) -> None:
        """All updates of the critic in one training step but the last, each on draws of its own.

        A loop of the program, not of Python: it is compiled once however many there are.
        """

        def update(number):
            self._critic_step(x, y, sample_weight, number, weights)
            return (number + 1,)

        tf.while_loop(
            lambda number: number < self.objective.critic_steps,
            update,
            (tf.constant(1),),
            parallel_iterations=1,
        )
        self._clear_losses()  # those of the loop are of no use outside

    def _critic_step(self, x: Any, y: Any, sample_weight: Any, number: tf.Tensor, weights: list) -> None:
        """Updates the critic alone; of several updates in one training step this is the given one."""
        seed = fold_in(fold_in(self._step_seed(training=True), _CRITIC), number)
        terms = self._step_terms(x, y, sample_weight, seed, training=True)
        with tf.GradientTape() as tape:
            parts = self.objective.critic_parts(terms)
            scaled = self._scaled(self._critic_total(parts, terms), self.critic_optimizer)
        self.critic_optimizer.apply_gradients(zip(tape.gradient(scaled, weights), weights, strict=True))

    def _step_terms(self, x: Any, y: Any, sample_weight: Any, seed: tf.Tensor, training: bool) -> Terms:
        """The terms of a batch as data come, with the losses that layers added before taken away."""
        self._clear_losses()
        x = checks.as_float(x)
        if sample_weight is not None:
            sample_weight = tf.reshape(tf.cast(sample_weight, tf.float32), [-1])
        return self.terms(
            x,
            y,
            seed=seed,
            training=training,
            sample_weight=sample_weight,
            inputs=self.objective.corrupt(x, fold_in(seed, _CORRUPTION)),
        )

    def _loss(self, x: Any, y: Any, sample_weight: Any, training: bool) -> tuple[Terms, tf.Tensor]:
        """Asks the objective, adds its parts as losses and tracks them; the loss is their sum."""
        terms = self._step_terms(x, y, sample_weight, self._step_seed(training), training)
        sample_weight = terms.sample_weight
        parts = self.objective.parts(terms)
        for name, part in parts.items():
            self.add_loss(_reduce(part, sample_weight))
            self._track(name, part, sample_weight)
        # The critic's own penalties are the critic's to pay. Taken away by value, since Keras computes
        # penalties anew whenever it is asked for them.
        penalties = [-value for value in self._critic_penalties()]
        losses = [*self.losses, *penalties]
        loss = tf.add_n([tf.cast(value, tf.float32) for value in losses])
        batch_size = tf.shape(x)[0]
        self._regularized = len(self.losses) - len(penalties) > len(parts)
        if self._regularized:
            added = tf.add_n([_reduce(part, sample_weight) for part in parts.values()])
            self._regularization.update_state(loss - added, sample_weight=batch_size)
        self._loss_tracker.update_state(loss, sample_weight=batch_size)
        for name, monitor in self.objective.monitors(terms).items():
            self._track(name, monitor, sample_weight)
        if self._compile_metrics is not None:
            seen = self._read(checks.as_float(x))
            self._compile_metrics.update_state(
                seen, self._reconstruction(x, terms.y), sample_weight=sample_weight
            )
        return terms, loss

    def _critic_loss(self, terms: Terms) -> tf.Tensor:
        parts = self.objective.critic_parts(terms)
        for name, part in parts.items():
            self._track(name, part, terms.sample_weight)
        return self._critic_total(parts, terms)

    def _critic_total(self, parts: Mapping[str, tf.Tensor], terms: Terms) -> tf.Tensor:
        reduced = [_reduce(part, terms.sample_weight) for part in parts.values()]
        return tf.add_n([*reduced, *(tf.cast(value, tf.float32) for value in self._critic_penalties())])

    def _critic_penalties(self) -> list[tf.Tensor]:
        return [] if self.objective.critic is None else self.objective.critic.losses

    def _track(self, name: str, values: Any, sample_weight: Any) -> None:
        if isinstance(values, tuple):
            values, weights = values
            self._trackers[name].update_state(values, sample_weight=weights)
            return
        values = tf.convert_to_tensor(values)
        if values.shape.rank == 0:
            self._trackers[name].update_state(values)
        else:
            reduced = _reduce(values, sample_weight)
            self._trackers[name].update_state(reduced, sample_weight=tf.shape(values)[0])

    def _scaled(self, loss: tf.Tensor, optimizer: keras.optimizers.Optimizer) -> tf.Tensor:
        # Optimizers sum gradients over replicas; the loss is a mean.
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        return optimizer.scale_loss(loss / replicas)

    def _reconstruction(self, x: tf.Tensor, y: tf.Tensor | None) -> tf.Tensor:
        x = self._read(checks.as_float(x))
        y = self._complete(x, y)
        q = self._posterior(x, y, training=False)
        return self._likelihood(q.mean(), y, training=False).mean()

    def _step_seed(self, training: bool) -> tf.Tensor:
        """The seed of one step: by the step in training, by the examples seen so far in evaluation.

        So validation draws the same every time and takes nothing from training.
        """
        count = self.step if training else tf.cast(self._loss_tracker.count, tf.int32)
        seed = fold_in(fold_in(tf.cast(self._draw_seed, tf.int32), int(training)), count)
        replica = tf.distribute.get_replica_context()
        if self._distribute_strategy is None or replica is None:
            return seed
        return fold_in(seed, replica.replica_id_in_sync_group)

    def _next_seed(self) -> tf.Tensor:
        return tf.cast(self.seed_generator.next(), tf.int32)

    def _seed_or_next(self, seed: int | tf.Tensor | None) -> tf.Tensor:
        if seed is None:
            return self._next_seed()
        if isinstance(seed, (int, np.integer)) and not isinstance(seed, bool):
            # Both halves of 64 bits, as signed 32-bit numbers.
            return tf.constant(np.array([int(seed) % 2**64], np.uint64).view(np.int32))
        pair = tf.convert_to_tensor(seed)
        if pair.shape != (2,) or not pair.dtype.is_integer:
            raise invalid("seed", "an integer, or two integers", seed)
        return tf.cast(pair, tf.int32)

    # --- Keras ---------------------------------------------------------------------------------

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        # Networks that add no losses of their own would show a column of zeros.
        hidden = () if self._regularized else (self._regularization,)
        return [metric for metric in super().metrics if metric not in hidden]

    def get_config(self) -> dict[str, Any]:
        serialize = keras.saving.serialize_keras_object
        config = {
            "name": self.name,
            "trainable": self.trainable,
            "dtype": serialize(self.dtype_policy),
            "encoder": serialize(self.encoder),
            "decoder": serialize(self.decoder),
            "prior": serialize(self.prior),
            "seed": self.seed,
        }
        if type(self) is LatentVariableModel:
            return {**config, "objective": serialize(self.objective)}
        return {**config, **self.objective.arguments()}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None):
        del custom_objects
        return cls(**deserialize_arguments(config))


def _reduce(part: tf.Tensor, sample_weight: tf.Tensor | None) -> tf.Tensor:
    """The mean over the batch of `[B]` values, each times its weight, as Keras reduces losses."""
    part = tf.cast(part, tf.float32)
    return tf.reduce_mean(part if sample_weight is None else part * sample_weight)
