"""What every objective must do, and what each of them says."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae import objectives, priors, schedules

tfd = tfp.distributions
RNG = np.random.default_rng(0)
S, B, D, N = 3, 5, 2, 4
LOC, SCALE = RNG.normal(size=(B, D)).astype("float32"), np.exp(RNG.normal(size=(B, D))).astype("float32")
X = RNG.normal(size=(B, N)).astype("float32")
W = RNG.normal(size=(D, N)).astype("float32")


def table(num_samples=1, prior=None, seed=(1, 2), repeat=1, step=0):
    q = tfd.Independent(tfd.Normal(np.tile(LOC, (repeat, 1)), np.tile(SCALE, (repeat, 1))), 1)

    def decode(z):
        return tfd.Independent(tfd.Normal(z @ W, 0.5), 1)

    x = tf.constant(np.tile(X, (repeat, 1)))
    prior = prior or priors.StandardNormal(D)
    return objectives.Terms(x, None, q, prior, decode, num_samples, tf.constant(seed), step)


@dataclass(frozen=True)
class Case:
    """An objective of the harness, and another value of each of its arguments."""

    build: Callable[..., objectives.Objective]
    arguments: dict[str, object]


CASES = {
    "elbo": Case(objectives.ELBO, {"kl": "sampled", "num_samples": 4}),
    "beta": Case(objectives.BetaELBO, {"beta": 2.0, "capacity": 3.0, "kl": "sampled", "num_samples": 4}),
    "beta_schedule": Case(
        lambda **kwargs: objectives.BetaELBO(**{"beta": schedules.Linear(1.0, 2.0, 10), **kwargs}),
        {"beta": schedules.Linear(3.0, 2.0, 10), "capacity": schedules.Capacity(9.0, 3, 0)},
    ),
}
IDENTITIES = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def loss(objective, terms):
    return np.mean(np.sum(list(objective.parts(terms).values()), axis=0))


def test_every_public_objective_has_a_case():
    public = {getattr(objectives, name) for name in objectives.__all__}
    public = {kind for kind in public if inspect.isclass(kind) and issubclass(kind, objectives.Objective)}
    assert public - {objectives.Objective} == {type(case.build()) for case in CASES.values()}


@IDENTITIES
def test_parts_and_monitors_are_as_declared(case):
    objective = case.build()
    parts, monitors = objective.parts(table()), objective.monitors(table())
    assert tuple(parts) == objective.part_names
    assert set(monitors) == set(objective.monitor_names)
    for part in parts.values():
        assert part.shape == (B,)
        assert part.dtype == tf.float32
    for monitor in monitors.values():
        assert tuple(monitor.shape) in {(B,), ()}


@IDENTITIES
def test_config_round_trip(case):
    for arguments in ({}, *({name: value} for name, value in case.arguments.items())):
        objective = case.build(**arguments)
        config = keras.saving.serialize_keras_object(objective)
        again = keras.saving.deserialize_keras_object(config)
        assert type(again) is type(objective)
        assert again.get_config() == objective.get_config()
        terms = table(objective.num_samples)
        assert loss(again, terms) == loss(objective, terms)


@IDENTITIES
def test_every_argument_changes_the_loss(case):
    names = set(inspect.signature(type(case.build()).__init__).parameters) - {"self", "kwargs"}
    if case is not CASES["beta_schedule"]:
        assert names == set(case.arguments)
    plain = case.build()
    for name, value in case.arguments.items():
        changed = case.build(**{name: value})
        for objective in (plain, changed):
            objective.update(tf.constant(2))
        assert loss(changed, table(changed.num_samples)) != loss(plain, table(plain.num_samples)), name


@IDENTITIES
def test_repeating_the_batch_leaves_the_loss_unchanged(case):
    objective = case.build()
    once, twice = table(), table(repeat=2)
    twice.z = tf.tile(once.z, [1, 2, 1])
    assert loss(objective, twice) == pytest.approx(loss(objective, once), rel=1e-6)


@IDENTITIES
def test_trains_nothing_by_itself(case):
    assert case.build().trainable_variables == []


def test_elbo_against_numpy():
    terms = table(S)
    z = np.float64(terms.z)
    log_px = np.sum(-0.5 * ((X - z @ np.float64(W)) / 0.5) ** 2 - np.log(0.5 * np.sqrt(2 * np.pi)), axis=-1)
    loc, scale = np.float64(LOC), np.float64(SCALE)
    kl = 0.5 * np.sum(loc**2 + scale**2 - 1.0 - 2.0 * np.log(scale), axis=1)
    parts = objectives.ELBO(num_samples=S).parts(terms)
    np.testing.assert_allclose(parts["reconstruction"], -log_px.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(parts["kl"], kl, rtol=1e-5)


def test_kl_modes_reach_the_terms():
    terms = table(S)
    for mode, expected in (
        ("auto", terms.exact_kl),
        ("exact", terms.exact_kl),
        ("sampled", terms.sampled_kl),
    ):
        np.testing.assert_array_equal(objectives.ELBO(mode, S).parts(terms)["kl"], expected)
        weighted = objectives.BetaELBO(2.0, kl=mode).parts(terms)["weighted_kl"]
        np.testing.assert_allclose(weighted, 2.0 * expected, rtol=1e-6)
        np.testing.assert_array_equal(objectives.BetaELBO(2.0, kl=mode).monitors(terms)["kl"], expected)


def test_beta_of_one_is_the_elbo():
    beta, plain = objectives.BetaELBO(1.0).parts(table()), objectives.ELBO().parts(table())
    np.testing.assert_array_equal(beta["reconstruction"], plain["reconstruction"])
    np.testing.assert_array_equal(beta["weighted_kl"], plain["kl"])


def test_beta_of_zero_is_the_reconstruction():
    assert not np.any(objectives.BetaELBO(0.0).parts(table())["weighted_kl"])


@pytest.mark.parametrize("capacity", [0.0, 1.0, 100.0])
def test_capacity_against_numpy(capacity):
    """Burgess et al., 2018, Eq. 8: gamma * |mean KL - C|, as the mean of the parts."""
    parts = objectives.BetaELBO(10.0, capacity).parts(table())
    kl = np.mean(table().exact_kl)
    assert np.mean(parts["weighted_kl"]) == pytest.approx(10.0 * abs(kl - capacity), rel=1e-5)


@pytest.mark.parametrize(("capacity", "sign"), [(0.0, 1.0), (100.0, -1.0)])
def test_gradient_of_the_capacity_pulls_towards_it(capacity, sign):
    loc = tf.Variable(LOC)
    objective = objectives.BetaELBO(10.0, capacity)
    with tf.GradientTape() as tape:
        terms = table()
        terms.q = tfd.Independent(tfd.Normal(loc, SCALE), 1)
        value = tf.reduce_sum(objective.parts(terms)["weighted_kl"])
    # d KL / d loc = loc for the standard normal prior.
    np.testing.assert_allclose(tape.gradient(value, loc), sign * 10.0 * LOC, rtol=1e-4, atol=1e-5)


# One of each public schedule, with a value at step 0 that differs from a later one.
SCHEDULES = {
    "Constant": schedules.Constant(2.0),
    "Linear": schedules.Linear(0.0, 1.0, 10),
    "Sigmoid": schedules.Sigmoid(0.0, 1.0, 10),
    "Cyclical": schedules.Cyclical(0.0, 1.0, 10),
    "Capacity": schedules.Capacity(5.0, 10),
}


def test_every_public_schedule_has_a_case():
    public = {name for name in schedules.__all__ if inspect.isclass(getattr(schedules, name))}
    assert public - {"Schedule"} == set(SCHEDULES)


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_every_schedule_drives_a_weight(schedule):
    objective = objectives.BetaELBO(beta=schedule, capacity=schedule)
    for step in (0, 3, 7, 1000):
        objective.update(tf.constant(step))
        for name in ("beta", "capacity"):
            assert float(objective.current(name)) == pytest.approx(float(schedule(step)), rel=1e-6)
    again = objectives.BetaELBO.from_config(objective.get_config())
    assert again.get_config() == objective.get_config()
    assert float(again.current("beta")) == pytest.approx(float(schedule(0)))


def test_weights_are_variables_that_do_not_train_and_are_saved():
    objective = objectives.BetaELBO("linear:0:1:10", capacity=2.0)
    assert [v.name for v in objective.non_trainable_variables] == ["beta", "capacity"]
    assert objective.trainable_variables == []


def test_an_assigned_constant_stays():
    objective = objectives.BetaELBO(1.0)
    objective.current("beta").assign(7.0)
    objective.update(tf.constant(5))
    assert float(objective.current("beta")) == 7.0


BAD = {
    "beta": [-1.0, "linear:0:-1:5", "oops", None, float("inf")],
    "capacity": [-1.0, "linear:1:-1:5"],
    "kl": ["analytic", None, 1],
    "num_samples": [0, -1, 1.5, True, "3"],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in BAD.items() for value in values]
)
def test_bad_arguments(name, value):
    with pytest.raises(ValueError) as error:
        objectives.BetaELBO(**{name: value})
    assert "\n" not in str(error.value)
    assert name in str(error.value) or "value" in str(error.value)


class Fixed(objectives.Objective):
    """The smallest objective there can be."""

    part_names = ("total",)

    def parts(self, terms):
        return {"total": tf.ones(tf.shape(terms.x)[:1])}


def test_a_minimal_objective():
    objective = Fixed(num_samples=2)
    assert objective.get_config()["num_samples"] == 2
    assert objective.monitors(table()) == objective.critic_parts(table()) == {}
    assert loss(objective, table()) == 1.0
    with pytest.raises(NotImplementedError):
        objectives.Objective().parts(table())
