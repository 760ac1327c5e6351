"""Conditional models: a linear-Gaussian one whose log p(x|y) is known, the ways y goes in, and its checks."""

import keras
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

import keras_vae
from keras_vae import evaluation, layers, models, priors, serving

from .cases import conditional, data, decoder, encoder, network, sgd
from .test_linear_gaussian import LATENT, NOISE, SIZE, B, M, W, raw_scale

RNG = np.random.default_rng(8)
V = RNG.normal(size=(3, SIZE))  # what a condition of three numbers adds to the mean of x
Y = RNG.normal(size=(40, 3)).astype("float32")
CENTRED = scipy.stats.multivariate_normal(B, W @ W.T + NOISE**2 * np.eye(SIZE))
X = (CENTRED.rvs(40, random_state=4) + Y @ V).astype("float32")
LOG_PX = CENTRED.logpdf(X.astype("float64") - Y.astype("float64") @ V)
# Sums of a dozen float32 terms of up to about 20 nats.
NATS = 4e-5


@pytest.fixture(autouse=True)
def compile_nothing(without_xla):
    with without_xla():
        yield


def affine(inputs, size, kernel, bias, scale, name):
    """`[x, y]` to a normal with the mean `[x, y] @ kernel + bias`."""
    x, y = keras.Input((inputs,)), keras.Input((3,))
    dense = keras.layers.Dense(2 * size)
    out = layers.IndependentNormal(size)(dense(keras.layers.Concatenate()([x, y])))
    scales = np.broadcast_to(raw_scale(np.asarray(scale)), [size])
    dense.set_weights([np.concatenate([kernel, np.zeros_like(kernel)], 1), np.concatenate([bias, scales])])
    return keras.Model([x, y], out, name=name)


def exact(kind=models.ConditionalVAE, **kwargs):
    """The model with its exact posterior N(M^-1 W^T (x - V y - b) / s^2, M^-1)."""
    inverse = np.linalg.inv(M)
    of_x = W @ inverse / NOISE**2
    scale = np.sqrt(np.diag(inverse))
    encode = affine(SIZE, LATENT, np.concatenate([of_x, -V @ of_x]), -B @ of_x, scale, "encoder")
    decode = affine(LATENT, SIZE, np.concatenate([W.T, V]), B, NOISE, "decoder")
    return kind(encode, decode, seed=1, **kwargs)


@pytest.mark.parametrize("kind", [models.ConditionalVAE, models.IWAE, models.BetaVAE])
def test_bounds_and_likelihood_of_the_exact_posterior_are_log_p_x_given_y(kind):
    model = exact(kind)
    draws = model.log_likelihood(X, num_samples=3, batch_size=16, y=Y)
    np.testing.assert_allclose(draws, LOG_PX, atol=NATS)
    # The exact KL leaves the reconstruction's noise, of which the mean over 4,000 draws has little.
    bound = model.elbo(X, num_samples=4000, y=Y, seed=0)
    np.testing.assert_allclose(np.mean(bound), LOG_PX.mean(), atol=0.02)
    sampled = model.terms(tf.constant(X), tf.constant(Y), num_samples=5)
    np.testing.assert_allclose(sampled.log_weights, np.tile(LOG_PX, (5, 1)), atol=NATS)


def test_report_is_given_y():
    report = evaluation.evaluate(exact(), X, y=Y, num_samples=3)
    assert report.log_likelihood.mean == pytest.approx(LOG_PX.mean(), abs=NATS)
    of_dataset = evaluation.evaluate(
        exact(), tf.data.Dataset.from_tensor_slices((X, Y)).batch(16), num_samples=3
    )
    assert of_dataset.log_likelihood.mean == pytest.approx(report.log_likelihood.mean, abs=NATS)


def test_the_wrong_condition_is_less_likely():
    wrong = exact().log_likelihood(X, num_samples=3, y=Y[::-1].copy())
    assert np.mean(wrong) < LOG_PX.mean() - 1.0


