"""The other distributions, and those behind the likelihood layers, against SciPy in float64."""

import numpy as np
import pytest
import scipy.special
import scipy.stats
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae import layers
from keras_vae.distributions import (
    BetaBinomial,
    ContinuousBernoulli,
    OneHotCategoricalMixture,
    PixelCategorical,
)

from .test_discretized_logistic import log_mass

tfd = tfp.distributions

RNG = np.random.default_rng(0)
SEED = tf.constant([1, 2])


def continuous_bernoulli_log_norm(logits):
    """log of logits / tanh(logits / 2), which is 2 at 0, in float64."""
    half = np.abs(logits) / 2
    is_small = half < 1e-4
    safe = np.where(is_small, 1.0, half)
    return np.where(is_small, np.log(2) + half**2 / 3, np.log(2 * safe / np.tanh(safe)))


def continuous_bernoulli_mean(logits):
    logits = np.where(np.abs(logits) < 1e-3, 1.0, logits)
    with np.errstate(over="ignore"):
        return -1.0 / np.expm1(-logits) - 1.0 / logits


LOGITS = np.concatenate(
    [[0.0], *(sign * np.logspace(-8, 5, 200) for sign in (1, -1)), RNG.uniform(-10, 10, 200)]
).astype("float32")


class TestContinuousBernoulli:
    @pytest.mark.parametrize("x", [0.0, 1e-6, 0.3, 0.5, 1.0])
    def test_log_prob(self, x):
        with np.errstate(over="ignore"):
            logits = LOGITS.astype(float)
            log_norm = continuous_bernoulli_log_norm(logits)
            expected = np.float32(x) * logits - np.logaddexp(0, logits) + log_norm
        received = ContinuousBernoulli(LOGITS).log_prob(tf.fill(LOGITS.shape, np.float32(x)))
        np.testing.assert_allclose(received, expected, rtol=2e-6, atol=5e-6)

    def test_gradient_is_the_value_minus_the_mean(self):
        logits = tf.constant(LOGITS)
        with tf.GradientTape() as tape:
            tape.watch(logits)
            log_prob = ContinuousBernoulli(logits).log_prob(tf.fill(LOGITS.shape, 0.3))
        gradient = tape.gradient(log_prob, logits)
        exact = np.abs(LOGITS) > 1e-3
        expected = 0.3 - continuous_bernoulli_mean(LOGITS.astype(float))
        np.testing.assert_allclose(gradient[exact], expected[exact], atol=1e-5)
        np.testing.assert_allclose(gradient[~exact], -0.2, atol=1e-3)

    def test_mean(self):
        exact = np.abs(LOGITS) > 1e-3
        mean = ContinuousBernoulli(LOGITS).mean()
        expected = continuous_bernoulli_mean(LOGITS.astype(float))
        np.testing.assert_allclose(mean[exact], expected[exact], atol=2e-6)
        np.testing.assert_allclose(mean[~exact], 0.5, atol=1e-4)

    def test_draws_are_inside_and_have_the_mean_and_variance(self):
        p = ContinuousBernoulli(LOGITS)
        draws = p.sample(4000, seed=SEED).numpy().astype(float)
        assert (draws >= 0).all()
        assert (draws <= 1).all()
        # Of 600 comparisons one beyond 5 standard errors has a chance of 4e-4; floats near 1 are 6e-8 apart.
        error = p.stddev().numpy() / np.sqrt(4000)
        assert (np.abs(draws.mean(axis=0) - p.mean()) < 5 * error + 1e-7).all()
        likely = np.abs(LOGITS) < 30
        np.testing.assert_allclose(draws.std(axis=0)[likely], p.stddev()[likely], rtol=0.1)

    @pytest.mark.parametrize("logit", [-50.0, -3.0, -0.02, -1e-3, 0.0, 1e-6, 1e-3, 0.5, 4.0])
    def test_draws_are_distributed_as_it_says(self, logit):
        p = ContinuousBernoulli([logit])
        draws = p.sample(5000, seed=SEED).numpy()[:, 0]
        cdf = (lambda x: np.expm1(logit * x) / np.expm1(logit)) if logit else (lambda x: x)
        assert scipy.stats.kstest(draws, cdf).pvalue > 1e-3

    @pytest.mark.parametrize("logit", [-20.0, -1.0, -0.011, -0.009, -1e-6, 0.0, 1e-5, 0.009, 0.011, 3.0])
    def test_draws_have_gradients(self, logit):
        """Their mean is the derivative of the mean, in an exponential family the variance."""
        logits = tf.constant([logit], tf.float32)
        with tf.GradientTape() as tape:
            tape.watch(logits)
            draws = ContinuousBernoulli(logits).sample(2000, seed=SEED)
            total = tf.reduce_mean(draws)
        gradient = tape.gradient(total, logits).numpy()[0]
        expected = ContinuousBernoulli(np.float64([logit])).variance().numpy()[0]
        assert np.isfinite(gradient)
        assert abs(gradient - expected) < 0.1 * expected

    def test_is_symmetric(self):
        x = np.linspace(0, 1, 11, dtype="float32")
        np.testing.assert_allclose(
            ContinuousBernoulli(3.0).log_prob(x), ContinuousBernoulli(-3.0).log_prob(1 - x), rtol=1e-5
        )


