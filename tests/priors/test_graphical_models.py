"""Inference in latent graphical models against quadrature, dense algebra, scikit-learn and closed forms."""

import inspect

import keras
import numpy as np
import pytest
import scipy.optimize
import scipy.special
import scipy.stats
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae import priors
from keras_vae.distributions import NormalChain
from keras_vae.divergences import Regression

tfd = tfp.distributions
K, D, T, B = 3, 2, 4, 5
RNG = np.random.default_rng(0)
M = RNG.normal(size=(B, D)).astype("float32")
S = np.exp(0.5 * RNG.normal(size=(B, D))).astype("float32")
EVIDENCE = tfd.MultivariateNormalDiag(M, S)
GRAPHS = {
    "mixture": lambda **kwargs: priors.GaussianMixtureGraph(D, K, **kwargs),
    "Bayesian mixture": lambda **kwargs: priors.BayesianGaussianMixtureGraph(D, K, dataset_size=B, **kwargs),
}
MIXTURES = pytest.mark.parametrize("build", GRAPHS.values(), ids=GRAPHS)


def shaped(prior):
    """A mixture with components of different weights and shapes."""
    rng = np.random.default_rng(1)
    for weight in prior.trainable_variables:
        weight.assign(weight + 0.7 * rng.normal(size=weight.shape))
    if not prior.trainable_variables:
        prior.natural_step(prior.posterior(EVIDENCE), tf.constant([1.0, 2.0, 0.5, 1.0, 3.0]))
    return prior


def components(prior):
    log_weights, loc, scale = (np.float64(value) for value in prior.components())
    return log_weights, loc, scale @ np.swapaxes(scale, -1, -2)


GRID = np.stack(np.meshgrid(*[np.linspace(-12.0, 12.0, 481)] * 2, indexing="ij"), axis=-1)
CELL = 0.05**2


def joint_on_grid(prior, index):
    """p(z, k) and psi(z) of one example on a grid, `[K, ...]` and `[...]`; sums over it are integrals."""
    log_weights, loc, covariance = components(prior)
    normals = [scipy.stats.multivariate_normal(m, c).pdf(GRID) for m, c in zip(loc, covariance, strict=True)]
    psi = scipy.stats.multivariate_normal(M[index], np.diag(np.float64(S[index]) ** 2)).pdf(GRID)
    return np.exp(log_weights)[:, None, None] * normals, psi


def log_evidence(prior):
    """log of the integral of p(z) psi(z), `[B]`, from N(m; mu_k, Sigma_k + s^2)."""
    log_weights, loc, covariance = components(prior)
    terms = [
        [
            scipy.stats.multivariate_normal(loc[k], covariance[k] + np.diag(np.float64(S[i]) ** 2)).logpdf(
                M[i]
            )
            for k in range(K)
        ]
        for i in range(B)
    ]
    return scipy.special.logsumexp(np.array(terms) + log_weights, axis=1)


def surrogate(prior, q):
    """E_q[log psi] - KL(q(z, k) || p(z, k)): at most the log of the evidence, `[B]`."""
    moments = np.float64(q.mean()), np.float64(tf.linalg.diag_part(q.covariance()))
    psi = scipy.stats.norm.logpdf(moments[0], M, S).sum(axis=1) - 0.5 * np.sum(moments[1] / S**2, axis=1)
    return psi - np.float64(prior.local_kl(q))


# --- what every one must do ----------------------------------------------------------------------

EVERY_CASE = {
    **GRAPHS,
    "mean-field": lambda **kwargs: priors.GaussianMixtureGraph(D, K, "mean-field", **kwargs),
    "one": lambda **kwargs: priors.GaussianMixtureGraph(D, 1, spread=2.0, seed=3, **kwargs),
    "system": lambda **kwargs: priors.LinearDynamicalSystem((T, D), **kwargs),
    "Bayesian system": lambda **kwargs: priors.BayesianLinearDynamicalSystem(
        (T, D), dataset_size=B, **kwargs
    ),
}
EVERY = pytest.mark.parametrize("build", EVERY_CASE.values(), ids=EVERY_CASE)


def evidence_for(prior, dtype="float32"):
    rng = np.random.default_rng(5)
    mean, scale = rng.normal(size=(B, *prior.event_shape)), np.exp(rng.normal(size=(B, *prior.event_shape)))
    normal = tfd.Normal(mean.astype(dtype), scale.astype(dtype))
    return tfd.Independent(normal, len(prior.event_shape))


