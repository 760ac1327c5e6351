"""From what KerasTuner proposes to a model and its figures."""

import keras
import keras_tuner
import numpy as np
import pytest
import tensorflow as tf

from keras_vae import IWAE, BetaVAE, evaluation
from keras_vae.runs import ModelConfig, RunConfig, TrainingConfig
from keras_vae.tuning import VAEHyperModel, hypermodel

SHAPE = (4, 4, 1)
X = np.random.default_rng(0).integers(0, 2, (48, *SHAPE)).astype("float32")
HELD_OUT = X[:16]
CONFIG = RunConfig(
    model=ModelConfig("beta-vae", latent_size=2, options={"hidden": [4]}),
    training=TrainingConfig(batch_size=16),
)


def hyper(space=None, **options) -> VAEHyperModel:
    options = {"config": CONFIG, "num_examples": len(X), "num_samples": 10, **options}
    return VAEHyperModel(SHAPE, {"latent_size": (2, 8)} if space is None else space, **options)


def values(**chosen) -> keras_tuner.HyperParameters:
    hp = keras_tuner.HyperParameters()
    hp.values = chosen
    return hp


@pytest.fixture(autouse=True)
def plain(without_xla):
    with without_xla():
        yield


def test_values_go_where_they_belong():
    space = {
        "model": ["beta-vae", "vae"],
        "latent_size": (2, 8),
        "network": ["mlp", "conv"],
        "likelihood": ["bernoulli", "normal"],
        "posterior": ["normal", "normal-tril"],
        "prior": ["standard-normal", "normal-mixture"],
        "batch_size": (8, 32),
        "learning_rate": (1e-4, 1e-2),
        "optimizer": ["adam", "sgd"],
        "beta": (0.25, 4.0),
        "hidden": [[4], [8, 4]],
    }
    chosen = {
        "model": "beta-vae",
        "latent_size": 5,
        "network": "mlp",
        "likelihood": "normal",
        "posterior": "normal-tril",
        "prior": "normal-mixture",
        "batch_size": 9,
        "learning_rate": 2e-3,
        "optimizer": "sgd",
        "beta": 0.5,
        "hidden": "[8, 4]",
    }
    made = hyper(space)
    config = made.config_of(values(**chosen))
    assert config.model.name == "beta-vae"
    assert (config.model.latent_size, config.model.network) == (5, "mlp")
    assert (config.model.likelihood, config.model.posterior) == ("normal", "normal-tril")
    assert (config.training.batch_size, config.training.learning_rate) == (9, 2e-3)
    assert config.training.optimizer == "sgd"
    assert config.model.options == {"hidden": [8, 4], "prior": "normal-mixture", "beta": 0.5}
    model = made.build(values(**chosen))
    assert type(model).__name__ == "BetaVAE"
    assert model.latent_shape == (5,)
    assert float(model.beta.numpy()) == 0.5
    assert type(model.prior).__name__ == "NormalMixture"
    assert isinstance(model.optimizer, keras.optimizers.SGD)
    assert [layer.units for layer in model.encoder.layers if isinstance(layer, keras.layers.Dense)][:2] == [
        8,
        4,
    ]


def test_executions_have_seeds_and_weights_of_their_own_and_the_same_again():
    made = hyper(seed=7)

    def first_weights(execution):
        made.execution = execution
        assert made.config_of(values(latent_size=3)).seed == 7 + execution
        return made.build(values(latent_size=3)).get_weights()[0]

    np.testing.assert_array_equal(first_weights(0), first_weights(0))
    assert np.abs(first_weights(0) - first_weights(1)).max() > 0.01


def test_warm_up_raises_beta_over_so_many_epochs():
    made = hyper({"beta": (0.5, 4.0), "warm_up": (1, 5)})
    schedule = made.build(values(beta=2.0, warm_up=4)).objective.weight_schedules["beta"]
    # 48 examples in batches of 16: 3 steps an epoch.
    np.testing.assert_allclose(schedule(np.array([0, 6, 12, 50])), [0.0, 1.0, 2.0, 2.0], rtol=1e-6)


def test_warm_up_of_models_without_beta_is_their_annealing():
    config = RunConfig(model=ModelConfig("iwae", options={"hidden": [4]}), training=CONFIG.training)
    model = hyper({"warm_up": (1, 5)}, config=config).build(values(warm_up=2))
    assert isinstance(model, IWAE)
    assert float(model.objective.weight_schedules["annealing"](3)) == pytest.approx(0.5)
    for name in ("wae", "regularized-autoencoder"):  # the beta of the second weighs the codes' norm
        config = RunConfig(model=ModelConfig(name), training=CONFIG.training)
        with pytest.raises(ValueError, match="a model with a KL whose weight can rise"):
            hyper({"warm_up": (1, 5)}, config=config).build(values(warm_up=2))


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("beta-vae", {"beta": "linear:0:4.0:6"}),
        ("beta-tcvae", {"beta": "linear:0:6.0:6"}),
        ("ciwae", {"annealing": "linear:0:1:6"}),
    ],
)
def test_warm_up_ends_at_the_models_own_weight(name, option):
    config = RunConfig(model=ModelConfig(name, options={"hidden": [4]}), training=CONFIG.training)
    made = hyper({"warm_up": (1, 5)}, config=config).config_of(values(warm_up=2))
    assert made.model.options == {"hidden": [4], **option}


