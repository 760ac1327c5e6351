"""Runs of models that learn from the classes as well."""

import dataclasses

import numpy as np
import pytest

from keras_vae import runs


@pytest.fixture(scope="module", params=["conditional-vae", "semi-supervised-vae"])
def trained(request, tiny, without_xla, tmp_path_factory):
    model = dataclasses.replace(tiny.model, name=request.param)
    with without_xla():
        return runs.train(dataclasses.replace(tiny, model=model), tmp_path_factory.mktemp("runs") / "run")


def test_the_number_of_classes_is_that_of_the_data(trained):
    assert trained.load_model().condition.num_classes == 10


def test_figures_and_pictures_are_drawn_with_the_classes(trained):
    report = runs.evaluate(trained, num_samples=3)
    assert np.isfinite(report.log_likelihood.mean)
    # The class is a part of the latent of the second, whose divergence has no closed form.
    assert report.kl_is_exact == (trained.config.model.name == "conditional-vae")
    assert set(runs.draw_pictures(trained)) >= {"reconstructions", "samples", "traversals", "latent_map"}


def test_samples_of_one_class_and_of_each_in_turn(trained, tmp_path):
    model = trained.load_model()
    each = np.load(runs.save_samples(trained, tmp_path / "each.npy", num=12))
    expected = model.sample(12, seed=0, mean=True, y=np.arange(12) % 10)
    np.testing.assert_allclose(each, expected, rtol=1e-5)
    one = np.load(runs.save_samples(trained, tmp_path / "one.npy", num=4, label=7))
    np.testing.assert_allclose(one, model.sample(4, seed=0, mean=True, y=np.array([7])), rtol=1e-5)
    with pytest.raises(ValueError, match="class numbers 0 to 9"):
        runs.save_samples(trained, tmp_path / "one.npy", num=4, label=10)


def test_a_class_for_a_model_without_is_refused(tiny, tmp_path):
    run = runs.train(tiny, tmp_path / "run")
    with pytest.raises(ValueError, match="no network of this model"):
        runs.save_samples(run, tmp_path / "one.npy", num=4, label=7)