def test_every_public_graphical_model_has_a_case():
    public = {getattr(priors, name) for name in priors.__all__}
    public = {kind for kind in public if inspect.isclass(kind) and issubclass(kind, priors.GraphicalModel)}
    assert public - {priors.GraphicalModel} == {type(build()) for build in EVERY_CASE.values()}


@EVERY
def test_shapes(build):
    prior = build()
    p, q = prior(), prior.posterior(evidence_for(prior))
    assert (p.batch_shape, p.event_shape) == ((), prior.event_shape)
    assert (q.batch_shape, q.event_shape) == ((B,), prior.event_shape)
    z = q.sample(3, seed=(1, 2))
    assert z.shape == (3, B, *prior.event_shape)
    assert q.log_prob(z).shape == p.log_prob(z).shape == (3, B)
    assert q.mean().shape == q.stddev().shape == (B, *prior.event_shape)
    assert prior.local_kl(q).shape == (B,)
    assert prior.global_kl().shape == ()
    assert np.all(prior.local_kl(q) > 0.0)
    assert (prior.global_kl() > 0.0) == (not prior.trainable_variables)


@EVERY
def test_config_and_weights_round_trip(build):
    prior = shaped(build()) if isinstance(build(), priors.GaussianMixtureGraph) else build()
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(prior))
    assert type(again) is type(prior)
    assert again.get_config() == prior.get_config()
    names = set(inspect.signature(type(prior).__init__).parameters) - {"self", "kwargs"}
    assert names <= set(prior.get_config())
    assert [weight.name for weight in again.weights] == [weight.name for weight in prior.weights]
    again.set_weights(prior.get_weights())
    z = prior().sample(3, seed=(1, 2))
    np.testing.assert_array_equal(again().log_prob(z), prior().log_prob(z))
    results = [each.posterior(evidence_for(prior)).mean() for each in (prior, again)]
    np.testing.assert_array_equal(*results)


@EVERY
def test_every_trainable_variable_gets_a_gradient(build):
    prior = build()
    with tf.GradientTape() as tape:
        q = prior.posterior(evidence_for(prior))
        loss = tf.reduce_sum(prior.local_kl(q)) + tf.reduce_sum(tf.sin(q.mean()))
    for variable, gradient in zip(
        prior.trainable_variables, tape.gradient(loss, prior.trainable_variables), strict=True
    ):
        assert np.isfinite(gradient).all(), variable.path
        # A single component has no weight to learn.
        assert np.any(gradient) != (getattr(prior, "num_components", 2) == 1 and variable.name == "logits")


@EVERY
def test_precision_follows_the_weights_not_the_policy(build):
    keras.config.set_dtype_policy("mixed_float16")
    prior = build()
    assert prior().dtype == prior.local_kl(prior.posterior(evidence_for(prior))).dtype == tf.float32
    keras.config.set_dtype_policy("float64")
    prior = build()
    q = prior.posterior(evidence_for(prior, "float64"))
    prior.natural_step(q, tf.ones([B], tf.float64))
    assert prior().dtype == prior.local_kl(q).dtype == prior.global_kl().dtype == tf.float64


@EVERY
def test_single_and_double_precision_agree(build):
    results = []
    for dtype in ("float32", "float64"):
        prior = build(dtype=dtype)
        prior.set_weights(build(dtype="float32").get_weights())  # means at first are drawn by type
        q = prior.posterior(evidence_for(prior, dtype))
        results.append((q.mean(), q.stddev(), prior.local_kl(q), prior.global_kl()))
    for single, double in zip(*results, strict=True):
        np.testing.assert_allclose(single, double, rtol=2e-4, atol=1e-5)


ARGUMENTS = {
    "mixture": {"num_components": 4, "inference": "mean-field", "spread": 3.0, "scale": 0.5, "seed": 1},
    "Bayesian mixture": {"dataset_size": 50, "concentration": 9.0, "spread": 3.0, "scale": 0.5},
    "mean-field": {"num_iterations": 1},
    "system": {"scale": 0.5, "noise": 0.5},
    "Bayesian system": {"dataset_size": 50, "scale": 0.5, "noise": 0.5},
}


@pytest.mark.parametrize(("case", "name"), [(c, n) for c, names in ARGUMENTS.items() for n in names])
def test_every_argument_changes_the_result(case, name):
    kinds = {
        "mixture": lambda **kwargs: priors.GaussianMixtureGraph(**{"event_shape": D, **kwargs}),
        "Bayesian mixture": lambda **kwargs: priors.BayesianGaussianMixtureGraph(
            **{"event_shape": D, "dataset_size": B, **kwargs}
        ),
        "mean-field": EVERY_CASE["mean-field"],
        "system": EVERY_CASE["system"],
        "Bayesian system": lambda **kwargs: priors.BayesianLinearDynamicalSystem(
            **{"event_shape": (T, D), "dataset_size": B, **kwargs}
        ),
    }
    results = []
    for options in ({}, {name: ARGUMENTS[case][name]}):
        prior = kinds[case](**options)
        kl = prior.local_kl(prior.posterior(evidence_for(prior))) + prior.global_kl()
        results.append(float(tf.reduce_mean(kl)))
    assert abs(results[1] - results[0]) > 1e-6 * abs(results[0])


