"""Objectives with a critic: two players, two optimizers, one step."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_vae import models, objectives

from .cases import data, decoder, encoder, sgd

X = data(12)
FIT = {"batch_size": 4, "shuffle": False, "verbose": 0}


@keras.saving.register_keras_serializable(package="tests")
class Adversarial(objectives.ELBO):
    """The negative ELBO plus what a critic sees in z; the critic pulls the other way.

    Args:
        strength: weight of the critic's opinion.
    """

    part_names = ("reconstruction", "kl", "opinion")
    critic_part_names = ("critic_loss",)

    def __init__(self, strength=1.0, **kwargs):
        super().__init__(**kwargs)
        self.strength = strength
        self.critic = keras.Sequential(
            [keras.Input((2,)), keras.layers.Dense(3, "tanh"), keras.layers.Dense(1)], name="critic"
        )

    def opinion(self, z):
        return tf.squeeze(self.critic(z[0]), axis=-1)

    def parts(self, terms):
        return {**super().parts(terms), "opinion": self.strength * self.opinion(terms.z)}

    def critic_parts(self, terms):
        opinion = self.opinion(tf.stop_gradient(terms.z))
        return {"critic_loss": tf.square(opinion - 1.0)}


def build(**options):
    keras.utils.set_random_seed(7)
    model = models.LatentVariableModel(encoder(), decoder(), objective=Adversarial(), seed=3)
    model.compile(**{"optimizer": sgd(), "run_eagerly": True, **options})
    return model


def players(model):
    """The critic's variables, and all others that train."""
    critic = model.objective.critic.trainable_variables
    ids = {id(v) for v in critic}
    return critic, [v for v in model.trainable_variables if id(v) not in ids]


def values(variables):
    return [np.array(v) for v in variables]


def test_players_are_disjoint_and_complete():
    model = build()
    critic, others = players(model)
    assert len(critic) == 4
    assert len(others) == 8
    assert len(model.trainable_variables) == 12


@pytest.mark.parametrize("frozen", ["critic", "others"])
def test_each_optimizer_moves_only_its_own(frozen):
    rates = {"optimizer": 0.1, "critic_optimizer": 0.1}
    rates["critic_optimizer" if frozen == "critic" else "optimizer"] = 0.0
    model = build(**{name: keras.optimizers.SGD(rate) for name, rate in rates.items()})
    before = [values(variables) for variables in players(model)]
    model.train_on_batch(X)
    after = [values(variables) for variables in players(model)]
    for name, old, new in zip(("critic", "others"), before, after, strict=True):
        for old_value, new_value in zip(old, new, strict=True):
            assert np.array_equal(old_value, new_value) == (name == frozen)


def test_updates_are_those_of_gradient_descent_on_each_loss():
    """Both gradients at the same point: the critic's step does not see the others', nor they its."""
    model = build(optimizer=keras.optimizers.SGD(0.1), critic_optimizer=keras.optimizers.SGD(0.3))
    twin, seeds = build(), []
    parts = model.objective.parts
    model.objective.parts = lambda terms: seeds.append(terms.seed) or parts(terms)
    logs = model.train_on_batch(X, return_dict=True)
    critic, others = players(twin)
    with tf.GradientTape(persistent=True) as tape:
        terms = twin.terms(tf.constant(X), training=True, seed=seeds[0])
        loss = tf.add_n([tf.reduce_mean(part) for part in twin.objective.parts(terms).values()])
        critic_loss = tf.reduce_mean(twin.objective.critic_parts(terms)["critic_loss"])
    expected = [
        v - rate * gradient
        for rate, target, variables in ((0.3, critic_loss, critic), (0.1, loss, others))
        for v, gradient in zip(variables, tape.gradient(target, variables), strict=True)
    ]
    actual = [v for variables in players(model) for v in variables]
    for new, value in zip(actual, expected, strict=True):
        np.testing.assert_allclose(new, value, rtol=1e-5, atol=1e-6)
    assert logs["loss"] == pytest.approx(float(loss), rel=1e-5)
    assert logs["critic_loss"] == pytest.approx(float(critic_loss), rel=1e-5)