def test_constant_condition_is_the_unconditional_model():
    """Networks in which the condition has no weight are those of the VAE, to the last draw."""
    plain = models.VAE(encoder(), decoder(), seed=3)
    given = conditional(models.VAE, classes=3)
    for of_pair, alone in ((given.encoder, plain.encoder), (given.decoder, plain.decoder)):
        weights = alone.get_weights()
        zeros = np.zeros((3, weights[0].shape[1]), "float32")
        of_pair.set_weights([np.concatenate([weights[0], zeros]), *weights[1:]])
    x, y = data(20), np.zeros(20, "int32")
    np.testing.assert_allclose(given.elbo(x, seed=1, y=y), plain.elbo(x, seed=1), rtol=1e-6)
    np.testing.assert_allclose(given.reconstruct(x, y), plain.reconstruct(x), rtol=1e-6)
    np.testing.assert_allclose(given.sample(4, seed=1, y=y[:1]), plain.sample(4, seed=1), rtol=1e-5)


def test_every_way_to_hand_y_over_gives_the_same():
    model = exact()
    expected = model.reconstruct(X, Y).numpy()
    model.compile(optimizer=sgd())
    batches = tf.data.Dataset.from_tensor_slices((X, Y)).batch(16)
    for given in ((X, Y), [X, Y], batches):
        np.testing.assert_allclose(model.predict(given, verbose=0), expected, rtol=1e-6)
    losses = [model.evaluate(X, Y, batch_size=16, verbose=0), model.evaluate(batches, verbose=0)]
    assert losses[0] == pytest.approx(losses[1])
    assert model((X, Y)).batch_shape == (40,)


def test_decoding_several_draws_of_each_example():
    model = exact()
    z = model.encode(X, Y).sample(3)
    p = model.decode(z, Y)
    assert p.batch_shape == (3, 40)
    np.testing.assert_allclose(p.mean()[2], model.decode(z[2], Y).mean(), rtol=1e-6)
    np.testing.assert_allclose(p.mean(), z @ W.T.astype("float32") + Y @ V + B, atol=1e-4)


def test_samples_follow_their_condition():
    y = np.repeat(np.eye(3, dtype="float32") * 5.0, 2000, axis=0)
    x = exact().sample(6000, seed=0, y=y).numpy().reshape(3, 2000, SIZE)
    # Standard deviations of at most 2.1 over sqrt(2000).
    np.testing.assert_allclose(x.mean(axis=1), 5.0 * V + B, atol=5 * 2.1 / np.sqrt(2000))


def test_conditional_prior_is_a_part_of_bound_draws_and_file(tmp_path):
    net = network(3, layers.IndependentNormal(LATENT), "prior")
    model = exact(prior=priors.ConditionalPrior(net))
    q, p = model.encode(X, Y), net(Y)
    terms = model.terms(tf.constant(X), tf.constant(Y))
    np.testing.assert_allclose(terms.kl(), q.kl_divergence(p), rtol=1e-5)
    assert terms.prior_z.shape == (1, 40, LATENT)
    z_mean = np.mean([model.prior.given(Y[:1]).sample(seed=i) for i in range(200)], axis=0)
    np.testing.assert_allclose(z_mean, net(Y[:1]).mean(), atol=0.4)
    with pytest.raises(ValueError, match="y"):
        model.prior()
    report = evaluation.evaluate(model, X, y=Y, num_samples=2)
    assert report.aggregate is None
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(again.elbo(X, y=Y, seed=0), model.elbo(X, y=Y, seed=0))
    np.testing.assert_array_equal(again.sample(5, y=Y[:1], seed=0), model.sample(5, y=Y[:1], seed=0))


def test_hybrid_objective_refuses_a_prior_that_its_prediction_would_not_train():
    with pytest.raises(ValueError, match=r"prior.*reparameterised"):
        exact(prior=priors.NormalMixture(LATENT, 3), alpha=0.5)
    exact(prior=priors.NormalMixture(LATENT, 3))


