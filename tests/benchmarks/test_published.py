"""What `published.py` does around the training: seeds, files, tables."""

import json
import types

import numpy as np
import pytest
import tensorflow as tf

from benchmarks import few_labels, published, sample_quality
from benchmarks.sample_quality import CONTESTANTS, SampleQuality


def nll(seed: int, value: float, row: str = "vae-mnist") -> dict:
    return {
        "row": row,
        "epochs": 300,
        "seed": seed,
        "nll": value,
        "nll_standard_error": 0.3,
        "num_samples": 5000,
        "training_minutes": 20.0,
        "evaluation_minutes": 1.0,
    }


def quality(seed: int, **mixture: list[float]) -> dict:
    models = {
        name.replace("_", "-"): {"mixture": values, "reconstruction": values[0]}
        for name, values in mixture.items()
    }
    minutes = {"training_minutes": 10.0, "evaluation_minutes": 2.0}
    return {
        "row": "rae-mnist",
        "epochs": 10,
        "seed": seed,
        "models": models,
        "training_images": 0.1,
        **minutes,
    }


@pytest.fixture
def runs(monkeypatch) -> list[int]:
    """The seeds that are trained, of which none is."""
    found = []

    def run(name, row, args):
        found.append(args.seed)
        return nll(args.seed, 87.0 + args.seed)

    monkeypatch.setattr(published, "run", run)
    return found


def test_one_seed_writes_what_it_measured(runs, tmp_path, capsys):
    file = tmp_path / "vae.json"
    published.main(["vae-mnist", "--seed", "2", "--json", str(file)])
    assert runs == [2]
    assert json.loads(file.read_text())["nll"] == 89.0
    assert "test NLL 89.00 +- 0.30 nats (5000 importance samples), published 86.76" in capsys.readouterr().out


def test_several_seeds_go_on_where_they_were(runs, tmp_path, capsys):
    arguments = ["vae-mnist", "--json", str(tmp_path / "vae.json"), "--seeds"]
    published.main([*arguments, "2"])
    published.main([*arguments, "3"])
    assert runs == [0, 1, 2]
    measured = json.loads((tmp_path / "vae.json").read_text())["seeds"]
    assert [one["seed"] for one in measured] == [0, 1, 2]
    assert "88.00 ± 1.00 over 3 seeds" in capsys.readouterr().out
    published.main([*arguments, "2", "--epochs", "5"])  # another schedule: all anew
    assert runs == [0, 1, 2, 0, 1]


def test_rows_that_begin_alike_begin_once(monkeypatch, tmp_path):
    x = np.random.default_rng(0).integers(0, 2, (100, 28, 28, 1)).astype("float32")
    splits = types.SimpleNamespace(sizes={"train": 100}, train=x, test=tf.data.Dataset.from_tensors(x[:2]))
    monkeypatch.setattr(published.datasets, "load", lambda name, **options: splits)
    trained = []

    def fit(model, data, epochs, initial_epoch, state, clock, args):
        trained.append((type(model).__name__, model.objective.num_samples, initial_epoch, epochs))
        model.fit(data, epochs=initial_epoch + 1, initial_epoch=initial_epoch, verbose=0, callbacks=[clock])

    monkeypatch.setattr(published, "fit", fit)
    for row in ("iwae-5-mnist", "ciwae-mnist"):
        file = tmp_path / f"{row}.json"
        published.main(
            [row, "--epochs", "10", "--num-samples", "2", "--work", str(tmp_path), "--json", str(file)]
        )
        measured = json.loads(file.read_text())
        names = ["iwae-5-first", "iwae-5", "ciwae"][: len(measured["stages"])]
        assert [stage["name"] for stage in measured["stages"]] == names
        clocks = [tmp_path / f"{name}-of-10-seed-0.minutes" for name in names]
        assert measured["training_minutes"] == pytest.approx(sum(float(one.read_text()) for one in clocks))
        assert measured["epochs"] == {"iwae-5-mnist": 10, "ciwae-mnist": 11}[row]
    assert trained == [("IWAE", 5, 0, 8), ("IWAE", 5, 8, 10), ("CIWAE", 64, 10, 11)]