def test_critic_part_is_reported_and_stays_out_of_the_loss():
    history = build().fit(X, validation_data=X, epochs=2, **FIT).history
    names = {"loss", "reconstruction", "kl", "opinion", "critic_loss"}
    assert set(history) == names | {f"val_{name}" for name in names}
    for prefix in ("", "val_"):
        parts = sum(np.array(history[prefix + name]) for name in Adversarial.part_names)
        np.testing.assert_allclose(history[f"{prefix}loss"], parts, rtol=1e-5)


def test_both_optimizers_count_and_are_saved(tmp_path):
    model = build(critic_optimizer=keras.optimizers.Adam(0.01))
    model.fit(X, epochs=2, **FIT)
    assert int(model.critic_optimizer.iterations) == int(model.optimizer.iterations) == 6
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(loaded.critic_optimizer, keras.optimizers.Adam)
    for name in ("optimizer", "critic_optimizer", "objective"):
        pairs = zip(getattr(model, name).variables, getattr(loaded, name).variables, strict=True)
        for old, new in pairs:
            np.testing.assert_array_equal(new, old, err_msg=f"{name} {old.path}")


def test_default_critic_optimizer_is_a_copy():
    model = build(optimizer=sgd(learning_rate=0.123))
    assert model.critic_optimizer is not model.optimizer
    assert model.critic_optimizer.get_config() == model.optimizer.get_config()
    model.train_on_batch(X)
    assert int(model.optimizer.iterations) == int(model.critic_optimizer.iterations) == 1


def test_jitted_steps_equal_eager_steps():
    eager, jitted = build(), build(run_eagerly=False)
    assert jitted.jit_compile
    history = eager.fit(X, epochs=2, **FIT).history
    assert jitted.fit(X, epochs=2, **FIT).history == {
        name: pytest.approx(series, rel=1e-4) for name, series in history.items()
    }
    for expected, actual in zip(eager.trainable_variables, jitted.trainable_variables, strict=True):
        np.testing.assert_allclose(actual, expected, atol=1e-4)


def test_half_precision():
    keras.config.set_dtype_policy("mixed_float16")
    model = build()
    for optimizer in (model.optimizer, model.critic_optimizer):
        assert isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    before = values(model.trainable_variables)
    history = model.fit(X, **FIT).history
    assert np.isfinite(history["loss"]).all()
    assert np.isfinite(history["critic_loss"]).all()
    assert all(not np.array_equal(a, b) for a, b in zip(before, model.trainable_variables, strict=True))


def test_config_round_trip():
    model = build()
    again = models.LatentVariableModel.from_config(model.get_config())
    assert isinstance(again.objective, Adversarial)
    assert again.get_config() == model.get_config()


def test_weight_decay_of_the_critic_is_the_critics():
    """Its penalty moves the critic and does not count as the model's loss."""

    def regularized():
        model = build(optimizer=keras.optimizers.SGD(0.1), critic_optimizer=keras.optimizers.SGD(0.1))
        model.objective.critic.layers[0].kernel.regularizer = keras.regularizers.L2(0.5)
        return model

    model, plain = regularized(), build(optimizer=keras.optimizers.SGD(0.1))
    before = np.array(model.objective.critic.layers[0].kernel)
    logs, plain_logs = (m.train_on_batch(X, return_dict=True) for m in (model, plain))
    kernel, other = (np.array(m.objective.critic.layers[0].kernel) for m in (model, plain))
    np.testing.assert_allclose(kernel - other, -0.1 * 2 * 0.5 * before, rtol=1e-3, atol=1e-6)
    assert logs["loss"] == pytest.approx(plain_logs["loss"], rel=1e-5)


