"""What holds for every distribution layer: one case each, the same tests for all."""

import inspect
import json
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae import layers

from .cases import BATCH, CASES, normal_of_two

tfd = tfp.distributions

# Public names that are no distribution layers, and the file of their tests.
TESTED_IN = {
    "BlockwiseInitializer": "test_variable_layer.py",
    "DistributionLayer": "test_distribution_layer.py",
    "Dropout": "test_dropout.py",
    "IndependentLayer": "test_distribution_layer.py",
    "KLDivergenceAddLoss": "test_kl_divergence.py",
    "KLDivergenceRegularizer": "test_kl_divergence.py",
    "LIKELIHOODS": "test_likelihoods.py",
    "POSTERIORS": "test_likelihoods.py",
    "Support": "test_likelihoods.py",
    "VariableLayer": "test_variable_layer.py",
    "coercible": "test_tensor_coercible.py",
    "get_likelihood": "test_likelihoods.py",
    "get_posterior": "test_likelihoods.py",
    "positive_scale": "test_distribution_layer.py",
}

all_cases = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
named_cases = pytest.mark.parametrize("name", CASES)
WITH_LOG_PROB = [name for name, case in CASES.items() if not case.draws_only]


SEED = tf.constant([3, 4])


def negative_log_likelihood(y, p):
    return -p.log_prob(y)


def heads(names=CASES, **kwargs):
    """One model with every layer as an output, so that tracing, compiling and writing happen once for all."""
    inputs = keras.Input((3,))
    bias = keras.initializers.RandomNormal(stddev=0.5, seed=3)
    outputs = {
        name: CASES[name].make(name=name, **kwargs)(
            keras.layers.Dense(CASES[name].size, bias_initializer=bias, name=f"{name}_params")(inputs)
        )
        for name in names
    }
    return keras.Model(inputs, outputs)


def weights_of(model, name):
    found = [w for layer in (f"{name}_params", name) for w in model.get_layer(layer).trainable_variables]
    return {w.path: w.numpy() for w in found}


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    model = heads(convert_to_tensor_fn="mean")
    x, _ = CASES["IndependentNormal"].data()
    model.export(folder, verbose=False)
    served = tf.saved_model.load(folder)
    return served.serve(x), {name: p.mean() for name, p in model(x).items()}


def train(names, **options):
    keras.utils.set_random_seed(0)
    model = heads(names)
    x, _ = CASES["IndependentNormal"].data()
    y = {name: CASES[name].data()[1] for name in names}
    before = {name: weights_of(model, name) for name in names}
    model.compile(keras.optimizers.SGD(0.01), dict.fromkeys(names, negative_log_likelihood), **options)
    history = model.fit(x, y, batch_size=BATCH, verbose=0).history
    after = {name: weights_of(model, name) for name in names}
    losses = {name: history[f"{name}_loss"][0] for name in names}
    return {"losses": losses, "before": before, "after": after, "predicted": model.predict(x, verbose=0)}


@pytest.fixture(scope="module")
def trained():
    return train(WITH_LOG_PROB, run_eagerly=True)


def test_every_public_name_has_a_case():
    assert set(layers.__all__) == set(CASES) | set(TESTED_IN)
    assert layers.__all__ == sorted(layers.__all__, key=lambda name: (not name.isupper(), name))
    for name, file in TESTED_IN.items():
        assert name in (Path(__file__).parent / file).read_text(), (name, file)


def test_every_layer_of_the_package_is_public():
    def subclasses(kind):
        for sub in kind.__subclasses__():
            yield sub
            yield from subclasses(sub)

    ours = [k for k in subclasses(layers.DistributionLayer) if k.__module__.startswith("keras_vae.")]
    assert {k.__name__ for k in ours if not k.__name__.startswith("_")} <= set(layers.__all__)


@named_cases
def test_the_docstring_has_an_example_and_says_what_the_inputs_are(name):
    text = inspect.getdoc(getattr(layers, name))
    assert ">>>" in text
    assert "Args:" in text
    assert name == "DistributionLambda" or "Call arguments:" in text


@named_cases
def test_params_size_and_new_are_static(name):
    if name == "DistributionLambda":
        pytest.skip("makes what its function makes")
    kind = getattr(layers, name)
    assert isinstance(inspect.getattr_static(kind, "params_size"), staticmethod)
    assert isinstance(inspect.getattr_static(kind, "new"), staticmethod)
    layer = CASES[name].make()
    sizes = {
        p: getattr(layer, p) for p in inspect.signature(kind.params_size).parameters if hasattr(layer, p)
    }
    sizes.pop("name", None)
    if name == "MixtureSameFamily":
        sizes = {"num_components": 2, "component_params_size": layer.component_layer.num_params}
    if name == "SoftmaxAndStyle":
        sizes = {"num_classes": 2, "style_params_size": layer.style.num_params}
    assert kind.params_size(**sizes) == layer.num_params


