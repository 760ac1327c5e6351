"""KLDivergenceRegularizer and KLDivergenceAddLoss, against closed forms and `tfp.layers`."""

import json
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae.layers import (
    IndependentNormal,
    KLDivergenceAddLoss,
    KLDivergenceRegularizer,
    MixtureNormal,
    VariableLayer,
)
from keras_vae.losses import NegativeLogLikelihood
from keras_vae.priors import FittedMixture, NormalMixture, StandardNormal

tfd = tfp.distributions

PARAMS = np.random.default_rng(0).normal(size=(6, 4)).astype("float32")
PRIOR = tfd.MultivariateNormalDiag(tf.constant([0.5, -1.0]), tf.constant([2.0, 0.7]))


def closed_form():
    """KL of the normals of PARAMS to PRIOR, `[6]`, in float64."""
    mean, scale = PARAMS[:, :2].astype(float), np.logaddexp(0.0, PARAMS[:, 2:].astype(float))
    prior_mean, prior_scale = np.array([0.5, -1.0]), np.array([2.0, 0.7])
    ratio = scale / prior_scale
    return 0.5 * np.sum(ratio**2 + ((mean - prior_mean) / prior_scale) ** 2 - 1 - 2 * np.log(ratio), axis=1)


def as_regularizer(*args, fn="sample", **kwargs):
    layer = IndependentNormal(2, fn, activity_regularizer=KLDivergenceRegularizer(*args, **kwargs), seed=1)
    layer(PARAMS)
    return layer.losses


def as_layer(*args, fn="sample", **kwargs):
    layer = KLDivergenceAddLoss(*args, **kwargs)
    layer(IndependentNormal(2, fn, seed=1)(PARAMS))
    return layer.losses


@keras.saving.register_keras_serializable(package="keras_vae.tests")
def ten_draws(p, seed=None):
    return p.sample(10, seed=seed)


@keras.saving.register_keras_serializable(package="keras_vae.tests")
def make_prior():
    return PRIOR


both = pytest.mark.parametrize("added", [as_regularizer, as_layer])


@both
def test_exact_is_the_mean_of_the_closed_form(added):
    (loss,) = added(PRIOR, use_exact_kl=True)
    np.testing.assert_allclose(loss, closed_form().mean(), rtol=1e-5)


@both
def test_repeating_the_batch_changes_nothing(added):
    regularizer = KLDivergenceRegularizer(PRIOR, use_exact_kl=True)
    once = regularizer(IndependentNormal.new(PARAMS, 2))
    twice = regularizer(IndependentNormal.new(np.concatenate([PARAMS, PARAMS]), 2))
    np.testing.assert_allclose(once, twice, rtol=1e-6)
    np.testing.assert_allclose(added(PRIOR, use_exact_kl=True)[0], once, rtol=1e-6)


@both
@pytest.mark.parametrize("fn", ["sample", ten_draws])
def test_sampled_is_at_the_draws_of_the_layer(added, fn):
    # With ten draws, the first dimension of the output is not the batch.
    (loss,) = added(PRIOR, fn=fn)
    p = IndependentNormal(2, fn, seed=1)(PARAMS)
    z = p.value()
    np.testing.assert_allclose(loss, tf.reduce_mean(p.log_prob(z) - PRIOR.log_prob(z)), rtol=1e-5)


@both
def test_sampled_tends_to_exact(added):
    (loss,) = added(PRIOR, test_points_fn=lambda p: p.sample(20000, seed=3), test_points_reduce_axis=0)
    p = IndependentNormal.new(PARAMS, 2)
    z = p.sample(20000, seed=4)
    error = np.std(tf.reduce_mean(p.log_prob(z) - PRIOR.log_prob(z), axis=1)) / np.sqrt(20000)
    assert abs(loss - closed_form().mean()) < 4 * error


