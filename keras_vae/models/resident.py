"""Fast training by default: compiled steps, several per execution, over data kept on the device.

Keras' own `fit` stays the loop. Where the data are arrays that fit in memory and XLA may be used, it is
handed a data adapter whose elements are *executions*, blocks of shuffled row numbers, and a train function
that runs one execution as a single XLA program: gather, `train_step`, next. Everywhere else Keras' ordinary
functions run. Either way `train_step` is the same, and so are the results.
"""

import functools
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from keras.src.trainers.data_adapters.data_adapter import DataAdapter
from keras.src.trainers.trainer import model_supports_jit

from keras_vae.checks import check_count
from keras_vae.distributions.draws import fold_in
from keras_vae.errors import invalid
from keras_vae.models import checks, inputs
from keras_vae.objectives.labels import UNLABELLED
from keras_vae.probes import probe

# Data of more bytes than this go through tf.data.
RESIDENT_BYTES = 2**31
# Steps per execution where nobody asks for single batches: enough that entering an XLA program and returning
# costs nothing, few enough that the progress bar moves.
STEPS_PER_EXECUTION = 64

_CONVOLUTIONS = (
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
)

_BATCH_METHODS = (
    "on_train_batch_begin",
    "on_train_batch_end",
    "on_batch_begin",
    "on_batch_end",
    "on_test_batch_begin",
    "on_test_batch_end",
)


class Execution(NamedTuple):
    """Row numbers of the batches that one call of a train function runs.

    indices: int32 `[steps, batch_size]`, of which the first `count` rows are meant.
    tail: int32 `[rest]`, the last, smaller batch of the epoch, meant where `has_tail`.
    first: number of the first batch within the epoch.
    epoch: number of the epoch, which decides its order and its draws.
    """

    indices: tf.Tensor
    count: tf.Tensor
    tail: tf.Tensor
    has_tail: tf.Tensor
    first: tf.Tensor
    epoch: tf.Tensor


class ResidentAdapter(DataAdapter):
    """Tells Keras of data on the device as a data set of `Execution`s, one epoch an iteration.

    Args:
        data: "x" and, where given, "y" and "sample_weight", each `[N, ...]`.
        batch_size: examples of a batch; the last batch of an epoch holds what is left.
        steps: batches of an execution, as Keras counts them.
        order: maps the number of an epoch to the int32 `[N]` order of its examples.
        epoch: gives the number of the epoch that begins.
        source: the `keras_vae.datasets` object that says what to make of a stored batch, or None.
    """

    def __init__(
        self,
        data: dict[str, tf.Tensor],
        batch_size: int,
        steps: int,
        order: Callable[[tf.Tensor], tf.Tensor],
        epoch: Callable[[int], tf.Tensor | int],
        source: Any = None,
    ):
        self.data, self.source = data, source
        self._steps, self._order, self._epoch_number = steps, order, epoch
        self._count = int(data["x"].shape[0])
        self._batch_size = min(batch_size, self._count)
        with tf.device("CPU:0"):  # tf.data runs there
            self._epoch = tf.Variable(0, dtype=tf.int32, trainable=False)

    def on_epoch_begin(self) -> None:
        self._epoch.assign(self._epoch_number(self.num_batches))

    def get_tf_dataset(self) -> tf.data.Dataset:
        full, rest = divmod(self._count, self._batch_size)
        executions = math.ceil((full + bool(rest)) / self._steps)
        slots = executions * self._steps

        def epoch(_):
            order = self._order(self._epoch)
            used = full * self._batch_size
            batches = tf.reshape(order[:used], [full, self._batch_size])
            batches = tf.pad(batches, [[0, slots - full], [0, 0]])
            starts = tf.range(executions) * self._steps
            return Execution(
                indices=tf.reshape(batches, [executions, self._steps, self._batch_size]),
                count=tf.clip_by_value(full - starts, 0, self._steps),
                tail=tf.tile(order[None, used:], [executions, 1]),
                has_tail=tf.equal(tf.range(executions), executions - 1) & (rest > 0),
                first=starts,
                epoch=tf.fill([executions], self._epoch),
            )

        executions_of_epoch = tf.data.Dataset.range(1).map(epoch)
        return executions_of_epoch.flat_map(tf.data.Dataset.from_tensor_slices).prefetch(1)

    @property
    def num_batches(self) -> int:
        return math.ceil(self._count / self._batch_size)

    @property
    def batch_size(self) -> int:
        return self._batch_size

    @property
    def has_partial_batch(self) -> bool:
        return self._count % self._batch_size > 0

    @property
    def partial_batch_size(self) -> int:
        return self._count % self._batch_size


