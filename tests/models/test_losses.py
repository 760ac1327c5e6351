"""What is added up, how it is weighted, and what does not change it."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_vae import models
from keras_vae.schedules import Capacity

from .cases import beta_vae, data, decoder, encoder, sgd, trainable, vae

X = data(12)
Y = np.zeros(12, "int32")
EAGER = {"run_eagerly": True}


def compiled(build=vae, **options):
    keras.utils.set_random_seed(7)
    model = build()
    model.compile(optimizer=sgd(), **{**EAGER, **options})
    return model


def evaluate(model, *arguments, **kwargs):
    return model.evaluate(*arguments, **{"verbose": 0, "return_dict": True, **kwargs})


def after_one_epoch(*arguments, build=vae, **kwargs):
    model = compiled(build)
    history = model.fit(*arguments, **{"batch_size": 6, "shuffle": False, "verbose": 0, **kwargs})
    return trainable(model), history.history


# --- weight decay and its kin ---------------------------------------------------------------------


def regularized(**dense):
    return models.VAE(encoder(**dense), decoder(), seed=3)


def test_weight_regularization_is_reported_and_adds_up():
    model = compiled(lambda: regularized(kernel_regularizer=keras.regularizers.L2(0.1)))
    penalty = 0.1 * np.sum(np.square(model.encoder.layers[0].kernel))
    assert evaluate(model, X)["regularization"] == pytest.approx(penalty, rel=1e-4)
    history = model.fit(X, batch_size=5, epochs=2, validation_data=X[:7], verbose=0).history
    for prefix in ("", "val_"):
        parts = [np.array(history[prefix + name]) for name in ("reconstruction", "kl", "regularization")]
        np.testing.assert_allclose(history[f"{prefix}loss"], sum(parts), rtol=1e-5)
        assert parts[2].min() > 0.0


def test_weight_regularization_shrinks_weights_as_its_gradient_says():
    strength, rate = 0.5, 0.01
    norms = {}
    for factor in (0.0, strength):
        model = compiled(lambda factor=factor: regularized(kernel_regularizer=keras.regularizers.L2(factor)))
        model.compile(optimizer=keras.optimizers.SGD(rate), run_eagerly=True)
        before = np.array(model.encoder.layers[0].kernel)
        model.train_on_batch(X)
        norms[factor] = np.array(model.encoder.layers[0].kernel)

    expected = -rate * 2 * strength * before
    np.testing.assert_allclose(norms[strength] - norms[0.0], expected, rtol=1e-3, atol=1e-7)


def test_regularization_is_not_weighted_by_the_samples():
    model = compiled(lambda: regularized(kernel_regularizer=keras.regularizers.L2(0.1)))
    result = evaluate(model, X, Y, sample_weight=np.zeros(12, "float32"))
    assert result["reconstruction"] == result["kl"] == 0.0
    assert result["loss"] == pytest.approx(result["regularization"]) != 0.0


def test_activity_regularization_is_counted():
    model = compiled(lambda: regularized(activity_regularizer=keras.regularizers.L2(0.1)))
    result = evaluate(model, X)
    assert result["regularization"] > 0.0
    assert result["loss"] == pytest.approx(
        result["reconstruction"] + result["kl"] + result["regularization"], rel=1e-5
    )


def test_no_column_of_zeros_without_regularization():
    assert "regularization" not in evaluate(compiled(), X)


# --- sample weights -------------------------------------------------------------------------------


def test_weights_of_one_are_none():
    plain, history = after_one_epoch(X)
    weighted, weighted_history = after_one_epoch(X, Y, sample_weight=np.ones(12, "float32"))
    np.testing.assert_array_equal(weighted, plain)
    assert weighted_history == history


OTHER = X.copy()
OTHER[2::4] = 40.0


def capacity_between():
    """A capacity between the mean KLs of the batches with and without the examples of weight 0."""
    model = beta_vae()
    kl = [np.mean(model.encode(x).kl_divergence(model.prior())) for x in (X, OTHER)]
    keras.utils.set_random_seed(7)
    return beta_vae(capacity=float(np.mean(kl)))


@pytest.mark.parametrize("build", [vae, capacity_between])
def test_weight_of_zero_removes_an_example(build):
    """What an example of weight 0 holds makes no difference."""
    weight = np.array([1, 1, 0, 1] * 3, "float32")
    options = {"build": build, "sample_weight": weight, "batch_size": 12}
    first, history = after_one_epoch(X, Y, **options)
    second, other_history = after_one_epoch(OTHER, Y, **options)
    np.testing.assert_allclose(second, first, rtol=1e-6)
    assert other_history["loss"] == pytest.approx(history["loss"], rel=1e-6)


def test_weights_scale_loss_and_parts():
    single, double = (
        evaluate(compiled(), X, Y, sample_weight=np.full(12, weight, "float32")) for weight in (1.0, 2.0)
    )
    assert double == pytest.approx({name: 2.0 * value for name, value in single.items()}, rel=1e-5)


def test_weights_need_no_labels():
    weight = np.linspace(0, 1, 12, dtype="float32")
    with_labels = evaluate(compiled(), X, Y, sample_weight=weight)
    assert evaluate(compiled(), X, sample_weight=weight) == pytest.approx(with_labels, rel=1e-6)


def test_weights_may_have_a_trailing_dimension():
    flat, column = (
        evaluate(compiled(), X, Y, sample_weight=np.linspace(0, 1, 12, dtype="float32").reshape(shape))
        for shape in ((12,), (12, 1))
    )
    assert column == pytest.approx(flat, rel=1e-6)


def test_class_weights_are_sample_weights():
    labels = np.array([0, 1, 2] * 4)
    factors = {0: 1.0, 1: 0.0, 2: 3.0}
    by_class = compiled(run_eagerly=False, jit_compile=False)
    history = by_class.fit(X, labels, batch_size=6, shuffle=False, verbose=0, class_weight=factors).history
    sample_weight = np.array([factors[label] for label in labels], "float32")
    expected, expected_history = after_one_epoch(X, labels, sample_weight=sample_weight)
    np.testing.assert_allclose(trainable(by_class), expected, rtol=1e-4, atol=1e-6)
    assert history["loss"] == pytest.approx(expected_history["loss"], rel=1e-5)


# --- labels ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "labels", [np.arange(12), np.eye(12, dtype="float32"), X], ids=["int", "one-hot", "x"]
)
def test_labels_pass_through(labels):
    plain, history = after_one_epoch(X)
    labelled, labelled_history = after_one_epoch(X, labels)
    np.testing.assert_array_equal(labelled, plain)
    assert labelled_history == history


def test_objective_sees_the_labels():
    model = compiled()
    seen = []
    parts = model.objective.parts
    model.objective.parts = lambda terms: seen.append(np.array(terms.y)) or parts(terms)
    model.train_on_batch(X, np.arange(12))
    np.testing.assert_array_equal(seen, [np.arange(12)])


# --- reduction ------------------------------------------------------------------------------------


def test_metrics_are_means_over_examples_not_over_batches():
    model = compiled()
    whole = [model.evaluate(part, verbose=0, return_dict=True)["kl"] for part in (X[:8], X[8:])]
    expected = (8 * whole[0] + 4 * whole[1]) / 12
    assert evaluate(model, X, batch_size=8)["kl"] == pytest.approx(expected, rel=1e-5)


def test_exact_kl_metric_is_the_mean_kl_of_the_posteriors():
    model = compiled()
    q = model.encode(X)
    mean, scale = np.float64(q.mean()), np.float64(q.stddev())
    expected = 0.5 * np.sum(mean**2 + scale**2 - 1.0 - 2.0 * np.log(scale), axis=1).mean()
    assert evaluate(model, X)["kl"] == pytest.approx(expected, rel=1e-5)


# --- beta and capacity ----------------------------------------------------------------------------


def test_beta_of_one_is_the_vae():
    plain, history = after_one_epoch(X)
    beta, beta_history = after_one_epoch(X, build=lambda: beta_vae(beta=1.0))
    np.testing.assert_array_equal(beta, plain)
    for name in ("loss", "reconstruction", "kl"):
        assert beta_history[name] == history[name]
    assert beta_history["weighted_kl"] == history["kl"]


def test_finished_schedule_is_the_constant():
    def late(beta):
        model = beta_vae(beta=beta)
        model.step.assign(1000)
        return model

    constant, history = after_one_epoch(X, build=lambda: late(2.0))
    scheduled, scheduled_history = after_one_epoch(X, build=lambda: late("linear:0:2:5"))
    np.testing.assert_array_equal(scheduled, constant)
    assert scheduled_history == history


def test_schedule_starts_at_step_zero_and_follows_every_step():
    model = compiled(lambda: beta_vae(beta="linear:0:1:10"))
    betas = []
    for _ in range(12):
        betas.append(float(model.train_on_batch(X[:4], return_dict=True)["beta"]))
        model.reset_metrics()
    np.testing.assert_allclose(betas, [*np.arange(11) / 10, 1.0], rtol=1e-6)


def test_capacity_loss_is_the_distance_of_the_mean_kl_from_it():
    for capacity in (0.0, 0.2, 50.0):
        model = compiled(lambda capacity=capacity: beta_vae(beta=10.0, capacity=capacity))
        result = evaluate(model, X)
        assert result["weighted_kl"] == pytest.approx(10.0 * abs(result["kl"] - capacity), rel=1e-4)
        assert result["capacity"] == pytest.approx(capacity)


def test_capacity_of_zero_is_the_beta_vae():
    plain, _ = after_one_epoch(X, build=lambda: beta_vae(beta=3.0))
    zero, _ = after_one_epoch(X, build=lambda: beta_vae(beta=3.0, capacity=0.0))
    np.testing.assert_allclose(zero, plain, rtol=1e-6)


def test_capacity_draws_the_kl_towards_it():
    model = compiled(lambda: beta_vae(beta=100.0, capacity=Capacity(4.0, 1)))
    model.compile(optimizer=keras.optimizers.Adam(0.02), jit_compile=False)
    model.fit(tf.data.Dataset.from_tensors(X).repeat(300), verbose=0)
    assert evaluate(model, X)["kl"] == pytest.approx(4.0, abs=0.3)


def test_assigned_beta_is_used_and_saved(tmp_path):
    model = compiled(lambda: beta_vae(beta=1.0))
    kl = evaluate(model, X)["kl"]
    model.beta.assign(5.0)
    assert evaluate(model, X)["weighted_kl"] == pytest.approx(5.0 * kl, rel=1e-5)
    model.train_on_batch(X)
    assert float(model.beta) == 5.0
    model.save(tmp_path / "model.keras")
    assert float(keras.saving.load_model(tmp_path / "model.keras").beta) == 5.0


# --- what validation must leave alone -------------------------------------------------------------


def test_validation_leaves_step_and_schedules_alone():
    model = compiled(lambda: beta_vae(beta="linear:0:1:10"))
    model.fit(X, batch_size=4, verbose=0, validation_data=X)
    before = int(model.step), float(model.beta), int(model.optimizer.iterations)
    evaluate(model, X, batch_size=2)
    assert (int(model.step), float(model.beta), int(model.optimizer.iterations)) == before
    assert before == (3, pytest.approx(0.2), 3)


def test_validation_leaves_training_alone():
    without, _ = after_one_epoch(X, epochs=2)
    with_validation, _ = after_one_epoch(X, epochs=2, validation_data=X)
    np.testing.assert_array_equal(with_validation, without)


def test_evaluations_agree():
    """Evaluation draws the same every time, and anew for every batch."""
    model = compiled()
    assert evaluate(model, X, batch_size=4) == evaluate(model, X, batch_size=4)
    same = np.tile(X[:1], (4, 1))
    parts = [evaluate(model, same, batch_size=size)["reconstruction"] for size in (1, 4)]
    assert parts[0] != parts[1]
    assert evaluate(model, same[:1])["reconstruction"] != pytest.approx(parts[0], rel=1e-4)


def test_training_draws_differ_from_step_to_step():
    model = compiled()
    model.compile(optimizer=keras.optimizers.SGD(0.0), run_eagerly=True)
    losses = []
    for _ in range(4):
        losses.append(model.train_on_batch(X, return_dict=True)["reconstruction"])
        model.reset_metrics()
    assert len(set(losses)) == 4