@both
def test_weight(added):
    (loss,) = added(PRIOR, use_exact_kl=True, weight=0.5)
    np.testing.assert_allclose(loss, 0.5 * closed_form().mean(), rtol=1e-5)
    weights = np.arange(6.0)
    (loss,) = added(PRIOR, use_exact_kl=True, weight=weights)
    np.testing.assert_allclose(loss, np.mean(weights * closed_form()), rtol=1e-5)


@pytest.mark.parametrize("exact", [True, False])
def test_tfp_layers_sum_what_is_a_mean_here(exact):
    tfpl = pytest.importorskip("tensorflow_probability.python.layers")
    points = tf.constant(np.random.default_rng(1).normal(size=(6, 2)), tf.float32)
    options = {"use_exact_kl": exact, "test_points_fn": lambda p: points, "weight": 0.5}
    p = tfd.MultivariateNormalDiag(PARAMS[:, :2], tf.math.softplus(PARAMS[:, 2:]))
    total = tfpl.KLDivergenceRegularizer(PRIOR, **options)(p)
    np.testing.assert_allclose(KLDivergenceRegularizer(PRIOR, **options)(p), total / 6, rtol=1e-5)


@both
def test_distribution_b_may_be_made_by_a_function_or_a_layer(added):
    expected = added(PRIOR, use_exact_kl=True)[0]
    np.testing.assert_allclose(added(make_prior, use_exact_kl=True)[0], expected)
    normal = StandardNormal(2)
    np.testing.assert_allclose(
        added(normal, use_exact_kl=True)[0], added(normal.distribution(), use_exact_kl=True)[0]
    )


def learned_prior():
    return keras.Sequential([VariableLayer(4, name="learned"), IndependentNormal(2)])


@pytest.mark.parametrize("prior", [lambda: NormalMixture(2, 3), learned_prior], ids=["prior", "model"])
@pytest.mark.parametrize("kind", ["regularizer", "layer"])
def test_a_layer_as_prior_is_trained_and_saved_with_the_model(prior, kind, tmp_path):
    prior = prior()
    if kind == "regularizer":
        head = [IndependentNormal(2, activity_regularizer=KLDivergenceRegularizer(prior))]
    else:
        head = [IndependentNormal(2), KLDivergenceAddLoss(prior)]
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4), *head])
    weights = prior.trainable_variables
    assert {w.path for w in weights} <= {w.path for w in model.trainable_variables}
    before = [w.numpy() for w in weights]
    model.compile("sgd", loss=NegativeLogLikelihood(), run_eagerly=True)
    model.fit(np.ones([4, 3]), np.ones([4, 2]), verbose=0)
    assert all((w.numpy() != old).any() for w, old in zip(weights, before, strict=True))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for weight, original in zip(loaded.trainable_variables, model.trainable_variables, strict=True):
        np.testing.assert_array_equal(weight, original)
    x = np.ones([4, 3])
    model(x), loaded(x)
    np.testing.assert_allclose(loaded.losses[0], model.losses[0], rtol=1e-6)


def test_a_vae_of_keras_layers():
    """Encoder, KL and decoder as one Sequential: the loss that Keras reports is minus the ELBO."""
    keras.utils.set_random_seed(0)
    encoder = [
        keras.layers.Dense(4),
        IndependentNormal(2, "mean"),
        KLDivergenceAddLoss(PRIOR, use_exact_kl=True),
    ]
    decoder = [keras.layers.Dense(6), IndependentNormal(3)]
    model = keras.Sequential([keras.Input((3,)), *encoder, *decoder])
    model.compile("sgd", loss=lambda x, p: -p.log_prob(x), jit_compile=False)
    x = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
    q = encoder[1](encoder[0](x))
    p = decoder[1](decoder[0](q.mean()))
    kl = tfd.kl_divergence(tfd.MultivariateNormalDiag(q.mean(), q.stddev()), PRIOR)
    np.testing.assert_allclose(
        model.evaluate(x, x, batch_size=4, verbose=0), tf.reduce_mean(kl - p.log_prob(x)), rtol=1e-5
    )


