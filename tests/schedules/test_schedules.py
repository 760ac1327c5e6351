"""Schedules against float64 formulas written here from the papers, one step at a time."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_vae import schedules
from keras_vae.schedules import Capacity, Constant, Cyclical, Linear, Schedule, Sigmoid, get

HUGE = 2**31 - 1


def linear_table(start, end, num_steps, delay, step):
    if step <= delay:
        return start
    if step >= delay + num_steps:
        return end
    return start + (end - start) * (step - delay) / num_steps


def sigmoid_table(start, end, num_steps, delay, sharpness, step):
    def logistic(p):
        return 1.0 / (1.0 + math.exp(-sharpness * (p - 0.5)))

    p = min(max((step - delay) / num_steps, 0.0), 1.0)
    weight = (logistic(p) - logistic(0.0)) / (logistic(1.0) - logistic(0.0))
    return start + (end - start) * weight


def cyclical_table(start, end, period, ratio, num_cycles, shape, step):
    """Fu et al. (2019), equations 6 and 7, with t = step + 1 and T / M = period."""
    ramps = {
        "linear": lambda p: p,
        "cosine": lambda p: math.sin(0.5 * math.pi * p) ** 2,
        "sigmoid": lambda p: sigmoid_table(0.0, 1.0, 1.0, 0.0, 10.0, p),
    }
    if num_cycles is not None and step >= period * num_cycles:
        return end
    tau = (step % period) / period
    beta = ramps[shape](tau / ratio) if tau <= ratio else 1.0
    return start + (end - start) * beta


def cyclical_case(*arguments):
    return Cyclical(*arguments), lambda step: cyclical_table(*arguments, step)


def linear_case(*arguments):
    return Linear(*arguments), lambda step: linear_table(*arguments, step)


def sigmoid_case(*arguments):
    return Sigmoid(*arguments), lambda step: sigmoid_table(*arguments, step)


CASES = {
    "constant": (Constant(0.3), lambda step: 0.3),
    "linear": linear_case(0.0, 1.0, 100, 0),
    "linear delayed": linear_case(0.1, 0.7, 33, 5),
    "linear down": linear_case(2.0, -0.3, 7, 0),
    "linear one step": linear_case(0.0, 1.0, 1, 0),
    "linear huge": linear_case(0.0, 4.0, 2**30, 17),
    "sigmoid": sigmoid_case(0.0, 1.0, 100, 0, 10.0),
    "sigmoid down": sigmoid_case(1.0, 0.1, 50, 10, 4.0),
    "sigmoid sharp": sigmoid_case(0.0, 0.2, 50, 0, 300.0),
    "cyclical": cyclical_case(0.0, 1.0, 100, 0.5, None, "linear"),
    "cyclical finite": cyclical_case(0.1, 0.9, 40, 0.25, 3, "linear"),
    "cyclical all ramp": cyclical_case(0.0, 1.0, 10, 1.0, 4, "linear"),
    "cyclical odd ratio": cyclical_case(0.0, 1.0, 100, 0.07, None, "linear"),
    "cyclical sigmoid": cyclical_case(0.0, 1.0, 64, 0.5, 2, "sigmoid"),
    "cyclical cosine": cyclical_case(1.0, 0.2, 30, 0.8, None, "cosine"),
    "cyclical of one": cyclical_case(0.2, 0.6, 1, 0.5, None, "linear"),
    "capacity": (Capacity(25.0, 1000, 50), lambda step: linear_table(0.0, 25.0, 1000, 50, step)),
}
STEPS = [*range(260), 999, 1049, 1050, 10**4, 2**24 + 1, 2**30 + 17, HUGE]
ALL = pytest.mark.parametrize("name", CASES)


def test_every_public_schedule_has_a_case():
    public = {getattr(schedules, name) for name in schedules.__all__ if name[0].isupper()}
    assert public - {Schedule} == {type(schedule) for schedule, _ in CASES.values()}


@ALL
def test_equals_its_table(name):
    schedule, table = CASES[name]
    values = schedule(tf.constant(STEPS, tf.int64))
    assert values.dtype == tf.float32
    expected = np.array([table(step) for step in STEPS], np.float64)
    # One rounding to float32: half a unit in the last place is 6e-8 of the value; 1e-7 with the
    # float64 error of two different formulas, which near zero is absolute.
    np.testing.assert_allclose(values.numpy(), expected, rtol=1e-7, atol=1e-12)


@ALL
def test_jitted_values_are_the_eager_ones_from_one_trace(name):
    schedule, _ = CASES[name]
    traces = []

    @tf.function(jit_compile=True)
    def jitted(step):
        traces.append(step)
        return schedule(step)

    steps = [0, 1, 7, 31, 60, 2**24 + 1, HUGE]
    values = [jitted(tf.constant(step, tf.int64)) for step in steps]
    assert len(traces) == 1
    assert all(value.shape == () and value.dtype == tf.float32 for value in values)
    eager = [schedule(step).numpy() for step in steps]
    # XLA has its own tanh and cos, whose last float64 bits may differ.
    np.testing.assert_allclose([value.numpy() for value in values], eager, rtol=2e-7, atol=1e-12)


@pytest.mark.parametrize(
    "step",
    [
        37,
        37.0,
        np.int32(37),
        np.float32(37),
        np.uint8(37),
        tf.constant(37, tf.int32),
        tf.constant(37, tf.int64),
        tf.constant(37.0, tf.float16),
        tf.constant(37.0, tf.bfloat16),
        tf.Variable(37, dtype=tf.int64),
        keras.Variable(37, dtype="int64", trainable=False),
        keras.Variable(37, dtype="int32", trainable=False),
    ],
    ids=lambda step: f"{type(step).__name__}-{getattr(step, 'dtype', '')}",
)
@ALL
def test_every_kind_of_step_gives_the_same_float32_scalar(name, step):
    schedule, _ = CASES[name]
    value = schedule(step)
    assert value.dtype == tf.float32
    assert value.shape == ()
    assert value.numpy() == schedule(tf.constant(37)).numpy()


@ALL
def test_optimizer_iterations_drive_it_inside_a_jitted_step_without_retracing(name):
    schedule, table = CASES[name]
    iterations = keras.optimizers.SGD().iterations
    traces = []

    @tf.function(jit_compile=True)
    def train_step():
        traces.append(None)
        value = schedule(iterations)
        iterations.assign_add(1)
        return value

    values = [train_step().numpy() for _ in range(12)]
    assert len(traces) == 1
    expected = [table(step) for step in range(12)]
    np.testing.assert_allclose(values, expected, rtol=2e-7, atol=1e-12)


@ALL
def test_no_nan_and_no_overshoot_at_extreme_steps(name):
    schedule, table = CASES[name]
    extremes = [HUGE, 2**53, 2**63 - 1, 2**70, 1e300, float("inf")]
    low, high = sorted([table(0), float(np.max([table(step) for step in STEPS]))])
    low = min(low, float(np.min([table(step) for step in STEPS])))
    for value in [schedule(step).numpy() for step in extremes]:
        assert np.isfinite(value)
        assert np.float32(low) <= value <= np.float32(high)
    assert schedule(-5).numpy() == schedule(0).numpy()
    assert schedule(float("-inf")).numpy() == schedule(0).numpy()


@pytest.mark.parametrize("kind", [Linear, Sigmoid])
@pytest.mark.parametrize(
    "ends", [(0.0, 1.0), (0.1, 0.7), (1 / 3, -2 / 3), (1e20, 1e-3), (1e-30, 1e30), (3e38, -3e38)]
)
def test_ramps_are_exact_at_both_ends_and_monotone(kind, ends):
    start, end = ends
    schedule = kind(start, end, num_steps=997, delay=13)
    values = schedule(tf.range(1100)).numpy()
    assert np.all(values[:14] == np.float32(start))
    assert np.all(values[13 + 997 :] == np.float32(end))
    assert np.all(np.sign(end - start) * np.diff(values.astype(np.float64)) >= 0)


@pytest.mark.parametrize("shape", ["linear", "sigmoid", "cosine"])
def test_a_cycle_is_exact_at_its_ends_monotone_inside_and_periodic(shape):
    values = Cyclical(0.1, 0.7, 200, 0.3, 3, shape)(tf.range(1000)).numpy()
    cycles = values[:600].reshape(3, 200)
    assert np.all(cycles == cycles[0])
    assert np.all(cycles[:, 0] == np.float32(0.1))
    assert np.all(cycles[:, 60:] == np.float32(0.7))
    assert np.all(cycles[0, 1:60] < np.float32(0.7))
    assert np.all(np.diff(cycles[0]) >= 0)
    assert np.all(values[600:] == np.float32(0.7))


def test_equal_ends_are_a_constant():
    steps = tf.range(500)
    constant = Constant(0.3)(steps).numpy()
    for schedule in (Linear(0.3, 0.3, 70), Sigmoid(0.3, 0.3, 70), Cyclical(0.3, 0.3, 70)):
        np.testing.assert_array_equal(schedule(steps).numpy(), constant)


def test_one_cycle_that_is_all_ramp_is_the_single_ramp():
    steps = tf.range(150)
    for shape, ramp in (("linear", Linear(0, 2, 100)), ("sigmoid", Sigmoid(0, 2, 100))):
        cycle = Cyclical(0, 2, period=100, ratio=1.0, num_cycles=1, shape=shape)
        np.testing.assert_array_equal(cycle(steps).numpy(), ramp(steps).numpy())


def test_the_sigmoid_tends_to_a_line_and_to_a_jump():
    steps = tf.range(101)
    line = Linear(0.0, 1.0, 100)(steps).numpy()
    np.testing.assert_allclose(Sigmoid(0, 1, 100, sharpness=1e-6)(steps).numpy(), line, atol=1e-6)
    jump = Sigmoid(0, 1, 100, sharpness=1e30)(steps).numpy()
    np.testing.assert_array_equal(jump, np.repeat([0.0, 0.5, 1.0], [50, 1, 50]))


def test_neighbouring_steps_beyond_float32_integers_are_told_apart():
    # 2**24 and 2**24 + 1 are one number in float32; the cycle must not notice.
    cycle = Cyclical(0.0, 1.0, period=4, ratio=1.0)
    values = cycle(tf.constant(2**40, tf.int64) + tf.range(8, dtype=tf.int64)).numpy()
    np.testing.assert_array_equal(values, [0, 0.25, 0.5, 0.75] * 2)


def test_value_does_not_depend_on_what_was_asked_before():
    schedule = Cyclical(0.0, 1.0, 10)
    forward = [schedule(step).numpy() for step in range(30)]
    assert [schedule(step).numpy() for step in reversed(range(30))] == forward[::-1]


@ALL
def test_config_round_trips(name):
    schedule, _ = CASES[name]
    config = schedule.get_config()
    again = type(schedule).from_config(config)
    assert again.get_config() == config
    through_keras = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(schedule))
    assert type(through_keras) is type(schedule)
    assert through_keras.get_config() == config
    steps = tf.constant(STEPS, tf.int64)
    np.testing.assert_array_equal(through_keras(steps).numpy(), schedule(steps).numpy())


@ALL
def test_get_takes_a_schedule_its_config_and_its_repr_names_the_arguments(name):
    schedule, _ = CASES[name]
    assert get(schedule) is schedule
    config = keras.saving.serialize_keras_object(schedule)
    assert get(config).get_config() == schedule.get_config()
    by_hand = {"class_name": type(schedule).__name__, "config": schedule.get_config()}
    assert get(by_hand).get_config() == schedule.get_config()
    assert eval(repr(schedule), vars(schedules)).get_config() == schedule.get_config()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.5", Constant(0.5)),
        ("constant:2", Constant(2)),
        ("linear:0:1:10000", Linear(0, 1, 10000)),
        ("Linear:0:1:1e4:50", Linear(0, 1, 10000, 50)),
        (" linear : 0 : 1 : 10 : delay = 3 ", Linear(0, 1, 10, 3)),
        ("linear:start=0:end=-1e-3:num_steps=10", Linear(0, -1e-3, 10)),
        ("sigmoid:0:1:100:0:5", Sigmoid(0, 1, 100, 0, 5)),
        ("cyclical:0:1:1000", Cyclical(0, 1, 1000)),
        ("cyclical:0:1:1000:0.25:4:cosine", Cyclical(0, 1, 1000, 0.25, 4, "cosine")),
        ("cyclical:0:1:1000:0.25:none:sigmoid", Cyclical(0, 1, 1000, 0.25, None, "sigmoid")),
        ("cyclical:0:1:1000:shape=cosine", Cyclical(0, 1, 1000, shape="cosine")),
        ("capacity:25:1e5", Capacity(25, 100000)),
        (3, Constant(3)),
        (np.float32(0.5), Constant(0.5)),
    ],
)
def test_get_reads_short_strings_and_numbers(text, expected):
    schedule = get(text)
    assert type(schedule) is type(expected)
    assert schedule.get_config() == expected.get_config()


def test_get_takes_a_registered_schedule_of_the_users():
    @keras.saving.register_keras_serializable(package="schedule_tests")
    class Stairs(Schedule):
        def __init__(self, every):
            self.every = every

        def _value(self, step):
            return tf.floor(step / self.every)

    config = keras.saving.serialize_keras_object(Stairs(3))
    assert isinstance(get(config), Stairs)
    assert get(config)(7).numpy() == 2.0


@pytest.mark.parametrize(
    ("identifier", "message"),
    [
        ("liner:0:1:10", r"`schedule`.*'linear'.*Received: liner. Did you mean 'linear'"),
        ("linear:0:1", r"'linear:start:end:num_steps\[:delay\]'. Received: linear:0:1"),
        ("linear:0:1:10:0:7", r"'linear:start:end:num_steps\[:delay\]'"),
        ("linear:0:1:10:delai=2", r"Received: delai. Did you mean 'delay'"),
        ("linear:0:1:10:start=2", r"'linear:start:end"),
        ("linear:0:1:10:delay=2:delay=3", "each argument once"),
        ("linear:0:one:10", r"`end`.*Received: one"),
        ("linear:0:nan:10", r"`end`"),
        ("linear:0:1:10.5", r"`num_steps`.*a whole number >= 1"),
        ("cyclical:0:1:10:shape=cosin", r"Did you mean 'cosine'"),
        ("nan", r"`value`"),
        ("", r"`schedule`"),
        (None, r"a Schedule, a number, a string"),
        (True, r"a Schedule, a number, a string"),
        ([1.0], r"a Schedule, a number, a string"),
        ({}, r"'class_name'"),
        ({"class_name": "liner", "config": {}}, r"Did you mean 'linear'"),
        ({"class_name": "linear", "config": {"start": 0}}, r"'linear:start:end"),
        ({"class_name": "linear", "config": {"strat": 0}}, r"Did you mean 'start'"),
        ({"class_name": "nobody>Knows", "config": {}}, r"the config of a registered Schedule"),
        (
            keras.saving.serialize_keras_object(keras.layers.Dense(1)),
            r"the config of a Schedule",
        ),
    ],
)
def test_get_refuses_and_says_what_is_expected(identifier, message):
    with pytest.raises(ValueError, match="Invalid value received for argument") as error:
        get(identifier)
    assert error.match(message)


def test_get_names_the_callers_argument():
    with pytest.raises(ValueError, match="argument `beta`"):
        get(None, argument="beta")


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("build", "argument"),
    [
        (lambda: Constant(NAN), "value"),
        (lambda: Constant(INF), "value"),
        (lambda: Constant(1e39), "value"),
        (lambda: Constant(10**400), "value"),
        (lambda: Constant("1"), "value"),
        (lambda: Constant(True), "value"),
        (lambda: Constant(None), "value"),
        (lambda: Linear(NAN, 1, 10), "start"),
        (lambda: Linear(0, INF, 10), "end"),
        (lambda: Linear(0, 1, 0), "num_steps"),
        (lambda: Linear(0, 1, -3), "num_steps"),
        (lambda: Linear(0, 1, 1.5), "num_steps"),
        (lambda: Linear(0, 1, NAN), "num_steps"),
        (lambda: Linear(0, 1, INF), "num_steps"),
        (lambda: Linear(0, 1, 10, -1), "delay"),
        (lambda: Sigmoid(0, -INF, 10), "end"),
        (lambda: Sigmoid(0, 1, 0), "num_steps"),
        (lambda: Sigmoid(0, 1, 10, -1), "delay"),
        (lambda: Sigmoid(0, 1, 10, sharpness=0), "sharpness"),
        (lambda: Sigmoid(0, 1, 10, sharpness=NAN), "sharpness"),
        (lambda: Cyclical(INF, 1, 10), "start"),
        (lambda: Cyclical(0, NAN, 10), "end"),
        (lambda: Cyclical(0, 1, 0), "period"),
        (lambda: Cyclical(0, 1, -10), "period"),
        (lambda: Cyclical(0, 1, 10, 0.0), "ratio"),
        (lambda: Cyclical(0, 1, 10, -0.1), "ratio"),
        (lambda: Cyclical(0, 1, 10, 1.1), "ratio"),
        (lambda: Cyclical(0, 1, 10, NAN), "ratio"),
        (lambda: Cyclical(0, 1, 10, num_cycles=0), "num_cycles"),
        (lambda: Cyclical(0, 1, 10, shape="square"), "shape"),
        (lambda: Capacity(-1, 10), "max_capacity"),
        (lambda: Capacity(INF, 10), "max_capacity"),
        (lambda: Capacity(25, 0), "num_steps"),
        (lambda: Capacity(25, 10, -1), "delay"),
    ],
)
def test_bad_arguments_are_refused_at_construction(build, argument):
    with pytest.raises(ValueError, match=f"Invalid value received for argument `{argument}`"):
        build()


@pytest.mark.parametrize("step", ["7", True, NAN, np.bool_(True), tf.constant("7"), None, [None], 10**400])
def test_a_step_that_is_no_number_is_refused(step):
    with pytest.raises(ValueError, match="Invalid value received for argument `step`"):
        Linear(0, 1, 10)(step)