@all_cases
def test_config_round_trip(case):
    layer = case.make(convert_to_tensor_fn="mean", seed=3, validate_args=True, name="head")
    config = layer.get_config()
    again = type(layer).from_config(config)
    assert again.get_config() == config
    through_json = json.loads(json.dumps(keras.saving.serialize_keras_object(layer)))
    assert keras.saving.deserialize_keras_object(through_json).get_config() == config
    for key in config.keys() & inspect.signature(type(layer)).parameters.keys():
        assert hasattr(layer, key), f"no attribute for the argument {key}"


@all_cases
def test_saves_and_loads(case, tmp_path):
    model = case.model()
    x, _ = case.data()
    model(x)  # Moves the seed, which is part of the state.
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    p, q = model(x), loaded(x)
    np.testing.assert_array_equal(q.mean(), p.mean())
    np.testing.assert_array_equal(q.value(), p.value())


@named_cases
def test_exports_its_mean(name, exported):
    served, means = exported
    np.testing.assert_allclose(served[name], means[name], rtol=1e-6, atol=1e-6)


@all_cases
def test_in_the_middle_of_a_functional_model(case):
    x, y = case.data()
    inputs = keras.Input((3,))
    layer = case.make()
    z = layer(keras.layers.Dense(case.size)(inputs))
    assert z.shape == (None, *y.shape[1:])
    outputs = keras.layers.Dense(2)(keras.layers.Flatten()(z))
    model = keras.Model(inputs, [z, outputs])
    p, outputs = model(x)
    # The next layer took the draw that the distribution shows.
    dense = model.layers[-1]
    expected = tf.reshape(p.value(), [BATCH, -1]) @ dense.kernel + dense.bias
    np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-5)
    assert z.dtype == p.dtype


@pytest.mark.parametrize("name", WITH_LOG_PROB)
def test_trains_last_in_a_model(name, trained):
    assert np.isfinite(trained["losses"][name]) == CASES[name].has_density
    for path, start in trained["before"][name].items():
        end = trained["after"][name][path]
        assert np.isfinite(end).all(), path
        assert (end != start).any() == CASES[name].has_density, f"{path} got no gradient"
    assert trained["predicted"][name].shape == CASES[name].data()[1].shape


def test_trains_last_in_a_jitted_model():
    """As eagerly, for a layer with a weight of its own and one whose draws have no gradient."""
    names = ("HomoscedasticNormal", "OneHotCategorical")
    eager, jitted = train(names, run_eagerly=True), train(names, jit_compile=True)
    for name in names:
        np.testing.assert_allclose(jitted["losses"][name], eager["losses"][name], rtol=1e-5)
        ends = zip(jitted["after"][name].values(), eager["after"][name].values(), strict=True)
        for one, other in ends:
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
        assert jitted["predicted"][name].shape == eager["predicted"][name].shape


@all_cases
def test_gradients_and_means_under_xla(case):
    if case.draws_only or not case.has_density:
        pytest.skip("a point has no density that could have a gradient")
    _, y = case.data()
    layer = case.make()
    params = tf.Variable(np.random.default_rng(1).normal(size=(BATCH, case.size)), dtype=tf.float32)
    weights = [params, *(weight.value for weight in layer.trainable_variables)]

    def results():
        with tf.GradientTape() as tape:
            p = layer.distribution(params)
            loss = tf.reduce_mean(negative_log_likelihood(y, p))
        return loss, p.mean(), tape.gradient(loss, weights)

    loss, mean, gradients = results()
    jitted_loss, jitted_mean, jitted_gradients = tf.function(results, jit_compile=True)()
    np.testing.assert_allclose(jitted_loss, loss, rtol=1e-5)
    np.testing.assert_allclose(jitted_mean, mean, rtol=1e-5, atol=1e-5)
    for weight, gradient, jitted in zip(weights, gradients, jitted_gradients, strict=True):
        assert np.isfinite(jitted).all()
        assert np.any(jitted), f"{weight.name} got no gradient"
        np.testing.assert_allclose(jitted, gradient, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    "name",
    [
        "IndependentBetaBinomial",
        "IndependentContinuousBernoulli",
        "MixtureDiscretizedLogistic",
    ],
)
def test_draws_under_xla(name):
    """Of the distributions with samplers of ours."""
    layer = CASES[name].make()
    p = layer.distribution(tf.zeros([1, layer.num_params]))
    draws = tf.function(lambda: p.sample(500, seed=SEED), jit_compile=True)().numpy()
    assert layer.support.contains(draws).all()
    # XLA has random numbers of its own, so it is the means that agree.
    error = draws.std(axis=0) / np.sqrt(len(draws))
    assert (np.abs(draws.mean(axis=0) - p.mean()) < 5 * error).all()


