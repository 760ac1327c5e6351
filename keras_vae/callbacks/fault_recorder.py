"""What the first training step with a loss that is not finite looked like, noted within the compiled step."""

from typing import Any, NamedTuple

import keras
import tensorflow as tf

from keras_vae.models import LatentVariableModel


class Fault(NamedTuple):
    """The first training step whose loss is not finite, as it was before its update.

    step: training steps taken before it.
    input_row: first row of its batch of x that holds a value that is not finite, or None.
    likelihood_row: first row whose log p(x|z) is not finite, or None.
    parts: names of the parts of the loss that are not finite.
    weights: paths of the weights that hold values that are not finite.
    optimizer: whether the optimizer's own variables hold such.
    largest: the largest absolute value of any weight, and that weight's path.
    """

    step: int
    input_row: int | None
    likelihood_row: int | None
    parts: tuple[str, ...]
    weights: tuple[str, ...]
    optimizer: bool
    largest: tuple[float, str]


class FaultRecorder:
    """Watches the loss of every training step of a model, and keeps the first `Fault`.

    A step whose loss is finite costs one conditional: all else is computed in a branch of it. The notes are
    one float32 vector, which lives beside the model: it is not saved with it.

    Use `FaultRecorder.of(model)`: a model has one recorder for good, since its compiled functions hold it.
    """

    def __init__(self, model: LatentVariableModel):
        self._model = model
        self.weights = floats(model.weights)
        self._names = [*model.objective.part_names, "regularization"]
        size = 5 + len(self._names) + 2 * len(self.weights)
        self._notes = tf.Variable(tf.zeros([size]), trainable=False)
        self._plain_loss = model._loss

    @classmethod
    def of(cls, model: LatentVariableModel) -> "FaultRecorder | None":
        """The model's recorder, installed at first; None where a distribution strategy spreads the model."""
        installed = getattr(model._loss, "recorder", None)
        if installed is not None or model._distribute_strategy is not None:
            return installed
        recorder = cls(model)

        def loss(*args: Any, **kwargs: Any) -> Any:
            return recorder._observed(*args, **kwargs)

        loss.recorder = recorder  # type: ignore[attr-defined]
        model._loss = loss  # type: ignore[method-assign]
        functions = model._untracked.functions
        for key in [key for key in functions if key[0] == "train"]:
            del functions[key]  # traced before, it knows nothing of the recorder
        return recorder

    def reset(self) -> None:
        self._notes.assign(tf.zeros_like(self._notes))

    def fault(self) -> Fault | None:
        """The first fault since `reset`."""
        notes = self._notes.numpy()
        if notes[0] == 0.0:
            return None
        rest = notes[5:]
        parts, rest = rest[: len(self._names)], rest[len(self._names) :]
        bad, sizes = rest[: len(self.weights)], rest[len(self.weights) :]
        paths = [weight.path for weight in self.weights]
        largest = max(range(len(sizes)), key=lambda index: sizes[index], default=0)
        return Fault(
            step=int(notes[1]),
            input_row=_row_or_none(notes[2]),
            likelihood_row=_row_or_none(notes[3]),
            parts=tuple(name for name, flag in zip(self._names, parts, strict=True) if flag),
            weights=tuple(path for path, flag in zip(paths, bad, strict=True) if flag),
            optimizer=bool(notes[4]),
            largest=(float(sizes[largest]), paths[largest]) if paths else (0.0, ""),
        )

    def _observed(self, x: Any, y: Any, sample_weight: Any, training: bool) -> Any:
        terms, loss = self._plain_loss(x, y, sample_weight, training=training)
        if training:
            first = ~tf.math.is_finite(loss) & tf.equal(self._notes[0], 0.0)
            losses = list(self._model.losses)
            # Only what is there already: computing more within the branch would leave it in the table.
            log_px = terms.__dict__.get("log_px")
            self._notes.assign(tf.cond(first, lambda: self._note(x, losses, log_px), self._notes.read_value))
        return terms, loss

    def _note(self, x: Any, losses: list[tf.Tensor], log_px: tf.Tensor | None) -> tf.Tensor:
        optimizers = (self._model.optimizer, self._model.critic_optimizer)
        slots = [v for optimizer in optimizers if optimizer is not None for v in floats(optimizer.variables)]
        count = len(self._names) - 1
        parts = [_is_bad(value) for value in losses[:count]]
        added = tf.add_n([_is_bad(value) for value in losses[count:]] or [tf.constant(0.0)])
        likelihood_row = tf.constant(-1.0) if log_px is None else _first_bad_row(tf.transpose(log_px))
        return tf.stack(
            [
                tf.constant(1.0),
                tf.cast(tf.convert_to_tensor(self._model.step), tf.float32),
                _first_bad_row(x),
                likelihood_row,
                tf.add_n([_is_bad(variable) for variable in slots] or [tf.constant(0.0)]),
                *parts,
                added,
                *(_is_bad(weight) for weight in self.weights),
                *(_size(weight) for weight in self.weights),
            ]
        )


def floats(variables: list[keras.Variable]) -> list[keras.Variable]:
    """Those of floating-point numbers."""
    return [variable for variable in variables if keras.backend.is_float_dtype(variable.dtype)]


def _is_bad(value: Any) -> tf.Tensor:
    """1 where any number is not finite, else 0."""
    return 1.0 - tf.cast(tf.reduce_all(tf.math.is_finite(tf.convert_to_tensor(value))), tf.float32)


def _size(value: Any) -> tf.Tensor:
    """The largest absolute value of those that are finite."""
    value = tf.cast(tf.convert_to_tensor(value), tf.float32)
    return tf.reduce_max(tf.where(tf.math.is_finite(value), tf.abs(value), tf.zeros_like(value)))


def _first_bad_row(values: Any) -> tf.Tensor:
    """The first row with a value that is not finite, as a float; -1 for none."""
    values = tf.convert_to_tensor(values)
    if not values.dtype.is_floating:
        return tf.constant(-1.0)
    finite = tf.reduce_all(tf.math.is_finite(values), axis=list(range(1, values.shape.rank)))
    row = tf.argmax(tf.cast(~finite, tf.int32), output_type=tf.int32)
    return tf.where(tf.reduce_all(finite), -1.0, tf.cast(row, tf.float32))


def _row_or_none(note: float) -> int | None:
    return None if note < 0 else int(note)
