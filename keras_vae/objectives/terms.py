"""The table of terms every objective reads, each computed at most once."""

from collections.abc import Callable, Hashable, Sequence
from functools import cached_property
from typing import Any

import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae.distributions.draws import fold_in
from keras_vae.divergences import exact_kl_or_none, kl_per_dimension, log_probs_per_dimension
from keras_vae.errors import invalid
from keras_vae.layers.deterministic import has_density
from keras_vae.priors import Prior

tfd = tfp.distributions

# Folded into the seed for draws that are independent of z.
_PRIOR = 2


class Terms:
    """x, y, z and the log-densities of one batch. All are in nats; a log-density sums over its event.

    Args:
        x: data, `[B] + event`.
        y: labels or any second tensor of the batch, or None.
        q: posterior q(z|x), batch shape `[B]`.
        prior: gives p(z).
        decode: maps latents `[N] + latent` to p(x|z), batch shape `[N]`.
        encode: maps data `[N] + event` to q(z|x), as `q` was made of the batch.
        num_samples: S, draws of z per example; estimates may give an int32 tensor, `[]`.
        seed: int32 `[2]`, stateless seed of the draws.
        step: training steps taken so far, scalar.
        sample_weight: weights of the examples, `[B]`, or None. Parts are weighted when they are reduced; only
            an objective that looks at the whole batch need mind them.
        training: whether layers run as in training; for networks of the objective's own.
        decoder_weights: trainable variables behind `decode`, for penalties of them.
    """

    def __init__(
        self,
        x: tf.Tensor,
        y: Any,
        q: tfd.Distribution,
        prior: Prior,
        decode: Callable[[tf.Tensor], tfd.Distribution],
        num_samples: int | tf.Tensor,
        seed: tf.Tensor,
        step: tf.Tensor | int = 0,
        sample_weight: tf.Tensor | None = None,
        encode: Callable[[tf.Tensor], tfd.Distribution] | None = None,
        training: bool = False,
        decoder_weights: Sequence[Any] = (),
    ):
        self._kept: dict[Hashable, Any] = {}
        self.x, self.y, self.q, self.prior, self.sample_weight = x, y, q, prior, sample_weight
        self.num_samples, self.seed, self.step = num_samples, seed, step
        self.decode, self.encode, self.training = decode, encode, training
        self.decoder_weights = decoder_weights

    def once(self, key: Hashable, compute: Callable[[], Any]) -> Any:
        """`compute()` at the first call with this key: for what both parts and monitors read.

        The key holds all that the result depends on besides the table.
        """
        if key not in self._kept:
            self._kept[key] = compute()
        return self._kept[key]

    def at(self, z: tf.Tensor) -> "Terms":
        """The terms of the same batch at other latents, `[num_samples, B] + latent`."""
        other = Terms(
            self.x,
            self.y,
            self.q,
            self.prior,
            self.decode,
            self.num_samples,
            self.seed,
            step=self.step,
            sample_weight=self.sample_weight,
            encode=self.encode,
            training=self.training,
            decoder_weights=self.decoder_weights,
        )
        other.z, other.p_z = z, self.p_z
        return other

    @cached_property
    def z(self) -> tf.Tensor:
        """Draws from q(z|x), reparameterised where TFP can, `[S, B] + latent`."""
        return self.q.sample(self.num_samples, seed=self.seed)

    @cached_property
    def p_z(self) -> tfd.Distribution:
        """The prior p(z); of a conditional prior p(z|y), with batch shape `[B]`."""
        return self.prior.given(self.y)

    @cached_property
    def prior_z(self) -> tf.Tensor:
        """Draws from the prior, as many as `z`, `[S, B] + latent`: for objectives that compare the two."""
        shape = [self.num_samples, tf.shape(self.x)[0]]
        if self.p_z.batch_shape.rank:
            shape.pop()
        return self.p_z.sample(tf.stack(shape), seed=fold_in(self.seed, _PRIOR))

    @cached_property
    def p(self) -> tfd.Distribution:
        """p(x|z) of every draw, batch shape `[S * B]`, draw by draw."""
        return self.decode(merge_samples(self.z))

    @cached_property
    def log_px(self) -> tf.Tensor:
        """log p(x|z), `[S, B]`."""
        x = tf.cast(self.x, self.p.dtype)
        if tf.is_tensor(self.num_samples) or self.num_samples > 1:
            x = merge_samples(tf.broadcast_to(x, tf.concat([[self.num_samples], tf.shape(x)], 0)))
        return tf.reshape(self.p.log_prob(x), tf.shape(self.z)[:2])

    @cached_property
    def log_qz(self) -> tf.Tensor:
        """log q(z|x), `[S, B]`.

        Raises:
            ValueError: for a posterior without a density, deterministic or implicit.
        """
        self._check_density()
        return self.q.log_prob(self.z)

    @cached_property
    def path_log_qz(self) -> tf.Tensor:
        """`log_qz` with the gradient that flows through z alone, `[S, B]`.

        What is left out, the derivative by the parameters at fixed z, is 0 on average (Roeder et al.,
        Sticking the Landing, 2017, Eq. 4).
        """
        score = self.q.log_prob(tf.stop_gradient(self.z))
        return self.log_qz - (score - tf.stop_gradient(score))

    @cached_property
    def log_pz(self) -> tf.Tensor:
        """log p(z), `[S, B]`."""
        return self.p_z.log_prob(self.z)

    @cached_property
    def exact_kl(self) -> tf.Tensor | None:
        """KL(q(z|x) || p(z)) in closed form, `[B]`; None where none is known."""
        self._check_density()
        return exact_kl_or_none(self.q, self.p_z)

    @cached_property
    def sampled_kl(self) -> tf.Tensor:
        """The mean over the S draws of log q(z|x) - log p(z), `[B]`; may be negative for one batch."""
        return tf.reduce_mean(self.log_qz - self.log_pz, axis=0)

    def kl(self, mode: str = "auto") -> tf.Tensor:
        """KL(q(z|x) || p(z)), `[B]`: "exact", "sampled", or "auto", exact where known, else sampled.

        Raises:
            ValueError: for "exact" where no closed form is known.
        """
        if mode == "sampled" or (mode == "auto" and self.exact_kl is None):
            return self.sampled_kl
        if self.exact_kl is None:
            raise self._no_closed_form()
        return self.exact_kl

    @cached_property
    def exact_kl_per_dimension(self) -> tf.Tensor | None:
        """KL(q(z_j|x) || p(z_j)) in closed form, `[B] + latent`; None where none is known."""
        self._check_density()
        return kl_per_dimension(self.q, self.p_z)

    @cached_property
    def log_densities_per_dimension(self) -> tuple[tf.Tensor, tf.Tensor] | None:
        """log q(z_j|x) and log p(z_j), each `[S, B] + latent`; None unless both factorise."""
        self._check_density()
        return log_probs_per_dimension(self.q, self.p_z, self.z)

    def kl_per_dimension(self, mode: str = "auto") -> tf.Tensor | None:
        """KL(q(z_j|x) || p(z_j)) of every latent dimension, `[B] + latent`; None unless both factorise.

        Args:
            mode: as for `kl`, to which it adds up.

        Raises:
            ValueError: for "exact" where no closed form is known.
        """
        if mode != "sampled" and self.exact_kl_per_dimension is not None:
            return self.exact_kl_per_dimension
        if self.log_densities_per_dimension is None:
            return None
        if mode == "exact":
            raise self._no_closed_form()
        log_qz, log_pz = self.log_densities_per_dimension
        return tf.reduce_mean(log_qz - log_pz, axis=0)

    def _no_closed_form(self) -> ValueError:
        return invalid(
            "kl",
            "'sampled' or 'auto' for distributions without a closed form",
            f"'exact' for {type(self.q).__name__} and {type(self.p_z).__name__}",
        )

    def _check_density(self) -> None:
        if not has_density(self.q):
            raise invalid(
                "encoder",
                "a posterior with a density, such as keras_vae.layers.IndependentNormal, for this objective",
                f"{self.q.name}, which has none",
            )

    @cached_property
    def log_weights(self) -> tf.Tensor:
        """log of the importance weights p(x, z) / q(z|x), `[S, B]`."""
        return self.log_px + self.log_pz - self.log_qz


def merge_samples(value: tf.Tensor) -> tf.Tensor:
    """`[S, B] + event` to `[S * B] + event`."""
    merged = tf.reshape(value, tf.concat([[-1], tf.shape(value)[2:]], axis=0))
    return tf.ensure_shape(merged, [None, *value.shape[2:]])
