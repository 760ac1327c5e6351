"""What the aggregate posterior q(z), the mixture of all q(z|x), says of a model."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae.divergences.marginals import marginal_log_prob
from keras_vae.errors import invalid
from keras_vae.evaluation.statistic import Statistic

tfd = tfp.distributions

# Log-densities computed at once: draws x examples x latent size. 2^22 of them are 16 MB.
_AT_ONCE = 2**22


@dataclass(frozen=True)
class AggregatePosterior:
    """The terms of the mean KL, in nats; q(z) = (1/N) sum_n q(z|x_n), the mixture over the N examples given.

    With I, M, T and D the fields below, the mean of KL(q(z|x) || p(z)) over the examples is I + M; and where
    the prior factorises, M = T + D. All four come from the same draws, so both hold to rounding for the KL of
    those draws.

    Each is a Monte Carlo mean over draws of z from q(z), without bias for the mixture over these N examples.
    As estimates for the distribution the examples come from they are biased, the more so the narrower q(z|x)
    and the larger the latent: the component that z was drawn from weighs 1/N in the mixture, so log q(z) is
    too large; I is too small and M and T are too large. I cannot exceed log N: where it comes within a nat of
    it, read I as a lower bound and M and T as upper bounds.

    Args:
        num_examples: N.
        mutual_information: I_q(x; z) = E[log q(z|x) - log q(z)], the index-code mutual information: nats that
            z tells of which example it came from.
        marginal_kl: M = KL(q(z) || p(z)) = E[log q(z) - log p(z)]: how far draws from the prior are from what
            the decoder was trained on.
        total_correlation: T = KL(q(z) || prod_j q(z_j)) = E[log q(z) - sum_j log q(z_j)], 0 where the
            dimensions are independent; None where the marginals of q(z|x) are not known.
        dimension_wise_kl: D = sum_j KL(q(z_j) || p(z_j)) = E[sum_j log q(z_j) - log p(z_j)]; None where the
            marginals of q(z|x) or of the prior are not known.

    Reference: Hoffman & Johnson, ELBO surgery, 2016 (I and M); Chen et al., Isolating Sources of
    Disentanglement in Variational Autoencoders, 2018, Eq. 2 (I, T and D).
    """

    num_examples: int
    mutual_information: Statistic
    marginal_kl: Statistic
    total_correlation: Statistic | None
    dimension_wise_kl: Statistic | None


def aggregate_posterior_terms(
    posteriors: tfd.Distribution | Sequence[tfd.Distribution],
    prior: tfd.Distribution,
    num_samples: int = 1,
    seed: int = 0,
) -> AggregatePosterior:
    """Mutual information, marginal KL, total correlation and dimension-wise KL; see `AggregatePosterior`.

    Every draw is compared with every example, so time grows with N^2. Memory does not grow with it.

    Args:
        posteriors: q(z|x), batch shape `[N]`; or several such, together N, for the batches of a data set.
        prior: p(z), batch shape `[]`.
        num_samples: draws of z per example, averaged.
        seed: of the draws.

    Returns:
        The terms, in nats. Their standard errors are over the examples.

    Raises:
        ValueError: for fewer than two examples, a posterior without one batch dimension, or event shapes that
            differ.

    Example: far and narrow posteriors tell which example it was.

    >>> q = tfd.Independent(tfd.Normal([[-9.0], [-3.0], [3.0], [9.0]], 0.1), 1)
    >>> terms = aggregate_posterior_terms(q, tfd.MultivariateNormalDiag([0.0], [5.0]))
    >>> print(f"{terms.mutual_information.mean:.4f} {np.log(4):.4f}")
    1.3863 1.3863
    """
    blocks = [posteriors] if isinstance(posteriors, tfd.Distribution) else list(posteriors)
    count = _check(blocks, prior, num_samples)
    terms: dict[str, list[np.ndarray]] = {}
    for number, block in enumerate(blocks):
        z = block.sample(num_samples, seed=tf.constant([seed, number], tf.int32))
        log_qz_x = block.log_prob(z)
        flat = tf.reshape(z, tf.concat([[-1], prior.event_shape], axis=0))
        values = _log_densities(flat, blocks, prior, count)
        values["log_qz_x"] = tf.reshape(log_qz_x, [-1]).numpy()
        for name, value in values.items():
            # The draws of one example are no independent examples: they are averaged first.
            terms.setdefault(name, []).append(_float64(value).reshape(num_samples, -1).mean(axis=0))
    mean = {name: np.concatenate(value) for name, value in terms.items()}

    def difference(a: str, b: str) -> Statistic | None:
        return Statistic.of(mean[a] - mean[b]) if a in mean and b in mean else None

    return AggregatePosterior(
        num_examples=count,
        mutual_information=Statistic.of(mean["log_qz_x"] - mean["log_qz"]),
        marginal_kl=Statistic.of(mean["log_qz"] - mean["log_pz"]),
        total_correlation=difference("log_qz", "log_qz_factors"),
        dimension_wise_kl=difference("log_qz_factors", "log_pz_factors"),
    )


def _check(blocks: Sequence[tfd.Distribution], prior: tfd.Distribution, num_samples: int) -> int:
    for block in blocks:
        if block.batch_shape.rank != 1:
            raise invalid(
                "posteriors", "distributions of batch shape [N]", f"batch shape {block.batch_shape}"
            )
        if block.event_shape != prior.event_shape:
            raise invalid("prior", f"event shape {block.event_shape}", f"event shape {prior.event_shape}")
    count = sum(int(block.batch_shape_tensor()[0]) for block in blocks)
    if count < 2:
        raise invalid("posteriors", "two or more examples", f"{count}")
    if isinstance(num_samples, bool) or not isinstance(num_samples, int) or num_samples < 1:
        raise invalid("num_samples", "an integer >= 1", num_samples)
    return count


def _log_densities(
    z: tf.Tensor, blocks: Sequence[tfd.Distribution], prior: tfd.Distribution, count: int
) -> dict[str, np.ndarray]:
    """log q(z), log p(z) and, where known, the sums over j of log q(z_j) and log p(z_j), each `[draws]`."""
    found: dict[str, list[np.ndarray]] = {}
    for rows in _row_blocks(z, blocks):
        joint, factors = _mixture(rows, blocks)
        values = {
            "log_qz": joint - np.log(count),
            "log_pz": prior.log_prob(rows).numpy(),
            "log_qz_factors": None if factors is None else _sum_event(factors - np.log(count)),
            "log_pz_factors": _sum_event(marginal_log_prob(prior, rows)),
        }
        for name, value in values.items():
            if value is not None:
                found.setdefault(name, []).append(value)
    return {name: np.concatenate(value) for name, value in found.items()}


def _row_blocks(z: tf.Tensor, blocks: Sequence[tfd.Distribution]) -> Iterator[tf.Tensor]:
    widest = max(int(block.batch_shape_tensor()[0]) for block in blocks)
    size = max(1, _AT_ONCE // (widest * max(1, int(np.prod(z.shape[1:])))))
    for start in range(0, len(z), size):
        yield z[start : start + size]


def _mixture(z: tf.Tensor, blocks: Sequence[tfd.Distribution]) -> tuple[np.ndarray, np.ndarray | None]:
    """log sum_n q(z|x_n), `[draws]`, and log sum_n q(z_j|x_n), `[draws] + latent`, block after block."""
    joint: np.ndarray = np.array(-np.inf)
    factors: np.ndarray | None = np.array(-np.inf)
    for block in blocks:
        pairs = z[:, tf.newaxis]
        joint = np.logaddexp(joint, _log_sum(block.log_prob(pairs)))
        marginal = None if factors is None else marginal_log_prob(block, pairs)
        factors = None if factors is None or marginal is None else np.logaddexp(factors, _log_sum(marginal))
    return joint, factors


def _log_sum(log_prob: tf.Tensor) -> np.ndarray:
    return _float64(tf.reduce_logsumexp(log_prob, axis=1))


def _sum_event(values: tf.Tensor | np.ndarray | None) -> np.ndarray | None:
    if values is None:
        return None
    values = _float64(values)
    return values.reshape(len(values), -1).sum(axis=1)


def _float64(values: tf.Tensor | np.ndarray) -> np.ndarray:
    return np.asarray(values, np.float64)
