"""Terms of the aggregate posterior against closed forms and float64 brute force."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from scipy import integrate, special, stats

from keras_vae.divergences.marginals import marginal_log_prob
from keras_vae.evaluation import Statistic, aggregate_posterior, aggregate_posterior_terms

tfd = tfp.distributions


def normals(means, scales=1.0):
    means = tf.constant(means, tf.float32)
    return tfd.Independent(tfd.Normal(means, tf.broadcast_to(tf.cast(scales, tf.float32), means.shape)), 1)


def standard(size):
    return tfd.MultivariateNormalDiag(tf.zeros(size), tf.ones(size))


def within(statistic: Statistic, truth: float, floor: float = 1e-5) -> bool:
    """Within four standard errors."""
    return abs(statistic.mean - truth) < 4 * statistic.standard_error + floor


def test_separate_posteriors_tell_the_example():
    grid = 10.0 * np.stack(np.meshgrid(np.arange(8), np.arange(8)), -1).reshape(-1, 2)
    terms = aggregate_posterior_terms(normals(grid, 0.1), standard(2))
    # Every other component is 100 scales away: exact but for rounding.
    assert terms.mutual_information.mean == pytest.approx(np.log(64), abs=1e-4)


def test_collapsed_posteriors_tell_nothing():
    """q(z|x) = q(z) for all x: no information, the marginal KL is the KL."""
    q = normals(np.tile([[1.0, -0.5]], (500, 1)), [0.5, 2.0])
    terms = aggregate_posterior_terms(q, standard(2))
    kl = float(tfd.kl_divergence(q, normals(np.zeros((1, 2))))[0])
    assert terms.mutual_information.mean == pytest.approx(0.0, abs=1e-5)
    assert terms.total_correlation.mean == pytest.approx(0.0, abs=1e-5)
    assert within(terms.marginal_kl, kl)
    assert within(terms.dimension_wise_kl, kl)


@pytest.mark.parametrize("correlation", [0.0, 0.8])
def test_normal_aggregate(correlation):
    """Means from N(0, C) and scale s make q(z) = N(0, C + s^2 I), nearly, and all terms closed forms."""
    count, scale = 2000, 0.6
    covariance = np.array([[1.0, correlation], [correlation, 1.0]])
    # Normal numbers with exactly this mean and covariance, so that only the third moments and beyond differ.
    raw = np.random.default_rng(0).normal(size=(count, 2))
    raw -= raw.mean(axis=0)
    raw = raw @ np.linalg.inv(np.linalg.cholesky(raw.T @ raw / count)).T
    means = raw @ np.linalg.cholesky(covariance).T
    whole = covariance + scale**2 * np.eye(2)
    log_det = np.linalg.slogdet(whole)[1]

    terms = aggregate_posterior_terms(normals(means, scale), standard(2), num_samples=4)
    assert terms.num_examples == count
    # 0.02: the mixture of 2,000 is not quite normal, which moves each term by about 1 / 2,000 a dimension.
    truths = {
        "mutual_information": 0.5 * (log_det - 4 * np.log(scale)),
        "marginal_kl": 0.5 * (np.trace(whole) - 2 - log_det),
        "total_correlation": 0.5 * (np.log(np.diag(whole)).sum() - log_det),
        "dimension_wise_kl": 0.5 * np.sum(np.diag(whole) - 1 - np.log(np.diag(whole))),
    }
    for name, truth in truths.items():
        assert within(getattr(terms, name), truth, floor=0.02), name


@pytest.fixture
def some():
    rng = np.random.default_rng(5)
    return normals(rng.normal(size=(30, 3)), rng.uniform(0.2, 1.0, size=(30, 3)))


def brute_force(q, prior, z):
    """Of independent normals, draw by draw, in float64."""
    loc, scale = np.float64(q.mean()), np.float64(q.stddev())
    z = np.float64(z)
    factors = stats.norm.logpdf(z[:, None], loc, scale)  # [draw, example, dimension]
    log_qz = special.logsumexp(factors.sum(-1), axis=1) - np.log(len(loc))
    own = stats.norm.logpdf(z, loc, scale).sum(-1)
    marginal = (special.logsumexp(factors, axis=1) - np.log(len(loc))).sum(-1)
    log_pz = stats.norm.logpdf(z).sum(-1)
    return {
        "mutual_information": np.mean(own - log_qz),
        "marginal_kl": np.mean(log_qz - log_pz),
        "total_correlation": np.mean(log_qz - marginal),
        "dimension_wise_kl": np.mean(marginal - log_pz),
    }


def test_brute_force(some):
    terms = aggregate_posterior_terms(some, standard(3), seed=9)
    z = some.sample(1, seed=tf.constant([9, 0], tf.int32))[0]
    for name, value in brute_force(some, standard(3), z).items():
        assert getattr(terms, name).mean == pytest.approx(value, abs=2e-5), name


def test_identities_hold_to_rounding(some):
    terms = aggregate_posterior_terms(some, standard(3), num_samples=50)
    mean = {name: getattr(terms, name).mean for name in brute_force(some, None, some.sample())}
    assert mean["total_correlation"] + mean["dimension_wise_kl"] == pytest.approx(
        mean["marginal_kl"], abs=1e-5
    )
    kl = float(tf.reduce_mean(tfd.kl_divergence(some, normals(np.zeros((1, 3))))))
    # The KL of those 1,500 draws, whose spread is near 1.5 nats.
    assert mean["mutual_information"] + mean["marginal_kl"] == pytest.approx(kl, abs=0.15)


def test_memory_blocks_do_not_change_the_terms(some, monkeypatch):
    whole = aggregate_posterior_terms(some, standard(3), num_samples=3)
    monkeypatch.setattr(aggregate_posterior, "_AT_ONCE", 300)
    blocks = aggregate_posterior_terms(some, standard(3), num_samples=3)
    assert blocks.mutual_information == pytest.approx(whole.mutual_information, abs=1e-5)
    assert blocks.total_correlation == pytest.approx(whole.total_correlation, abs=1e-5)


def test_batches_of_a_data_set_are_one_mixture(some):
    loc, scale = some.mean(), some.stddev()
    parts = [normals(loc[:20], scale[:20]), normals(loc[20:], scale[20:])]
    whole = aggregate_posterior_terms(some, standard(3), num_samples=200)
    apart = aggregate_posterior_terms(parts, standard(3), num_samples=200)
    assert apart.num_examples == 30
    # Other draws: 6,000 of a spread near 1.
    assert apart.mutual_information.mean == pytest.approx(whole.mutual_information.mean, abs=0.06)


def test_standard_errors_are_calibrated():
    rng = np.random.default_rng(1)
    values, told = [], []
    for seed in range(40):
        q = normals(rng.normal(size=(200, 2)), 0.5)
        statistic = aggregate_posterior_terms(q, standard(2), seed=seed).marginal_kl
        values.append(statistic.mean)
        told.append(statistic.standard_error)
    # The standard deviation of 40 numbers is known to 11%. Errors that are too small would be wrong; the
    # stratified draws make them a little too large.
    assert 0.75 < np.mean(told) / np.std(values, ddof=1) < 1.6


def test_correlated_posteriors():
    """Two-dimensional normals with correlation, whose marginals do not make up the joint."""
    tril = np.array([[1.0, 0.0], [0.9, 0.3]], "float32")
    q = tfd.MultivariateNormalTriL(tf.zeros([100, 2]), tf.constant(tril)[None])
    terms = aggregate_posterior_terms(q, standard(2), num_samples=20)
    covariance = tril @ tril.T
    truth = -0.5 * np.log(1 - covariance[0, 1] ** 2 / (covariance[0, 0] * covariance[1, 1]))
    assert terms.mutual_information.mean == pytest.approx(0.0, abs=1e-5)
    assert within(terms.total_correlation, truth)


def test_discrete_posteriors_have_no_marginals_here():
    probs = np.array([[0.9, 0.1], [0.2, 0.8]], "float32")
    q = tfd.OneHotCategorical(probs=probs, dtype=tf.float32)
    prior = tfd.OneHotCategorical(probs=[0.5, 0.5], dtype=tf.float32)
    terms = aggregate_posterior_terms(q, prior, num_samples=4000)
    aggregate = probs.mean(axis=0)
    truth = np.mean(np.sum(probs * np.log(probs / aggregate), axis=1))
    # 8,000 draws of a spread below 1; two examples tell no standard error.
    assert terms.mutual_information.mean == pytest.approx(truth, abs=0.04)
    assert terms.total_correlation is None and terms.dimension_wise_kl is None


def test_latents_of_more_dimensions():
    rng = np.random.default_rng(2)
    loc = rng.normal(size=(20, 2, 3)).astype("float32")
    flat = aggregate_posterior_terms(normals(loc.reshape(20, 6)), standard(6))
    prior = tfd.Independent(tfd.Normal(tf.zeros([2, 3]), 1.0), 2)
    shaped = aggregate_posterior_terms(tfd.Independent(tfd.Normal(loc, 1.0), 2), prior)
    assert shaped.total_correlation == pytest.approx(flat.total_correlation, abs=1e-5)


def test_errors():
    q = normals(np.zeros((3, 2)))
    with pytest.raises(ValueError, match=r"`prior`\. Expected: event shape \(2,\)"):
        aggregate_posterior_terms(q, standard(3))
    with pytest.raises(ValueError, match="two or more examples"):
        aggregate_posterior_terms(normals(np.zeros((1, 2))), standard(2))
    with pytest.raises(ValueError, match="batch shape"):
        aggregate_posterior_terms(standard(2), standard(2))
    with pytest.raises(ValueError, match="num_samples"):
        aggregate_posterior_terms(q, standard(2), num_samples=0)


TRIL = np.array([[1.0, 0.0], [-0.7, 0.4]], "float32")
MIXTURE = tfd.MixtureSameFamily(
    tfd.Categorical(logits=[0.3, -0.4]),
    tfd.MultivariateNormalTriL([[0.0, 1.0], [2.0, -1.0]], tf.stack([TRIL, 2.0 * TRIL])),
)


@pytest.mark.parametrize(
    "joint",
    [
        tfd.MultivariateNormalTriL([0.3, -0.2], TRIL),
        tfd.MultivariateNormalDiag([0.3, -0.2], [0.5, 2.0]),
        tfd.Independent(tfd.Laplace([0.3, -0.2], [0.5, 2.0]), 1),
        MIXTURE,
    ],
    ids=["tril", "diag", "laplace", "mixture"],
)
def test_marginals_are_integrals_of_the_joint(joint):
    grid = np.linspace(-25.0, 25.0, 5001, dtype="float32")
    point = np.array([0.4, -0.9], "float32")
    marginal = np.exp(marginal_log_prob(joint, point))
    for dimension in (0, 1):
        pairs = np.tile(point, (len(grid), 1))
        pairs[:, 1 - dimension] = grid
        density = np.exp(np.float64(joint.log_prob(pairs)))
        # The trapezoidal rule at steps of 0.01; the Laplace density has a kink.
        assert integrate.trapezoid(density, grid) == pytest.approx(marginal[dimension], rel=1e-3)


def test_marginals_of_a_batch_of_mixtures():
    components = tfd.Independent(tfd.Normal(tf.random.stateless_normal([4, 3, 2], [0, 1]), 1.0), 1)
    batch = tfd.MixtureSameFamily(
        tfd.Categorical(logits=tf.random.stateless_normal([4, 3], [0, 2])), components
    )
    z = tf.random.stateless_normal([5, 1, 2], [0, 3])
    marginals = marginal_log_prob(batch, z)
    assert marginals.shape == (5, 4, 2)
    weights = tf.nn.softmax(batch.mixture_distribution.logits)
    density = np.einsum("nk,nrkd->rnd", weights, np.exp(components[:, None].distribution.log_prob(z[None])))
    np.testing.assert_allclose(np.exp(marginals), density, rtol=1e-4)


def test_unknown_marginals():
    flow = tfd.TransformedDistribution(standard(2), tfp.bijectors.ScaleMatvecTriL(TRIL))
    assert marginal_log_prob(flow, tf.zeros(2)) is None
