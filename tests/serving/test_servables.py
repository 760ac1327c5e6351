"""Every model, posterior and prior of the library: signatures agree with the model in memory."""

import inspect
from contextlib import contextmanager

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae import VAE, layers, models, objectives, priors
from keras_vae.evaluation.anomaly import SCORES
from keras_vae.models import LatentVariableModel, estimates
from keras_vae.serving import servables
from keras_vae.serving.statistics import known_statistics
from tests.layers.cases import CASES as LAYERS
from tests.models.cases import CASES, conditional_prior, conditions, data, decoder, encoder, network

tfd = tfp.distributions

# Every public model, and cases in which its signatures may differ.
CHOSEN: dict[type, tuple[str, ...]] = {
    models.AdversarialAutoencoder: ("adversarial_autoencoder_implicit",),
    models.AdversarialVAE: ("adversarial_vae",),
    models.AdversarialWAE: ("adversarial_wae",),
    models.Autoencoder: ("autoencoder",),
    models.BetaTCVAE: ("beta_tc_vae",),
    models.BetaVAE: ("beta_vae_of_classes",),
    models.CIWAE: ("ciwae",),
    models.ConditionalVAE: ("conditional_vae_hybrid",),
    models.ContractiveAutoencoder: ("contractive_autoencoder",),
    models.DIPVAE: ("dip_vae",),
    models.DenoisingAutoencoder: ("denoising_autoencoder",),
    models.FactorVAE: ("factor_vae",),
    models.IWAE: ("iwae_bernoulli_vimco",),
    models.InfoVAE: ("info_vae",),
    models.LatentVariableModel: ("latent_variable_model",),
    models.MIWAE: ("miwae",),
    models.PIWAE: ("piwae",),
    models.RegularizedAutoencoder: ("regularized_autoencoder_sn",),
    models.SemiSupervisedAdversarialAutoencoder: ("semi_supervised_adversarial_autoencoder",),
    models.SemiSupervisedVAE: (
        "semi_supervised_vae_m1",
        "semi_supervised_vae_m2",
        "semi_supervised_vae_m1_m2",
    ),
    models.SparseAutoencoder: ("sparse_autoencoder",),
    models.StructuredVAE: ("structured_vae", "structured_vae_system"),
    models.VAE: ("vae_mixture_prior",),
    models.WAE: ("wae_conditional",),
}
# What signatures are made of. Models that share all of it are scored alike: a few show it with a density,
# without one and of a condition.
METHODS = (
    *("encode", "decode", "_read", "_complete", "_posterior", "_likelihood", "_sample", "_reconstruction"),
    *("terms", "_terms_of", "estimate_terms"),
)
SCORED = {
    *("vae_mixture_prior", "autoencoder", "beta_vae_of_classes", "structured_vae"),
    *("semi_supervised_adversarial_autoencoder", *CHOSEN[models.SemiSupervisedVAE]),
}
SEED = tf.constant([5, -6])
DRAWS = 3
X = data(5)


@pytest.fixture(autouse=True)
def compile_nothing(without_xla):
    with without_xla():
        yield


@pytest.fixture(autouse=True, scope="module")
def optimize_nothing():
    """Graphs that run once or twice are not worth it; those of `test_export` are optimized."""
    options = tf.config.optimizer.get_experimental_options()
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    yield
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False, **options})


@contextmanager
def uncompiled():
    """Tiny computations take less time than tracing them."""
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)


def close(exported, ours):
    np.testing.assert_allclose(exported, np.asarray(ours, np.float32), rtol=1e-5, atol=1e-5)


def call(servable, signature, **tensors):
    """The signature at those of the tensors that it takes."""
    return servable.call(signature, **{name: tensors[name] for name in servable.inputs[signature]})


