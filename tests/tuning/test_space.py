"""Ranges: what they accept, what they draw, how they are written."""

import json
import math

import keras_tuner
import pytest

from keras_vae.tuning import Choice, Float, Int, parse
from keras_vae.tuning.space import read

RANGES = [
    Int(2, 64, log=True),
    Int(-3, 9, step=3),
    Float(0.25, 16.0, log=True),
    Float(-1, 1),
    Choice(["a", "b"]),
    Choice([None, "a", [1, 2]]),
    Choice([True, False]),
    Choice([1, 2.5]),
]


def draws(one, count=300):
    """What KerasTuner draws of a range."""
    hp = keras_tuner.HyperParameters()
    one.declare(hp, "x")
    found = []
    for seed in range(count):
        hp.values["x"] = hp.space[0].random_sample(seed)
        found.append(one.declare(hp, "x"))
    return found


@pytest.mark.parametrize("one", RANGES, ids=str)
def test_every_draw_is_in_the_range_and_json_brings_the_range_back(one):
    found = draws(one)
    assert all(value in one for value in found)
    assert len({json.dumps(value) for value in found}) > 1
    assert parse({"x": json.loads(json.dumps(one.to_dict()))})["x"] == one


def test_choices_come_back_as_they_were_and_all_of_them():
    values = [None, "a", [1, 2], 3, 0.5, True]
    found = draws(Choice(values))
    assert {json.dumps(value) for value in found} == {json.dumps(value) for value in values}


def test_a_logarithmic_range_draws_each_doubling_as_often():
    """Of 2 to 32 a quarter lies in each doubling; 4 standard errors of a share of 1/4 of 1000 are 0.055."""
    found = draws(Float(2, 32, log=True), 1000)
    shares = [sum(low <= value < 2 * low for value in found) / 1000 for low in (2, 4, 8, 16)]
    assert all(abs(share - 0.25) < 0.055 for share in shares)


def test_steps():
    assert set(draws(Int(0, 10, step=5))) == {0, 5, 10}
    assert set(draws(Int(2, 16, log=True, step=2))) == {2, 4, 8, 16}


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: Int(64, 2), "low bound below"),
        (lambda: Int(2, 2), "low bound below"),
        (lambda: Int(2, 3.5), "integers"),
        (lambda: Int(True, 3), "integers"),
        (lambda: Float(0.0, 1.0, log=True), "> 0 for log"),
        (lambda: Float(0.0, math.inf), "finite numbers"),
        (lambda: Float(0.0, math.nan), "finite numbers"),
        (lambda: Float(0.0, 1.0, step=0.0), "step > 0"),
        (lambda: Int(1, 8, log=True, step=1), "factor > 1"),
        (lambda: Choice([]), "two or more"),
        (lambda: Choice([1]), "two or more"),
        (lambda: Choice([1, 1]), "different"),
        (lambda: Choice("ab"), "a list of values"),
        (lambda: Choice([1, object()]), "JSON"),
        (lambda: parse({"beta": 3}), "'beta'.*Int, Float, Choice"),
        (lambda: parse({"beta": (4, 1)}), "'beta'.*low bound below"),
        (lambda: parse([("beta", 1)]), "names and ranges"),
        (lambda: read("1:2:3:4:5"), "one of|LOW:HIGH"),
        (lambda: read("a:b"), "bounds"),
    ],
)
def test_wrong_ranges_say_what_is_wrong(wrong, words):
    with pytest.raises(ValueError, match=words):
        wrong()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2:64", Int(2, 64)),
        ("2:64:log", Int(2, 64, log=True)),
        ("0.25:16:log", Float(0.25, 16, log=True)),
        ("1:9:linear:2", Int(1, 9, step=2)),
        ("mlp,conv", Choice(["mlp", "conv"])),
        ("1e-4:1e-2:log", Float(1e-4, 1e-2, log=True)),
        ("[64],[128, 64]", Choice([[64], [128, 64]])),
        ("true,false", Choice([True, False])),
    ],
)
def test_ranges_of_the_command_line(text, expected):
    assert read(text) == expected