def test_labels_of_data_sets_are_looked_at_before_training():
    model = models.ConditionalVAE.create((4,), latent_size=2, num_classes=3, hidden=(5,))
    model.compile(optimizer="sgd")
    x = np.zeros((6, 4), "float32")
    for wrong in (7, -1):
        labels = np.full(6, wrong)
        with pytest.raises(ValueError, match=f"values from {wrong}"):
            model.fit(tf.data.Dataset.from_tensor_slices((x, labels)).batch(3), verbose=0)
        with pytest.raises(ValueError, match=f"values from {wrong}"):
            model.fit(Batches(x, labels), verbose=0)
        with pytest.raises(ValueError, match=f"values from {wrong}"):
            model.fit((batch for batch in [(x, labels)]), verbose=0)
    with pytest.raises(ValueError, match="second argument of fit"):
        model.fit(Batches(x), verbose=0)
    with pytest.raises(ValueError, match="second argument of fit"):
        model.fit((batch for batch in [(x,)]), verbose=0)
    assert int(model.step) == 0


class Batches(keras.utils.PyDataset):
    """All examples as one batch."""

    def __init__(self, *batch):
        super().__init__()
        self.batch = batch

    def __len__(self):
        return 1

    def __getitem__(self, index):
        return self.batch


def test_hybrid_objective_at_its_ends():
    terms = exact().terms(tf.constant(X), tf.constant(Y), seed=tf.constant([1, 2]))
    whole, none = (keras_vae.objectives.ConditionalELBO(alpha).parts(terms) for alpha in (1.0, 0.0))
    assert set(whole) == {"reconstruction", "kl"}
    np.testing.assert_allclose(sum(none.values()), -terms.at(terms.prior_z).log_px[0], rtol=1e-6)
    half = keras_vae.objectives.ConditionalELBO(0.5).parts(terms)
    np.testing.assert_allclose(
        sum(half.values()), 0.5 * (sum(whole.values()) + sum(none.values())), rtol=1e-5
    )


def test_exported_halves_take_the_condition(tmp_path):
    model = exact()
    paths = serving.export(model, tmp_path / "m")
    halves = {name: tf.saved_model.load(path).signatures for name, path in paths.items()}
    q = halves["encoder"]["serving_default"](x=tf.constant(X), y=tf.constant(Y))
    np.testing.assert_allclose(q["mean"], model.encode(X, Y).mean(), rtol=1e-5)
    p = halves["decoder"]["serving_default"](z=q["mean"], y=tf.constant(Y))
    np.testing.assert_allclose(p["mean"], model.decode(q["mean"], Y).mean(), rtol=1e-5)
    drawn = halves["decoder"]["sample"](seed=[0, 7], count=4, y=tf.constant(Y[:1]))["x"]
    np.testing.assert_allclose(drawn, model.sample(4, seed=tf.constant([0, 7]), y=Y[:1]), rtol=1e-5)


@pytest.mark.parametrize("network_name", ["mlp", "conv", "resnet"])
@pytest.mark.parametrize(
    "option", [{"num_classes": 4}, {"condition_shape": (6, 5, 2)}, {"condition_shape": 3}]
)
def test_networks_by_name_read_the_condition(network_name, option):
    sizes = {"hidden": (8,)} if network_name == "mlp" else {"filters": (4,), "dense": (8,)}
    model = models.VAE.create((6, 5, 1), latent_size=2, network=network_name, **sizes, **option)
    shape = model.condition.shape
    x = np.zeros((2, 6, 5, 1), "float32")
    y = np.array([0, 1]) if not shape else np.stack([np.zeros(shape), np.ones(shape)]).astype("float32")
    means = model.encode(x, y).mean().numpy()
    assert not np.allclose(means[0], means[1])
    pictures = model.decode(np.zeros((2, 2), "float32"), y).mean().numpy()
    assert not np.allclose(pictures[0], pictures[1])


def test_a_condition_as_wide_as_the_image_adds_channels_and_any_other_covers_it():
    build = keras_vae.networks.conv_encoder
    latent = layers.IndependentNormal(2)
    wide = build((6, 5, 1), latent, filters=(4,), condition_shape=(6, 5, 2))
    narrow = build((6, 5, 1), latent, filters=(4,), condition_shape=(5, 2))
    assert wide.get_layer("with_condition").output.shape == (None, 6, 5, 3)
    assert narrow.get_layer("with_condition").output.shape == (None, 6, 5, 11)