def check_encoder(model, x, y):
    servable, given = servables.encoder(model), y.get("y")
    q = model.encode(x, **y)
    out = call(servable, "serving_default", x=x, y=given) if "serving_default" in servable.functions else {}
    for name in {"mean", "stddev"} & set(out):
        close(out[name], getattr(q, name)())
    close(call(servable, "sample", x=x, y=given, seed=SEED)["z"], q.sample(seed=SEED))
    check_rows(servable, "serving_default", out, x=x, y=given)
    check_graphs(servable)
    return out


def check_decoder(model, y, interpolates):
    servable, given = servables.decoder(model), y.get("y")
    count = 5 if given is None else len(given)
    rng = np.random.default_rng(1)
    z = tf.constant(rng.normal(size=(count, *model.latent_shape)), tf.float32)
    out = call(servable, "serving_default", z=z, y=given)
    close(out["mean"], model.decode(z, **y).mean())
    check_rows(servable, "serving_default", out, z=z, y=given)
    draws = call(servable, "sample", seed=SEED, count=tf.constant(count), y=given)["x"]
    close(draws, model.sample(count, seed=SEED, **y))
    if interpolates:
        ends = {"z_start": z[0], "z_end": z[1], "steps": tf.constant(count)}
        ratio = np.linspace(0.0, 1.0, count, dtype="float32").reshape(-1, *[1] * len(model.latent_shape))
        line = (1.0 - ratio) * z[0] + ratio * z[1]
        close(call(servable, "interpolate", **ends, y=given)["mean"], model.decode(line, **y).mean())
    check_graphs(servable, untraced=() if interpolates else ("interpolate",))


def check_whole(model, x, y):
    servable, given = servables.whole(model), y.get("y")
    tensors = {"x": x, "y": given, "seed": SEED, "num_samples": tf.constant(DRAWS)}
    if "reconstruct" in servable.functions:
        out = call(servable, "reconstruct", **tensors)
        close(out["mean"], model.reconstruct(x, **y))
        check_rows(servable, "reconstruct", out, **tensors)
        close(call(servable, "serving_default", **tensors)["mean"], out["mean"])
    # Of a model that finds the class out, scores are of all classes together.
    scored = y if model.condition is not None and model.condition.required else {}
    assert ("log_likelihood" in servable.functions) == estimates.has_density(model)
    if estimates.has_density(model):
        values = call(servable, "log_likelihood", **tensors)["log_likelihood"]
        close(values, model.log_likelihood(x, DRAWS, seed=SEED, **scored))
    score = SCORES["negative_elbo" if estimates.has_density(model) else "reconstruction"]
    options = {"num_samples": DRAWS, "batch_size": 512, "seed": SEED, "y": model._given(scored.get("y"))}
    values = call(servable, "anomaly_score", **tensors)["anomaly_score"]
    close(values, score.of(estimates, model, x, **options))
    assert ("classify" in servable.functions) == hasattr(model, "classify")
    if hasattr(model, "classify"):
        probabilities = call(servable, "classify", **tensors)
        close(probabilities["probabilities"], model.classify(x))
        check_rows(servable, "classify", probabilities, **tensors)
    check_graphs(servable)


def check_rows(servable, signature, whole, **tensors):
    """A server may join requests: what comes of a row does not depend on the others."""
    if not whole:
        return
    columns = {name: tensors[name] for name in servable.inputs[signature]}
    parts = [
        servable.call(signature, **{name: column[rows] for name, column in columns.items()})
        for rows in (slice(0, 2), slice(2, None))
    ]
    for name, values in whole.items():
        close(tf.concat([part[name] for part in parts], axis=0), values)


def check_graphs(servable, untraced=()):
    """A server may run a signature in many threads at once, and from a frozen graph."""
    for key in set(servable.functions) - set(untraced):
        graph = servable.functions[key].get_concrete_function().graph.as_graph_def()
        inner = (node for function in graph.library.function for node in function.node_def)
        operations = {node.op for node in (*graph.node, *inner)}
        assert not {op for op in operations if "Assign" in op}
        # Random draws are functions of the seed alone.
        assert not {op for op in operations if "Random" in op and "Stateless" not in op}


