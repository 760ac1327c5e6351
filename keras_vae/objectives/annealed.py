"""Annealing of the KL and free bits, the same for every objective whose KL has no other weight."""

import tensorflow as tf

from keras_vae import schedules
from keras_vae.checks import check_number
from keras_vae.errors import invalid
from keras_vae.objectives.objective import LATE_STEPS, Objective
from keras_vae.objectives.terms import Terms


class Annealed(Objective):
    """An objective whose KL may come in by degrees, and may be free up to a number of nats.

    Both keep an encoder from giving z up before the decoder has learned to use it (posterior collapse). In
    the place of KL(q(z|x) || p(z)) the loss has, for a batch,

        annealing * sum_j max(free_bits, mean_x KL(q(z_j|x) || p(z_j)))

    A subclass calls `anneal` at the end of its constructor and makes its parts and monitors of the other
    methods; those but `annealed` read its attribute `kl`, a mode of `Terms.kl`.

    Args (of `anneal`):
        annealing: weight of the KL, a number in [0, 1] or a schedule of the training step that ends there:
            "linear:0:1:10000" (warm-up), "sigmoid:0:1:10000", "cyclical:0:1:5000". Once it is 1, the loss is
            the plain one. "linear:5:1:10000" comes from above: at first z is dear, and what else there is,
            such as the class of a semi-supervised model, must explain the data.
        free_bits: nats of every latent dimension that cost nothing, a number >= 0: where the mean KL of a
            dimension over the batch is lower, its gradient is 0. Needs a posterior and a prior of independent
            dimensions. With weights of examples the mean is the weighted one.

    Reported: with the defaults, 1 and 0, the part is `kl`. Otherwise it is `weighted_kl`, and `kl`, the KL
    itself, and `annealing` are shown beside the loss.

    Reference: Bowman et al., Generating Sentences from a Continuous Space, 2016, section 3.1 (annealing); Fu
    et al., Cyclical Annealing Schedule, 2019, Eq. 6; Kingma et al., Improving Variational Inference with
    Inverse Autoregressive Flow, 2016, Eq. 15 (free bits).
    """

    kl: str
    free_bits: float = 0.0
    annealed: bool = False

    def anneal(self, annealing: float | str | schedules.Schedule, free_bits: float = 0.0) -> None:
        """Declares what of the KL counts; names parts and monitors accordingly.

        Raises:
            ValueError: for arguments out of range.
        """
        self.annealing = schedules.get(annealing, "annealing")
        self.free_bits = check_number("free_bits", free_bits, at_least=0.0)
        always = isinstance(self.annealing, schedules.Constant) and self.annealing.value == 1.0
        self.annealed = not always or self.free_bits > 0.0
        if self.annealed:
            self.annealing_weight("annealing", annealing, "BetaVAE weighs the KL for good.")
            self.part_names = tuple("weighted_kl" if name == "kl" else name for name in self.part_names)
            others = (name for name in self.monitor_names if name != "kl")
            self.monitor_names = (*others, "kl", "annealing")

    def annealing_weight(
        self, name: str, value: float | str | schedules.Schedule, hint: str = ""
    ) -> schedules.Schedule:
        """Declares a weight as `scheduled` does, of what the bound has in full: it ends at 1 at most.

        Args:
            name, value: see `scheduled`.
            hint: what to do instead of a weight that ends above 1; see `invalid`.

        Raises:
            ValueError: for a weight below 0, or one that ends above 1.
        """
        schedule = self.scheduled(name, value, low=0.0)
        if not float(tf.reduce_max(schedule(LATE_STEPS))) <= 1.0 + 1e-6:
            wanted = "a number from 0 to 1, or a schedule that ends there"
            raise invalid(name, wanted, value, hint)
        return schedule

    def kl_part(self, kl: tf.Tensor) -> dict[str, tf.Tensor]:
        """The KL, `[B]`, with its weight, by the name it then has."""
        return {"weighted_kl": self.current("annealing") * kl} if self.annealed else {"kl": kl}

    def kl_monitors(self, terms: Terms) -> dict[str, tf.Tensor]:
        """What there is to report of it."""
        return {"kl": terms.kl(self.kl), "annealing": self.current("annealing")} if self.annealed else {}

    def free_kl(self, terms: Terms) -> tf.Tensor:
        """The KL with its floor, `[B]`: the mean over the batch is sum_j max(free_bits, mean KL_j).

        Raises:
            ValueError: for free bits of latent dimensions that are not independent.
        """
        return self._floored(self._kl_per_dimension(terms), terms) if self.free_bits else terms.kl(self.kl)

    def free_log_ratio(self, terms: Terms) -> tf.Tensor:
        """log q(z|x) - log p(z) with the same floor, `[S, B]`, and without the gradient of log q itself."""
        if not self.free_bits:
            return tf.stop_gradient(terms.log_qz) - terms.log_pz
        if terms.log_densities_per_dimension is None:
            raise self._dependent(terms)
        log_qz, log_pz = terms.log_densities_per_dimension
        return self._floored(tf.stop_gradient(log_qz) - log_pz, terms)

    def _floored(self, values: tf.Tensor, terms: Terms) -> tf.Tensor:
        """Sums over the latent, `[..., B] + latent`, with `free_bits` for dimensions that have no more."""
        kl = self._kl_per_dimension(terms)
        given = terms.sample_weight
        weight = tf.ones(tf.shape(kl)[:1], kl.dtype) if given is None else tf.cast(given, kl.dtype)
        mean = tf.math.divide_no_nan(tf.tensordot(weight, kl, axes=1), tf.reduce_sum(weight))
        floored = tf.where(mean > self.free_bits, values, self.free_bits)
        return tf.reduce_sum(floored, axis=list(range(1 - kl.shape.rank, 0)))

    def _kl_per_dimension(self, terms: Terms) -> tf.Tensor:
        kl = terms.kl_per_dimension(self.kl)
        if kl is None:
            raise self._dependent(terms)
        return kl

    def _dependent(self, terms: Terms) -> ValueError:
        return invalid(
            "free_bits",
            "0, for a posterior or a prior whose latent dimensions are not independent",
            f"{self.free_bits:g} with {type(terms.q).__name__} and {type(terms.p_z).__name__}",
            "Take posterior='normal' and a prior such as StandardNormal, or BetaVAE with a capacity.",
        )
