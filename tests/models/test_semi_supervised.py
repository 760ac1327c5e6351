"""The semi-supervised models, against a mixture whose p(x), p(x, y) and p(y|x) are known."""

import warnings

import keras
import numpy as np
import pytest
import scipy.special
import scipy.stats
import tensorflow as tf

from keras_vae import datasets, evaluation, layers, models, priors, serving

from .cases import classifier, conditional, data, decoder, encoder, sgd
from .test_linear_gaussian import LATENT, NOISE, SIZE, B, M, W, raw_scale

RNG = np.random.default_rng(9)
CENTRES = RNG.normal(size=(3, SIZE)) * 2.0
PRIOR = np.array([0.5, 0.3, 0.2])
COVARIANCE = W @ W.T + NOISE**2 * np.eye(SIZE)
CENTRED = scipy.stats.multivariate_normal(B, COVARIANCE)
CLASSES = RNG.choice(3, size=30, p=PRIOR)
X = (CENTRED.rvs(30, random_state=4) + CENTRES[CLASSES]).astype("float32")
LOG_PX_GIVEN_Y = np.stack([CENTRED.logpdf(X.astype("float64") - centre) for centre in CENTRES])
LOG_PXY = LOG_PX_GIVEN_Y + np.log(PRIOR)[:, None]
LOG_PX = scipy.special.logsumexp(LOG_PXY, axis=0)
SOME = np.where(np.arange(30) % 3 == 0, CLASSES, -1)
# Sums of a dozen float32 terms of up to about 30 nats.
NATS = 1e-4


@pytest.fixture
def eagerly(without_xla):
    with without_xla():
        yield


def affine(inputs, size, kernel, bias, scale, name):
    """`[x, class]` to a normal with the mean `[x, one_hot] @ kernel + bias`."""
    x, y = keras.Input((inputs,)), keras.Input((), dtype="int32")
    one_hot = keras.layers.CategoryEncoding(3, output_mode="one_hot")(y)
    dense = keras.layers.Dense(2 * size)
    out = layers.IndependentNormal(size)(dense(keras.layers.Concatenate()([x, one_hot])))
    scales = np.broadcast_to(raw_scale(np.asarray(scale)), [size])
    dense.set_weights([np.concatenate([kernel, np.zeros_like(kernel)], 1), np.concatenate([bias, scales])])
    return keras.Model([x, y], out, name=name)


def exact(temperature=1.0, **kwargs):
    """M2 with the exact q(z|x, y) and, at temperature 1, the exact q(y|x), which is linear in x."""
    inverse = np.linalg.inv(M)
    of_x = W @ inverse / NOISE**2
    scale = np.sqrt(np.diag(inverse))
    encode = affine(SIZE, LATENT, np.concatenate([of_x, -CENTRES @ of_x]), -B @ of_x, scale, "encoder")
    decode = affine(LATENT, SIZE, np.concatenate([W.T, CENTRES]), B, NOISE, "decoder")
    precision = np.linalg.inv(COVARIANCE)
    kernel = precision @ CENTRES.T
    bias = np.log(PRIOR) - 0.5 * np.sum(CENTRES @ precision * CENTRES, axis=1) - B @ kernel
    classify = keras.Sequential([keras.Input((SIZE,)), keras.layers.Dense(3), layers.OneHotCategorical(3)])
    classify.layers[0].set_weights([kernel / temperature, bias / temperature])
    return models.SemiSupervisedVAE(encode, decode, classify, seed=1, **{"class_prior": PRIOR, **kwargs})


def parts(model, y, num_samples=2000):
    terms = model.terms(tf.constant(X), None if y is None else tf.constant(y), num_samples=num_samples)
    return {name: part.numpy() for name, part in model.objective.parts(terms).items()}


def test_classifier_of_the_mixture_is_its_posterior(eagerly):
    np.testing.assert_allclose(exact().classify(X), np.exp(LOG_PXY - LOG_PX).T, atol=1e-5)
    with pytest.raises(ValueError, match="batch_size"):
        exact().classify(X, batch_size=0)
    np.testing.assert_array_equal(exact().classify(X, batch_size=7), exact().classify(X, batch_size=7))
    assert exact().classify(X, batch_size=7).shape == (30, 3)


