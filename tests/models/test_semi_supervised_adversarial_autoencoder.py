"""The semi-supervised adversarial autoencoder: three clusters, labels and what it refuses."""

import keras
import numpy as np
import pytest
import scipy.optimize
import tensorflow as tf

from keras_vae import layers, models, priors, serving
from keras_vae.models import SemiSupervisedAdversarialAutoencoder

from .cases import data, decoder, encoder, network, sgd, with_classes

X = data(12)
Y = np.array([0, 1, 2, -1, -1, -1, 0, -1, -1, 2, 2, 1])


def clusters(count, seed):
    """Points round the corners of a triangle of radius 3, deviation 0.5, and which corner it is."""
    rng = np.random.default_rng(seed)
    corners = rng.integers(0, 3, size=count)
    angles = 2.0 * np.pi * corners / 3.0
    centres = 3.0 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return (centres + 0.5 * rng.normal(size=(count, 2))).astype("float32"), corners


@pytest.fixture
def triangle(without_xla):
    """A function that trains on 300 points with these labels and returns the model and its last metrics."""

    def train(y=None):
        keras.utils.set_random_seed(0)
        model = SemiSupervisedAdversarialAutoencoder.create(
            (2,),
            latent_size=2,
            num_classes=3,
            hidden=(32,),
            likelihood=layers.HomoscedasticNormal((2,), 0.5),
            class_critic=(32,),
            style_critic=(32,),
            r1=0.1,
            seed=0,
        )
        with without_xla():
            model.compile(keras.optimizers.Adam(0.02, beta_1=0.5))
            history = model.fit(clusters(300, 0)[0], y, batch_size=100, epochs=20, verbose=0).history
        return model, {name: values[-1] for name, values in history.items()}

    return train


def test_six_labels_name_the_clusters(triangle):
    _, corners = clusters(300, 0)
    assert np.bincount(corners[:6]).tolist() == [3, 2, 1]
    model, metrics = triangle(np.where(np.arange(300) < 6, corners, -1))
    x, expected = clusters(500, 1)
    assert np.mean(np.argmax(model.classify(x), axis=1) == expected) > 0.98
    assert metrics["accuracy"] == 1.0
    # Sure of every class, and of each as often, as the prior's one-hot vectors are.
    y = model.classify(x)
    assert np.all(np.abs(np.mean(y, axis=0) - 1 / 3) < 0.06) and np.mean(np.max(y, axis=1)) > 0.93


def test_without_labels_it_finds_the_clusters(triangle):
    model, metrics = triangle()
    x, corners = clusters(500, 1)
    table = np.zeros([3, 3])
    np.add.at(table, (np.argmax(model.classify(x), axis=1), corners), 1)
    assert table[scipy.optimize.linear_sum_assignment(-table)].sum() / 500 > 0.98
    assert metrics["weighted_classification"] == metrics["classification"] == metrics["accuracy"] == 0.0


def compiled(**kwargs):
    keras.utils.set_random_seed(7)
    model = with_classes(**kwargs)
    model.compile(sgd(), run_eagerly=True)
    return model


def test_classify_is_the_encoders_softmax():
    model = compiled()
    y = model.classify(X)
    np.testing.assert_allclose(y, tf.nn.softmax(model.encode(X).class_logits), rtol=1e-6)
    np.testing.assert_allclose(y, model.encode(X).mean()[:, :3], rtol=1e-6)
    np.testing.assert_allclose(model.classify(X, batch_size=5), y, rtol=1e-5)
    assert model.classify(X[:0]).shape == (0, 3)
    with pytest.raises(ValueError, match="`x`"):
        model.classify(X[0])
    with pytest.raises(ValueError, match="`batch_size`"):
        model.classify(X, batch_size=0)


def test_accuracy_is_that_of_all_labelled_examples():
    """Not the mean of the batches', which hold 3, 1 and 3 labels, nor of examples without one."""
    model = compiled()
    known, probabilities = Y >= 0, np.float64(model.classify(X))
    right = np.array([1, 0, 1, 0, 0, 1, 1], bool)  # of the seven labels
    y = np.full(12, -1)
    y[known] = (np.argmax(probabilities, axis=1)[known] + ~right) % 3
    metrics = model.evaluate(X, y, batch_size=4, verbose=0, return_dict=True)
    assert metrics["accuracy"] == pytest.approx(np.mean(right), rel=1e-5)
    loss = -np.log(probabilities[known, y[known]])
    assert metrics["classification"] == pytest.approx(np.mean(loss), rel=1e-5)
    by_batch = [-np.log(probabilities[b, y[b]])[y[b] >= 0].mean() for b in np.arange(12).reshape(3, 4)]
    assert metrics["weighted_classification"] == pytest.approx(np.mean(by_batch), rel=1e-5)


def test_labels_reach_training_from_arrays_and_data_sets():
    history = {
        name: compiled().fit(x, y, batch_size=12, shuffle=False, verbose=0).history
        for name, (x, y) in {
            "arrays": (X, Y),
            "data set": (tf.data.Dataset.from_tensor_slices((X, Y)).batch(12), None),
            "none": (X, None),
            "all unknown": (X, np.full(12, -1)),
        }.items()
    }
    assert history["arrays"] == history["data set"]
    assert history["arrays"]["classification"][0] > 0.0
    assert history["none"] == history["all unknown"]
    assert history["none"]["reconstruction"] == history["arrays"]["reconstruction"]


def test_weight_of_an_example_is_its_labels_too():
    weight = np.where(Y >= 0, 0.0, 1.0)
    model = compiled()
    metrics = model.train_on_batch(X, Y, sample_weight=weight, return_dict=True)
    assert metrics["weighted_classification"] == metrics["classification"] == 0.0


