"""Curves of training."""

import types

import numpy as np
import pytest

from keras_vae import plots

HISTORY = {
    "loss": [5.0, 4.0, 3.5, 3.4],
    "kl": [0.1, 0.5, 0.9, 1.0],
    "val_loss": [5.5, 4.4, 4.0, 4.1],
    "beta": [0.0, 0.5, 1.0, 1.0],
}


def line_of(axes, label):
    (line,) = [line for line in axes.lines if line.get_label() == label]
    return line.get_xdata(), line.get_ydata()


def panels(figure):
    return {axes.get_title(loc="left"): axes for axes in figure.axes}


def test_one_panel_per_metric_with_the_historys_values():
    figure = plots.training_curves(HISTORY)
    assert list(panels(figure)) == ["loss", "kl", "beta"]
    for metric, axes in panels(figure).items():
        epochs, values = line_of(axes, "training")
        np.testing.assert_array_equal(epochs, [1, 2, 3, 4])
        np.testing.assert_array_equal(values, HISTORY[metric])
        assert axes.get_xlabel() == "epoch"
        assert len(axes.lines) == (2 if metric == "loss" else 1)
    epochs, values = line_of(panels(figure)["loss"], "validation")
    np.testing.assert_array_equal(epochs, [1, 2, 3, 4])
    np.testing.assert_array_equal(values, HISTORY["val_loss"])
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["training", "validation"]


def test_training_and_validation_differ_in_more_than_colour():
    train, validation = panels(plots.training_curves(HISTORY))["loss"].lines
    assert train.get_color() != validation.get_color()
    assert train.is_dashed() is False
    assert validation.is_dashed() is True


def test_a_keras_history_will_do_and_one_kind_of_line_needs_no_legend():
    history = types.SimpleNamespace(history={"loss": [2.0, 1.0]})
    figure = plots.training_curves(history, title="Run 1")
    np.testing.assert_array_equal(line_of(figure.axes[0], "training")[1], [2.0, 1.0])
    assert not figure.legends
    assert figure.get_suptitle() == "Run 1"


def test_a_metric_that_is_only_validated_has_a_panel():
    figure = plots.training_curves({"loss": [2.0, 1.0], "test_iwae": [3.0]}, val_prefix="test_")
    assert list(panels(figure)) == ["loss", "iwae"]
    np.testing.assert_array_equal(line_of(figure.axes[1], "validation")[1], [3.0])


def test_units_are_for_all_or_for_some():
    every = panels(plots.training_curves(HISTORY, units="nats"))
    assert [axes.get_ylabel() for axes in every.values()] == ["nats"] * 3
    some = panels(plots.training_curves(HISTORY, units={"loss": "nats", "kl": "nats"}))
    assert [axes.get_ylabel() for axes in some.values()] == ["nats", "nats", ""]


def test_rare_validation_is_drawn_at_its_epochs():
    history = {"loss": np.arange(10.0), "val_loss": [1.0, 2.0, 3.0]}
    figure = plots.training_curves(history, validation_freq=3)
    epochs, values = line_of(figure.axes[0], "validation")
    np.testing.assert_array_equal(epochs, [3, 6, 9])
    np.testing.assert_array_equal(values, [1.0, 2.0, 3.0])


def test_a_diverged_run_is_a_line_with_a_gap():
    figure = plots.training_curves({"loss": [3.0, 2.0, np.inf, np.nan]})
    np.testing.assert_array_equal(line_of(figure.axes[0], "training")[1], [3.0, 2.0, np.nan, np.nan])
    assert plots.to_png(figure)[1:4] == b"PNG"
    nothing = plots.training_curves({"loss": [np.nan], "kl": [1.0]})
    assert plots.to_png(nothing)[1:4] == b"PNG"


@pytest.mark.parametrize(("epochs", "step"), [(1, 1), (2, 1), (6, 1), (40, 10), (1000, 200)])
def test_epochs_are_numbered_in_whole_round_numbers_from_one(epochs, step):
    figure = plots.training_curves({"loss": np.linspace(2, 1, epochs)})
    (axes,) = figure.axes
    left, right = axes.get_xlim()
    visible = [tick for tick in axes.get_xticks() if left <= tick <= right]
    assert visible == list(range(step, epochs + 1, step))
    assert left > 0


def test_panels_are_as_many_as_metrics():
    for count in (1, 2, 3, 4, 5, 7):
        figure = plots.training_curves({f"m{i}": [1.0, 2.0] for i in range(count)})
        assert len(figure.axes) == count


@pytest.mark.parametrize(
    ("draw", "argument", "message"),
    [
        (lambda: plots.training_curves({}), "history", "a mapping"),
        (lambda: plots.training_curves([1.0]), "history", "a mapping"),
        (lambda: plots.training_curves(None), "history", "a mapping"),
        (lambda: plots.training_curves({"loss": []}), "history['loss']", "one number per epoch"),
        (lambda: plots.training_curves({"loss": 1.0}), "history['loss']", "one number"),
        (lambda: plots.training_curves({"loss": [[1.0]]}), "history['loss']", "one number"),
        (lambda: plots.training_curves({"loss": ["a"]}), "history['loss']", "one number"),
        (lambda: plots.training_curves({"loss": None}), "history['loss']", "one number"),
        (
            lambda: plots.training_curves({"loss": [1.0, 2.0], "val_loss": [1.0]}),
            "history['val_loss']",
            "Expected: 2 values. Received: 1 values. Pass the `validation_freq`",
        ),
        (lambda: plots.training_curves(HISTORY, units={"los": "nats"}), "units", "'loss'?"),
        (lambda: plots.training_curves(HISTORY, validation_freq=0), "validation_freq", ">= 1"),
    ],
)
def test_bad_histories_are_refused(draw, argument, message):
    with pytest.raises(ValueError) as error:
        draw()
    assert f"argument `{argument}`" in str(error.value)
    assert message in str(error.value)