@pytest.mark.parametrize("y", [CLASSES, SOME, None], ids=["labelled", "mixed", "none"])
def test_loss_is_minus_log_p_x_y_of_labelled_and_minus_log_p_x_of_other_examples(eagerly, y):
    """The bound is tight, so that only the sampling noise of the reconstruction is left."""
    found = parts(exact(alpha=0.0, kl="sampled"), y, num_samples=1)
    labels = np.full(30, -1) if y is None else y
    expected = np.where(labels >= 0, LOG_PXY[np.maximum(labels, 0), np.arange(30)], LOG_PX)
    # With the sampled KL of the exact posterior even that is gone.
    np.testing.assert_allclose(sum(found.values()), -expected, atol=NATS)
    assert not found["classification"].any()


def test_other_classifiers_lose_their_divergence_from_the_posterior(eagerly):
    """U(x) = -log p(x) + KL(q(y|x) || p(y|x)), Eq. 7 of the paper."""
    model = exact(temperature=20.0, alpha=0.0, kl="sampled")
    assert _divergence(model).mean() > 0.5
    np.testing.assert_allclose(sum(parts(model, None, 1).values()), _divergence(model) - LOG_PX, atol=NATS)


def _divergence(model):
    """KL(q(y|x) || p(y|x)) of every example."""
    q = model.classify(X).numpy().astype("float64")
    return np.sum(scipy.special.rel_entr(q, np.exp(LOG_PXY - LOG_PX).T), axis=1)


def test_classification_is_alpha_times_the_mean_over_labelled_examples(eagerly):
    model = exact(temperature=20.0, alpha=7.0)
    log_q = np.log(model.classify(X).numpy())
    known = SOME >= 0
    losses = -log_q[known, SOME[known]]
    found = parts(model, SOME, 1)["classification"]
    assert found.mean() == pytest.approx(7.0 * losses.mean(), rel=1e-5)
    assert not found[~known].any()
    assert not parts(model, None, 1)["classification"].any()
    monitor, weight = model.objective.monitors(model.terms(tf.constant(X), tf.constant(SOME)))["accuracy"]
    right = model.classify(X).numpy().argmax(axis=1) == SOME
    assert np.average(monitor, weights=weight) == pytest.approx(right[known].mean())