@pytest.mark.parametrize(
    ("beta", "settled"), [(1.0, 0), ("linear:0:1:30", 3), ("linear:0:1:31", 4), ("cyclical:0:1:20", 10)]
)
def test_settling_epoch(beta, settled):
    objective = BetaVAE.create(SHAPE, 2, beta=beta).objective
    assert hypermodel.settling_epoch(objective, steps_per_epoch=10, epochs=10) == settled


def test_figures_are_those_of_the_evaluation():
    made = hyper()
    hp = values(latent_size=3)
    model = made.build(hp)
    found = made.fit(hp, model, X, validation_data=HELD_OUT, epochs=2)
    report = evaluation.evaluate(model, HELD_OUT, num_samples=10, seed=0)
    assert found["val_elbo"] == report.elbo.mean
    assert found["rate"] == report.kl.mean
    assert found["distortion"] == report.reconstruction.mean
    assert found["val_elbo"] == pytest.approx(-found["rate"] - found["distortion"], abs=1e-9)
    assert found["val_log_likelihood"] == report.log_likelihood.mean
    assert found["active_units"] == len(report.active_units)


def test_the_figure_does_not_know_beta():
    """The loss at beta = 16 is 15 KLs above that at 1; the held-out ELBO of the same weights is the same."""
    made = hyper({"beta": (1.0, 16.0)})
    elbos, losses = [], []
    for beta in (1.0, 16.0):
        made.execution = 0
        hp = values(beta=beta)
        model = made.build(hp)
        model.optimizer.learning_rate = 0.0
        losses.append(model.evaluate(HELD_OUT, verbose=0, return_dict=True))
        elbos.append(made.fit(hp, model, X, validation_data=HELD_OUT, epochs=1)["val_elbo"])
    assert elbos[0] == elbos[1]
    kl = losses[0]["kl"]
    assert losses[1]["loss"] - losses[0]["loss"] == pytest.approx(15 * kl, abs=0.5)


def test_a_loss_that_is_not_finite_fails_the_trial_with_the_reason():
    made = hyper()
    hp = values(latent_size=3)
    model = made.build(hp)
    model.decoder.layers[-2].bias.assign(tf.fill(model.decoder.layers[-2].bias.shape, np.nan))
    with pytest.raises(keras_tuner.errors.FailedTrialError, match="not finite"):
        made.fit(hp, model, X, validation_data=HELD_OUT, epochs=2)


@pytest.mark.parametrize(
    "error", [tf.errors.ResourceExhaustedError(None, None, "OOM when allocating"), MemoryError("OOM when")]
)
def test_want_of_memory_fails_the_trial_with_the_reason(monkeypatch, error):
    made = hyper()
    hp = values(latent_size=3)
    model = made.build(hp)

    def fit(**arguments):
        raise error

    monkeypatch.setattr(model, "fit", fit)
    with pytest.raises(keras_tuner.errors.FailedTrialError, match="Memory ran out: OOM when"):
        made.fit(hp, model, X, validation_data=HELD_OUT)


def test_early_stopping_waits_for_the_warm_up():
    """Nothing is learned, so patience 1 ends training one epoch after the count begins; not before."""
    trained = []
    for warm_up in (1, 5):
        made = hyper({"warm_up": (1, 9)}, patience=1)
        hp = values(warm_up=warm_up)
        model = made.build(hp)
        model.optimizer.learning_rate = 0.0
        made.keep = lambda model, found: trained.append(found["epochs"])
        made.fit(hp, model, X, validation_data=HELD_OUT, epochs=20)
    # The first epoch of the count sets the mark, the second is no better.
    assert trained[1] - trained[0] == 4
    assert trained[0] <= 4


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"space": {"bata": (1.0, 2.0)}}, "Did you mean 'beta'"),
        ({"space": {"model": ["beta-vae", "vea"]}}, "Did you mean 'vae'"),
        ({"space": {"filters": [[4], [8]]}}, "filters"),
        ({"objective": "val_loss"}, "the smallest beta always wins"),
        ({"objective": "elob"}, "Did you mean 'elbo'"),
        ({"patience": 0}, "patience"),
        ({"num_samples": 0}, "num_samples"),
    ],
)
def test_mistakes_are_found_before_any_model_is_built(arguments, words):
    with pytest.raises(ValueError, match=words):
        hyper(**arguments)


def test_data_are_asked_for():
    made = hyper()
    hp = values(latent_size=2)
    with pytest.raises(ValueError, match="training data"):
        made.fit(hp, made.build(hp))
    with pytest.raises(ValueError, match="held-out examples"):
        made.fit(hp, made.build(hp), X)
    with pytest.raises(ValueError, match=r"\(4, 4, 1\)"):
        made.fit(hp, made.build(hp), X, validation_data=X[:, :2])
