"""Every bad input is refused with one line that names it, before anything is trained."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae import layers, models, objectives, priors
from keras_vae.layers.distribution_layer import DistributionLambda
from keras_vae.layers.independent import IndependentNormal
from keras_vae.layers.support import UNIT_INTERVAL

from .cases import data, decoder, encoder, vae

tfd = tfp.distributions
X = data(8)
Y = np.arange(8)


class UnitNormal(IndependentNormal):
    """A likelihood of values in [0, 1], as the Bernoulli's of grey images."""

    support = UNIT_INTERVAL


def unit_vae():
    return models.VAE(encoder(), decoder(UnitNormal(6)))


def one_line(error, *words):
    message = str(error.value)
    assert type(error.value) is ValueError
    assert "\n" not in message
    assert "Expected" in message
    assert "Received" in message
    for word in words:
        assert word in message, message


def batches(x, size=4):
    return tf.data.Dataset.from_tensor_slices(x).batch(size)


# --- data -----------------------------------------------------------------------------------------

WITH_NAN = X.copy()
WITH_NAN[5, 2] = np.nan
WITH_INFINITY = X.copy()
WITH_INFINITY[3, 1] = -np.inf

# Data, and what the message must say.
BAD_DATA = {
    "too narrow": (X[:, :5], ["shape", "(8, 5)", "(6,)"]),
    "no batch dimension": (X[0], ["shape", "(6,)"]),
    "too many dimensions": (X[..., None], ["(8, 6, 1)"]),
    "strings": (X.astype(str), ["numbers", "dtype"]),
    "complex": (X.astype("complex64"), ["complex64"]),
    "objects": (X.astype(object), ["numbers", "object"]),
    "nan": (WITH_NAN, ["NaN", "example 5"]),
    "infinity": (WITH_INFINITY, ["infinity", "example 3"]),
    "empty": (X[:0], ["at least one"]),
    "nan in a tensor": (tf.constant(WITH_NAN), ["NaN", "example 5"]),
    "single examples": (tf.data.Dataset.from_tensor_slices(X), ["batch"]),
    "dataset of another shape": (batches(X[:, :5]), ["shape"]),
    "empty dataset": (batches(X).take(0), ["at least one"]),
    "nan in a dataset": (batches(WITH_NAN, 8), ["NaN"]),
    "dataset of strings": (batches(X.astype(str)), ["numbers"]),
    "dataset of dictionaries": (batches({"x": X}), ["x"]),
}


def named(table):
    for name, value in table.items():
        yield pytest.param(*(value if isinstance(value, tuple) else (value,)), id=name)


def refused(model, method, *arguments, words=(), **kwargs):
    before = [np.array(v) for v in model.trainable_variables]
    with pytest.raises(ValueError) as error:
        getattr(model, method)(*arguments, **kwargs)
    one_line(error, *words)
    assert int(model.optimizer.iterations) == int(model.step) == 0
    for old, new in zip(before, model.trainable_variables, strict=True):
        np.testing.assert_array_equal(new, old)


@functools.cache
def compiled(build=vae, **options):
    """One model for all tests: what refuses its data is not changed."""
    model = build()
    model.compile(optimizer="sgd", **(options or {"run_eagerly": True}))
    return model


@pytest.mark.parametrize(("x", "words"), named(BAD_DATA))
def test_bad_data(x, words):
    refused(compiled(), "fit", x, verbose=0, words=["`x`", *words])
    refused(compiled(), "fit", X, validation_data=x, verbose=0, words=["`validation_data`", *words])
    refused(compiled(), "evaluate", x, verbose=0, words=["`x`", *words])
    refused(compiled(), "predict", x, verbose=0, words=["`x`", *words])


OTHER_DATA = {
    "nothing": None,
    "list of arrays": [X],
    "dictionary": {"x": X},
    "ragged": tf.ragged.constant([[1.0, 2.0], [3.0]]),
    "number": 3.0,
}


@pytest.mark.parametrize("x", named(OTHER_DATA))
def test_data_of_another_kind(x):
    refused(compiled(), "fit", x, verbose=0, words=["`x`"])