class TestBetaBinomial:
    @pytest.mark.parametrize("largest", [10.0, 1e3, 1e5, 1e7])
    def test_log_prob(self, largest):
        c1, c0 = (np.exp(RNG.uniform(-13, np.log(largest), 3000)).astype("float32") for _ in range(2))
        k = RNG.integers(0, 256, 3000)
        k[:4] = 0, 0, 255, 255
        received = BetaBinomial(255.0, c1, c0).log_prob(k)
        a, b = c1.astype(float), c0.astype(float)
        expected = scipy.special.betaln(a + k, 255 - k + b) - scipy.special.betaln(a, b)
        expected -= scipy.special.betaln(k + 1, 256 - k) + np.log(256)
        # SciPy's betaln loses digits of its own at the largest concentrations.
        np.testing.assert_allclose(received, expected, rtol=1e-6, atol=5e-4)

    def test_log_prob_of_16_bits(self):
        """Against SciPy, in float64."""
        for c1, c0 in ((1e-6, 1e-6), (1e-4, 2.0), (0.5, 0.5), (9.0, 0.1), (7.9, 8.1)):
            k = np.array([0, 1, 2, 255, 32767, 40000, 65533, 65534, 65535])
            received = BetaBinomial(65535.0, c1, c0).log_prob(k)
            expected = scipy.stats.betabinom.logpmf(k, 65535, np.float32(c1), np.float32(c0))
            np.testing.assert_allclose(received, expected, rtol=1e-5, atol=1e-4)

    @pytest.mark.parametrize("largest, atol", [(1e3, 2e-3), (1e5, 2e-2), (1e7, 0.1)])
    def test_log_prob_of_16_bits_at_large_concentrations(self, largest, atol):
        c1, c0 = (np.exp(RNG.uniform(-13, np.log(largest), 3000)).astype("float32") for _ in range(2))
        with np.errstate(invalid="ignore"):
            likely = RNG.binomial(65535, RNG.beta(c1.astype(float) + 1e-3, c0.astype(float) + 1e-3))
        for k in (likely, RNG.integers(0, 65536, 3000)):
            concentrations = [tf.constant(c) for c in (c1, c0)]
            with tf.GradientTape() as tape:
                tape.watch(concentrations)
                received = BetaBinomial(65535.0, *concentrations).log_prob(k)
            assert np.isfinite(tape.gradient(received, concentrations)).all()
            exact = BetaBinomial(np.float64(65535), c1.astype(float), c0.astype(float)).log_prob(k)
            np.testing.assert_allclose(received, exact, rtol=1e-4, atol=atol)

    def test_tends_to_the_binomial(self):
        k = np.arange(256)
        p = BetaBinomial(255.0, 3e6, 7e6)
        np.testing.assert_allclose(p.prob(k), scipy.stats.binom.pmf(k, 255, 0.3), atol=1e-4)

    @pytest.mark.parametrize("c1, c0", [(1e-6, 1e-6), (0.3, 5.0), (1.0, 1.0), (8.0, 7.9), (2e5, 1e3)])
    def test_adds_up_to_one_with_finite_gradients(self, c1, c0):
        concentrations = [tf.constant(c1), tf.constant(c0)]
        with tf.GradientTape() as tape:
            tape.watch(concentrations)
            log_prob = BetaBinomial(255.0, *concentrations).log_prob(np.arange(256))
        np.testing.assert_allclose(tf.reduce_sum(tf.exp(log_prob)), 1.0, atol=1e-4)
        assert np.isfinite(tape.gradient(log_prob, concentrations)).all()

    def test_gradients(self):
        c1, c0 = (np.exp(RNG.uniform(-5, 10, 200)) for _ in range(2))
        k = RNG.integers(0, 256, 200)
        values = [tf.constant(v) for v in (c1, c0)]
        with tf.GradientTape() as tape:
            tape.watch(values)
            log_prob = BetaBinomial(np.float64(255), *values).log_prob(k)
        digamma = scipy.special.digamma
        shared = digamma(c1 + c0) - digamma(c1 + c0 + 255)
        expected = [shared + digamma(c1 + k) - digamma(c1), shared + digamma(c0 + 255 - k) - digamma(c0)]
        np.testing.assert_allclose(tape.gradient(log_prob, values), expected, rtol=1e-5, atol=1e-8)

    @pytest.mark.parametrize("c1, c0", [(0.3, 0.5), (1.0, 1.0), (6.0, 2.0), (3e4, 7e4)])
    def test_draws_are_distributed_as_it_says(self, c1, c0):
        draws = BetaBinomial(9.0, [c1], [c0]).sample(5000, seed=SEED).numpy()[:, 0].astype(int)
        expected = 5000 * scipy.stats.betabinom.pmf(np.arange(10), 9, c1, c0)
        likely = expected > 5
        received = np.bincount(draws, minlength=10)[likely]
        expected = expected[likely] * received.sum() / expected[likely].sum()
        assert scipy.stats.chisquare(received, expected).pvalue > 1e-3

    def test_draws_with_several_counts_of_trials(self):
        p = BetaBinomial([[0.0], [3.0], [50.0]], [1.0, 4.0], 1.0)
        draws = p.sample(500, seed=SEED).numpy()
        assert draws.shape == (500, 3, 2)
        assert (draws[:, 0] == 0).all()
        assert draws[:, 1].max() == 3
        error = draws.std(axis=0) / np.sqrt(500) + 1e-6
        assert (np.abs(draws.mean(axis=0) - p.mean()) < 5 * error).all()