def test_few_labels_are_trained_and_tested(monkeypatch, tmp_path):
    rng = np.random.default_rng(0)
    y = np.arange(300) % 10
    # Each class lights a row of pixels of its own.
    x = rng.integers(0, 30, (300, 28, 28, 1)).astype("uint8")
    x[np.arange(300), 2 * y] = 250
    splits = types.SimpleNamespace(arrays=lambda split: (x, y))
    monkeypatch.setattr(few_labels.datasets, "load", lambda name, **options: splits)
    monkeypatch.setattr(few_labels, "LABELS", 20)
    file = tmp_path / "m2.json"
    published.main(["m2-mnist", "--epochs", "20", "--json", str(file), "--verbose", "0"])
    measured = json.loads(file.read_text())
    assert measured["error"] < 0.1  # guessing: 0.9
    assert measured["epochs"] == 20 and measured["first_weight"] == 5.0
    # From 5 and 10 to 1 over the last 48 of 60 steps, of which the last epoch has 3: the mean of its weights.
    assert measured["last_loss"]["annealing"] == pytest.approx(1.0 + 4.0 * 2 / 48, rel=1e-5)
    assert measured["last_loss"]["class_annealing"] == pytest.approx(1.0 + 9.0 * 2 / 48, rel=1e-5)


def test_few_labels_begin_with_the_scale_of_the_prior():
    encoder = few_labels.SHORT.model(784, steps=10).encoder
    q = encoder([np.zeros([3, 784], "float32"), np.arange(3)])
    # The weights of the class move it a little; of a scale of softplus(0) it would be 0.69.
    assert q.stddev().numpy().mean() == pytest.approx(1.0, abs=0.1)


def test_table_has_a_line_for_each_row_that_was_measured(tmp_path):
    one = nll(0, 87.0)
    several = {"row": "iwae-5-mnist", "seeds": [nll(s, 85.0 + s, "iwae-5-mnist") for s in (0, 1, 2)]}
    files = {"b": one, "a": several, "c": {"something": "else"}}
    for name, content in files.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    lines = published.table(tmp_path).splitlines()
    assert lines[2:] == [
        "| vae-mnist | 86.76 nats | at most 88.26 | 87.00 ± 0.30 | 300 | 20 | 0 |",
        "| iwae-5-mnist | 85.54 nats | at most 87.04 | 86.00 ± 1.00 | 300 | 20 | 0, 1, 2 |",
    ]


def test_table_of_sample_quality(tmp_path):
    measured = quality(0, RAE_L2=[1.0, 2.0], WAE=[4.0, 6.0], VAE=[2.0, 4.0])
    (tmp_path / "rae.json").write_text(json.dumps(measured))
    (line,) = published.table(tmp_path).splitlines()[2:]
    assert "| RAE-L2 8.69 < WAE 9.39 < VAE 17.66 (FID) | same order |" in line
    assert "| RAE-L2 1.50 ± 0.71 < VAE 3.00 ± 1.41 < WAE 5.00 ± 1.41 |" in line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "expected a row, or --table"),
        (["vae-mnist", "--table", "."], "expected a row, or --table"),
        (["--table", "/no/such/folder"], "expected a folder"),
        (["vae-mnist", "--seeds", "0"], "expected a number >= 1"),
        (["vae-mnist", "--seeds", "2", "--save", "a.keras"], "--save"),
        (["rae-mnist", "--save", "a.keras"], "--save"),
        (["rae-mnist", "--num-samples", "10"], "--num-samples"),
        (["rae-mnits"], "invalid choice"),
    ],
)
def test_bad_arguments_end_before_anything_is_trained(arguments, message, capsys):
    with pytest.raises(SystemExit) as caught:
        published.main(arguments)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_order_is_judged_by_the_means_over_sets():
    row = published.ROWS["rae-mnist"]
    good = quality(0, RAE_L2=[1.0, 2.0], WAE=[0.9, 3.0], VAE=[5.0, 6.0])
    bad = quality(0, RAE_L2=[1.0, 9.0], WAE=[2.0, 3.0], VAE=[5.0, 6.0])
    assert row.in_order(good)
    assert "NOT" not in row.line(good)
    assert not row.in_order(bad)
    assert "NOT the published order" in row.line(bad)


