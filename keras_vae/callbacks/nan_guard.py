"""Stops training at the first loss that is not finite, says where it came from, and takes it back."""

import math
import warnings
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from keras_vae.callbacks.fault_recorder import Fault, FaultRecorder, floats
from keras_vae.models import LatentVariableModel

# Weights beyond this are no longer those of a network that learns.
_HUGE = 1e4
# Names to list before the rest is only counted.
_NAMED = 3


class _Snapshot(NamedTuple):
    """Values of the weights and the optimizers, and the words for when they were."""

    values: list[tuple[keras.Variable, tf.Tensor]]
    when: str


class NaNGuard(keras.callbacks.Callback):
    """Stops at the first loss that is NaN or infinite, names its cause and restores the last good weights.

    The cause is the first of these that holds a value that is not finite, in the first training step whose
    loss is not, before that step's update: the input, with the row of the batch; a weight, with its path, and
    whether its gradient was at fault; a part of the loss, such as the reconstruction.

    Weights, optimizers and the step count are kept, on the device, when training begins and after every epoch
    in which all was finite, so at most one epoch is lost. It costs that copy and a conditional per step, some
    percent of the time of a small network. The seeds of the draws move on: training from there draws anew.

    It works with several steps per execution. `keras.callbacks.TerminateOnNaN` also stops, but says nothing
    and leaves the weights NaN.

    Under a `tf.distribute` strategy the steps themselves are not watched: training stops and the weights are
    restored all the same, but the cause is told only as far as the loss and its parts tell it.

    Attributes:
        diagnosis: None, or one line on what happened; it is issued as a `RuntimeWarning` too.

    Example:

    >>> import keras_vae, numpy as np
    >>> from keras_vae import layers
    >>> encoder = keras.Sequential([
    ...     keras.Input((4,)), keras.layers.Dense(4), layers.IndependentNormal(2)])
    >>> decoder = keras.Sequential([
    ...     keras.Input((2,)), keras.layers.Dense(4), layers.IndependentBernoulli(4)])
    >>> vae = keras_vae.VAE(encoder, decoder)
    >>> vae.compile(run_eagerly=True)
    >>> guard = NaNGuard()
    >>> history = vae.fit(np.eye(4, dtype="float32"), verbose=0, callbacks=[guard])
    >>> guard.diagnosis is None
    True
    """

    per_execution = True

    def __init__(self):
        super().__init__()
        self.diagnosis: str | None = None
        self._recorder: FaultRecorder | None = None
        self._snapshot = _Snapshot([], "")
        self._epoch = 0
        self._first_step = 0

    def set_model(self, model: keras.Model) -> None:
        super().set_model(model)
        self._recorder = FaultRecorder.of(model) if isinstance(model, LatentVariableModel) else None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.diagnosis = None
        if self._recorder is not None:
            self._recorder.reset()
        self._keep("the beginning of training")
        bad = self._bad_variables()
        if bad:
            self._epoch = 1
            self._stop("it began with values that are not finite", f"they are in {_listed(bad)}")

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._epoch = epoch + 1
        self._first_step = int(self.model.step) if self._recorder is not None else 0

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self.diagnosis is not None:  # since training began
            self._restore()
            return
        bad = {name: value for name, value in (logs or {}).items() if self._is_bad(name, value)}
        if bad:
            name = "loss" if "loss" in bad else next(iter(bad))
            where, cause = self._cause(list(bad))
            self._stop(f"the {name} became {bad[name]}{where}", cause)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self.diagnosis is not None:
            return
        bad = self._bad_variables()
        if bad:
            self._stop(
                "the last update made weights that are not finite",
                f"the gradient of {_listed(bad)} was not finite, or a value was set from outside",
            )
        else:
            self._keep(f"the end of epoch {epoch + 1}")

    def _is_bad(self, name: str, value: Any) -> bool:
        objective = getattr(self.model, "objective", None)
        watched = (
            "loss",
            *getattr(objective, "part_names", ()),
            *getattr(objective, "critic_part_names", ()),
        )
        return name in watched and not math.isfinite(value)

    def _variables(self) -> list[keras.Variable]:
        optimizers = (self.model.optimizer, getattr(self.model, "critic_optimizer", None))
        theirs = [v for optimizer in optimizers if optimizer is not None for v in optimizer.variables]
        return [*self.model.weights, *theirs]

    def _bad_variables(self) -> list[str]:
        return [
            variable.path
            for variable in floats(self._variables())
            if not tf.reduce_all(tf.math.is_finite(tf.convert_to_tensor(variable)))
        ]

    def _keep(self, when: str) -> None:
        values = [(variable, tf.identity(tf.convert_to_tensor(variable))) for variable in self._variables()]
        self._snapshot = _Snapshot(values, when)

    def _restore(self) -> None:
        for variable, value in self._snapshot.values:
            variable.assign(value)

    def _stop(self, what: str, cause: str) -> None:
        self.model.stop_training = True
        self._restore()
        self.diagnosis = (
            f"Training stopped in epoch {self._epoch}: {what}. Cause: {cause}. "
            f"Weights and optimizer are those of {self._snapshot.when}."
        )
        warnings.warn(self.diagnosis, RuntimeWarning, stacklevel=2)

    def _cause(self, names: list[str]) -> tuple[str, str]:
        """In which step it was, and what."""
        fault = None if self._recorder is None else self._recorder.fault()
        if fault is None:
            return "", f"not seen within the step; not finite after it: {_listed(names)}"
        where = f" in training step {fault.step + 1}, batch {fault.step - self._first_step + 1} of the epoch"
        cause = _input(fault) or _weights(fault) or _parts(fault)
        size, path = fault.largest
        if size > _HUGE:
            cause += (
                f"; weights had grown to {size:.1e} in {path}: lower the learning rate or set its clipnorm"
            )
        return where, cause


def _input(fault: Fault) -> str:
    if fault.input_row is None:
        return ""
    return f"input row {fault.input_row} of that batch is not finite"


def _weights(fault: Fault) -> str:
    if not fault.weights:
        return ""
    if fault.optimizer:
        return f"the gradient of {_listed(fault.weights)} was not finite in the step before"
    return f"{_listed(fault.weights)} was not finite before that step"


def _parts(fault: Fault) -> str:
    row = fault.likelihood_row
    where = "" if row is None else f", log p(x|z) first in row {row} of that batch"
    return f"not finite there: {_listed(fault.parts) or 'the loss'}{where}"


def _listed(names: tuple[str, ...] | list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