BAD_BATCHES = {name: BAD_DATA[name] for name in ("too narrow", "too many dimensions", "strings", "complex")}


@pytest.mark.parametrize("method", ["train_on_batch", "test_on_batch", "predict_on_batch"])
@pytest.mark.parametrize(("x", "words"), named(BAD_BATCHES))
def test_bad_single_batch(x, words, method):
    refused(compiled(), method, x, words=["`x`", *words])


@pytest.mark.parametrize("x", [np.float32([[0, 255, 3, 4, 5, 6]]), np.uint8([[0, 255, 3, 4, 5, 6]]), -X])
@pytest.mark.parametrize("wrap", [lambda x: x, batches], ids=["array", "dataset"])
def test_data_outside_the_support_of_the_likelihood(x, wrap):
    refused(compiled(unit_vae), "fit", wrap(x), verbose=0, words=["[0, 1]", "255"])
    refused(compiled(unit_vae), "evaluate", wrap(x), verbose=0, words=["[0, 1]"])


def test_support_is_found_through_nested_models():
    inner = decoder(UnitNormal(6))
    inputs = keras.Input((2,))
    model = models.VAE(encoder(), keras.Model(inputs, inner(inputs)))
    model.compile(run_eagerly=True)
    refused(model, "fit", 255.0 * np.abs(X), verbose=0, words=["[0, 1]"])


def test_lengths_that_differ():
    model = compiled(jit_compile=True)
    refused(model, "fit", X, Y[:5], verbose=0, words=["`y`", "8 rows", "5 rows"])
    refused(model, "fit", X, sample_weight=np.ones(3), verbose=0, words=["`sample_weight`", "8 rows"])


FIT_ARGUMENTS = {
    "validation_split": {"validation_split": 1.5},
    "negative split": {"validation_split": -0.5},
    "split of nothing": {"validation_split": 0.99},
}


@pytest.mark.parametrize("arguments", named(FIT_ARGUMENTS))
def test_bad_arguments_of_fit(arguments):
    refused(compiled(), "fit", X, verbose=0, **arguments, words=[f"`{next(iter(arguments))}`"])


def test_split_of_a_dataset():
    words = ["`validation_split`", "validation_data"]
    refused(compiled(), "fit", batches(X), validation_split=0.5, verbose=0, words=words)


@pytest.mark.parametrize("batch_size", [0, -1, 2.5])
@pytest.mark.parametrize("method", ["fit", "evaluate"])
def test_bad_batch_size(batch_size, method):
    model = compiled(jit_compile=True)
    refused(model, method, X, batch_size=batch_size, verbose=0, words=["`batch_size`"])


def test_weights_of_a_wrong_shape():
    refused(compiled(), "fit", X, Y, sample_weight=np.ones((8, 6)), verbose=0, words=["`sample_weight`"])


# --- compile --------------------------------------------------------------------------------------


def test_no_loss_but_the_objective():
    with pytest.raises(ValueError) as error:
        vae().compile(loss="mse")
    one_line(error, "`loss`", "mse", "objective")


@pytest.mark.parametrize("steps", [0, -1, 1.5, "many"])
def test_bad_steps_per_execution(steps):
    with pytest.raises(ValueError) as error:
        vae().compile(steps_per_execution=steps)
    one_line(error, "`steps_per_execution`")


def test_critic_optimizer_without_a_critic():
    with pytest.raises(ValueError) as error:
        vae().compile(critic_optimizer="adam")
    one_line(error, "`critic_optimizer`", "no critic")


@pytest.mark.parametrize("method", ["fit", "evaluate"])
def test_not_compiled(method):
    with pytest.raises(ValueError, match="compile"):
        getattr(vae(), method)(X)


# --- the model ------------------------------------------------------------------------------------


def plain(inputs, outputs):
    return keras.Sequential([keras.Input((inputs,)), keras.layers.Dense(outputs)])


def not_independent(inputs, size):
    def normal(params):
        return tfd.Normal(params, 1.0)

    layers = [keras.Input((inputs,)), keras.layers.Dense(size), DistributionLambda(normal)]
    return keras.Sequential(layers)