class TestPixelCategorical:
    def test_moments_and_masses(self):
        logits = 3.0 * RNG.normal(size=(4, 256))
        p = PixelCategorical(logits.astype("float32"))
        mass, k = scipy.special.softmax(logits, axis=-1), np.arange(256)
        mean = mass @ k
        np.testing.assert_allclose(p.mean(), mean, rtol=1e-5)
        np.testing.assert_allclose(p.variance(), np.sum(mass * (k - mean[:, None]) ** 2, axis=-1), rtol=1e-5)
        np.testing.assert_allclose(p.prob(k[:, None]), mass.T, atol=1e-6)
        np.testing.assert_allclose(tf.reduce_sum(p.prob(k[:, None]), axis=0), 1.0, atol=1e-5)
        np.testing.assert_array_equal(p.mode(), np.argmax(logits, axis=-1))

    def test_dtypes(self):
        p = PixelCategorical(tf.zeros([3]))
        assert p.dtype == p.sample(seed=1).dtype == p.mean().dtype == p.mode().dtype == tf.float32
        for dtype in ("uint8", "int32", "float64"):
            np.testing.assert_array_equal(p.log_prob(np.array(1, dtype)), p.log_prob(1.0))
        assert PixelCategorical(tf.zeros([3]), dtype=tf.int32).sample(seed=1).dtype == tf.int32


class TestOneHotCategoricalMixture:
    def test_log_mean_of_unlikely_classes(self):
        p = OneHotCategoricalMixture(
            tfd.Categorical(logits=[0.0, -200.0]), tfd.OneHotCategorical(logits=[[0.0, -300.0], [0.0, 0.0]])
        )
        np.testing.assert_allclose(p.log_mean(), [0.0, -200.0 - np.log(2.0)], rtol=1e-6)
        np.testing.assert_array_equal(p.mode(), [1, 0])
        np.testing.assert_allclose(p.mean(), tf.exp(p.log_mean()))


def parameters(kinds, scale=2.0):
    """Float32 parameters of `kinds` kinds for events of 6, and the kinds in float64, `[kinds, 50, 6]`."""
    params = (scale * RNG.normal(size=(50, 6 * kinds))).astype("float32")
    return params, np.moveaxis(params.astype(float).reshape(50, kinds, 6), 1, 0)


def softplus(x):
    return np.logaddexp(0, x)


def logistic_bins(loc, scale, x):
    cdf = scipy.stats.logistic.cdf
    upper = np.where(x == 255, 1.0, cdf(x + 0.5, loc, scale))
    return upper - np.where(x == 0, 0.0, cdf(x - 0.5, loc, scale))


def check(layer, kinds, values, expected):
    params, split = parameters(kinds)
    p = layer(params)
    np.testing.assert_allclose(
        p.log_prob(values.astype("float32")), expected(values, *split).sum(axis=-1), rtol=1e-4, atol=2e-4
    )


