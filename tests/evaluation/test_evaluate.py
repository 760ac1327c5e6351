"""The report: its figures where they are known, its file and its table."""

import dataclasses
import json
import math

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae import layers, models, priors
from keras_vae.evaluation import Report, Statistic, evaluate, posterior_statistics

tfd = tfp.distributions

SAMPLES = 200


@pytest.fixture(scope="module")
def data(oracle):
    return oracle.draw(400)


@pytest.fixture(scope="module")
def calls():
    return []


@pytest.fixture(scope="module")
def report(wide, data, calls):
    return evaluate(
        wide,
        data,
        num_samples=SAMPLES,
        batch_size=150,
        seed=3,
        aggregate_examples=300,
        progress=lambda done, total: calls.append((done, total)),
    )


def test_log_likelihood(oracle, report, data):
    truth = oracle.log_prob(data)
    # The importance weights of this posterior vary little: the bias at K = 200 is below 0.01 nats.
    assert report.log_likelihood.mean == pytest.approx(truth.mean(), abs=5 * report.monte_carlo_error + 0.01)
    assert report.log_likelihood.standard_error == pytest.approx(truth.std(ddof=1) / 20, rel=0.02)
    assert report.bits_per_dim.mean == pytest.approx(-truth.mean() / 5 / math.log(2), abs=0.01)
    assert report.monte_carlo_error < report.log_likelihood.standard_error / 3
    assert 1.0 < report.effective_samples < SAMPLES


def test_elbo_and_its_parts(oracle, report, data):
    bound = oracle.log_prob(data) - oracle.gap(1.4, 0.1)
    kl = oracle.kl(data, 1.4, 0.1)
    assert report.kl_is_exact
    assert report.kl.mean == pytest.approx(kl.mean(), rel=1e-5)
    assert report.kl.standard_error == pytest.approx(kl.std(ddof=1) / 20, rel=1e-5)
    # 400 x 16 draws of a spread near 1.2 nats.
    assert report.elbo.mean == pytest.approx(bound.mean(), abs=0.06)
    assert report.elbo.mean == pytest.approx(-report.reconstruction.mean - report.kl.mean, abs=1e-9)
    assert report.elbo.mean < report.log_likelihood.mean


def test_latent(oracle, report, data):
    means = oracle.posterior_mean(data) + 0.1
    variances = 1.4**2 * np.diag(oracle.posterior_covariance)
    per_dimension = 0.5 * np.mean(means**2 + variances - 1 - np.log(variances), axis=0)
    np.testing.assert_allclose(report.kl_per_dimension, per_dimension, rtol=1e-5)
    assert sum(report.kl_per_dimension) == pytest.approx(report.kl.mean, rel=1e-5)
    assert report.active_units == (0, 1)
    assert (report.num_examples, report.event_size, report.latent_size) == (400, 5, 2)


def test_aggregate_posterior_is_of_a_subset(oracle, report):
    """Of 300 of the 400; its terms add up to their sampled KL, near the exact one."""
    terms = report.aggregate
    assert terms.num_examples == 300
    assert 0 < terms.mutual_information.mean < math.log(300)
    whole = terms.mutual_information.mean + terms.marginal_kl.mean
    # 300 examples of a KL that spreads by about 1.2 nats, each with one draw.
    assert whole == pytest.approx(report.kl.mean, abs=0.4)


def test_progress_counts_every_draw_once(report, calls):
    total = 400 * (SAMPLES + 16)
    assert all(each == total for _, each in calls)
    done = [done for done, _ in calls]
    assert done == sorted(done) and len(set(done)) == len(done) and done[-1] == total
    assert len(done) == 6  # three batches, twice


def test_same_seed_same_report(wide, data, report):
    again = evaluate(wide, data, num_samples=SAMPLES, batch_size=150, seed=3, aggregate_examples=300)
    assert again == report
    other = evaluate(wide, data, num_samples=SAMPLES, batch_size=150, seed=4, aggregate_examples=300)
    assert other.aggregate != report.aggregate
    assert other.log_likelihood.mean != report.log_likelihood.mean


def test_global_random_state_is_left_alone(wide, data):
    np.random.seed(0)  # noqa: NPY002
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    seeds = np.array(wide.seed_generator.state)
    evaluate(wide, data[:20], num_samples=2)
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    np.testing.assert_array_equal(np.array(wide.seed_generator.state), seeds)


def test_data_sets_and_double_precision(wide, data):
    plain = evaluate(wide, data[:50], num_samples=5)
    assert evaluate(wide, np.float64(data[:50]), num_samples=5) == plain
    pairs = tf.data.Dataset.from_tensor_slices((data[:50], np.arange(50))).batch(16)
    assert evaluate(wide, pairs, num_samples=5) == plain


def test_one_example_and_one_draw(oracle, wide):
    report = evaluate(wide, oracle.draw(1), num_samples=1)
    assert report.aggregate is None and report.active_units is None
    assert math.isnan(report.monte_carlo_error) and math.isnan(report.elbo.standard_error)
    assert report.effective_samples == pytest.approx(1.0)
    assert "nan" in str(report)


def test_sampled_kl_and_a_prior_that_does_not_factorise(oracle, without_xla):
    model = without_xla(oracle.build(prior=priors.NormalMixture(2, 3)))
    report = evaluate(model, oracle.draw(60), num_samples=4)
    assert not report.kl_is_exact
    assert report.kl_per_dimension is None
    # The marginals of the mixture are known all the same; only, they do not make up the prior.
    terms = report.aggregate
    rest = terms.marginal_kl.mean - terms.total_correlation.mean - terms.dimension_wise_kl.mean
    assert 1e-4 < abs(rest) < 0.5