def three_inputs():
    inputs = [keras.Input((6,)), keras.Input((6,)), keras.Input((6,))]
    return keras.Model(inputs, IndependentNormal(2)(keras.layers.Dense(4)(keras.layers.add(inputs))))


def without_input():
    return keras.Sequential([keras.layers.Dense(4), IndependentNormal(2)])


class NoPrior(keras.layers.Layer):
    """A layer, but no prior."""


BAD_MODELS = {
    "latent of the decoder": (
        lambda: models.VAE(encoder(IndependentNormal(3)), decoder()),
        ["`decoder`", "(3,)"],
    ),
    "latent of the prior": (
        lambda: models.VAE(encoder(), decoder(), priors.StandardNormal(3)),
        ["`prior`", "(2,)", "(3,)"],
    ),
    "event of the decoder": (
        lambda: models.VAE(encoder(), decoder(IndependentNormal(5))),
        ["`decoder`", "(6,)", "(5,)"],
    ),
    "event of another rank": (
        lambda: models.VAE(encoder(), decoder(IndependentNormal((6, 1)))),
        ["`decoder`", "(6,)", "(6, 1)"],
    ),
    "encoder without a distribution": (
        lambda: models.VAE(plain(6, 2), decoder()),
        ["`encoder`", "distribution layer"],
    ),
    "decoder without a distribution": (
        lambda: models.VAE(encoder(), plain(2, 6)),
        ["`decoder`", "distribution layer"],
    ),
    "encoder not independent": (
        lambda: models.VAE(not_independent(6, 2), decoder()),
        ["`encoder`", "batch shape", "Independent"],
    ),
    "decoder not independent": (
        lambda: models.VAE(encoder(), not_independent(2, 6)),
        ["`decoder`", "event shape ()"],
    ),
    "encoder of three inputs": (lambda: models.VAE(three_inputs(), decoder()), ["`encoder`", "one input"]),
    "encoder without an input": (lambda: models.VAE(without_input(), decoder()), ["`encoder`", "Input"]),
    "encoder no model": (lambda: models.VAE(lambda x: x, decoder()), ["`encoder`"]),
    "decoder no model": (lambda: models.VAE(encoder(), None), ["`decoder`", "None"]),
    "prior no prior": (lambda: models.VAE(encoder(), decoder(), NoPrior()), ["`prior`"]),
    "prior a distribution": (lambda: models.VAE(encoder(), decoder(), tfd.Normal(0.0, 1.0)), ["`prior`"]),
    "no objective": (lambda: models.LatentVariableModel(encoder(), decoder()), ["`objective`", "None"]),
    "objective a name": (
        lambda: models.LatentVariableModel(encoder(), decoder(), objective="elbo"),
        ["`objective`", "elbo"],
    ),
    "objective a class": (
        lambda: models.LatentVariableModel(encoder(), decoder(), objective=objectives.ELBO),
        ["`objective`"],
    ),
    "kl": (lambda: vae(kl="analytic"), ["`kl`", "analytic", "exact"]),
    "kl misspelt": (lambda: vae(kl="sampeld"), ["Did you mean 'sampled'?"]),
    "num_samples of 0": (lambda: vae(num_samples=0), ["`num_samples`", "0"]),
    "num_samples a float": (lambda: vae(num_samples=1.0), ["`num_samples`"]),
    "num_samples a bool": (lambda: vae(num_samples=True), ["`num_samples`"]),
    "beta negative": (lambda: models.BetaVAE(encoder(), decoder(), beta=-1.0), ["`beta`", "-1"]),
    "beta falls below 0": (lambda: models.BetaVAE(encoder(), decoder(), beta="linear:1:-1:10"), ["`beta`"]),
    "beta nan": (lambda: models.BetaVAE(encoder(), decoder(), beta=float("nan")), ["nan"]),
    "beta a word": (
        lambda: models.BetaVAE(encoder(), decoder(), beta="liner:0:1:10"),
        ["`beta`", "'linear'"],
    ),
    "capacity negative": (lambda: models.BetaVAE(encoder(), decoder(), capacity=-2.0), ["`capacity`", "-2"]),
}