def test_several_steps_of_the_critic_have_draws_of_their_own_and_come_first():
    """Each is gradient descent on the critic's loss under its own seed; the last moves with the others."""
    model = build(optimizer=keras.optimizers.SGD(0.1), critic_optimizer=keras.optimizers.SGD(0.3))
    twin, seeds = build(), []
    model.objective.critic_steps = 3
    critic_parts = model.objective.critic_parts
    model.objective.critic_parts = lambda terms: seeds.append(terms.seed) or critic_parts(terms)
    logs = model.train_on_batch(X, return_dict=True)
    assert len({tuple(np.array(seed)) for seed in seeds}) == 3
    assert int(model.critic_optimizer.iterations) == 3
    assert int(model.optimizer.iterations) == int(model.step) == 1
    critic, others = players(twin)
    for seed in seeds:
        with tf.GradientTape(persistent=True) as tape:
            terms = twin.terms(tf.constant(X), training=True, seed=seed)
            loss = tf.add_n([tf.reduce_mean(part) for part in twin.objective.parts(terms).values()])
            critic_loss = tf.reduce_mean(twin.objective.critic_parts(terms)["critic_loss"])
        of_others = tape.gradient(loss, others)
        for v, gradient in zip(critic, tape.gradient(critic_loss, critic), strict=True):
            v.assign_sub(0.3 * gradient)
    for v, gradient in zip(others, of_others, strict=True):
        v.assign_sub(0.1 * gradient)
    for new, expected in zip(model.trainable_variables, twin.trainable_variables, strict=True):
        np.testing.assert_allclose(new, expected, rtol=1e-5, atol=1e-6)
    # What is reported is of the last step, at the point that both players left.
    assert logs["loss"] == pytest.approx(float(loss), rel=1e-5)
    assert logs["critic_loss"] == pytest.approx(float(critic_loss), rel=1e-5)


def test_several_steps_weigh_examples_and_pay_penalties_once():
    model = build(critic_optimizer=keras.optimizers.SGD(0.0))
    model.objective.critic_steps = 3
    kernel = model.objective.critic.layers[0].kernel
    model.objective.critic.layers[0].kernel.regularizer = keras.regularizers.L2(0.5)
    totals = []
    total = model._critic_total
    model._critic_total = lambda parts, terms: totals.append((parts, total(parts, terms))) or totals[-1][1]
    weight = np.linspace(0.0, 2.0, len(X)).astype("float32")
    model.train_on_batch(X, X, sample_weight=weight)
    assert len(totals) == 3
    for parts, value in totals:
        expected = np.mean(weight * parts["critic_loss"]) + 0.5 * np.sum(np.square(kernel))
        assert float(value) == pytest.approx(expected, rel=1e-5)


def test_adversarial_models_refuse_a_critic_that_does_not_fit_at_construction():
    critic = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    for kind in (
        models.AdversarialAutoencoder,
        models.FactorVAE,
        models.AdversarialVAE,
        models.AdversarialWAE,
    ):
        with pytest.raises(ValueError, match="argument `critic`"):
            kind(encoder(), decoder(), critic=critic)
    with pytest.raises(ValueError, match="argument `feature_layer`"):
        models.AdversarialVAE(encoder(), decoder(), critic=(4,), feature_layer="hidden_1")


def test_a_critic_of_the_users_is_saved_with_the_model(tmp_path):
    keras.utils.set_random_seed(7)
    critic = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, "tanh"), keras.layers.Dense(1)])
    model = models.AdversarialAutoencoder(encoder(), decoder(), critic=critic, seed=3)
    model.compile(sgd(), critic_optimizer=keras.optimizers.Adam(0.01), run_eagerly=True)
    model.fit(X, epochs=1, **FIT)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    z = X[:, :2]
    np.testing.assert_array_equal(loaded.objective.critic(z), critic(z))
    more, again = (m.fit(X, epochs=1, **FIT).history for m in (model, loaded))
    assert again == {name: pytest.approx(series, rel=1e-5) for name, series in more.items()}
    for old, new in zip(model.critic_optimizer.variables, loaded.critic_optimizer.variables, strict=True):
        np.testing.assert_allclose(new, old, rtol=1e-5, atol=1e-7)