def known_classes(model, y):
    """y without the -1 of unknown classes, which stand for no class where there is no x to tell."""
    return {name: tf.maximum(value, 0) if model.condition.is_label else value for name, value in y.items()}


def test_every_public_model_is_served():
    public = {getattr(models, name) for name in models.__all__}
    assert {member for member in public if inspect.isclass(member)} == set(CHOSEN)


def test_every_model_with_methods_of_its_own_is_scored():
    for kind, names in CHOSEN.items():
        plain = all(getattr(kind, name) is getattr(LatentVariableModel, name) for name in METHODS)
        assert (plain and not hasattr(kind, "classify")) or SCORED & set(names), kind


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in CHOSEN.items() for name in names])
def test_models(kind, name):
    model = CASES[name].build()
    assert type(model) is kind
    x = tf.constant(X)
    y = {argument: tf.constant(value) for argument, value in conditions(model, X).items()}
    with uncompiled():
        assert {"mean", "stddev"} <= set(check_encoder(model, x, y))
        check_decoder(model, known_classes(model, y), interpolates=name in SCORED)
        if name in SCORED:
            check_whole(model, x, y)


class Fixed(priors.Prior):
    """The distribution that a posterior's layer makes of zeros: a prior for any posterior with a density."""

    def __init__(self, layer, num_params):
        self.make = lambda: layer.distribution(tf.zeros([num_params]))
        super().__init__(tuple(self.make().event_shape))

    def distribution(self):
        return self.make()


def with_posterior(case):
    """A model of three values with that posterior."""
    posterior = case.model(3)
    event = tuple(posterior(np.zeros([2, 3], "float32")).event_shape)
    likelihood = keras.Sequential(
        [keras.Input(event), keras.layers.Flatten(), keras.layers.Dense(6), layers.IndependentNormal(3)]
    )
    if case.draws_only or not case.has_density:
        return LatentVariableModel(posterior, likelihood, objective=objectives.Reconstruction())
    prior = Fixed(posterior.layers[-1], case.size)
    return VAE(posterior, likelihood, prior, kl="sampled")


def test_every_public_posterior_is_served():
    """`tests/layers` sees to it that every public layer has a case there."""
    assert {type(case.make()).__name__ for case in LAYERS.values()} == set(LAYERS)


@pytest.mark.parametrize("name", LAYERS)
def test_posteriors(name):
    model = with_posterior(LAYERS[name])
    with uncompiled():
        out = check_encoder(model, tf.constant(X[:, :3]), {})
    assert "mean" in out or "logits" in out


@keras.saving.register_keras_serializable(package="tests")
class FlowPrior(priors.Prior):
    """A custom prior: a normal bent by a bijector, of which nothing but draws and densities is known."""

    def distribution(self):
        bent = tfp.bijectors.Chain([tfp.bijectors.Shift(0.5), tfp.bijectors.SinhArcsinh(skewness=0.3)])
        return tfd.TransformedDistribution(tfd.MultivariateNormalDiag(tf.zeros(self.event_shape)), bent)


PRIORS = {
    "Bernoulli": lambda: priors.Bernoulli(2, 0.3, learned=True),
    "BayesianGaussianMixtureGraph": lambda: priors.BayesianGaussianMixtureGraph(2, 3, dataset_size=40),
    "BayesianLinearDynamicalSystem": lambda: priors.BayesianLinearDynamicalSystem((3, 2), dataset_size=40),
    "FittedMixture": lambda: priors.FittedMixture.fit(X[:, :2], 2),
    "FlowPrior": lambda: FlowPrior(2),
    "GaussianMixtureGraph": lambda: priors.GaussianMixtureGraph(2, 3),
    "LinearDynamicalSystem": lambda: priors.LinearDynamicalSystem((3, 2)),
    "NormalMixture": lambda: priors.NormalMixture(2, 3),
    "OneHotAndNormal": lambda: priors.OneHotAndNormal(5, 3),
    "StandardNormal": lambda: priors.StandardNormal(2),
}