@pytest.mark.parametrize(("build", "words"), named(BAD_MODELS))
def test_bad_model(build, words):
    with pytest.raises(ValueError) as error:
        build()
    one_line(error, *words)


def test_exact_kl_where_none_is_known():
    with pytest.raises(ValueError) as error:
        vae(prior=priors.NormalMixture(2, 3), kl="exact")
    one_line(error, "`kl`", "exact")


def test_seed_of_another_type():
    with pytest.raises(ValueError):
        vae(seed="a")


# --- methods --------------------------------------------------------------------------------------

METHODS = {
    "encode": ("encode", (X[:, :5],), {}, ["`x`", "(6,)"]),
    "encode one": ("encode", (X[0],), {}, ["`x`", "Add a batch dimension."]),
    "encode strings": ("encode", (X.astype(str),), {}, ["`x`", "numbers"]),
    "decode": ("decode", (X,), {}, ["`z`", "(2,)"]),
    "reconstruct": ("reconstruct", (X[:, :5],), {}, ["`x`"]),
    "sample none": ("sample", (0,), {}, ["`num_samples`"]),
    "sample a float": ("sample", (2.0,), {}, ["`num_samples`"]),
    "elbo": ("elbo", (X[:, :5],), {}, ["`x`"]),
    "elbo of nothing": ("elbo", (X[:0],), {}, ["`x`", "at least one"]),
    "elbo of no draws": ("elbo", (X,), {"num_samples": 0}, ["`num_samples`"]),
    "elbo of no batch": ("elbo", (X,), {"batch_size": 0}, ["`batch_size`"]),
    "log_likelihood": ("log_likelihood", (X[:, :5],), {}, ["`x`"]),
    "log_likelihood of no draws": ("log_likelihood", (X,), {"num_samples": 0}, ["`num_samples`"]),
    "log_likelihood of nothing": ("log_likelihood", (X[:0],), {}, ["`x`", "at least one"]),
    "log_likelihood of no batch": ("log_likelihood", (X,), {"batch_size": 0}, ["`batch_size`"]),
    "log_likelihood of one": ("log_likelihood", (X[0],), {}, ["`x`"]),
}


@pytest.mark.parametrize(("method", "arguments", "options", "words"), named(METHODS))
def test_bad_arguments_of_methods(method, arguments, options, words):
    with pytest.raises(ValueError) as error:
        getattr(compiled(), method)(*arguments, **options)
    one_line(error, *words)


CREATE = {
    "option": ({"hiden": (8,)}, ["hiden", "'hidden'"]),
    "model option": ({"num_sample": 3}, ["num_sample", "'num_samples'"]),
    "network": ({"network": "mpl"}, ["`network`", "'mlp'"]),
    "likelihood": ({"likelihood": "bernouli"}, ["bernouli", "bernoulli"]),
    "posterior": ({"posterior": "norml"}, ["norml", "normal"]),
    "latent_size": ({"latent_size": 0}, ["latent_size"]),
    "input_shape": ({"input_shape": (0,)}, ["input_shape"]),
    "another model's option": ({"beta": 2.0}, ["beta"]),
    "network_options": ({"network_options": {"hiden": (8,)}}, ["hiden"]),
    "prior": ({"prior": "normal"}, ["`prior`"]),
}


@pytest.mark.parametrize(("options", "words"), named(CREATE))
def test_bad_arguments_of_create(options, words):
    with pytest.raises(ValueError) as error:
        models.VAE.create(**{"input_shape": (6,), "latent_size": 2, **options})
    one_line(error, *words)


@pytest.mark.parametrize("name", ["Autoencoder", "WAE", "InfoVAE", "DIPVAE"])
def test_posterior_whose_draws_carry_no_gradient(name):
    """It would train the decoder only, and say nothing."""
    coins = layers.IndependentBernoulli(2)
    with pytest.raises(
        ValueError, match=r"argument `encoder`.*draws carry a gradient.*VAE, BetaVAE and IWAE"
    ):
        getattr(models, name)(encoder(coins), decoder(), prior=priors.Bernoulli(2))