def test_collapsed_latent(oracle, without_xla):
    model = without_xla(oracle.build())
    kernel, bias = model.encoder.layers[0].get_weights()
    kernel[:, 0] = 0.0  # the first mean is the same for all x
    model.encoder.layers[0].set_weights([kernel, bias])
    report = evaluate(model, oracle.draw(100), num_samples=2)
    assert report.active_units == (1,)


def test_posterior_statistics_do_not_depend_on_the_batches(wide, data):
    whole = posterior_statistics(wide, data, batch_size=400)
    parts = posterior_statistics(wide, data, batch_size=37)
    np.testing.assert_allclose(parts.means, whole.means, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(parts.kl_per_dimension, whole.kl_per_dimension, rtol=1e-6)


def test_a_posterior_without_a_mean(without_xla):
    """Nor marginals: what needs them is left out, the rest is there."""
    flow = layers.DistributionLambda(
        lambda t: tfd.TransformedDistribution(
            tfd.MultivariateNormalDiag(t, tf.ones_like(t)), tfp.bijectors.Tanh()
        )
    )
    encoder = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), flow])
    decoder = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4), layers.IndependentBernoulli(4)])
    model = without_xla(models.VAE(encoder, decoder, seed=0))
    report = evaluate(model, np.eye(4, dtype="float32"), num_samples=3)
    assert not report.kl_is_exact
    assert report.kl_per_dimension is None and report.active_units is None
    assert report.aggregate.total_correlation is None and report.aggregate.dimension_wise_kl is None
    assert np.isfinite(report.aggregate.mutual_information.mean)
    assert str(report).count("not known") == 3


def test_file(report, tmp_path):
    path = report.save(tmp_path / "new" / "report.json")
    assert Report.load(path) == report
    assert json.loads(path.read_text())["elbo"] == report.elbo._asdict()
    assert [file.name for file in path.parent.iterdir()] == ["report.json"]


def test_file_of_figures_that_are_no_numbers(report, tmp_path):
    odd = dataclasses.replace(
        report, log_likelihood=Statistic(-math.inf, math.nan), aggregate=None, active_units=None
    )
    text = odd.save(tmp_path / "odd.json").read_text()
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    loaded = Report.load(tmp_path / "odd.json")
    assert loaded.log_likelihood.mean == -math.inf and math.isnan(loaded.log_likelihood.standard_error)
    assert loaded.aggregate is None and loaded.active_units is None


def test_a_failed_save_leaves_the_old_file(report, tmp_path, monkeypatch):
    path = report.save(tmp_path / "report.json")
    before = path.read_bytes()

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        dataclasses.replace(report, seed=99).save(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["report.json"]


@pytest.mark.parametrize("text", ["[]", "{}", '{"elbo": 1}', "no JSON"])
def test_load_refuses_other_files(text, tmp_path):
    path = tmp_path / "other.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"`path`\. Expected: a file that Report.save wrote"):
        Report.load(path)


def test_table(report):
    lines = str(report).splitlines()
    assert lines[0] == "400 examples of 5 dimensions, 2 latent dimensions, seed 3"
    table = lines[2:]
    for text in ("nats", "bits/dim", "200 draws", "exact", "active units", "total correlation"):
        assert any(text in line for line in table), text
    # Aligned: in every row of a value, it ends in the column where "value" does.
    end = table[0].index("value") + len("value")
    rows = [line for line in table[1:] if not line.startswith("aggregate")]
    assert all(line[end - 1].isdigit() and line[end : end + 1] in ("", " ") for line in rows)
    assert f"{report.elbo.mean:.3f}" in str(report)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"num_samples": 0}, "`num_samples`"),
        ({"batch_size": 0}, "`batch_size`"),
        ({"aggregate_examples": 0}, "`aggregate_examples`"),
        ({"seed": -1}, "`seed`"),
        ({"seed": 1.5}, "`seed`"),
        ({"x": np.zeros((3, 4), "float32")}, r"shape \[batch\] \+ \(5,\)"),
        ({"x": np.zeros((0, 5), "float32")}, "at least one example"),
        ({"x": np.full((3, 5), np.nan, "float32")}, "finite numbers"),
        ({"x": tf.data.Dataset.from_tensor_slices(np.zeros((0, 5), "float32")).batch(2)}, "empty"),
    ],
)
def test_errors(wide, data, arguments, match):
    arguments = {"x": data, **arguments}
    with pytest.raises(ValueError, match=match):
        evaluate(wide, arguments.pop("x"), **arguments)


def test_deterministic_codes_have_no_figures_of_a_density():
    model = models.Autoencoder.create((4,), latent_size=2, hidden=(3,), likelihood="normal-fixed")
    x = np.random.default_rng(0).normal(size=(10, 4)).astype("float32")
    calls = []
    report = evaluate(model, x, num_samples=7, progress=lambda *done: calls.append(done))
    expected = -np.asarray(model.decode(model.encode(x).mean()).log_prob(x), "float64")
    assert report.reconstruction.mean == pytest.approx(expected.mean(), rel=1e-5)
    assert report.elbo is report.kl is report.log_likelihood is None
    assert report.bits_per_dim is report.aggregate is None
    assert calls[-1] == (10, 10)
    assert "log-likelihood" not in str(report)
    assert "reconstruction" in str(report)
    assert type(report).from_dict(report.to_dict()) == report