@pytest.mark.parametrize("distribution_b", [PRIOR, make_prior], ids=["distribution", "function"])
@pytest.mark.parametrize("exact", [True, False])
def test_saved_without_pickles(distribution_b, exact, tmp_path):
    options = {
        "use_exact_kl": exact,
        "weight": 0.5,
        "test_points_fn": ten_draws,
        "test_points_reduce_axis": 0,
    }
    regularizer = KLDivergenceRegularizer(distribution_b, **options)
    layer = KLDivergenceAddLoss(distribution_b, **options)
    model = keras.Sequential(
        [keras.Input((4,)), IndependentNormal(2, "mean", activity_regularizer=regularizer), layer]
    )
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.layers[0].get_config() == model.layers[0].get_config()
    assert loaded.layers[1].get_config() == layer.get_config()
    model(PARAMS), loaded(PARAMS)
    assert len(loaded.losses) == 2
    if exact:
        np.testing.assert_array_equal(loaded.losses, model.losses)
    with zipfile.ZipFile(tmp_path / "model.keras") as file:
        json.loads(file.read("config.json"))
        assert not any(name.endswith(("pkl", "pickle")) for name in file.namelist())


def test_config_round_trip():
    for kind in (KLDivergenceRegularizer, KLDivergenceAddLoss):
        one = kind(PRIOR, True, (0, 1), "mean", np.array([1.0, 2.0]))
        config = one.get_config()
        again = kind.from_config(json.loads(json.dumps(config)))
        assert again.get_config() == config
        assert config["weight"] == [1.0, 2.0]


def test_functions_that_are_not_registered_are_not_saved():
    with pytest.raises(ValueError, match=r"distribution_b.*register_keras_serializable"):
        KLDivergenceRegularizer(lambda: PRIOR).get_config()
    with pytest.raises(ValueError, match=r"test_points_fn.*register_keras_serializable"):
        KLDivergenceRegularizer(PRIOR, test_points_fn=lambda p: p.mean()).get_config()


def test_passes_the_distribution_through_whatever_the_policy():
    for policy in ("mixed_float16", "float64", "float32"):
        keras.config.set_dtype_policy(policy)
        layer = KLDivergenceAddLoss(PRIOR, test_points_fn="mean")
        q = IndependentNormal(2, dtype="float32")(PARAMS)
        assert layer(q) is q
        assert layer.losses[0].dtype == tf.float32
    symbolic = KLDivergenceAddLoss(PRIOR)(IndependentNormal(2)(keras.Input((4,))))
    assert symbolic.shape == (None, 2)


def test_wrong_arguments():
    for wrong in (3.0, "normal", lambda: 3.0):
        with pytest.raises(ValueError, match="`distribution_b`"):
            KLDivergenceRegularizer(wrong)
    with pytest.raises(ValueError, match="distribution layer"):
        KLDivergenceAddLoss(PRIOR)(tf.zeros([6, 2]))
    with pytest.raises(NotImplementedError):
        KLDivergenceRegularizer(PRIOR, use_exact_kl=True)(MixtureNormal(2, 2)(np.zeros([3, 10])))
    assert isinstance(KLDivergenceRegularizer(PRIOR), keras.regularizers.Regularizer)


STEPS = np.random.default_rng(2).normal(size=(2, 4, 3)).astype("float32")
SHOWN = np.array([[True, True, False, False], [True, False, False, False]])


def of_sequences(kind, fn="sample", **options):
    """The loss of a model of masked sequences, and q, `[2, 4]`."""
    regularizer = KLDivergenceRegularizer(PRIOR, **options) if kind == "regularizer" else None
    q = IndependentNormal(2, fn, activity_regularizer=regularizer, seed=1)
    head = [KLDivergenceAddLoss(PRIOR, **options)] if kind == "layer" else []
    dense = keras.layers.Dense(4, kernel_initializer=keras.initializers.GlorotUniform(seed=0))
    model = keras.Sequential([keras.Input((4, 3)), keras.layers.Masking(), dense, q, *head])
    steps = STEPS * SHOWN[..., None]
    q = model(steps)
    return float(model.losses[0]), q, model


