"""What every objective must do, and what each of them says."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae import divergences, layers, objectives, priors, schedules

tfd = tfp.distributions
RNG = np.random.default_rng(0)
S, B, D, N = 3, 5, 2, 4
LOC, SCALE = RNG.normal(size=(B, D)).astype("float32"), np.exp(RNG.normal(size=(B, D))).astype("float32")
X = RNG.normal(size=(B, N)).astype("float32")
W = RNG.normal(size=(D, N)).astype("float32")


def table(num_samples=1, prior=None, seed=(1, 2), repeat=1, step=0, loc=LOC):
    q = tfd.Independent(tfd.Normal(tf.tile(loc, (repeat, 1)), np.tile(SCALE, (repeat, 1))), 1)

    def decode(z):
        return tfd.Independent(tfd.Normal(z @ W, 0.5), 1)

    def encode(x):
        return tfd.Independent(tfd.Normal(tf.tanh(x @ W.T), 0.5), 1)

    x = tf.constant(np.tile(X, (repeat, 1)))
    prior = prior or priors.StandardNormal(D)
    return objectives.Terms(
        x,
        None,
        q,
        prior,
        decode,
        num_samples,
        tf.constant(seed),
        step,
        encode=encode,
        decoder_weights=[W, np.float32(0.5)],
    )


def table_of_classes(num_samples=1, repeat=1):
    """Terms whose latent is two classes and a style, with labels for three of five examples."""
    terms = table(num_samples, prior=priors.OneHotAndNormal(3, 2), repeat=repeat)
    params = np.concatenate([LOC, LOC[:, :1], SCALE[:, :1]], axis=1)
    layer = layers.SoftmaxAndStyle(2, layers.IndependentNormal(1))
    terms.q = layer.distribution(np.tile(params, (repeat, 1)))
    terms.decode = lambda z: tfd.Independent(tfd.Normal(z[:, 1:] @ W, 0.5), 1)
    terms.y = tf.constant(np.tile([0, 1, -1, 1, -1], repeat))
    return terms


def table_of_a_graph(num_samples=1, repeat=1):
    """Terms whose posterior is made with the prior, a mixture, by mean-field inference."""
    prior = priors.GaussianMixtureGraph(D, 3, "mean-field", 4)
    terms = table(num_samples, prior, repeat=repeat)
    terms.q = prior.posterior(terms.q)
    return terms


def classifier(bias=(0.0, 1.0, -1.0), inputs=N):
    """Of three classes."""
    bias = keras.initializers.Constant(np.array(bias, "float32"))
    dense = keras.layers.Dense(3, kernel_initializer="ones", bias_initializer=bias)
    return keras.Sequential([keras.Input((inputs,)), dense, layers.OneHotCategorical(3)])


LABELS = [0, 2, -1, 1, -1]


def table_with_labels(num_samples=1, repeat=1):
    terms = table(num_samples, repeat=repeat)
    terms.y = tf.constant(np.tile(LABELS, repeat))
    return terms


def table_of_every_class(num_samples=1, repeat=1):
    """Terms of every example with each of three classes, which have the draws of z in common."""
    terms = table(num_samples, repeat=3 * repeat)
    terms.z = tf.tile(table(num_samples).z, [1, 3 * repeat, 1])
    terms.y = tf.constant(np.tile(LABELS, repeat))
    return terms


@dataclass(frozen=True)
class Case:
    """An objective of the harness, and another value of each of its arguments.

    Args:
        table: makes the terms that it can read, of a number of draws.
        refused: the arguments whose other value does not fit the terms, and is refused.
        of_inputs: the arguments that change what the encoder sees, and so nothing in a table made already.
        of_gradient: the arguments that choose an estimator of the gradient and leave the value alone.
        of_critic: the arguments that change the critic's own loss, or the number of its steps.
        of_model: the arguments that the model reads, which makes the terms.
        trains: whether the objective has weights to train besides the critic's.
        compares_samples: whether a part compares the batch with another sample or with itself, pair by pair,
            so that a batch with every example twice is another comparison.
    """

    build: Callable[..., objectives.Objective]
    arguments: dict[str, object]
    of_inputs: tuple[str, ...] = ()
    of_gradient: tuple[str, ...] = ()
    of_critic: tuple[str, ...] = ()
    compares_samples: bool = False
    table: Callable[..., objectives.Terms] = table
    refused: tuple[str, ...] = ()
    of_model: tuple[str, ...] = ()
    trains: bool = False


def critic():
    return keras.Sequential([keras.Input((D,)), keras.layers.Dense(1, kernel_initializer="ones")])


def critic_of_x():
    return keras.Sequential([keras.Input((N,)), keras.layers.Dense(1, kernel_initializer="ones")])


# What every objective with a critic takes, with other values than the default.
OF_CRITIC = {"r1": 1.0, "gradient_penalty": 5.0, "spectral_norm": True, "critic_steps": 2}


def adversarial(kind, compares_samples=False, **arguments):
    made_of = critic_of_x if kind is objectives.AdversarialELBO else critic
    return Case(
        kind,
        {"critic": made_of(), "num_samples": 4, **OF_CRITIC, **arguments},
        of_critic=tuple(OF_CRITIC),
        compares_samples=compares_samples,
    )


CASES = {
    "elbo": Case(
        objectives.ELBO,
        {"kl": "sampled", "num_samples": 4, "gradient": "score", "annealing": 0.5, "free_bits": 5.0},
        of_gradient=("gradient",),
    ),
    "elbo_score": Case(
        lambda **kwargs: objectives.ELBO(**{"gradient": "score", "num_samples": 3, **kwargs}),
        {"baseline": "batch"},
        of_gradient=("baseline",),
    ),
    "beta": Case(
        objectives.BetaELBO,
        {
            "beta": 2.0,
            "capacity": 3.0,
            "kl": "sampled",
            "num_samples": 4,
            "gradient": "score",
            "free_bits": 5.0,
        },
        of_gradient=("gradient",),
    ),
    "beta_score": Case(
        lambda **kwargs: objectives.BetaELBO(**{"gradient": "score", **kwargs}),
        {"baseline": "running"},
        of_gradient=("baseline",),
    ),
    "iwae": Case(
        objectives.IWAEBound,
        {"num_samples": 4, "gradient": "dreg", "annealing": "linear:0:1:10"},
        of_gradient=("gradient",),
    ),
    "iwae_score": Case(
        lambda **kwargs: objectives.IWAEBound(**{"gradient": "score", **kwargs}),
        {"baseline": "none", "gradient": "vimco"},
        of_gradient=("gradient", "baseline"),
    ),
    "miwae": Case(
        lambda **kwargs: objectives.MIWAEBound(**{"num_estimates": 2, "num_samples": 3, **kwargs}),
        {"num_estimates": 3, "num_samples": 2, "gradient": "stl", "annealing": 0.5},
        of_gradient=("gradient",),
    ),
    "piwae": Case(
        lambda **kwargs: objectives.PIWAEBound(**{"num_estimates": 2, "num_samples": 3, **kwargs}),
        {"num_estimates": 3, "num_samples": 2, "gradient": "dreg", "annealing": 0.5},
        of_gradient=("gradient",),
    ),
    "ciwae": Case(
        objectives.CIWAEBound,
        {"beta": "linear:0:1:10", "num_samples": 4, "gradient": "dreg", "annealing": 0.5},
        of_gradient=("gradient",),
    ),
    "beta_schedule": Case(
        lambda **kwargs: objectives.BetaELBO(**{"beta": schedules.Linear(1.0, 2.0, 10), **kwargs}),
        {"beta": schedules.Linear(3.0, 2.0, 10), "capacity": schedules.Capacity(9.0, 3, 0)},
    ),
    "conditional": Case(
        objectives.ConditionalELBO,
        {
            "alpha": 0.5,
            "kl": "sampled",
            "num_samples": 4,
            "gradient": "score",
            "annealing": 0.5,
            "free_bits": 5.0,
        },
        of_gradient=("gradient",),
        compares_samples=True,
    ),
    "conditional_score": Case(
        lambda **kwargs: objectives.ConditionalELBO(**{"gradient": "score", **kwargs}),
        {"baseline": "none"},
        of_gradient=("baseline",),
    ),
    "latent_classification": Case(
        lambda **kwargs: objectives.LatentClassificationELBO(
            **{"classifier": classifier(inputs=D), **kwargs}
        ),
        {
            "classifier": classifier((1.0, 0.0, 0.0), inputs=D),
            "alpha": 2.0,
            "features": classifier(),
            "kl": "sampled",
            "num_samples": 4,
            "annealing": 0.5,
        },
        of_model=("features",),
        table=table_with_labels,
        trains=True,
    ),
    "semi_supervised": Case(
        lambda **kwargs: objectives.SemiSupervisedELBO(**{"classifier": classifier(), **kwargs}),
        {
            "classifier": classifier((1.0, 0.0, 0.0)),
            "alpha": "linear:2:3:10",
            "class_prior": [0.5, 0.3, 0.2],
            "features": classifier(),
            "kl": "sampled",
            "num_samples": 4,
            "annealing": 0.5,
            "class_annealing": 0.5,
        },
        of_model=("features",),
        table=table_of_every_class,
        trains=True,
    ),
    "structured": Case(objectives.StructuredELBO, {"num_samples": 4, "annealing": 0.5}),
    "structured_mixture": Case(
        objectives.StructuredELBO,
        {"num_samples": 4, "annealing": "linear:0:1:10"},
        table=table_of_a_graph,
    ),
    "reconstruction": Case(objectives.Reconstruction, {"num_samples": 4}),
    "denoising": Case(
        objectives.DenoisingReconstruction,
        {"corruption": "gaussian:0.5", "num_samples": 4},
        of_inputs=("corruption",),
    ),
    "sparse_l1": Case(objectives.SparseReconstruction, {"weight": 2.0, "penalty": "kl", "num_samples": 4}),
    "sparse_kl": Case(
        lambda **kwargs: objectives.SparseReconstruction(**{"penalty": "kl", **kwargs}),
        {"weight": "linear:2:3:10", "penalty": "l1", "rate": 0.2, "num_samples": 4},
    ),
    "contractive": Case(objectives.ContractiveReconstruction, {"weight": 2.0, "num_samples": 4}),
    "regularized_l2": Case(
        objectives.RegularizedReconstruction,
        {"beta": 2.0, "regularizer": "none", "weight": 1.0, "num_samples": 4},
    ),
    "regularized_gp": Case(
        lambda **kwargs: objectives.RegularizedReconstruction(
            **{"regularizer": "gp", "weight": 1.0, **kwargs}
        ),
        {"beta": "linear:2:3:10", "regularizer": "l2", "weight": 2.0, "num_samples": 4},
    ),
    "wae": Case(
        objectives.WassersteinReconstruction,
        {"divergence": "mmd-rbf", "weight": "linear:1:2:10", "num_samples": 4},
        compares_samples=True,
    ),
    "wae_sinkhorn": Case(
        lambda **kwargs: objectives.WassersteinReconstruction(**{"divergence": "sinkhorn", **kwargs}),
        {"divergence": divergences.Sinkhorn(epsilon=3.0), "weight": 2.0, "num_samples": 4},
        compares_samples=True,
    ),
    "wae_sliced": Case(
        lambda **kwargs: objectives.WassersteinReconstruction(**{"divergence": "sliced", **kwargs}),
        {"divergence": divergences.SlicedWasserstein(20), "weight": 2.0, "num_samples": 4},
        compares_samples=True,
    ),
    "info": Case(
        objectives.InfoELBO,
        {
            "alpha": 0.5,
            "scale": "linear:2:20:10",
            "divergence": divergences.MMD(scales=[1.0]),
            "kl": "sampled",
            "num_samples": 4,
        },
        compares_samples=True,
    ),
    "beta_tc": Case(
        lambda **kwargs: objectives.TotalCorrelationELBO(**{"dataset_size": 50, **kwargs}),
        {
            "dataset_size": 60,
            "alpha": 0.5,
            "beta": "linear:1:4:10",
            "gamma": 2.0,
            "estimator": "stratified",
            "num_samples": 4,
        },
        compares_samples=True,
    ),
    "dip": Case(
        objectives.DisentangledELBO,
        {
            "kind": "ii",
            "lambda_od": 3.0,
            "lambda_d": "linear:1:2:10",
            "kl": "sampled",
            "num_samples": 4,
            "annealing": 0.5,
            "free_bits": 5.0,
        },
    ),
    "adversarial_autoencoder": adversarial(
        objectives.AdversarialReconstruction, weight=2.0, adversarial_loss="hinge"
    ),
    "adversarial_wae": adversarial(objectives.AdversarialWasserstein, compares_samples=True, weight=2.0),
    "adversarial_vae": adversarial(
        objectives.AdversarialELBO,
        compares_samples=True,
        weight="linear:2:3:10",
        feature_layer="hidden_1",
        adversarial_loss="least-squares",
        kl="sampled",
        annealing=0.5,
        free_bits=5.0,
    ),
    "factor": adversarial(objectives.FactorELBO, gamma=2.0, kl="sampled", annealing=0.5, free_bits=5.0),
    "semi_supervised_adversarial": Case(
        lambda **kwargs: objectives.SemiSupervisedAdversarialReconstruction(**{"num_classes": 2, **kwargs}),
        {
            "num_classes": 3,
            "weight": 2.0,
            "label_weight": "linear:2:3:10",
            "class_critic": critic(),
            "style_critic": (4, 3),
            "adversarial_loss": "hinge",
            "num_samples": 4,
            **OF_CRITIC,
        },
        of_critic=tuple(OF_CRITIC),
        table=table_of_classes,
        refused=("num_classes",),
    ),
}
IDENTITIES = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def critic_loss(objective, case):
    terms = case.table(objective.num_samples)
    terms.training = True
    loss(objective, terms)
    return np.sum(list(objective.critic_parts(terms).values())), objective.critic_steps


def loss(objective, terms):
    keras.utils.set_random_seed(0)  # critics are made when they are first called
    return np.mean(np.sum(list(objective.parts(terms).values()), axis=0))


def encoder_gradient(objective):
    loc = tf.Variable(LOC)
    with tf.GradientTape() as tape:
        parts = objective.parts(table(objective.num_samples, loc=loc))
        total = tf.reduce_sum(tf.add_n(list(parts.values())))
    return tape.gradient(total, loc)


def test_every_public_objective_has_a_case():
    public = {getattr(objectives, name) for name in objectives.__all__}
    public = {kind for kind in public if inspect.isclass(kind) and issubclass(kind, objectives.Objective)}
    assert public - {objectives.Objective} == {type(case.build()) for case in CASES.values()}


@IDENTITIES
def test_parts_and_monitors_are_as_declared(case):
    objective = case.build()
    parts, monitors = (f(case.table(objective.num_samples)) for f in (objective.parts, objective.monitors))
    assert tuple(parts) == objective.part_names
    assert set(monitors) == set(objective.monitor_names)
    for part in parts.values():
        assert part.shape == (B,)
        assert part.dtype == tf.float32
    for monitor in tf.nest.flatten(monitors):
        assert tuple(monitor.shape) in {(B,), ()}


@IDENTITIES
def test_config_round_trip(case):
    kept = {name: value for name, value in case.arguments.items() if name not in case.refused}
    for arguments in ({}, *({name: value} for name, value in kept.items())):
        objective = case.build(**arguments)
        config = keras.saving.serialize_keras_object(objective)
        again = keras.saving.deserialize_keras_object(config)
        assert type(again) is type(objective)
        assert again.get_config() == objective.get_config()
        # A table keeps what was computed of it, so each has its own.
        tables = [case.table(each.num_samples) for each in (again, objective)]
        assert loss(again, tables[0]) == loss(objective, tables[1])


@IDENTITIES
def test_every_argument_changes_the_loss(case):
    names = set(inspect.signature(type(case.build()).__init__).parameters) - {"self", "kwargs"}
    # An argument may need another one beside it, and so a case of its own.
    alike = [other for other in CASES.values() if type(other.build()) is type(case.build())]
    assert names == {name for other in alike for name in other.arguments}
    plain = case.build()
    for name, value in case.arguments.items():
        changed = case.build(**{name: value})
        for objective in (plain, changed):
            objective.update(tf.constant(2))
        if name in case.of_inputs:
            assert not np.array_equal(*(o.corrupt(tf.constant(X), (1, 2)) for o in (plain, changed))), name
            continue
        if name in case.of_model:
            assert getattr(plain, name) is None
            assert getattr(changed, name) is not None
            continue
        if name in case.of_critic:
            assert critic_loss(changed, case) != critic_loss(plain, case), name
            continue
        if name in case.refused:
            with pytest.raises(ValueError, match="Invalid value received"):
                loss(changed, case.table(changed.num_samples))
            continue
        if name in case.of_gradient:
            assert not np.allclose(encoder_gradient(changed), encoder_gradient(plain), rtol=1e-2), name
            continue
        tables = [case.table(each.num_samples) for each in (changed, plain)]
        assert loss(changed, tables[0]) != loss(plain, tables[1]), name


@IDENTITIES
def test_repeating_the_batch_leaves_the_loss_unchanged(case):
    if case.compares_samples:
        pytest.skip("the batch with every example twice is another sample")
    objective = case.build()
    once, twice = case.table(objective.num_samples), case.table(objective.num_samples, repeat=2)
    twice.z = tf.tile(once.z, [1, 2, 1])
    assert loss(objective, twice) == pytest.approx(loss(objective, once), rel=1e-6)


@IDENTITIES
def test_trains_nothing_by_itself(case):
    assert bool(case.build().trainable_variables) == case.trains


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
