"""What every model must do, over the table of `cases`."""

import inspect
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_vae import models

from .cases import CASES, Case, conditions, data, labels, sgd, trainable, weights

X, HELD_OUT = data(40), data(20, seed=1)
FIT = {"batch_size": 20, "shuffle": False, "verbose": 0}


def build(case: Case, **options) -> models.LatentVariableModel:
    keras.utils.set_random_seed(7)
    model = case.build()
    model.compile(optimizer=sgd(), **options)
    return model


def fit(model: models.LatentVariableModel, epochs: int) -> dict[str, list[float]]:
    return model.fit(X, labels(model, X), epochs=epochs, **FIT).history


def reconstruct(model: models.LatentVariableModel) -> np.ndarray:
    return model.reconstruct(X, **conditions(model, X)).numpy()


def evaluate(model: models.LatentVariableModel) -> dict[str, float]:
    return model.evaluate(HELD_OUT, labels(model, HELD_OUT), batch_size=20, verbose=0, return_dict=True)


def latents(model: models.LatentVariableModel) -> np.ndarray:
    """Any values of the shape that the model's latents have."""
    return X[:, : np.prod(model.latent_shape)].reshape(-1, *model.latent_shape)


@dataclass
class Run:
    """A model trained for three epochs in eager code, and the file it was saved to after two."""

    case: Case
    model: models.LatentVariableModel
    path: Path
    history: dict[str, list[float]]
    evaluation: dict[str, float]


@pytest.fixture(scope="module", params=CASES.values(), ids=CASES)
def run(request, tmp_path_factory) -> Run:
    model = build(request.param, run_eagerly=True)
    history = fit(model, epochs=2)
    path = tmp_path_factory.mktemp("harness") / "model.keras"
    model.save(path)
    more = fit(model, epochs=1)
    history = {name: values + more[name] for name, values in history.items()}
    return Run(request.param, model, path, history, evaluate(model))


def test_every_public_model_has_a_case():
    public = {getattr(models, name) for name in models.__all__}
    public = {member for member in public if inspect.isclass(member)}
    assert public == {type(case.build()) for case in CASES.values()}


def test_metrics_are_the_loss_its_parts_and_the_monitors(run):
    names = {"loss", *run.case.parts, *run.case.monitors}
    assert set(run.history) == set(run.evaluation) == names


def test_loss_is_the_sum_of_its_parts(run):
    total = sum(np.array(run.history[part]) for part in run.case.parts)
    np.testing.assert_allclose(run.history["loss"], total, rtol=1e-5)
    total = sum(run.evaluation[part] for part in run.case.parts)
    np.testing.assert_allclose(run.evaluation["loss"], total, rtol=1e-5)


def test_training_changes_every_trainable_weight(run):
    fresh = build(run.case)
    for before, after in zip(fresh.trainable_variables, run.model.trainable_variables, strict=True):
        assert np.isfinite(after).all()
        assert not np.array_equal(before, after), after.path


def test_steps_are_counted_in_training_only(run):
    assert int(run.model.step) == int(run.model.optimizer.iterations) == 3 * len(X) // FIT["batch_size"]


def test_resumes_exactly_from_a_file(run):
    loaded = keras.saving.load_model(run.path)
    history = fit(loaded, epochs=1)
    for name, values in history.items():
        np.testing.assert_allclose(values, run.history[name][-1:], rtol=1e-5, err_msg=name)
    assert evaluate(loaded) == pytest.approx(run.evaluation, rel=1e-5)
    for (name, value), (_, expected) in zip(weights(loaded), weights(run.model), strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-6, err_msg=name)


def test_file_keeps_the_model_and_its_optimizer(run):
    loaded = keras.saving.load_model(run.path)
    assert type(loaded) is type(run.model)
    assert int(loaded.step) == int(loaded.optimizer.iterations) == 4
    assert loaded.optimizer.get_config() == run.model.optimizer.get_config()
    again = keras.saving.load_model(run.path, compile=False)
    np.testing.assert_array_equal(reconstruct(loaded), reconstruct(again))
    assert not np.array_equal(reconstruct(loaded), reconstruct(run.model))
    loaded.set_weights(run.model.get_weights())
    np.testing.assert_array_equal(reconstruct(loaded), reconstruct(run.model))
    z = latents(loaded)
    given = labels(loaded, X)
    of_loaded, expected = (model.prior.given(given).log_prob(z) for model in (loaded, run.model))
    np.testing.assert_array_equal(of_loaded, expected)