# --- mixtures ----------------------------------------------------------------------------------


@MIXTURES
def test_exact_posterior_against_quadrature(build):
    prior = shaped(build())
    q = prior.posterior(EVIDENCE)
    for i in range(2):
        joint, psi = joint_on_grid(prior, i)
        posterior = joint * psi
        evidence = posterior.sum() * CELL
        posterior = posterior / evidence
        density = posterior.sum(axis=0)
        weights = posterior.sum(axis=(1, 2)) * CELL
        np.testing.assert_allclose(prior.responsibilities(q)[i], weights, atol=1e-5)
        mean = np.sum(density[..., None] * GRID, axis=(0, 1)) * CELL
        np.testing.assert_allclose(q.mean()[i], mean, atol=1e-5)
        mixture = tfd.MixtureSameFamily(  # of the one example
            tfd.Categorical(logits=q.mixture_distribution.logits[i]),
            tfd.MultivariateNormalTriL(
                q.components_distribution.loc[i], q.components_distribution.scale.to_dense()[i]
            ),
        )
        np.testing.assert_allclose(mixture.prob(np.float32(GRID[::40, ::40])), density[::40, ::40], atol=1e-5)
        inside = density > 1e-300
        ratio = np.log(density[inside]) - np.log(joint.sum(axis=0)[inside])
        kl = np.sum(density[inside] * ratio) * CELL
        assert float(prior.local_kl(q)[i]) == pytest.approx(kl, abs=1e-4)
        assert surrogate(prior, q)[i] == pytest.approx(np.log(evidence), abs=1e-4)