def test_both_critics_move_and_only_by_their_optimizer():
    model = compiled()
    model.compile(keras.optimizers.SGD(0.1), critic_optimizer=keras.optimizers.SGD(0.0), run_eagerly=True)
    critics = model.objective.critic.trainable_variables
    assert len(critics) == 8
    before = [np.array(v) for v in critics]
    model.train_on_batch(X, Y)
    assert all(np.array_equal(old, new) for old, new in zip(before, critics, strict=True))
    model.compile(keras.optimizers.SGD(0.0), critic_optimizer=keras.optimizers.SGD(0.1), run_eagerly=True)
    others = [np.array(v) for v in model.encoder.trainable_variables]
    model.train_on_batch(X, Y)
    assert all(not np.array_equal(old, new) for old, new in zip(before, critics, strict=True))
    assert all(np.array_equal(*pair) for pair in zip(others, model.encoder.trainable_variables, strict=True))


def test_saved_with_critics_of_the_users(tmp_path):
    keras.utils.set_random_seed(7)
    style = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, "tanh"), keras.layers.Dense(1)])
    model = compiled(style_critic=style, class_critic=(4,))
    model.train_on_batch(X, Y)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.classify(X), model.classify(X))
    z = model.prior().sample(5, seed=(1, 2))
    for old, new in zip(model.objective.critic(z), loaded.objective.critic(z), strict=True):
        np.testing.assert_array_equal(new, old)
    more, again = (m.train_on_batch(X, Y, return_dict=True) for m in (model, loaded))
    assert again == pytest.approx(more, rel=1e-5)


def test_exported_with_an_implicit_style(tmp_path):
    model = SemiSupervisedAdversarialAutoencoder.create(
        (6,),
        2,
        3,
        posterior="implicit",
        likelihood="normal",
        hidden=(4,),
        class_critic=(4,),
        style_critic=(4,),
    )
    folders = serving.export(model, tmp_path / "model")
    served = tf.saved_model.load(folders["encoder"]).signatures
    q, seed = model.encode(X), tf.constant([1, 2])
    moments = served["serving_default"](x=tf.constant(X))
    np.testing.assert_allclose(moments["mean"], q.mean(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(moments["stddev"], q.stddev(), rtol=1e-4, atol=1e-5)
    z = served["sample"](x=tf.constant(X), seed=seed)["z"]
    np.testing.assert_allclose(z, q.sample(seed=seed), rtol=1e-5, atol=1e-6)
    drawn = tf.saved_model.load(folders["decoder"]).signatures["sample"](seed=seed, count=tf.constant(5))["x"]
    np.testing.assert_allclose(drawn, model.sample(5, seed=seed), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("posterior", ["normal", "implicit"])
def test_create_takes_every_style(posterior):
    model = SemiSupervisedAdversarialAutoencoder.create(
        (2, 3),
        2,
        4,
        posterior=posterior,
        likelihood="normal",
        hidden=(8,),
        class_critic=(4,),
        style_critic=(4,),
    )
    assert model.latent_shape == (6,) and isinstance(model.prior, priors.OneHotAndNormal)
    assert model.encoder.layers[-1].num_classes == 4
    assert model.sample(3, seed=1).shape == model.reconstruct(np.zeros([3, 2, 3])).shape == (3, 2, 3)
    draws = model.prior().sample(50, seed=(1, 2)).numpy()
    np.testing.assert_array_equal(np.sort(draws[:, :4]), np.tile([0.0, 0.0, 0.0, 1.0], (50, 1)))


@pytest.mark.parametrize(
    "y",
    [np.full(12, 3), np.full(12, -2), np.full(12, 0.5), np.eye(3)[Y], Y[:5], np.array(["a"] * 12)],
    ids=["above", "below", "between", "one-hot", "too few", "words"],
)
def test_labels_that_are_none(y):
    with pytest.raises(ValueError, match="`y`"):
        compiled().fit(X, y, verbose=0)


def test_networks_that_do_not_fit():
    with pytest.raises(ValueError, match=r"`encoder`.*SoftmaxAndStyle"):
        SemiSupervisedAdversarialAutoencoder(encoder(), decoder())
    with pytest.raises(ValueError, match=r"`encoder`.*labels"):
        SemiSupervisedAdversarialAutoencoder.create(
            (6,), 2, 3, likelihood="normal", hidden=(4,), network_options={"num_classes": 3}
        )
    with pytest.raises(ValueError, match="`decoder`"):
        posterior = layers.SoftmaxAndStyle(3, layers.IndependentNormal(2))
        SemiSupervisedAdversarialAutoencoder(encoder(posterior), decoder())
    with pytest.raises(ValueError, match="`prior`"):
        with_classes(prior=priors.NormalMixture(5, 2))
    with pytest.raises(ValueError, match="`prior`"):
        with_classes(prior=priors.OneHotAndNormal(4, 3))
    coins = layers.SoftmaxAndStyle(3, layers.IndependentBernoulli(2))
    with pytest.raises(ValueError, match="`encoder`"):
        SemiSupervisedAdversarialAutoencoder(
            encoder(coins), network(5, layers.IndependentNormal(6), "decoder")
        )
    for name in ("class_critic", "style_critic"):
        critic = keras.Sequential([keras.Input((6,)), keras.layers.Dense(1)])
        with pytest.raises(ValueError, match="`critic`"):
            with_classes(**{name: critic})


def test_what_needs_a_density_says_so():
    with pytest.raises(ValueError, match="which has none"):
        compiled().log_likelihood(X, num_samples=2)
    with pytest.raises(ValueError, match="which has none"):
        models.VAE(
            encoder(layers.SoftmaxAndStyle(3, layers.IndependentNormal(2))),
            network(5, layers.IndependentNormal(6), "decoder"),
        )