@all_cases
def test_log_probs_are_float32_and_have_the_batch_shape(case):
    _, y = case.data()
    p = case.make()(np.zeros([BATCH, case.size], "float32"))
    if case.draws_only:
        with pytest.raises(NotImplementedError, match="log_prob"):
            p.log_prob(y)
        return
    assert p.log_prob(y).dtype == tf.float32
    assert p.log_prob(y).shape == (BATCH,)


@all_cases
def test_half_precision_policies_keep_it_in_float32(case):
    keras.config.set_dtype_policy("mixed_float16")
    x, y = case.data()
    model = case.model()
    p = model(x)
    assert model.layers[0].compute_dtype == "float16"
    assert p.dtype == p.value().dtype == tf.float32
    assert case.draws_only or p.log_prob(y).dtype == tf.float32
    assert model.outputs[0].dtype == "float32"


@all_cases
def test_double_precision(case):
    keras.config.set_dtype_policy("float64")
    x, y = case.data()
    model = case.model()
    p = model(x)
    assert p.dtype == p.value().dtype == tf.float64
    assert case.draws_only or p.log_prob(y.astype("float64")).dtype == tf.float64
    assert model.outputs[0].dtype == "float64"
    layer = case.make(dtype="float32")
    layer.set_weights(model.layers[-1].get_weights())
    single = layer.distribution(tf.cast(model.layers[0](x), tf.float32))
    np.testing.assert_allclose(p.mean(), single.mean(), rtol=1e-4, atol=1e-4)


@all_cases
def test_sequences_are_batches_of_batches(case):
    _, y = case.data()
    params = np.random.default_rng(1).normal(size=(BATCH, 2, case.size)).astype("float32")
    layer = case.make(convert_to_tensor_fn="mean")
    p = layer(params)
    assert p.batch_shape == (BATCH, 2)
    assert case.draws_only or p.log_prob(np.stack([y] * 2, 1)).shape == (BATCH, 2)
    second = layer(params[:, 1])
    np.testing.assert_allclose(p.mean()[:, 1], second.mean(), rtol=1e-5, atol=1e-6)
    assert layer(keras.Input((None, case.size))).shape == (None, None, *y.shape[1:])
    wrapped = keras.layers.TimeDistributed(layer)
    assert wrapped(keras.Input((2, case.size))).shape == (None, 2, *y.shape[1:])
    np.testing.assert_allclose(wrapped(params), p.mean(), rtol=1e-5, atol=1e-5)


@named_cases
def test_wrong_last_dimension(name):
    if name == "DistributionLambda":
        pytest.skip("takes what its function takes")
    layer = CASES[name].make()
    with pytest.raises(ValueError, match=f"params_size = {layer.num_params} for"):
        layer(np.zeros([2, layer.num_params + 1], "float32"))
    with pytest.raises(ValueError, match=f"params_size = {layer.num_params} for"):
        layer(keras.Input((layer.num_params - 1,)))


@all_cases
def test_same_seed_same_draws(case):
    params = np.random.default_rng(1).normal(size=(64, case.size)).astype("float32")
    first, second = case.make(seed=5), case.make(seed=5)
    second.set_weights(first.get_weights())
    draws = [first(params).value().numpy() for _ in range(3)]
    again = [second(params).value().numpy() for _ in range(3)]
    np.testing.assert_array_equal(draws, again)
    assert (draws[0] != draws[1]).any() == case.has_density
    assert (draws[1] != draws[2]).any() == case.has_density
    p = first(params)
    np.testing.assert_array_equal(p.sample(seed=[1, 2]), p.sample(seed=[1, 2]))


@all_cases
def test_draws_lie_in_the_support_and_have_the_mean(case):
    params = np.random.default_rng(1).normal(size=(1, case.size)).astype("float32")
    layer = case.make()
    p = layer(params)
    draws = p.sample(2000, seed=tf.constant([3, 4])).numpy().astype("float64")
    assert layer.support.contains(draws).all()
    # Of some 40 comparisons, one beyond 5 standard errors has a chance of 2e-5.
    error = draws.std(axis=0) / np.sqrt(len(draws)) + 1e-6
    assert (np.abs(draws.mean(axis=0) - p.mean()) < 5 * error).all()


@named_cases
def test_functions_that_are_not_registered_are_not_saved(name):
    layer = CASES[name].make(convert_to_tensor_fn=lambda p: p.mean())
    with pytest.raises(ValueError, match="register_keras_serializable"):
        layer.get_config()


def test_a_lambda_trains_but_is_not_saved(tmp_path):
    model = keras.Sequential([keras.Input((4,)), layers.DistributionLambda(lambda t: normal_of_two(t))])
    assert model(np.zeros([3, 4])).event_shape == (2,)
    with pytest.raises(ValueError, match=r"make_distribution_fn.*register_keras_serializable"):
        model.save(tmp_path / "model.keras")