@pytest.mark.parametrize("scale", [1e-4, 1e4, np.inf])
def test_sharp_and_flat_evidence(scale):
    prior = shaped(GRAPHS["mixture"]())
    q = prior.posterior(tfd.MultivariateNormalDiag(M, np.full_like(M, scale)))
    if scale < 1.0:  # q is at the evidence, and the cluster is that of the point
        np.testing.assert_allclose(q.mean(), M, atol=1e-5)
        np.testing.assert_allclose(q.components_distribution.stddev(), scale, rtol=1e-3)
        log_weights, loc, covariance = components(prior)
        normals = [scipy.stats.multivariate_normal(loc[k], covariance[k]).logpdf(M) for k in range(K)]
        expected = scipy.special.softmax(log_weights[:, None] + normals, axis=0).T
        np.testing.assert_allclose(prior.responsibilities(q), expected, atol=1e-5)
    else:
        z = prior().sample(7, seed=(1, 2))[:, None]
        np.testing.assert_allclose(q.log_prob(z), tf.tile(prior().log_prob(z), [1, B]), rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(prior.local_kl(q), 0.0, atol=1e-4)


def test_mean_field_rises_to_a_bound_below_the_evidence():
    bounds = []
    for rounds in (1, 2, 4, 8, 20):
        prior = shaped(priors.GaussianMixtureGraph(D, K, "mean-field", rounds, scale=0.5))
        bounds.append(surrogate(prior, prior.posterior(EVIDENCE)))
    evidence = log_evidence(prior)
    assert np.all(np.diff(bounds, axis=0) > -1e-5)
    assert np.all(bounds[-1] < evidence - 1e-3)
    assert np.all(bounds[-1] - bounds[0] > 1e-5)  # so that there was something to rise


def test_mean_field_is_where_no_normal_is_better():
    prior = shaped(priors.GaussianMixtureGraph(D, K, "mean-field", num_iterations=50))
    q = prior.posterior(EVIDENCE)
    log_weights, loc, covariance = components(prior)
    precision = np.linalg.inv(covariance)

    def loss(flat, i):
        mean, root = flat[:2], np.array([[flat[2], 0.0], [flat[3], flat[4]]])
        spread = root @ root.T
        shift = mean - loc
        squares = np.einsum("kd,kde,ke->k", shift, precision, shift) + np.einsum(
            "kde,ed->k", precision, spread
        )
        joint = log_weights - 0.5 * (squares + np.linalg.slogdet(covariance)[1] + D * np.log(2 * np.pi))
        psi = scipy.stats.norm.logpdf(mean, M[i], S[i]).sum() - 0.5 * np.sum(np.diag(spread) / S[i] ** 2)
        entropy = D / 2 * np.log(2 * np.pi * np.e) + np.log(np.abs(root[0, 0] * root[1, 1]))
        return -(psi + scipy.special.logsumexp(joint) + entropy)

    found = surrogate(prior, q)
    for i in range(2):
        scale = np.float64(q.scale.to_dense()[i])
        start = np.array([*np.float64(q.loc[i]), scale[0, 0], scale[1, 0], scale[1, 1]])
        assert -loss(start, i) == pytest.approx(found[i], abs=1e-5)
        best = scipy.optimize.minimize(loss, start, args=(i,)).fun
        assert -best == pytest.approx(found[i], abs=1e-5)
        assert loss(start + np.array([0.1, 0, 0, 0, 0]), i) > best + 1e-3


def test_one_component_is_a_normal_either_way():
    posteriors = [
        priors.GaussianMixtureGraph(D, 1, inference, scale=2.0).posterior(EVIDENCE)
        for inference in ("exact", "mean-field")
    ]
    precision = 1.0 / 4.0 + 1.0 / np.float64(S) ** 2
    for q in posteriors:
        np.testing.assert_allclose(q.mean(), M / S**2 / precision, rtol=1e-5)
        np.testing.assert_allclose(tf.linalg.diag_part(q.covariance()), 1.0 / precision, rtol=1e-5)


@MIXTURES
def test_a_start_at_codes_has_the_centres_of_clusters_and_all_else_as_built(build):
    """Clusters so far apart that k-means cannot but find them: their centres are their means."""
    centres = np.array([[9.0, 0.0], [-9.0, 3.0], [0.0, -9.0]])
    codes = np.repeat(centres, 10, axis=0) + np.random.default_rng(0).normal(size=(30, D))
    prior = shaped(build(spread=2.0, scale=0.5))
    prior.start_at(codes)
    log_weights, loc, scale = prior.components()
    order = np.argsort(loc[:, 0])
    expected = codes.reshape(K, 10, D).mean(axis=1)
    np.testing.assert_allclose(loc.numpy()[order], expected[np.argsort(expected[:, 0])], rtol=1e-5)
    built = build(spread=2.0, scale=0.5).components()
    np.testing.assert_allclose(log_weights, built[0], rtol=1e-5)
    # The square of a far mean is added and taken away again in single precision.
    np.testing.assert_allclose(scale, built[2], rtol=1e-3, atol=1e-3)
    # Nothing is left of what was learned before.
    again = build(spread=2.0, scale=0.5)
    again.start_at(codes)
    for one, other in zip(prior.weights, again.weights, strict=True):
        np.testing.assert_array_equal(one, other)


@MIXTURES
@pytest.mark.parametrize(
    "codes", [np.zeros([9, D + 1]), np.zeros([9]), np.zeros([K - 1, D]), np.full([9, D], np.nan)]
)
def test_codes_that_are_no_start(build, codes):
    with pytest.raises(ValueError, match="`codes`"):
        build().start_at(codes)


@pytest.mark.parametrize("seed", [-1, 0.5, True])
def test_bad_seed_of_a_start(seed):
    with pytest.raises(ValueError, match="`seed`"):
        GRAPHS["mixture"]().start_at(np.eye(9, D), seed=seed)


def test_branches_are_unbiased_in_value_and_gradient():
    """Against the exact second moments of the mixture, and their gradients by evidence and weights."""
    prior = shaped(priors.GaussianMixtureGraph(D, K, spread=2.0))
    mean, scale = tf.Variable(M), tf.Variable(3.0 * S)
    results = []
    for sampled in (False, True):
        with tf.GradientTape() as tape:
            q = prior.posterior(tfd.MultivariateNormalDiag(mean, scale))
            if sampled:
                z, weights = prior.branches(q, 4000, tf.constant([1, 2]))
                assert z.shape == (4000 * K, B, D)
                np.testing.assert_allclose(tf.reduce_sum(weights, axis=0), 1.0, rtol=1e-4)
                value = tf.reduce_sum(weights[..., None] * tf.square(z))
            else:
                value = tf.reduce_sum(tf.linalg.diag_part(q.covariance()) + tf.square(q.mean()))
        results.append((value, *tape.gradient(value, (mean, scale, *prior.trainable_variables))))
    for exact, estimate in zip(*results, strict=True):
        # Squares and slopes of 20 draws, each with an error of some 3 / sqrt(4000).
        np.testing.assert_allclose(estimate, exact, atol=0.3)
    # By the weights alone, whose gradient draws of the mixture would not have.
    assert np.abs(results[0][3]).max() > 3.0


def test_mean_field_has_no_branches():
    prior = GRAPHS["mixture"](inference="mean-field")
    q = prior.posterior(EVIDENCE)
    assert prior.branches(q, 2, tf.constant([1, 2])) is None
    assert q.reparameterization_type == tfd.FULLY_REPARAMETERIZED


def test_draws_of_a_mixture_have_its_moments():
    q = shaped(GRAPHS["mixture"]()).posterior(EVIDENCE)
    draws = np.float64(q.sample(20_000, seed=(1, 2)))
    deviations = np.sqrt(np.float64(tf.linalg.diag_part(q.covariance())))
    np.testing.assert_allclose(draws.mean(axis=0), q.mean(), atol=4 * deviations.max() / np.sqrt(20_000))
    for i in range(B):
        scaled = (np.cov(draws[:, i].T) - q.covariance()[i]) / np.outer(deviations[i], deviations[i])
        np.testing.assert_allclose(scaled, 0.0, atol=5 * np.sqrt(3 / 20_000))


# --- beliefs about mixtures ----------------------------------------------------------------------


def sharp(x):
    return tfd.MultivariateNormalDiag(x, np.full_like(x, 1e-3))


def test_a_full_step_is_the_bayesian_update():
    """One component, known z, all data in the batch: Murphy, Machine Learning, 2012, Eq. 4.210 to 4.214."""
    x = RNG.normal(size=(30, D)).astype("float32") + 1.0
    prior = priors.BayesianGaussianMixtureGraph(D, 1, dataset_size=30, rate=1.0, spread=2.0, scale=0.5)
    prior.natural_step(prior.posterior(sharp(x)), tf.ones([30]))
    kappa, nu, psi = (0.5 / 2.0) ** 2, D + 2.0, 0.25 * (D + 2.0) * np.eye(D)
    mean = np.float64(x).mean(axis=0)
    rest = x - mean
    scatter = psi + rest.T @ rest + kappa * 30 / (kappa + 30) * np.outer(mean, mean)
    log_weights, loc, scale = prior.components()
    np.testing.assert_allclose(loc[0], 30 * mean / (kappa + 30), rtol=1e-4)
    np.testing.assert_allclose((scale @ tf.linalg.matrix_transpose(scale))[0], scatter / (nu + 30), rtol=1e-3)
    np.testing.assert_allclose(prior().mean(), loc[0], rtol=1e-6)
    # With one component its weight is 1: what remains is how uncertain mean and covariance are.
    halves = (nu + 30 - np.arange(D)) / 2
    constant = 0.5 * np.sum(scipy.special.digamma(halves)) + 0.5 * D * np.log(2 / (nu + 30))
    assert float(log_weights[0]) == pytest.approx(constant - 0.5 * D / (kappa + 30), rel=1e-4)


def test_steps_reach_the_fixed_point_of_scikit_learn():
    """Known z and full batches are variational EM: scikit-learn's optimum must not move."""
    from sklearn.mixture import BayesianGaussianMixture

    rng = np.random.default_rng(0)
    centres = np.array([[3.0, 0.0], [-3.0, 1.0], [0.0, -3.0]])[rng.integers(3, size=90)]
    x = (centres + rng.normal(size=(90, D)) * [0.7, 0.4]).astype("float32")
    prior = priors.BayesianGaussianMixtureGraph(
        D, K, dataset_size=90, rate=1.0, concentration=0.5, spread=3.0, scale=0.5
    )
    theirs = BayesianGaussianMixture(
        n_components=K,
        weight_concentration_prior_type="dirichlet_distribution",
        weight_concentration_prior=0.5,
        mean_precision_prior=(0.5 / 3.0) ** 2,
        mean_prior=np.zeros(D),
        degrees_of_freedom_prior=D + 2.0,
        covariance_prior=0.25 * (D + 2.0) * np.eye(D),
        reg_covar=0.0,
        tol=1e-10,
        max_iter=500,
        random_state=0,
    ).fit(x)
    expected = theirs.predict_proba(x).astype("float32")
    # Their responsibilities, as a posterior of ours, and a full step of ours from there.
    sharp_normals = tfd.MultivariateNormalTriL(
        tf.tile(x[:, None], [1, K, 1]), 1e-3 * tf.eye(D, batch_shape=[90, K])
    )
    prior.natural_step(
        tfd.MixtureSameFamily(tfd.Categorical(logits=np.log(expected)), sharp_normals), tf.ones([90])
    )
    for _ in range(2):
        belief = prior._belief.now()
        np.testing.assert_allclose(belief["concentration"], theirs.weight_concentration_, rtol=1e-3)
        np.testing.assert_allclose(belief["count"], theirs.degrees_of_freedom_, rtol=1e-3)
        np.testing.assert_allclose(belief["xx"][:, 0, 0], theirs.mean_precision_, rtol=1e-3)
        _, loc, scale = prior.components()
        np.testing.assert_allclose(loc, theirs.means_, rtol=1e-3, atol=1e-3)
        covariances = scale @ tf.linalg.matrix_transpose(scale)
        np.testing.assert_allclose(covariances, theirs.covariances_, rtol=5e-3, atol=1e-3)
        q = prior.posterior(sharp(x))
        np.testing.assert_allclose(prior.responsibilities(q), expected, atol=1e-3)
        prior.natural_step(q, tf.ones([90]))


@pytest.mark.parametrize("inference", ["exact", "mean-field"])
def test_steps_are_averages_and_scale_up_to_the_data(inference):
    """Half a batch of a data set twice its size, at half the rate: half way to the update by all."""
    x = RNG.normal(size=(8, D)).astype("float32")
    options = {"dataset_size": 16, "inference": inference}
    full, half = (priors.BayesianGaussianMixtureGraph(D, K, rate=rate, **options) for rate in (1.0, 0.5))
    before = half._belief.now()
    q = full.posterior(tfd.MultivariateNormalDiag(x, np.full_like(x, 0.3)))
    expected = 2.0 * tf.reduce_sum(full.responsibilities(q), axis=0)
    for prior in (full, half):
        prior.natural_step(q, tf.ones([8]))
    for name, value in half._belief.now().items():
        np.testing.assert_allclose(value, 0.5 * (before[name] + full._belief.now()[name]), rtol=1e-5)
    counts = full._belief.now()["count"] - full._belief.prior()["count"]
    np.testing.assert_allclose(counts, expected, rtol=1e-4)
    # A weight of 2 counts as two.
    twice = priors.BayesianGaussianMixtureGraph(D, K, rate=1.0, **{**options, "dataset_size": 8})
    twice.natural_step(q, 2.0 * tf.ones([8]))
    for name, value in twice._belief.now().items():
        np.testing.assert_allclose(value, full._belief.now()[name], rtol=1e-5)


@pytest.mark.parametrize("inference", ["exact", "mean-field"])
def test_a_full_step_lowers_the_bound_on_theta(inference):
    """Coordinate ascent: at fixed q(z, k), the step to the best q(theta) lowers both KLs together."""
    x = RNG.normal(size=(12, D)).astype("float32")
    prior = priors.BayesianGaussianMixtureGraph(D, K, dataset_size=12, rate=1.0, inference=inference)
    q = prior.posterior(tfd.MultivariateNormalDiag(x, np.full_like(x, 0.1)))
    losses = []
    for _ in range(3):
        losses.append(float(tf.reduce_mean(prior.local_kl(q)) + prior.global_kl()))
        prior.natural_step(q, tf.ones([12]))
    assert losses[1] < losses[0] - 1e-3
    if inference == "exact":  # q(k) is held too, so that the second step changes nothing
        assert losses[2] == pytest.approx(losses[1], abs=1e-4)
    assert losses[2] < losses[1] + 1e-5


# --- linear dynamical systems ----------------------------------------------------------------------


def sequences(seed=0, scale=0.5):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(B, T, D)).astype("float32")
    return x, tfd.Independent(tfd.Normal(x, np.full_like(x, scale)), 2)