@pytest.mark.parametrize("kind", ["regularizer", "layer"])
@pytest.mark.parametrize(
    ("fn", "options"),
    [
        ("sample", {"use_exact_kl": True}),
        ("sample", {"use_exact_kl": True, "weight": np.array([[0.5], [3.0]])}),
        ("sample", {}),
        ("sample", {"test_points_reduce_axis": None, "weight": 0.5}),
        ("sample", {"test_points_reduce_axis": 1}),
        (ten_draws, {"test_points_reduce_axis": 0}),
        (ten_draws, {"weight": np.array([[0.5], [3.0]])}),
    ],
)
def test_masked_steps_do_not_count(kind, fn, options):
    loss, q, _ = of_sequences(kind, fn, **options)
    weight = np.broadcast_to(options.get("weight", 1.0), [2, 4])
    if options.get("use_exact_kl"):
        kl = tfd.kl_divergence(tfd.MultivariateNormalDiag(q.mean(), q.stddev()), PRIOR).numpy()
    else:
        z = q.value()
        kl = (q.log_prob(z) - PRIOR.log_prob(z)).numpy()
    assert loss == pytest.approx(np.mean((weight * kl)[..., SHOWN]), rel=1e-5)
    assert loss != pytest.approx(np.mean(weight * kl), rel=1e-3)


@pytest.mark.parametrize("kind", ["regularizer", "layer"])
def test_masked_steps_train_and_may_be_all(kind):
    _, _, model = of_sequences(kind)
    model.compile("sgd", loss=NegativeLogLikelihood())
    model.fit(STEPS, STEPS[..., :2], verbose=0)
    model(np.zeros_like(STEPS))
    assert float(model.losses[0]) == 0.0


def test_masks_of_fewer_and_of_more_dimensions_than_the_batch():
    regularizer = KLDivergenceRegularizer(PRIOR, use_exact_kl=True)
    params = np.random.default_rng(0).normal(size=(2, 4, 4)).astype("float32")
    q, expected = IndependentNormal(2)(params), regularizer(IndependentNormal.new(params[:1], 2))
    q._keras_mask = tf.constant([True, False])
    np.testing.assert_allclose(regularizer(q), expected, rtol=1e-5)
    q._keras_mask = tf.ones([2, 4, 1], tf.bool)
    with pytest.raises(ValueError, match="`mask`"):
        regularizer(q)


@both
def test_priors_of_another_event_shape(added):
    for exact in (True, False):
        for prior in (StandardNormal(1), StandardNormal(3), StandardNormal((2, 2)), tfd.Normal(0.0, 1.0)):
            with pytest.raises(ValueError, match=r"`distribution_b`.*event shape"):
                added(prior, use_exact_kl=exact)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("make", [lambda: NormalMixture(2, 3), lambda: FittedMixture(2, 3)])
def test_priors_with_weights_under_a_half_precision_policy(make, policy):
    keras.config.set_dtype_policy(policy)
    head = IndependentNormal(2, activity_regularizer=KLDivergenceRegularizer(make()))
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4), head, KLDivergenceAddLoss(make())])
    model(np.ones([4, 3], "float32"))
    assert [loss.dtype for loss in model.losses] == [tf.float32] * 2


@pytest.mark.parametrize("kind", [KLDivergenceRegularizer, KLDivergenceAddLoss])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("weight", "a"),
        ("weight", -1.0),
        ("weight", float("nan")),
        ("weight", True),
        ("weight", [1.0, -1.0]),
        ("use_exact_kl", "yes"),
        ("test_points_reduce_axis", "x"),
        ("test_points_reduce_axis", 0.5),
        ("test_points_reduce_axis", (0, None)),
        ("test_points_fn", "foo"),
        ("test_points_fn", 3),
    ],
)
def test_wrong_options(kind, name, value):
    with pytest.raises(ValueError, match=f"`{name}`"):
        kind(PRIOR, **{name: value})