REAL, UNIT = RNG.normal(size=(50, 6)), RNG.uniform(size=(50, 6))
BITS, BYTES = RNG.integers(0, 2, size=(50, 6)), RNG.integers(0, 256, size=(50, 6))


def test_normal():
    check(layers.IndependentNormal(6), 2, REAL, lambda x, m, s: scipy.stats.norm.logpdf(x, m, softplus(s)))


def test_homoscedastic_normal():
    check(layers.HomoscedasticNormal(6, 0.3), 1, REAL, lambda x, m: scipy.stats.norm.logpdf(x, m, 0.3))


def test_laplace():
    check(
        layers.IndependentLaplace(6), 2, REAL, lambda x, m, s: scipy.stats.laplace.logpdf(x, m, softplus(s))
    )


def test_logistic():
    check(
        layers.IndependentLogistic(6), 2, REAL, lambda x, m, s: scipy.stats.logistic.logpdf(x, m, softplus(s))
    )


def test_bernoulli():
    check(
        layers.IndependentBernoulli(6),
        1,
        BITS,
        lambda x, logit: scipy.stats.bernoulli.logpmf(x, scipy.special.expit(logit)),
    )


def test_poisson():
    check(layers.IndependentPoisson(6), 1, BITS * 7, lambda x, r: scipy.stats.poisson.logpmf(x, np.exp(r)))


def test_continuous_bernoulli():
    def expected(x, logit):
        return np.float32(x) * logit - softplus(logit) + continuous_bernoulli_log_norm(logit)

    check(layers.IndependentContinuousBernoulli(6), 1, UNIT, expected)


def test_categorical():
    def expected(x, *logits):
        logits = np.stack(logits, axis=-1)
        return np.take_along_axis(scipy.special.log_softmax(logits, axis=-1), x[..., None], -1)[..., 0]

    check(layers.IndependentCategorical(6, 5), 5, BYTES % 5, expected)


def test_beta_binomial():
    def expected(x, logit, spread):
        c = 2 * np.log(2) / softplus(spread)
        p = scipy.special.expit(logit)
        return scipy.stats.betabinom.logpmf(x, 255, c * p + 1e-6, c * (1 - p) + 1e-6)

    check(layers.IndependentBetaBinomial(6), 2, BYTES, expected)


def test_discretized_logistic():
    def expected(x, m, s):
        return log_mass(x, 127.5 * (m + 1), 127.5 * softplus(s))

    check(layers.IndependentDiscretizedLogistic(6), 2, BYTES, expected)


def test_discretized_logistic_mixture():
    params, kinds = parameters(9, scale=0.5)
    logits, loc, raw_scale = kinds.reshape(3, 3, 50, 6)
    weights = scipy.special.softmax(logits, axis=0)
    mass = weights * logistic_bins(127.5 * (loc + 1), 127.5 * softplus(raw_scale), BYTES)
    p = layers.MixtureDiscretizedLogistic(3, 6)(params)
    np.testing.assert_allclose(p.log_prob(BYTES), np.log(mass.sum(axis=0)).sum(axis=-1), rtol=1e-4, atol=2e-4)
    x = np.arange(256)[:, None, None, None]
    bins = logistic_bins(127.5 * (loc + 1), 127.5 * softplus(raw_scale), x)
    np.testing.assert_allclose(p.mean(), np.sum(weights * (x * bins).sum(axis=0), axis=0), rtol=1e-4)


@pytest.mark.parametrize(
    "layer",
    [
        layers.IndependentDiscretizedLogistic(()),
        layers.MixtureDiscretizedLogistic(4, ()),
        layers.IndependentCategorical(()),
        layers.IndependentBetaBinomial(()),
    ],
    ids=lambda layer: type(layer).__name__,
)
@pytest.mark.parametrize("scale", [0.0, 1.0, 10.0, 100.0])
def test_bytes_add_up_to_one_at_any_parameters(layer, scale):
    params = tf.constant(scale * RNG.normal(size=(50, layer.num_params)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(params)
        log_prob = layer.distribution(params).log_prob(np.arange(256.0, dtype="float32")[:, None])
    assert np.isfinite(log_prob).all()
    # The beta-binomial's log_prob is good to 1e-4, see above.
    tolerance = 1e-4 if isinstance(layer, layers.IndependentBetaBinomial) else 1e-5
    np.testing.assert_allclose(np.exp(log_prob, dtype=float).sum(axis=0), 1.0, atol=tolerance)
    assert np.isfinite(tape.gradient(log_prob, params)).all()