def test_every_public_prior_is_served():
    public = {name for name in priors.__all__ if inspect.isclass(getattr(priors, name))}
    # Two have no distribution of their own; the conditional one is that of a model above.
    assert public - {"Prior", "GraphicalModel", "ConditionalPrior"} == set(PRIORS) - {"FlowPrior"}


@pytest.mark.parametrize("name", PRIORS)
def test_priors(name):
    prior = PRIORS[name]()
    shape = prior.event_shape
    likelihood = keras.Sequential(
        [keras.Input(shape), keras.layers.Flatten(), keras.layers.Dense(6), layers.IndependentNormal(3)]
    )
    # Draws of x alone read the prior; a posterior of any kind will do.
    posterior = network(3, layers.IndependentDeterministic(shape), "encoder")
    model = LatentVariableModel(posterior, likelihood, objective=objectives.Reconstruction())
    model._replace_prior(prior)
    with uncompiled():
        draws = servables.decoder(model).call("sample", seed=SEED, count=tf.constant(4))["x"]
        close(draws, model.sample(4, seed=SEED))


def test_the_posterior_of_a_flow_is_told_by_its_parameters():
    """No mean is known, so there are parameters, draws and densities, and no reconstruction."""
    bend = tfp.bijectors.SinhArcsinh(skewness=0.5)

    def flow(t):
        base = tfd.Independent(tfd.Normal(t[..., :2], tf.math.softplus(t[..., 2:])), 1)
        return tfd.TransformedDistribution(base, bend)

    posterior = keras.Sequential(
        [keras.Input((6,)), keras.layers.Dense(4), layers.DistributionLambda(flow)], name="encoder"
    )
    model = VAE(posterior, decoder(), kl="sampled")
    x = tf.constant(X)
    with uncompiled():
        out = check_encoder(model, x, {})
        check_whole(model, x, {})
    assert set(out) == {"loc", "scale"}
    close(out["loc"], posterior.layers[0](x)[:, :2])
    assert "reconstruct" not in servables.whole(model).functions


def test_what_is_told_of_a_distribution():
    bent = tfp.bijectors.Exp()(tfp.bijectors.Shift(1.0)(tfd.Normal(tf.constant([0.0, 1.0]), 1.0)))
    assert set(known_statistics(bent)) == {"loc"}  # the scale is the same for all
    assert set(known_statistics(tfd.Normal([0.0, 1.0], 1.0))) == {"mean", "stddev"}


def test_a_prior_alone_may_take_the_condition():
    model = VAE(encoder(), decoder(), conditional_prior())
    x, y = tf.constant(X), tf.constant(X[:, :2])
    tensors = {"x": x, "y": y, "seed": SEED, "num_samples": tf.constant(DRAWS)}
    with uncompiled():
        score = call(servables.whole(model), "anomaly_score", **tensors)["anomaly_score"]
        close(score, -model.elbo(x, DRAWS, seed=SEED, y=y))
        draws = servables.decoder(model).call("sample", seed=SEED, count=tf.constant(len(X)), y=y)["x"]
        close(draws, model.sample(len(X), seed=SEED, y=y))
    assert "y" not in servables.encoder(model).inputs["sample"]


@pytest.fixture(scope="module")
def of_classes():
    """The servables of a model of three classes."""
    model = CASES["beta_vae_of_classes"].build()
    return {"decoder": servables.decoder(model), "model": servables.whole(model)}


