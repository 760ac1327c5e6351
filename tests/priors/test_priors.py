"""What every prior must do, and closed forms of each."""

import inspect

import keras
import numpy as np
import pytest
import scipy.special
import scipy.stats
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae import priors

tfd = tfp.distributions

CASES = {
    "Bernoulli": lambda shape=3, **kwargs: priors.Bernoulli(shape, 0.3, **kwargs),
    "Bernoulli learned": lambda shape=3, **kwargs: priors.Bernoulli(shape, learned=True, **kwargs),
    "StandardNormal": lambda shape=3, **kwargs: priors.StandardNormal(shape, **kwargs),
    "FittedMixture": lambda shape=3, **kwargs: priors.FittedMixture(shape, 4, **kwargs),
    "NormalMixture": lambda shape=3, **kwargs: priors.NormalMixture(shape, 4, **kwargs),
    "OneHotAndNormal": lambda shape=3, **kwargs: priors.OneHotAndNormal(shape, 2, **kwargs),
}
EVERY = pytest.mark.parametrize("build", CASES.values(), ids=CASES)
Z = np.random.default_rng(0).normal(size=(7, 3)).astype("float32")


def test_every_public_prior_has_a_case():
    public = {getattr(priors, name) for name in priors.__all__}
    public = {kind for kind in public if inspect.isclass(kind) and issubclass(kind, priors.Prior)}
    # Those have a table of their own, for they differ in the shapes that they allow.
    public = {kind for kind in public if not issubclass(kind, priors.GraphicalModel)}
    # The conditional one gives no distribution by itself; tests/models/test_conditional.py has it.
    assert public - {priors.Prior, priors.ConditionalPrior} == {type(build()) for build in CASES.values()}


@EVERY
@pytest.mark.parametrize(("shape", "event"), [(3, (3,)), ((3,), (3,)), ([2, 3], (2, 3)), ((1,), (1,))])
def test_shapes(build, shape, event):
    if build is CASES["OneHotAndNormal"] and event != (3,):
        with pytest.raises(ValueError, match="event_shape"):
            build(shape)  # two classes and a style fill a vector of three or more
        return
    prior = build(shape)
    assert prior.event_shape == event
    p = prior()
    assert isinstance(p, tfd.Distribution)
    assert (p.batch_shape, p.event_shape) == ((), event)
    assert p.sample(5, seed=(1, 2)).shape == (5, *event)
    assert p.log_prob(p.sample(5, seed=(1, 2))).shape == (5,)


@EVERY
def test_config_round_trip(build):
    prior = build()
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(prior))
    assert type(again) is type(prior)
    assert again.get_config() == prior.get_config()
    np.testing.assert_array_equal(again().log_prob(Z), prior().log_prob(Z))
    names = set(inspect.signature(type(prior).__init__).parameters) - {"self", "kwargs"}
    assert names <= set(prior.get_config())


@EVERY
def test_log_prob_is_finite_far_out(build):
    far = np.float32([[1e4] * 3, [-1e4] * 3, [0.0] * 3])
    assert np.isfinite(build()().log_prob(far)).all()


@EVERY
def test_every_trainable_variable_gets_a_gradient(build):
    prior = build()
    with tf.GradientTape() as tape:
        loss = -tf.reduce_mean(prior().log_prob(Z))
    for variable, gradient in zip(
        prior.trainable_variables, tape.gradient(loss, prior.trainable_variables), strict=True
    ):
        assert np.isfinite(gradient).all(), variable.path
        assert np.any(gradient), variable.path


@EVERY
def test_weights_belong_to_the_model_and_stay_in_full_precision(build):
    keras.config.set_dtype_policy("mixed_float16")
    prior = build()
    assert prior().dtype == tf.float32
    assert all(v.dtype == "float32" for v in prior.trainable_variables)
    keras.config.set_dtype_policy("float64")
    assert build()().dtype == tf.float64


@EVERY
@pytest.mark.parametrize("shape", [0, -1, (2, 0), "a", 1.5])
def test_bad_event_shape(build, shape):
    with pytest.raises(ValueError, match="event_shape"):
        build(shape)


def test_standard_normal_against_scipy():
    expected = scipy.stats.norm.logpdf(np.float64(Z)).sum(axis=1)
    np.testing.assert_allclose(priors.StandardNormal(3)().log_prob(Z), expected, rtol=1e-6)
    assert priors.StandardNormal(3).trainable_variables == []


def test_mixture_of_one_is_the_standard_normal_at_first():
    mixture = priors.NormalMixture(3, num_components=1)
    # softplus of the stored constant is 1 to float32 precision.
    np.testing.assert_allclose(mixture().log_prob(Z), priors.StandardNormal(3)().log_prob(Z), rtol=1e-6)


def test_mixture_against_numpy():
    mixture = priors.NormalMixture(3, 4)
    rng = np.random.default_rng(3)
    values = [rng.normal(size=v.shape) for v in (mixture.logits, mixture.loc, mixture.raw_scale)]
    for variable, value in zip((mixture.logits, mixture.loc, mixture.raw_scale), values, strict=True):
        variable.assign(value)
    logits, loc, raw_scale = values
    components = scipy.stats.norm.logpdf(Z[:, None], loc, np.log1p(np.exp(raw_scale))).sum(axis=-1)
    expected = scipy.special.logsumexp(components + scipy.special.log_softmax(logits), axis=1)
    np.testing.assert_allclose(mixture().log_prob(Z), expected, rtol=1e-5)