def test_contestants_stand_in_the_published_order():
    mixture = [one.published.mixture for one in CONTESTANTS.values()]
    assert mixture == sorted(mixture)


def test_weights_are_the_authors_in_our_units():
    rng = np.random.default_rng(0)
    x, decoded, code, kernel = (rng.normal(size=size) for size in (1024, 1024, 16, 50))
    errors = (x - decoded) ** 2
    # models/rae/loss_functions.py of the authors and Keras' l2: means over pixels and code, 1e-4 and 1e-7.
    theirs = errors.mean() + 1e-4 * np.mean(code**2) + 1e-7 * np.sum(kernel**2)
    options, scale = CONTESTANTS["RAE-L2"].options, CONTESTANTS["RAE-L2"].scale
    ours = errors.sum() / (2 * scale**2)
    ours += options["beta"] * 0.5 * np.sum(code**2) + options["weight"] * np.sum(kernel**2)
    assert ours == pytest.approx(1024 * theirs)
    # models/wae_mmd: the mean over pixels and 3e-2 of the distance, here 1; models/std_vae: the sum and 0.312
    # of the KL, here 1.
    assert CONTESTANTS["WAE"].scale == scale
    assert CONTESTANTS["WAE"].options["weight"] == pytest.approx(1024 * 3e-2)
    vae = errors.sum() / (2 * CONTESTANTS["VAE"].scale ** 2) + 1.0
    assert 0.312 * vae == pytest.approx(errors.sum() + 0.312)


class Blank:
    """A model whose samples tell the seed they were drawn with."""

    def sample(self, count, seed, mean):
        assert mean
        return np.full([count, 1], float(seed))


def test_sets_of_samples_share_no_seed(monkeypatch):
    monkeypatch.setattr(sample_quality, "SAMPLES", 40)
    monkeypatch.setattr(sample_quality, "CHUNK", 10)
    drawn = []
    for seed in (0, 1):
        sample_quality.sample_distances(Blank(), lambda x: drawn.append(x) or 0.0, seed)
    assert all(images.shape == (40, 1) for images in drawn)
    seeds = np.concatenate([np.unique(images) for images in drawn])
    assert len(seeds) == len(set(seeds)) == 2 * sample_quality.SETS * 4


def test_images_are_clipped_before_they_are_compared():
    seen = np.array([[0.0], [1.0]])
    distance = sample_quality.distance_to(seen, lambda images: images)
    assert distance(np.array([[-5.0], [7.0]])) == pytest.approx(0.0, abs=1e-9)
    assert distance(np.array([[0.5], [0.5]])) > 0.1


def test_interrupted_comparison_keeps_the_models_it_has(monkeypatch, tmp_path):
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (40, 8, 8, 1), dtype=np.uint8), rng.integers(0, 10, 40)
    splits = types.SimpleNamespace(arrays=lambda split: (images, labels))
    monkeypatch.setattr(sample_quality.datasets, "load", lambda *args, **kwargs: splits)

    class Features:
        accuracy = 0.5

        def __call__(self, x):
            return x.reshape(len(x), -1)

    monkeypatch.setattr(sample_quality.frechet, "train", lambda *args: Features())
    trained = []

    def measure(self, contestant, *args):
        trained.append(contestant.model)
        if len(trained) == 2:
            raise KeyboardInterrupt
        return {"mixture": [1.0, 2.0], "training_minutes": 1.0, "evaluation_minutes": 1.0}

    monkeypatch.setattr(SampleQuality, "_measure", measure)
    arguments = ["rae-mnist", "--work", str(tmp_path), "--json", str(tmp_path / "a.json")]
    with pytest.raises(KeyboardInterrupt):
        published.main(arguments)
    monkeypatch.setattr(SampleQuality, "line", lambda self, measured: "")
    published.main(arguments)
    assert trained == ["RegularizedAutoencoder", "WAE", "WAE", "VAE"]
    published.main([*arguments, "--epochs", "3"])  # another schedule: all anew
    assert trained[4:] == ["RegularizedAutoencoder", "WAE", "VAE"]