def test_annealing_weighs_what_z_and_the_class_cost_and_shows_both(eagerly):
    plain, annealed = exact(temperature=20.0, kl="exact"), exact(temperature=20.0, annealing="linear:5:1:10")
    expected, found = parts(plain, SOME, 1), parts(annealed, SOME, 1)
    monitors = annealed.objective.monitors(annealed.terms(tf.constant(X), tf.constant(SOME)))
    for name in ("kl", "class_kl"):
        np.testing.assert_allclose(found[f"weighted_{name}"], 5.0 * expected[name], rtol=1e-5)
        np.testing.assert_allclose(monitors[name], expected[name], rtol=1e-5)
    known = SOME >= 0
    np.testing.assert_allclose(expected["class_kl"][known], -np.log(PRIOR)[SOME[known]], rtol=1e-6)
    q = plain.classify(X).numpy().astype("float64")[~known]
    np.testing.assert_allclose(
        expected["class_kl"][~known], scipy.special.rel_entr(q, PRIOR).sum(axis=1), rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("annealing", [1.0, "linear:5:1:10"])
def test_the_class_may_be_annealed_by_a_schedule_of_its_own(eagerly, annealing):
    plain = exact(temperature=20.0, annealing=annealing)
    both = exact(temperature=20.0, annealing=annealing, class_annealing="linear:10:1:10")
    expected, found = parts(plain, SOME, 1), parts(both, SOME, 1)
    of_class = "class_kl" if annealing == 1.0 else "weighted_class_kl"
    unweighted = expected[of_class] / (1.0 if annealing == 1.0 else 5.0)
    np.testing.assert_allclose(found["weighted_class_kl"], 10.0 * unweighted, rtol=1e-5)
    of_z = of_class.replace("class_", "")
    np.testing.assert_allclose(found[of_z], expected[of_z], rtol=1e-5)
    monitors = both.objective.monitors(both.terms(tf.constant(X), tf.constant(SOME)))
    np.testing.assert_allclose(monitors["class_kl"], unweighted, rtol=1e-5)
    assert float(monitors["class_annealing"]) == 10.0
    assert ("kl" in monitors) == (annealing != 1.0)


def test_of_two_schedules_each_follows_the_steps_and_is_saved(tmp_path):
    model = exact(annealing="linear:5:1:10", class_annealing="linear:10:1:10")
    model.compile("adam")
    figures = model.fit(X, SOME, batch_size=3, epochs=1, verbose=0).history
    # Ten steps, of which the n-th has 5 - 0.4 n and 10 - 0.9 n.
    assert figures["annealing"][0] == pytest.approx(3.2, abs=1e-5)
    assert figures["class_annealing"][0] == pytest.approx(5.95, abs=1e-5)
    model.save(tmp_path / "m2.keras")
    loaded = keras.saving.load_model(tmp_path / "m2.keras")
    assert loaded.objective.class_annealing(0) == 10.0
    assert float(loaded.objective.current("class_annealing")) == pytest.approx(1.9, abs=1e-5)
    assert exact(annealing="linear:5:1:10").get_config()["class_annealing"] is None


@pytest.mark.parametrize("value", [-1.0, 2.0, "linear:0:2:10", "linear:10"])
def test_a_weight_of_the_class_that_does_not_end_at_one_at_most_is_refused(value):
    with pytest.raises(ValueError, match="`class_annealing`"):
        exact(class_annealing=value)


def test_estimates_are_of_log_p_x_and_with_y_of_log_p_x_given_y(eagerly):
    model = exact()
    np.testing.assert_allclose(model.log_likelihood(X, num_samples=3), LOG_PX, atol=NATS)
    given = LOG_PX_GIVEN_Y[CLASSES, np.arange(30)]
    np.testing.assert_allclose(model.log_likelihood(X, num_samples=3, y=CLASSES), given, atol=NATS)
    some = np.where(SOME >= 0, LOG_PX_GIVEN_Y[SOME, np.arange(30)], LOG_PX)
    np.testing.assert_allclose(model.log_likelihood(X, num_samples=3, y=SOME), some, atol=NATS)
    # The reconstruction varies by some 2 nats a draw, over the root of 30 examples of 400 draws: 0.02.
    assert np.mean(model.elbo(X, num_samples=400, y=SOME)) == pytest.approx(some.mean(), abs=0.08)
    report = evaluation.evaluate(model, X, num_samples=3)
    assert report.log_likelihood.mean == pytest.approx(LOG_PX.mean(), abs=NATS)
    assert report.elbo.mean == pytest.approx(LOG_PX.mean(), abs=NATS)
    off = exact(temperature=20.0)
    # q(y|x) is at least a fifth, so that weights vary by less than twice their mean: 0.03 in 4,000 draws.
    np.testing.assert_allclose(off.log_likelihood(X, num_samples=4000, seed=1), LOG_PX, atol=0.15)
    loss = _divergence(off)
    assert loss.mean() > 0.5
    # Some 15 nats from class to class, over the root of 30 examples of 4,000 draws each: 0.04.
    bound = np.mean(off.elbo(X, num_samples=4000, seed=0))
    assert bound == pytest.approx((LOG_PX - loss).mean(), abs=0.2)


def test_where_y_is_unknown_the_likeliest_class_stands_in(eagerly):
    model = exact()
    likeliest = model.classify(X).numpy().argmax(axis=1).astype("int32")
    for y in (None, np.full(30, -1)):
        np.testing.assert_array_equal(model.reconstruct(X, y), model.reconstruct(X, likeliest))
    mixed = np.where(SOME >= 0, SOME, likeliest)
    np.testing.assert_array_equal(model.encode(X, SOME).mean(), model.encode(X, mixed).mean())
    model.compile(optimizer=sgd())
    np.testing.assert_allclose(model.predict(X, verbose=0), model.reconstruct(X, likeliest), rtol=1e-6)


def test_samples_are_of_the_class_or_of_all_by_their_prior(eagerly):
    model = exact()
    x = model.sample(4000, seed=0).numpy()
    deviation = np.sqrt(np.diag(COVARIANCE + np.cov(CENTRES.T, aweights=PRIOR, bias=True)))
    np.testing.assert_allclose(x.mean(axis=0), B + PRIOR @ CENTRES, atol=5 * deviation.max() / np.sqrt(4000))
    of_one = model.sample(2000, seed=0, y=np.array([1])).numpy().mean(axis=0)
    np.testing.assert_allclose(of_one, B + CENTRES[1], atol=5 * 2.1 / np.sqrt(2000))


def test_without_x_nobody_knows_an_unknown_class():
    model = models.SemiSupervisedVAE.create((6,), 2, num_classes=3, hidden=(4,))
    unknown = np.array([-1, 1])
    with pytest.raises(ValueError, match=r"argument `y`.*tells it from x"):
        model.decode(np.zeros((2, 2), "float32"), y=unknown)
    with pytest.raises(ValueError, match=r"argument `y`.*tells it from x"):
        model.sample(2, y=unknown)


def test_m1_classifies_codes_without_changing_them(eagerly):
    model = models.SemiSupervisedVAE(encoder(), decoder(), classifier(2), alpha=3.0, seed=3)
    x, y = data(20), np.where(np.arange(20) % 2, -1, 1)
    with tf.GradientTape() as tape:
        found = model.objective.parts(model.terms(tf.constant(x), y))
        loss = tf.reduce_mean(found["classification"])
    gradients = tape.gradient(
        loss, [*model.encoder.trainable_variables, *model.objective.trainable_variables]
    )
    count = len(model.encoder.trainable_variables)
    assert all(gradient is None for gradient in gradients[:count])
    assert all(np.any(gradient) for gradient in gradients[count:])
    plain = models.VAE(model.encoder, model.decoder, seed=3)
    assert np.mean(model.elbo(x, seed=0)) == pytest.approx(np.mean(plain.elbo(x, seed=0)))


def test_features_are_a_copy_that_stays(eagerly):
    """M1+M2 reads draws of the codes; the encoder they come from is neither trained nor shared."""
    m1 = models.VAE(encoder(), decoder(), seed=3)
    model = models.SemiSupervisedVAE.create(
        m1.latent_shape, 2, num_classes=3, likelihood="normal", hidden=(5,), features=m1.encoder, seed=1
    )
    assert model.data_shape == m1.data_shape
    before = [np.array(weight) for weight in model.objective.features.get_weights()]
    x, y = data(40), np.where(np.arange(40) % 2, -1, np.arange(40) % 3)
    model.compile(optimizer=sgd())
    model.fit(x, y, epochs=2, verbose=0)
    for old, new, source in zip(
        before, model.objective.features.get_weights(), m1.encoder.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(old, new)
        np.testing.assert_array_equal(old, source)
    m1.encoder.set_weights([np.zeros_like(weight) for weight in before])
    assert np.any(model.objective.features.get_weights()[0])
    codes = model.terms(tf.constant(x), seed=tf.constant([1, 2])).x
    assert codes.shape == (3 * 40, 2)
    np.testing.assert_allclose(codes[:40], codes[40:80])


def of_codes(kind):
    """A model of two codes under a standard normal; class and latent, known exactly, play no part."""
    model = models.SemiSupervisedVAE.create(
        (2,), 2, 3, kind, hidden=(4,), likelihood="normal-fixed", features=encoder(), seed=1
    )
    for network in (model.encoder, model.decoder, model.objective.classifier):
        network.set_weights([np.zeros_like(weight) for weight in network.get_weights()])
    scales = model.encoder.layers[-2]
    scales.set_weights([np.zeros_like(scales.kernel), np.array([0.0, 0.0, *raw_scale(np.ones(2))])])
    return model


@pytest.mark.parametrize("kind", ["m1", "m2"])
def test_estimates_are_of_one_code_of_each_example_in_however_many_chunks(eagerly, monkeypatch, kind):
    """All draws then have one weight, p(code); chunks that each drew a code would tend to log E[p(code)]."""
    monkeypatch.setattr(models.estimates, "MAX_PAIRS", 8)
    model, x = of_codes(kind), data(5)
    estimate = models.estimates.log_likelihood(model, x, 20, 1, tf.constant([0, 7]))
    np.testing.assert_allclose(estimate.effective_samples, 20.0, rtol=1e-4)
    # The ELBO and the likelihood of one seed are of the same code, and both exact.
    elbo = models.estimates.elbo(model, x, 20, 1, tf.constant([0, 7]))
    np.testing.assert_allclose(elbo, estimate.log_likelihood, atol=NATS)
    other = models.estimates.log_likelihood(model, x, 20, 1, tf.constant([0, 8]))
    assert not np.allclose(other.log_likelihood, estimate.log_likelihood, atol=0.01)


def test_bits_per_dimension_are_of_the_dimensions_of_codes(eagerly):
    report = evaluation.evaluate(of_codes("m2"), data(5), num_samples=2)
    assert report.event_size == 2
    assert report.bits_per_dim.mean == pytest.approx(-report.log_likelihood.mean / 2 / np.log(2.0))


@pytest.mark.parametrize("stacked", [False, True])
def test_exported_encoder_finds_the_class_itself(eagerly, tmp_path, stacked):
    m1 = models.VAE(encoder(), decoder(), seed=3)
    options = {"features": m1.encoder, "likelihood": "normal"} if stacked else {"likelihood": "normal"}
    shape = m1.latent_shape if stacked else (6,)
    model = models.SemiSupervisedVAE.create(shape, 2, num_classes=3, hidden=(5,), seed=1, **options)
    x, y = data(5), np.array([0, -1, 2, -1, -1], "int32")
    signatures = tf.saved_model.load(serving.export(model, tmp_path / "m")["encoder"]).signatures
    q = signatures["serving_default"](x=tf.constant(x), y=tf.constant(y))
    np.testing.assert_allclose(q["mean"], model.encode(x, y).mean(), rtol=1e-5)


def test_learns_clusters_from_two_labels_a_class():
    rng = np.random.default_rng(0)
    centres = rng.random((3, 30)) < 0.5
    y = np.arange(600) % 3
    x = (centres[y] ^ (rng.random((600, 30)) < 0.15)).astype("float32")
    keras.utils.set_random_seed(0)
    model = models.SemiSupervisedVAE.create((30,), latent_size=2, num_classes=3, hidden=(32,), alpha=10.0)
    model.compile(optimizer=keras.optimizers.Adam(3e-3))
    mixed = datasets.semi_supervised(x, y, num_labels=6, labelled_per_batch=6, batch_size=60)
    history = model.fit(mixed, epochs=30, verbose=0).history
    # A classifier of the six labels alone is right about 90 % of such examples.
    assert (model.classify(x).numpy().argmax(axis=1) == y).mean() > 0.97
    assert history["accuracy"][-1] == 1.0


def test_bad_labels_and_networks_are_refused():
    model = conditional(models.SemiSupervisedVAE, classifier(), classes=3)
    model.compile(optimizer=sgd())
    x = data(40)
    for y, words in (
        (None, "-1 where unknown"),
        (np.full(40, -1), "some examples with a label"),
        (np.full(40, 3), "values from 3"),
        (np.full(40, -2), "values from -2"),
    ):
        with pytest.raises(ValueError, match=words):
            model.fit(x, y, verbose=0)
    assert int(model.step) == 0
    with pytest.raises(ValueError, match="class numbers"):
        model.decode(np.zeros((2, 2)))
    with pytest.raises(ValueError, match="OneHotCategorical"):
        models.SemiSupervisedVAE(encoder(), decoder(), encoder())
    with pytest.raises(ValueError, match="takes shape"):
        models.SemiSupervisedVAE(encoder(), decoder(), classifier(6))
    with pytest.raises(ValueError, match="classes of the networks"):
        conditional(models.SemiSupervisedVAE, classifier(), classes=4)
    with pytest.raises(ValueError, match="class_prior"):
        models.SemiSupervisedVAE(encoder(), decoder(), classifier(2), class_prior=[0.5, 0.3, 0.2])
    with pytest.raises(ValueError, match=r"`class_annealing`\. Expected: None for M1"):
        models.SemiSupervisedVAE(encoder(), decoder(), classifier(2), class_annealing=1.0)
    for bad in ([0.5, 0.5], [0.5, 0.5, 0.5], [1.0, 0.0, 0.0]):
        with pytest.raises(ValueError, match="class_prior"):
            conditional(models.SemiSupervisedVAE, classifier(), classes=3, class_prior=bad)
    with pytest.raises(ValueError, match="features"):
        conditional(models.SemiSupervisedVAE, classifier(), classes=3, features=encoder())
    prior = priors.ConditionalPrior(encoder())
    with pytest.raises(ValueError, match="same for all classes"):
        conditional(models.SemiSupervisedVAE, classifier(), classes=3, prior=prior)
    with pytest.raises(ValueError, match="kind"):
        models.SemiSupervisedVAE.create((6,), 2, num_classes=3, kind="m3")


def test_batches_mostly_without_labels_are_warned_about(eagerly):
    model = conditional(models.SemiSupervisedVAE, classifier(), classes=3)
    model.compile(optimizer=sgd())
    y = np.full(400, -1)
    y[:2] = [0, 1]
    with pytest.warns(UserWarning, match="have a label on average"):
        model.fit(data(400), y, batch_size=40, verbose=0)
    batches = tf.data.Dataset.from_tensor_slices((data(40), np.full(40, -1))).batch(20)
    with pytest.warns(UserWarning, match="first batch has no labelled example") as told:
        model.fit(batches, verbose=0)
    assert told[0].filename == __file__
    with warnings.catch_warnings():
        # It is training that such batches would teach nothing.
        warnings.simplefilter("error")
        model.evaluate(batches, verbose=0)