def falls_back(method: Callable) -> Callable:
    """Decorates what a `ResidentTrainer` runs: runs it once more without XLA where XLA cannot compile it."""

    @functools.wraps(method)
    def wrapped(model: Any, *args: Any, **kwargs: Any) -> Any:
        if not model.uses_xla:
            return method(model, *args, **kwargs)
        step = int(model.step)
        try:
            return method(model, *args, **kwargs)
        except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError) as error:
            if "XLA" not in str(error):
                raise
            model._leave_xla(error, trained=int(model.step) != step)
            return method(model, *args, **kwargs)

    return wrapped


class ResidentTrainer(keras.Model):
    """A Keras `Model` whose `compile` and `fit` are fast without being told."""

    steps_per_execution: int
    optimizer: Any
    critic_optimizer: Any

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.critic_optimizer = None
        # The seed of the shuffles; a weight, so that it is saved and resumed with the model.
        self._order_seed = keras.random.SeedGenerator().state
        self._untracked = _Untracked()

    @property
    def _estimate_functions(self) -> dict:
        return self._untracked.estimates

    # --- compile -------------------------------------------------------------------------------

    def compile(
        self,
        optimizer: Any = "adam",
        critic_optimizer: Any = None,
        loss: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int | str = "auto",
        jit_compile: bool | str = "auto",
        auto_scale_loss: bool = True,
    ) -> None:
        """As Keras' `compile`, with defaults that are fast.

        Args:
            optimizer: a Keras optimizer or its name; clip gradients there (`clipnorm=`).
            critic_optimizer: the critic's, for objectives that have one; a copy of `optimizer` if None.
            loss: must be None; the loss is the model's objective.
            metrics, weighted_metrics: compare x with its reconstruction.
            run_eagerly: run Python in every step, for debugging.
            steps_per_execution: "auto" runs 64 steps per call, and 1 where a callback follows single batches.
            jit_compile: "auto" uses XLA wherever the layers and the distribution strategy allow it, on CPUs
                too, where Keras' own "auto" does not; but not for convolutions on a CPU, which it slows
                down. A model that XLA turns out unable to compile runs without, after a warning.
            auto_scale_loss: see Keras.
        """
        if loss is not None:
            raise invalid(
                "loss",
                "None, since the loss is the model's objective",
                loss,
                "Choose the likelihood by the decoder's last layer.",
            )
        if steps_per_execution != "auto" and (
            not isinstance(steps_per_execution, int) or steps_per_execution < 1
        ):
            raise invalid("steps_per_execution", "'auto' or an integer >= 1", steps_per_execution)
        self._untracked.reset(steps_per_execution, jit_compile)
        if jit_compile == "auto":
            jit_compile = not run_eagerly and self.jit_compile_by_default()
        super().compile(
            optimizer=optimizer,
            metrics=metrics,
            weighted_metrics=weighted_metrics,
            run_eagerly=run_eagerly,
            steps_per_execution=1 if steps_per_execution == "auto" else steps_per_execution,
            jit_compile=jit_compile,
            auto_scale_loss=auto_scale_loss,
        )
        self._compile_critic(critic_optimizer)
        self._build_optimizers()
        self._untracked.compile_config = {
            "optimizer": self.optimizer,
            "critic_optimizer": self.critic_optimizer,
            "metrics": metrics,
            "weighted_metrics": weighted_metrics,
            "run_eagerly": run_eagerly,
            "steps_per_execution": steps_per_execution,
            "jit_compile": self._untracked.jit_compile,
        }

    def _compile_critic(self, critic_optimizer: Any) -> None:
        has_critic = self.objective.critic is not None
        if critic_optimizer is not None and not has_critic:
            raise invalid("critic_optimizer", "None, since the objective has no critic", critic_optimizer)
        if has_critic and critic_optimizer is None:
            critic_optimizer = type(self.optimizer).from_config(self.optimizer.get_config())
        self.critic_optimizer = keras.optimizers.get(critic_optimizer) if has_critic else None

    def jit_compile_by_default(self) -> bool:
        """Whether XLA can be used, and is no hindrance.

        Every layer supports it, no strategy spreads the model, and there are no convolutions on a CPU.
        """
        return self._distribute_strategy is None and model_supports_jit(self) and not self._convolves_on_cpu()

    def _convolves_on_cpu(self) -> bool:
        # XLA's fast kernels for CPUs serve no gradient of a convolution inside a loop or a branch, where the
        # steps of an execution are: those take some fifty times as long as TensorFlow's own.
        accelerated = any(device.device_type != "CPU" for device in tf.config.get_visible_devices())
        return not accelerated and any(isinstance(layer, _CONVOLUTIONS) for layer in self._flatten_layers())

    @property
    def uses_xla(self) -> bool:
        """Whether XLA compiles what the model computes: as `compile` was told, or by default."""
        if self.compiled and not self.run_eagerly:
            return self.jit_compile
        return not self._untracked.left_xla and self.jit_compile_by_default()

    def _leave_xla(self, error: tf.errors.OpError, trained: bool) -> None:
        """Goes on without XLA, which gave this error; raises it if XLA was asked for or training began."""
        if trained or self._untracked.jit_compile != "auto" or self._untracked.left_xla:
            error.add_note("compile(jit_compile=False) trains this model without XLA.")
            raise error
        reason = str(error).strip().splitlines()[0]
        warnings.warn(
            f"XLA cannot compile this model, so it runs without, slower: {reason} "
            "compile(jit_compile=False) says so beforehand.",
            stacklevel=3,
        )
        self._untracked.left_xla = True
        self._untracked.functions.clear()
        self.jit_compile = False
        self.predict_function = None

    def get_compile_config(self) -> dict[str, Any]:
        if not self.compiled:
            return {}
        return keras.saving.serialize_keras_object(self._untracked.compile_config)

    def compile_from_config(self, config: dict[str, Any]) -> None:
        self.compile(**keras.saving.deserialize_keras_object(config))
        self._build_optimizers()

    def _build_optimizers(self) -> None:
        """Creates the optimizers' variables ahead of tracing, so that they can be loaded and looped over."""
        critic = self.objective.critic
        theirs = [] if critic is None else critic.trainable_variables
        ids = {id(variable) for variable in theirs}
        for optimizer, variables in (
            (self.optimizer, [v for v in self.trainable_variables if id(v) not in ids]),
            (self.critic_optimizer, theirs),
        ):
            if optimizer is not None and not optimizer.built:
                with self.distribute_strategy.scope():
                    optimizer.build(variables)

    def _symbolic_build(self, *args: Any, **kwargs: Any) -> None:
        """What Keras calls under a distribution strategy; the model itself is built already."""
        self._build_optimizers()
        if self._compile_metrics is not None and not self._compile_metrics.built:
            x = probe(self.data_shape)
            self._compile_metrics.build(x, x)

    # --- fit and evaluate ----------------------------------------------------------------------

    @falls_back
    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: str | int = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: dict[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int | list[int] = 1,
    ) -> keras.callbacks.History:
        """Trains the model; arguments and return value are Keras' own.

        x may be an array, a `tf.data.Dataset` of batches, or whatever Keras takes. Arrays up to 2 GiB are
        kept on the device, and `keras_vae.datasets` marks its data sets so that they are too.

        Raises:
            ValueError: before any training, for data of the wrong shape or dtype, NaN, no data, or values
                outside the support of the decoder's likelihood.
        """
        self._assert_compile_called("fit")
        checks.check_steps("x", x, "steps_per_epoch", steps_per_epoch)
        checks.check_steps("validation_data", validation_data, "validation_steps", validation_steps)
        x, y, sample_weight = _as_arrays(x, y, sample_weight)
        validation_data = inputs.as_arrays("validation_data", validation_data)
        if validation_split and validation_data is None:
            (x, y, sample_weight), validation_data = _split(x, y, sample_weight, validation_split)
        x, first = checks.peek("x", x)
        y = self._check(x, y, sample_weight, batch_size, purpose="fit", first=first)
        if validation_data is not None:
            validation_data, first = checks.peek("validation_data", validation_data)
            held_x, held_y, held_weight = _unpack(validation_data)
            held_y = self._check(
                held_x, held_y, held_weight, validation_batch_size, name="validation_data", first=first
            )
            if held_y is not None:
                validation_data = keras.utils.pack_x_y_sample_weight(held_x, held_y, held_weight)
        with self._steps(callbacks, steps_per_epoch, validation_steps):
            train = None
            if class_weight is None and steps_per_epoch is None:
                train = self._resident(x, y, sample_weight, batch_size, shuffle)
            if train is not None:
                x, y, sample_weight = train, None, None
            if validation_data is not None and validation_steps is None:
                size = validation_batch_size or batch_size
                held = self._resident(*_unpack(validation_data), size, shuffle=False)
                validation_data = validation_data if held is None else held
            self._build_optimizers()
            self._untracked.resident["train"] = train
            if isinstance(x, tf.data.Dataset):
                shuffle = False  # its own matter; Keras would warn that it cannot
            try:
                return super().fit(
                    x=x,
                    y=y,
                    batch_size=batch_size,
                    epochs=epochs,
                    verbose=verbose,
                    callbacks=_with_checks(callbacks),
                    validation_data=validation_data,
                    shuffle=shuffle,
                    class_weight=class_weight,
                    sample_weight=sample_weight,
                    initial_epoch=initial_epoch,
                    steps_per_epoch=steps_per_epoch,
                    validation_steps=validation_steps,
                    validation_batch_size=validation_batch_size,
                    validation_freq=validation_freq,
                )
            finally:
                self._untracked.resident["train"] = None

    @falls_back
    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: str | int = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
        **kwargs: Any,
    ) -> Any:
        """The loss and metrics on held-out data; arguments and return value are Keras' own."""
        self._assert_compile_called("evaluate")
        previous = self._untracked.resident.get("test")
        # Called by `fit`, which has checked the data and chosen the steps.
        within_fit = kwargs.get("_use_cached_eval_dataset", False)
        with nullcontext() if within_fit else self._steps(callbacks, steps):
            if not isinstance(x, ResidentAdapter) and not within_fit:
                checks.check_steps("x", x, "steps", steps)
                x, y, sample_weight = _as_arrays(x, y, sample_weight)
                x, first = checks.peek("x", x)
                y = self._check(x, y, sample_weight, batch_size, first=first)
                held = None
                if steps is None and not kwargs:
                    held = self._resident(x, y, sample_weight, batch_size, shuffle=False)
                if held is not None:
                    x, y, sample_weight = held, None, None
            self._untracked.resident["test"] = x if isinstance(x, ResidentAdapter) else None
            try:
                return super().evaluate(
                    x=x,
                    y=y,
                    batch_size=batch_size,
                    verbose=verbose,
                    sample_weight=sample_weight,
                    steps=steps,
                    callbacks=callbacks,
                    return_dict=return_dict,
                    **kwargs,
                )
            finally:
                self._untracked.resident["test"] = previous

    @falls_back
    def predict(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """Reconstructions of x: the mean of p(x|z) at the mean of q(z|x), as an array.

        Of a conditional model, of `(x, y)`.
        """
        # Keras' order: batch_size, verbose, steps.
        checks.check_steps("x", x, "steps", args[2] if len(args) > 2 else kwargs.get("steps"))
        x, first = checks.peek("x", inputs.as_arrays("x", x))
        self._check(*self._pair(x), purpose="outputs", first=first)
        return super().predict(x, *args, **kwargs)

    @falls_back
    def train_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, **kwargs: Any) -> Any:
        x, y, sample_weight = _as_arrays(x, y, sample_weight)
        self._check(x, y, sample_weight)
        return super().train_on_batch(x, y, sample_weight, **kwargs)

    @falls_back
    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, **kwargs: Any) -> Any:
        x, y, sample_weight = _as_arrays(x, y, sample_weight)
        self._check(x, y, sample_weight)
        return super().test_on_batch(x, y, sample_weight, **kwargs)

    @falls_back
    def predict_on_batch(self, x: Any) -> Any:
        x = inputs.as_arrays("x", x)
        self._check(*self._pair(x), purpose="outputs")
        return super().predict_on_batch(x)

    def _check(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        batch_size: int | None = None,
        name: str = "x",
        purpose: str = "loss",
        first: Any = None,
    ) -> Any:
        """Holds data against the model; returns the labels to go with them.

        Args:
            purpose: "fit"; "loss", which may ask for labels that no network takes; or "outputs".
            first: the first batch of a generator.
        """
        if batch_size is not None:
            check_count("batch_size", batch_size)
        first = checks.check_data(name, x, self.data_shape, checks.support_of(self.decoder), first)
        first_x, first_y, _ = keras.utils.unpack_x_y_sample_weight(first)
        labels = self.condition if purpose == "outputs" else self.labels
        if labels is not None:
            labels.check_data(x, y, first_y)
            if purpose == "fit":
                labels.check_known(x, y, batch_size, first_y)
        if purpose != "outputs":
            rows = _rows_of_batch(x, first_x, batch_size)
            if rows is not None:
                self.objective.check_batch_size(rows)
        given = {"x": x, "y": y, "sample_weight": sample_weight}
        given = {key: value for key, value in given.items() if value is not None}
        if not all(map(_is_array, given.values())):
            return y
        checks.check_lengths(given)
        if y is not None or sample_weight is None:
            return y
        # Keras loses the weights of arrays without labels. An autoencoder's label is its input.
        return x if labels is None else np.full(len(x), UNLABELLED, np.int32)

    def _pair(self, x: Any) -> tuple[Any, Any]:
        """x and y of what `predict` was called with."""
        paired = self.condition is not None and isinstance(x, (list, tuple)) and len(x) == 2
        return (x[0], x[1]) if paired else (x, None)

    @contextmanager
    def _steps(self, callbacks: Any, *counts: int | None) -> Iterator[None]:
        """Chooses the steps per execution for the length of one call, where they are "auto".

        Args:
            callbacks: of the call.
            counts: numbers of steps that the caller asked for; executions must not run beyond them.
        """
        # Over several devices Keras cannot run several steps at once.
        if self._untracked.steps_per_execution != "auto" or self.run_eagerly or self._distribute_strategy:
            yield
            return
        before = self.steps_per_execution
        common = math.gcd(*(int(count) for count in counts if count is not None))
        most = range(STEPS_PER_EXECUTION, 0, -1)
        steps = next(steps for steps in most if common % steps == 0)
        self.steps_per_execution = 1 if _needs_batches(callbacks) else steps
        try:
            yield
        finally:
            self.steps_per_execution = before

    def _resident(
        self, x: Any, y: Any, sample_weight: Any, batch_size: int | None, shuffle: bool
    ) -> ResidentAdapter | None:
        """The data on the device, or None where the ordinary path must run."""
        if not self.jit_compile or self.run_eagerly or self._distribute_strategy is not None:
            return None
        source = getattr(x, "resident", None) if y is None and sample_weight is None else None
        if source is not None:
            x, y, batch_size = source.x, source.y, source.batch_size
        data = {"x": x, "y": y, "sample_weight": sample_weight}
        data = {name: value for name, value in data.items() if value is not None}
        if not all(map(_is_array, data.values())):
            return None
        if sum(_num_bytes(value) for value in data.values()) > RESIDENT_BYTES:
            return None
        return ResidentAdapter(
            {name: _to_device(value) for name, value in data.items()},
            batch_size=32 if batch_size is None else batch_size,
            steps=self.steps_per_execution,
            order=source.order if source is not None else self._array_order(len(x), shuffle),
            # Counted by training steps, so that a model that is saved and loaded goes on in the same order.
            epoch=lambda steps: self.step // steps,
            source=source,
        )

    def _array_order(self, count: int, shuffle: bool) -> Callable[[tf.Tensor], tf.Tensor]:
        if not shuffle:
            return lambda epoch: tf.range(count)

        def order(epoch):
            seed = tf.cast(self._order_seed.value, tf.int32)
            seed = fold_in(seed, epoch)
            return tf.random.experimental.stateless_shuffle(tf.range(count), seed)

        return order

    # --- functions -----------------------------------------------------------------------------

    def make_train_function(self, force: bool = False) -> None:
        self.train_function = self._function("train", self.train_step, force)

    def make_test_function(self, force: bool = False) -> None:
        self.test_function = self._function("test", self.test_step, force)

    def _function(self, kind: str, step: Callable[[Any], dict], force: bool) -> Callable:
        # A traced function holds the number of steps, so there is one for each.
        key = (kind, self.steps_per_execution)
        functions = self._untracked.functions
        if force or key not in functions:
            ordinary = self._make_function(step)
            resident = self._make_resident_function(step)

            def function(iterator):
                adapter = self._untracked.resident.get(kind)
                if adapter is not None and _yields_executions(iterator):
                    return resident(adapter, next(iterator))
                return ordinary(iterator)

            functions[key] = function
        return functions[key]

    def _make_resident_function(self, step: Callable[[Any], dict]) -> Callable:
        programs: dict[Any, Callable] = {}

        def function(adapter: ResidentAdapter, execution: Execution) -> dict[str, tf.Tensor]:
            if adapter.source not in programs:
                programs[adapter.source] = self._compiled_execution(step, adapter.source)
            return programs[adapter.source](adapter.data, execution, bool(execution.has_tail))

        return function

    def _compiled_execution(self, step: Callable[[Any], dict], source: Any) -> Callable:
        """A function that runs one execution on resident data as one XLA program, two with a tail."""

        def batch(data, rows, number, epoch):
            values = {name: tf.gather(value, rows) for name, value in data.items()}
            if source is not None:
                values["x"] = source.transform(values["x"], source.batch_seed(epoch, number))
            return values["x"], values.get("y"), values.get("sample_weight")

        @tf.function(jit_compile=self.jit_compile, autograph=False)
        def loop(data, execution):
            def body(i):
                number = execution.first + i
                step(batch(data, execution.indices[i], number, execution.epoch))
                return (i + 1,)

            tf.while_loop(lambda i: i < execution.count, body, (tf.constant(0),), parallel_iterations=1)

        @tf.function(jit_compile=self.jit_compile, autograph=False)
        def tail(data, execution):
            number = execution.first + execution.count
            step(batch(data, execution.tail, number, execution.epoch))

        @tf.function(autograph=False)
        def execute(data, execution, has_tail):
            loop(data, execution)
            if has_tail:
                tail(data, execution)
            return self.get_metrics_result()

        return execute


