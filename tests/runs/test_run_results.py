"""What is made of a trained run: figures, pictures, samples."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from keras_vae import evaluation, plots, runs


@pytest.fixture(scope="module")
def report(trained, without_xla):
    with without_xla():
        return runs.evaluate(trained, num_samples=5)


def test_the_figures_are_those_of_the_saved_model_on_the_test_split(trained, report):
    splits = runs.load_data(trained.config)
    x = np.concatenate([batch.numpy() for batch in splits.test])
    assert report.num_examples == len(x) == splits.sizes["test"]
    again = evaluation.evaluate(trained.load_model(), splits.test, num_samples=5)
    assert again.elbo.mean == pytest.approx(report.elbo.mean, abs=1e-4)
    assert again.log_likelihood.mean == pytest.approx(report.log_likelihood.mean, abs=1e-4)


def test_the_figures_are_kept_in_the_run(trained, report):
    metrics = trained.metrics()
    assert metrics["split"] == "test" and metrics["num_samples"] == 5
    assert metrics["elbo"]["mean"] == report.elbo.mean
    assert metrics["kl_per_dimension"] == list(report.kl_per_dimension)
    json.loads((trained.folder / "metrics.json").read_text(), parse_constant=pytest.fail)


def test_a_split_that_there_is_not_names_those_there_are(trained):
    with pytest.raises(ValueError, match="'train', 'validation', 'test'"):
        runs.evaluate(trained, split="tets")


def test_examples_are_the_first_as_the_model_sees_them(trained):
    splits = runs.load_data(trained.config)
    x, y = runs.evaluating.examples(splits, "test", most=40)
    assert x.shape == (40, 8, 8, 1) and set(np.unique(x)) == {0.0, 1.0}
    assert y is None
    assert np.array_equal(x, runs.evaluating.examples(splits, "test")[0][:40])


def test_every_picture_is_drawn(trained):
    paths = runs.draw_pictures(trained)
    names = ["reconstructions", "samples", "latent_map", "traversals", "training_curves", "kl_per_dimension"]
    assert list(paths) == names
    for name, path in paths.items():
        assert path == trained.pictures / f"{name}.png" and path.read_bytes()[1:4] == b"PNG"


def test_pictures_are_given_what_they_say(trained, monkeypatch):
    """Originals beside the reconstructions of the same, labels beside their codes, rows by their KL."""
    given = {}
    for name in plots.__all__:

        def take(*args, name=name, **kwargs):
            given[name] = args, kwargs

        monkeypatch.setattr(plots, name, take)
    monkeypatch.setattr(plots, "save", lambda figure, path: path)
    runs.draw_pictures(trained, seed=5)
    model, splits = trained.load_model(), runs.load_data(trained.config)
    x = np.concatenate([batch.numpy() for batch in splits.test])

    originals, copies = given["reconstructions"][0]
    np.testing.assert_array_equal(originals, x[:20])
    np.testing.assert_allclose(copies, model.reconstruct(x[:20]), atol=1e-5)
    z, y = given["latent_map"][0]
    np.testing.assert_allclose(z, model.encode(x).mean(), atol=1e-5)
    np.testing.assert_array_equal(y, splits.arrays("test")[1])
    np.testing.assert_allclose(given["image_grid"][0][0], model.sample(64, seed=5, mean=True), atol=1e-5)

    images, labels, kl = given["traversals"][0]
    assert list(kl) == sorted(kl, reverse=True) and len(labels) == 3
    values = given["traversals"][1]["column_values"]
    codes = np.tile(z[0], (len(values), 1))
    codes[:, labels[0]] = values
    np.testing.assert_allclose(images[0], model.decode(codes.astype("float32")).mean(), atol=1e-5)
    assert given["training_curves"][0][0].keys() == trained.history().keys() - {"epoch", "seconds"}


def test_tables_have_no_pictures_of_images(tmp_path):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "table.npz", x_train=rng.random((64, 6)), x_test=rng.random((32, 6)))
    config = runs.RunConfig(
        dataset=runs.DatasetConfig(str(tmp_path / "table.npz"), validation=0),
        model=runs.ModelConfig(latent_size=1, likelihood="normal-fixed", options={"hidden": [4]}),
        training=runs.TrainingConfig(epochs=1, batch_size=64, nan_guard=False),
    )
    run = runs.train(config, tmp_path / "run")
    assert runs.draw_pictures(run).keys() == {"training_curves", "kl_per_dimension"}
    with pytest.raises(ValueError, match=r"a \.npy file"):
        runs.save_samples(run, tmp_path / "samples.png", num=2)


def test_samples_are_the_models_and_follow_the_seed(trained, tmp_path):
    model = trained.load_model()
    for mean in (True, False):
        path = runs.save_samples(trained, tmp_path / "x.npy", num=6, seed=4, mean=mean)
        np.testing.assert_allclose(np.load(path), model.sample(6, seed=4, mean=mean), atol=1e-6)
    assert runs.save_samples(trained, tmp_path / "new" / "x.png", num=6).read_bytes()[1:4] == b"PNG"


def test_samples_of_another_kind_of_file_are_refused_at_once(trained, tmp_path):
    with pytest.raises(ValueError, match=r"\.png or \.npy"):
        runs.save_samples(trained, tmp_path / "x.jpg")


@pytest.mark.parametrize("scale", ["unit", "bytes", "symmetric", "standard"])
def test_samples_are_shown_between_black_and_white(tiny, scale):

    dataset = dataclasses.replace(tiny.dataset, scale=scale, binarize=None)
    config = dataclasses.replace(tiny, dataset=dataset)
    splits = runs.load_data(config)
    shown = runs.building.unit_transform(config)(next(iter(splits.train)))
    assert shown.min() == pytest.approx(0, abs=1e-5) and shown.max() == pytest.approx(1, abs=1e-5)


def test_data_without_a_test_split_are_evaluated_on_the_last_there_is(tiny, tmp_path):
    x = np.random.default_rng(0).integers(0, 255, (40, 8, 8), dtype=np.uint8)
    np.save(tmp_path / "only.npy", x)
    for validation, split in ((0.2, "validation"), (0, "train")):
        config = dataclasses.replace(
            tiny,
            dataset=runs.DatasetConfig(str(tmp_path / "only.npy"), validation=validation),
            training=dataclasses.replace(tiny.training, epochs=1),
        )
        run = runs.train(config, tmp_path / split)
        report = runs.evaluate(run, num_samples=2)
        assert run.metrics()["split"] == split and report.num_examples == (8 if validation else 40)


def test_a_run_that_takes_no_metrics_is_told_before_they_are_computed(trained, tmp_path, monkeypatch):
    folder = tmp_path / "copy"
    shutil.copytree(trained.folder, folder)
    (folder / "metrics.json").unlink(missing_ok=True)
    (folder / "metrics.json").mkdir()
    monkeypatch.setattr(evaluation, "evaluate", lambda *args, **kwargs: pytest.fail("computed"))
    with pytest.raises(OSError, match=r"metrics\.json"):
        runs.evaluate(runs.Run.open(folder), num_samples=2)


def test_samples_of_a_name_in_capitals(trained, tmp_path):
    runs.save_samples(trained, tmp_path / "out.NPY", num=3)
    assert np.load(tmp_path / "out.NPY").shape == (3, 8, 8, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["out.NPY"]