@pytest.mark.parametrize(
    ("part", "signature", "tensors", "words"),
    [
        ("decoder", "sample", {"count": 0, "y": [1]}, "`count`.*>= 1"),
        ("decoder", "sample", {"count": 3, "y": [1, 2]}, "`y`.*one condition"),
        ("decoder", "sample", {"count": 1, "y": [3]}, "`y`.*class numbers below 3"),
        ("decoder", "sample", {"count": 1, "y": [-1]}, "`y`.*class numbers"),
        ("decoder", "interpolate", {"steps": 1, "y": [1]}, "`steps`.*>= 2"),
        ("model", "log_likelihood", {"num_samples": 0, "y": [0, 1, 2]}, "`num_samples`.*>= 1"),
        ("model", "anomaly_score", {"num_samples": -1, "y": [0, 1, 2]}, "`num_samples`.*>= 1"),
        ("model", "reconstruct", {"y": [0]}, "`y`.*one condition for each row"),
    ],
)
def test_bad_requests_are_errors_of_the_graph(of_classes, part, signature, tensors, words):
    default = {"x": X[:3], "seed": SEED, "z_start": np.zeros(2), "z_end": np.ones(2)}
    given = {**default, **tensors}
    specs = of_classes[part].inputs[signature]
    arguments = {name: tf.constant(given[name], spec.dtype) for name, spec in specs.items()}
    with pytest.raises(tf.errors.InvalidArgumentError, match=words):
        of_classes[part].call(signature, **arguments)


def test_many_draws_of_many_rows_are_those_of_memory(monkeypatch):
    """In batches of two rows and chunks of up to four pairs, as `model.elbo` makes them of its arguments."""
    monkeypatch.setattr(estimates, "MAX_PAIRS", 4)
    monkeypatch.setattr(servables, "_BATCH_SIZE", 2)
    model = VAE(encoder(), decoder())
    servable = servables.whole(model)
    tensors = {"x": tf.constant(X), "seed": SEED, "num_samples": tf.constant(7)}
    options = {"num_samples": 7, "batch_size": 2, "seed": SEED}
    with uncompiled():
        score, bound = -model.elbo(X, **options), model.log_likelihood(X, **options)
    close(servable.call("anomaly_score", **tensors)["anomaly_score"], score)
    close(servable.call("log_likelihood", **tensors)["log_likelihood"], bound)


@pytest.mark.parametrize("policy", ["mixed_float16", "float64"])
def test_numbers_are_float32_whatever_the_precision_of_the_model(policy):
    keras.config.set_dtype_policy(policy)
    model = VAE.create((6,), 2, hidden=(4,), likelihood="normal", seed=0)
    parts = [servables.encoder(model), servables.whole(model)]
    for part in parts:
        for specs in (*part.inputs.values(), *part.outputs.values()):
            assert {spec.dtype for spec in specs.values()} <= {tf.float32, tf.int32}
    x = tf.constant(X)
    close(parts[0].call("sample", x=x, seed=SEED)["z"], model.encode(x).sample(seed=SEED))
    tensors = {"x": x, "seed": SEED, "num_samples": tf.constant(DRAWS)}
    with uncompiled():
        close(parts[1].call("anomaly_score", **tensors)["anomaly_score"], -model.elbo(x, DRAWS, seed=SEED))


def test_the_anomaly_score_is_the_one_that_is_asked_for():
    model = VAE(encoder(), decoder())
    servable = servables.whole(model, anomaly_score="negative_log_likelihood")
    tensors = {"x": tf.constant(X), "seed": SEED, "num_samples": tf.constant(DRAWS)}
    scores = servable.call("anomaly_score", **tensors)["anomaly_score"]
    close(scores, -servable.call("log_likelihood", **tensors)["log_likelihood"])


def test_weights_are_those_that_signatures_read():
    """A critic, or a classifier of training alone, stays at home."""
    model = CASES["factor_vae"].build()
    parts = [servables.encoder(model), servables.decoder(model)]
    served = {id(variable) for part in parts for variable in part.variables_read()}
    critic = {id(variable.value) for variable in model.objective.critic.variables}
    trained = {id(variable.value) for variable in model.trainable_variables} - critic
    assert trained <= served and not critic & served