class _Untracked:
    """What belongs to a compiled model in this process only, kept out of Keras' tracking and files."""

    def __init__(self):
        self.estimates: dict = {}
        self.compile_config: dict[str, Any] = {}
        self.reset("auto", "auto")

    def reset(self, steps_per_execution: int | str, jit_compile: bool | str) -> None:
        self.steps_per_execution, self.jit_compile = steps_per_execution, jit_compile
        self.left_xla = False  # once XLA has failed
        self.functions: dict[tuple[str, int], Callable] = {}
        self.resident: dict[str, ResidentAdapter | None] = {}

    def __deepcopy__(self, memo: dict) -> "_Untracked":
        return _Untracked()


class _Checks(keras.callbacks.Callback):
    """Lets the objective look at the figures of every epoch, until it has found something to warn of."""

    per_execution = True
    warned = False

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.warned = self.warned or self.model.objective.check(logs or {})


def _with_checks(callbacks: Any) -> Any:
    if isinstance(callbacks, keras.callbacks.CallbackList):
        return callbacks  # made up by the caller
    return [*([] if callbacks is None else keras.tree.flatten(callbacks)), _Checks()]


def _yields_executions(iterator: Any) -> bool:
    return isinstance(getattr(iterator, "element_spec", None), Execution)


def _needs_batches(callbacks: Any) -> bool:
    """Whether some callback follows single batches."""
    if isinstance(callbacks, keras.callbacks.CallbackList):
        callbacks = callbacks.callbacks
    if not isinstance(callbacks, (list, tuple)):
        callbacks = [callbacks] if callbacks is not None else []
    return any(_follows_batches(callback) for callback in callbacks)