def test_bernoulli_against_scipy():
    bits = np.float32([[0, 1, 1], [1, 1, 1], [0, 0, 0]])
    for learned in (False, True):
        prior = priors.Bernoulli(3, 0.3, learned=learned)
        expected = scipy.stats.bernoulli.logpmf(bits, 0.3).sum(axis=1)
        np.testing.assert_allclose(prior().log_prob(bits), expected, rtol=1e-6)
        assert len(prior.trainable_variables) == int(learned)
    prior.logits.assign(scipy.special.logit([0.2, 0.9, 0.5]))
    expected = scipy.stats.bernoulli.logpmf(bits, [0.2, 0.9, 0.5]).sum(axis=1)
    np.testing.assert_allclose(prior().log_prob(bits), expected, rtol=1e-5)


def test_draws_of_a_bernoulli_are_bits_with_its_mean():
    draws = priors.Bernoulli(2, 0.3)().sample(20_000, seed=(1, 2)).numpy()
    assert draws.dtype == np.float32 and set(np.unique(draws)) == {0.0, 1.0}
    np.testing.assert_allclose(draws.mean(axis=0), 0.3, atol=4 * np.sqrt(0.21 / 20_000))


def test_one_hot_and_normal_against_scipy():
    z = np.float32([[0, 1, 0, 0.5, -1.0], [1, 0, 0, 2.0, 0.0]])
    p = priors.OneHotAndNormal(5, num_classes=3)()
    expected = -np.log(3.0) + scipy.stats.norm.logpdf(np.float64(z[:, 3:])).sum(axis=1)
    np.testing.assert_allclose(p.log_prob(z), expected, rtol=1e-6)
    draws = p.sample(6000, seed=(1, 2)).numpy()
    np.testing.assert_array_equal(np.sort(draws[:, :3]), np.tile([0.0, 0.0, 1.0], (6000, 1)))
    assert scipy.stats.chisquare(draws[:, :3].sum(axis=0)).pvalue > 1e-3
    assert scipy.stats.kstest(draws[:, 3:].ravel(), "norm").pvalue > 1e-3


@pytest.mark.parametrize("classes", [1, 0, 3, 4, 2.0, True, None])
def test_bad_number_of_classes(classes):
    with pytest.raises(ValueError, match=r"num_classes|event_shape"):
        priors.OneHotAndNormal(3, classes)


@pytest.mark.parametrize("probs", [0.0, 1.0, -0.1, 2, float("nan"), "half", None, True, [0.5]])
def test_bad_probability(probs):
    with pytest.raises(ValueError, match="probs"):
        priors.Bernoulli(3, probs)


@pytest.mark.parametrize("learned", [1, "yes", None])
def test_bad_learned(learned):
    with pytest.raises(ValueError, match="learned"):
        priors.Bernoulli(3, learned=learned)


def test_components_of_a_mixture_start_apart_and_by_the_seed():
    first, again, other = (np.array(priors.NormalMixture(3, 4, seed=seed).loc) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert len(np.unique(first, axis=0)) == 4


def test_mixture_learns_clusters():
    """Two clusters of points, from a mixture of two: their log-likelihood is reached within 0.05 nats."""
    rng = np.random.default_rng(0)
    centre = rng.choice([-4.0, 4.0], size=(500, 1))
    points = (centre + 0.5 * rng.normal(size=(500, 2))).astype("float32")
    mixture = priors.NormalMixture(2, 2, seed=1)
    optimizer = keras.optimizers.Adam(0.1)
    optimizer.build(mixture.trainable_variables)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(mixture().log_prob(points))
        optimizer.apply(tape.gradient(loss, mixture.trainable_variables), mixture.trainable_variables)
        return loss

    for _ in range(300):
        loss = step()
    sides = np.sign(points[:, :1])
    truth = scipy.stats.norm.logpdf(points, 4.0 * sides, 0.5).sum(axis=1) + np.log(0.5)
    assert float(loss) == pytest.approx(-truth.mean(), abs=0.05)


@pytest.mark.parametrize("count", [0, -1, 1.5, True, "two", None])
def test_bad_number_of_components(count):
    with pytest.raises(ValueError, match="num_components"):
        priors.NormalMixture(3, count)


@EVERY
def test_weights_are_read_in_full_precision_inside_a_model_of_half(build):
    log_probs = []

    class Model(keras.Model):
        def __init__(self):
            super().__init__(dtype="mixed_bfloat16")
            self.prior = build()

        def call(self, x):
            log_probs.append(self.prior().log_prob(tf.zeros([3])))
            return x

    Model()(tf.ones([4, 3]))
    assert log_probs[0].dtype == tf.float32


@pytest.mark.parametrize("learned", [False, True])
def test_double_precision_holds_the_probability(learned):
    for probs in (0.3, np.float32(0.5), np.float64(0.3)):
        prior = priors.Bernoulli(2, probs, learned, dtype="float64")
        assert type(prior.probs) is float
        np.testing.assert_allclose(prior().mean(), float(probs), rtol=1e-13)


def test_double_precision_of_a_mixture():
    raw_scale = priors.NormalMixture(3, 2, dtype="float64").raw_scale
    np.testing.assert_allclose(np.log1p(np.exp(raw_scale)), 1.0, rtol=1e-14)