def test_system_against_tfp():
    prior = shaped(priors.LinearDynamicalSystem((T, D), noise=0.5))
    loc, scale, transition, noise = prior.steps()
    x, evidence = sequences()
    model = tfd.LinearGaussianStateSpaceModel(
        T,
        transition,
        tfd.MultivariateNormalTriL(tf.zeros(D), noise),
        tf.eye(D),
        tfd.MultivariateNormalDiag(tf.zeros(D), 0.5 * tf.ones(D)),
        tfd.MultivariateNormalTriL(loc, scale),
    )
    q = prior.posterior(evidence)
    np.testing.assert_allclose(q.mean(), model.posterior_marginals(x)[0], rtol=1e-4, atol=1e-5)
    psi = evidence.log_prob(q.mean()) - 0.5 * tf.reduce_sum(q.variance(), axis=[1, 2]) / 0.5**2
    np.testing.assert_allclose(psi - prior.local_kl(q), model.log_prob(x), rtol=1e-4)


def test_without_dynamics_every_time_is_for_itself():
    prior = priors.LinearDynamicalSystem((T, D), scale=0.7, noise=0.7)
    prior.transition.assign(tf.zeros([D, D]))
    x, evidence = sequences()
    q = prior.posterior(evidence)
    precision = 1 / 0.7**2 + 1 / 0.5**2
    np.testing.assert_allclose(q.mean(), x / 0.5**2 / precision, rtol=1e-5)
    np.testing.assert_allclose(q.stddev(), precision**-0.5, rtol=1e-5)
    independent = tfd.Independent(tfd.Normal(q.mean(), q.stddev()), 2)
    standard = tfd.Independent(tfd.Normal(tf.zeros([T, D]), 0.7), 2)
    np.testing.assert_allclose(prior.local_kl(q), tfd.kl_divergence(independent, standard), rtol=1e-4)
    np.testing.assert_allclose(q.log_prob(x), independent.log_prob(x), rtol=1e-5)