# Keras' callbacks that have batch methods but can do without every call, and when.
_FREQUENCY = {
    keras.callbacks.ModelCheckpoint: "save_freq",
    keras.callbacks.BackupAndRestore: "save_freq",
    keras.callbacks.TensorBoard: "update_freq",
}
_EVERY_EXECUTION = (
    keras.callbacks.ProgbarLogger,
    keras.callbacks.History,
    keras.callbacks.TerminateOnNaN,
)


def _follows_batches(callback: Any) -> bool:
    if isinstance(callback, _EVERY_EXECUTION) or getattr(callback, "per_execution", False):
        return False
    plain: type = keras.callbacks.Callback
    for kind, attribute in _FREQUENCY.items():
        if isinstance(callback, kind):
            if getattr(callback, attribute) != "epoch":
                return True
            plain = kind  # and a subclass of it follows batches if its methods are its own
    return any(_overrides(callback, name, plain) for name in _BATCH_METHODS)


def _overrides(callback: Any, name: str, plain: type) -> bool:
    method = getattr(callback, name, None)
    return method is not None and getattr(method, "__func__", method) is not getattr(plain, name)


def _rows_of_batch(x: Any, first: Any, batch_size: int | None) -> int | None:
    """The examples of a full batch; None where nobody knows."""
    if first is not None:
        return len(first)
    if _is_array(x):
        return min(len(x), 32 if batch_size is None else batch_size)
    source = getattr(x, "resident", None)
    return None if source is None else min(len(source.x), source.batch_size)