LABELS = np.arange(40) % 3
OF_CLASSES = data(40)


@pytest.mark.parametrize(
    ("y", "words"),
    [
        (None, "Pass it as the second argument of fit"),
        (LABELS + 1, "values from 1 to 3"),
        (LABELS - 1, "for a semi-supervised model"),
        (LABELS + 0.5, "values from 0.5"),
        (np.eye(3)[LABELS], "argmax"),
        (LABELS[:, None], r"y\[:, 0\]"),
        (LABELS.astype(str), "dtype"),
        (LABELS[:-1], "40 rows"),
    ],
)
def test_bad_labels_are_refused_before_training(y, words):
    model = conditional(models.ConditionalVAE, classes=3)
    model.compile(optimizer=sgd())
    with pytest.raises(ValueError, match=words):
        model.fit(OF_CLASSES, y, verbose=0)
    with pytest.raises(ValueError, match=words):
        model.log_likelihood(OF_CLASSES, num_samples=2, y=y)
    assert int(model.step) == 0


@pytest.mark.parametrize("rows", [3, 4, 12])
def test_conditions_are_as_many_as_the_rows(rows):
    """Half of them, that would be taken twice, any other number, and more than there are."""
    model, z = exact(), np.zeros((2, 6, LATENT), "float32")
    x, y = X[:6], Y[:rows]
    for call in (model.encode, model.reconstruct, lambda x, y: model((x, y))):
        with pytest.raises(ValueError, match=f"argument `y`.*6 rows, as x has.*Received: {rows} rows"):
            call(x, y)
    for latents in (z, z[0]):
        with pytest.raises(ValueError, match=f"1 or 6 rows, as the last batch dim.*Received: {rows} rows"):
            model.decode(latents, y)
    with pytest.raises(ValueError, match=f"6 rows, as x has.*Received: {rows} rows"):
        model.fit_prior(x, 2, y=y)
    with pytest.raises(ValueError, match="6 rows, as x has"):
        model.encode(x, Y[:1])
    np.testing.assert_array_equal(model.decode(z, Y[:1]).mean(), model.decode(z, Y[[0] * 6]).mean())


def test_rows_that_a_graph_does_not_know_yet_pass():
    model = exact()

    @tf.function(input_signature=[tf.TensorSpec((None, SIZE)), tf.TensorSpec((None, 3))])
    def through(x, y):
        return model.decode(model.encode(x, y).mean(), y).mean()

    np.testing.assert_allclose(through(X[:6], Y[:6]), model.reconstruct(X[:6], Y[:6]), rtol=1e-5)


def test_bad_conditions_and_networks_are_refused():
    model = exact()
    model.compile(optimizer=sgd())
    with pytest.raises(ValueError, match="shape"):
        model.fit(X, Y[:, :2], verbose=0)
    with pytest.raises(ValueError, match="NaN"):
        model.fit(X, np.where(Y > 1.0, np.nan, Y), verbose=0)
    with pytest.raises(ValueError, match="None"):
        model.fit(tf.data.Dataset.from_tensor_slices(X).batch(8), verbose=0)
    with pytest.raises(ValueError, match="second argument"):
        model.predict(X, verbose=0)
    with pytest.raises(ValueError, match="1 or 5 conditions"):
        model.sample(5, y=Y[:2])
    with pytest.raises(ValueError, match="no network of this model"):
        models.VAE(encoder(), decoder()).elbo(data(4), y=np.zeros(4))
    with pytest.raises(ValueError, match="two inputs"):
        models.ConditionalVAE(encoder(), decoder())
    with pytest.raises(ValueError, match="condition of the encoder"):
        models.VAE(conditional(models.VAE, classes=3).encoder, conditional(models.VAE, classes=4).decoder)
    with pytest.raises(ValueError, match="condition_shape"):
        models.VAE.create((6,), 2, num_classes=3, condition_shape=3)
    with pytest.raises(ValueError, match="alpha"):
        exact(alpha=1.5)
    with pytest.raises(ValueError, match="network"):
        priors.ConditionalPrior(keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]))