def test_flat_evidence_gives_the_prior_and_prefixes_are_continued():
    prior = shaped(priors.LinearDynamicalSystem((T, D)))
    x, _ = sequences()
    flat = np.full_like(x, np.inf)
    q = prior.posterior(tfd.Independent(tfd.Normal(x, flat), 2))
    np.testing.assert_allclose(prior.local_kl(q), 0.0, atol=1e-5)
    scale = flat.copy()
    scale[:, :2] = 1e-4
    q = prior.posterior(tfd.Independent(tfd.Normal(x, scale), 2))
    transition = np.float64(prior.transition)
    np.testing.assert_allclose(q.mean()[:, 2], x[:, 1] @ transition.T, atol=1e-4)
    np.testing.assert_allclose(q.mean()[:, 3], x[:, 1] @ (transition @ transition).T, atol=1e-4)


def test_a_full_step_is_the_bayesian_regression():
    """Known z and all data in the batch: the regressions of z_t on z_{t-1}, and of z_1 on 1."""
    x, _ = sequences()
    prior = priors.BayesianLinearDynamicalSystem((T, D), dataset_size=B, rate=1.0, scale=2.0, noise=0.5)
    prior.natural_step(prior.posterior(tfd.Independent(tfd.Normal(x, 1e-3), 2)), tf.ones([B]))
    before, after = (np.float64(v).reshape(-1, D) for v in (x[:, :-1], x[:, 1:]))
    xx = 0.25 * np.eye(D) + before.T @ before
    slope = (0.25 * 0.99 * np.eye(D) + after.T @ before) @ np.linalg.inv(xx)
    rest, moved = after - before @ slope.T, slope - 0.99 * np.eye(D)
    scatter = 0.25 * (D + 2) * np.eye(D) + rest.T @ rest + 0.25 * moved @ moved.T
    loc, scale, transition, noise = prior.steps()
    np.testing.assert_allclose(transition, slope, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(
        noise @ tf.transpose(noise), scatter / (D + 2 + B * (T - 1)), rtol=1e-3, atol=1e-4
    )
    np.testing.assert_allclose(prior.doubt()[:-1], [D * np.linalg.inv(xx)] * (T - 1), rtol=1e-3)
    assert not np.any(prior.doubt()[-1])
    mean = np.float64(x[:, 0]).sum(axis=0) / (1 + B)
    np.testing.assert_allclose(loc, mean, rtol=1e-3)
    squares = 4.0 * (D + 2) * np.eye(D) + x[:, 0].T @ x[:, 0] - (1 + B) * np.outer(mean, mean)
    np.testing.assert_allclose(scale @ tf.transpose(scale), squares / (D + 2 + B), rtol=1e-3, atol=1e-4)


def test_statistics_are_those_of_draws():
    """What a step learns from an uncertain posterior, against averages over its draws."""
    _, evidence = sequences()
    prior = priors.BayesianLinearDynamicalSystem((T, D), dataset_size=2 * B, rate=1.0)
    q = prior.posterior(evidence)
    weights = np.float32([1.0, 2.0, 0.5, 0.0, 1.0])
    prior.natural_step(q, weights)
    learned = {name: value - prior._belief.prior()[name] for name, value in prior._belief.now().items()}
    z = np.float64(q.sample(20_000, seed=(1, 2)))
    pairs = np.einsum("b,sbti,sbtj->ij", weights, z[:, :, 1:], z[:, :, :-1]) / len(z)
    squares = np.einsum("b,sbti,sbtj->ij", weights, z[:, :, :-1], z[:, :, :-1]) / len(z)
    # Sums of some fifteen products of order one, each with an error of 1 / sqrt(20000), doubled.
    np.testing.assert_allclose(learned["later_yx"], 2.0 * pairs, atol=0.15)
    np.testing.assert_allclose(learned["later_xx"], 2.0 * squares, atol=0.15)
    assert float(learned["later_count"]) == pytest.approx(2.0 * weights.sum() * (T - 1), rel=1e-4)
    first = np.einsum("b,sbi->i", weights, z[:, :, 0]) / len(z)
    np.testing.assert_allclose(learned["first_yx"][:, 0], 2.0 * first, atol=0.1)


def test_local_kl_of_an_uncertain_system_against_draws_of_theta():
    """E_q(theta)[KL(q(z) || p(z|theta))], theta drawn by SciPy, is what `local_kl` says."""
    _, evidence = sequences()
    prior = priors.BayesianLinearDynamicalSystem((T, D), dataset_size=B, rate=1.0, noise=0.5)
    prior.natural_step(prior.posterior(evidence), tf.ones([B]))
    q = prior.posterior(evidence)
    rng = np.random.default_rng(0)
    now = prior._belief.now()
    drawn = []
    for prefix in ("first_", "later_"):
        xx, yx, yy, nu = (np.float64(now[prefix + name]) for name in Regression._fields)
        slope = yx @ np.linalg.inv(xx)
        psi = yy - slope @ xx @ slope.T
        noise = scipy.stats.invwishart(nu, psi).rvs(400, random_state=rng)
        spread = np.linalg.cholesky(np.linalg.inv(xx))
        noisy = np.linalg.cholesky(noise) @ rng.normal(size=(400, D, len(xx))) @ spread.T
        drawn += [slope + noisy, np.linalg.cholesky(noise)]
    loc, scale, transition, noise = drawn
    plain = NormalChain(  # one of each theta
        np.float32(np.tile(transition[:, None], (1, T, 1, 1))),
        np.float32(np.pad(loc[:, None, :, 0], [(0, 0), (0, T - 1), (0, 0)])),
        np.float32(np.stack([scale, *[noise] * (T - 1)], axis=1)),
    )
    values = []
    for i in range(B):
        one = NormalChain(q.transition[i], q.offset[i], q.scale_tril[i])
        values.append(np.float64(tfd.kl_divergence(one, plain)))
    values = np.transpose(values)
    error = np.std(values, axis=0) / np.sqrt(400)
    assert np.all(error < 0.05 * np.mean(values, axis=0))
    np.testing.assert_array_less(np.abs(np.mean(values, axis=0) - prior.local_kl(q)), 4 * error)


# --- bad arguments -------------------------------------------------------------------------------

BAD = {
    "event_shape": [(2, 3)],
    "num_components": [0, 1.5],
    "inference": ["variational", None],
    "num_iterations": [3],
    "spread": [0.0, -1.0, "wide"],
    "scale": [0.0, np.inf],
}


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, values in BAD.items() for v in values])
def test_bad_arguments_of_a_mixture(name, value):
    with pytest.raises(ValueError, match=f"`{name}`"):
        priors.GaussianMixtureGraph(**{"event_shape": 2, name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [("dataset_size", 0), ("rate", 0.0), ("rate", 1.5), ("rate", True), ("concentration", 0.0)],
)
def test_bad_arguments_of_a_belief(name, value):
    with pytest.raises(ValueError, match=f"`{name}`"):
        priors.BayesianGaussianMixtureGraph(2, **{"dataset_size": 10, name: value})


@pytest.mark.parametrize(("name", "value"), [("event_shape", 3), ("event_shape", (2, 3, 4)), ("noise", 0.0)])
def test_bad_arguments_of_a_system(name, value):
    with pytest.raises(ValueError, match=f"`{name}`"):
        priors.LinearDynamicalSystem(**{"event_shape": (3, 2), name: value})


@pytest.mark.parametrize("build", [*GRAPHS.values(), lambda: priors.LinearDynamicalSystem((B, D))])
def test_evidence_must_be_independent_normals(build):
    for potentials in (tfd.MultivariateNormalTriL(M, tf.eye(D)), tfd.Independent(tfd.Laplace(M, S), 1)):
        with pytest.raises(ValueError, match="`encoder`"):
            build().posterior(potentials)


def test_rounds_can_be_chosen_for_mean_field_only():
    assert priors.GaussianMixtureGraph(2, 3, "mean-field", 3).num_iterations == 3
    with pytest.raises(ValueError, match="`num_iterations`"):
        priors.GaussianMixtureGraph(2, 3, "mean-field", 0)