def test_config_round_trip(run):
    config = run.model.get_config()
    again = type(run.model).from_config(config)
    assert again.get_config() == config
    assert [v.shape for v in again.variables] == [v.shape for v in run.model.variables]
    again.set_weights(run.model.get_weights())
    np.testing.assert_array_equal(reconstruct(again), reconstruct(run.model))


def test_every_argument_of_the_constructor_is_in_the_config(run):
    names = set(inspect.signature(type(run.model).__init__).parameters)
    assert names - {"self", "kwargs"} <= set(run.model.get_config())


def test_every_trainable_variable_gets_a_finite_gradient(run):
    model = build(run.case)
    if "beta" in run.case.monitors:
        model.beta.assign(1.0)  # a schedule that starts at 0 would hide what has no gradient
    with tf.GradientTape() as tape:
        parts = model.objective.parts(model.terms(tf.constant(X), labels(model, X), training=True))
        loss = tf.add_n([tf.reduce_mean(part) for part in parts.values()])
    gradients = tape.gradient(loss, model.trainable_variables)
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        assert gradient is not None, variable.path
        assert np.isfinite(gradient).all(), variable.path
        assert np.any(gradient), variable.path


# Compiling takes seconds a case, and the cases left out are programs like these.
JITTED = (
    "vae",
    "vae_sampled_kl",
    "vae_mixture_prior",
    "vae_annealed",
    "beta_vae_capacity",
    "wae_sinkhorn",
    "iwae_dreg_mixture_prior",
    "factor_vae",
    "conditional_vae_hybrid",
    "semi_supervised_vae_m2",
    "regularized_autoencoder_gp",
    "structured_vae_bayesian_system",
    "semi_supervised_adversarial_autoencoder",
)


@pytest.mark.parametrize("run", [CASES[name] for name in JITTED], ids=JITTED, indirect=True)
def test_jitted_training_equals_eager_training(run):
    model = build(run.case)
    assert model.jit_compile
    history = fit(model, epochs=3)
    assert history.keys() == run.history.keys()
    # Sums in another order, other implementations of tanh and exp: float32's 1e-7, grown over six steps.
    for name, values in history.items():
        np.testing.assert_allclose(values, run.history[name], rtol=1e-4, err_msg=name)
    np.testing.assert_allclose(trainable(model), trainable(run.model), atol=1e-4)


def test_half_precision_trains_to_finite_losses(run):
    keras.config.set_dtype_policy("mixed_float16")
    model = build(run.case, run_eagerly=True)
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    # Else gradients that overflow make it leave the first steps out, and lower its scale.
    model.optimizer.dynamic_scale.assign(1.0)
    history = fit(model, epochs=1)
    assert all(np.isfinite(values).all() for values in history.values())
    assert all(np.isfinite(v).all() for v in model.trainable_variables)
    # Matrix products in half precision have three decimal digits.
    np.testing.assert_allclose(history["loss"][0], run.history["loss"][0], rtol=0.02)
    given, z = conditions(model, X), latents(model)
    known = {argument: np.maximum(y, 0) for argument, y in given.items()}  # without x no class is unknown
    assert model.encode(X, **given).dtype == model.decode(z, **known).dtype == tf.float32


def test_repeating_the_batch_leaves_the_loss_unchanged(run):
    if run.case.compares_samples:
        pytest.skip("the batch with every example twice is another sample, or has other draws")
    y = labels(run.model, X)
    once = run.model.terms(tf.constant(X), y)
    again = None if y is None else np.concatenate([y, y])
    twice = run.model.terms(tf.constant(np.tile(X, (2, 1))), again)
    for name in ("z", "prior_z"):  # the same draws for both copies
        setattr(twice, name, _repeated(getattr(once, name), len(once.x) // len(X)))
    parts, repeated = run.model.objective.parts(once), run.model.objective.parts(twice)
    for name in run.case.parts:
        assert parts[name].shape == (len(X),)
        np.testing.assert_allclose(np.mean(repeated[name]), np.mean(parts[name]), rtol=1e-5)


def _repeated(draws: tf.Tensor, classes: int) -> tf.Tensor:
    """Draws of a batch, `[S, classes * B] + latent`, as those of the batch after itself."""
    by_class = tf.reshape(draws, [draws.shape[0], classes, len(X), -1])
    return tf.reshape(tf.tile(by_class, [1, 1, 2, 1]), [draws.shape[0], -1, *draws.shape[2:]])