def _as_arrays(x: Any, y: Any, sample_weight: Any) -> tuple[Any, Any, Any]:
    given = {"x": x, "y": y, "sample_weight": sample_weight}
    x, y, sample_weight = (inputs.as_array(name, value) for name, value in given.items())
    return x, y, sample_weight


def _unpack(data: Any) -> tuple[Any, Any, Any]:
    return keras.utils.unpack_x_y_sample_weight(data)


def _split(x: Any, y: Any, sample_weight: Any, fraction: float) -> tuple[tuple, tuple]:
    """The last `fraction` of arrays as validation data, as Keras splits them."""
    if not 0.0 < fraction < 1.0:
        raise invalid("validation_split", "a fraction between 0 and 1", fraction)
    arrays = [value for value in (x, y, sample_weight) if value is not None]
    if not all(isinstance(value, (np.ndarray, tf.Tensor)) for value in arrays):
        raise invalid(
            "validation_split",
            "arrays as data",
            f"x of type {type(x).__name__}",
            "Pass validation_data instead.",
        )
    at = math.floor(len(x) * (1.0 - fraction))
    if at == 0 or at == len(x):
        raise invalid("validation_split", "a fraction that leaves both parts examples", fraction)
    parts = [
        tuple(None if value is None else value[rows] for value in (x, y, sample_weight))
        for rows in (slice(None, at), slice(at, None))
    ]
    return parts[0], parts[1]


def _is_array(value: Any) -> bool:
    return isinstance(value, (np.ndarray, tf.Tensor))


def _num_bytes(value: Any) -> int:
    return int(np.prod(value.shape)) * tf.as_dtype(value.dtype).size


def _to_device(value: Any) -> tf.Tensor:
    value = tf.convert_to_tensor(value)
    return tf.cast(value, keras.config.floatx()) if value.dtype.is_floating else value
