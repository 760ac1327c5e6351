"""The benchmark's arithmetic and its protocol, without training anything."""

import argparse
import dataclasses
import doctest
import io
import json
import sys

import numpy as np
import pytest

from benchmarks import controller, data, machine, protocol, results, train_speed, worker
from benchmarks.contenders import CONTENDERS, Contender
from benchmarks.controller import Limits, Measurement, Round, Warmed
from benchmarks.machine import Process, Snapshot
from benchmarks.protocol import EpochClock, Job

JOB = Job("vae", "mlp", (512, 256), 32, 128, 1e-3, "images.npy", threads=2)
NOWHERE = Contender("benchmarks.contenders.nowhere", {"a_package_nobody_has": "it"}, "")


@pytest.mark.parametrize("module", [results, machine], ids=lambda module: module.__name__)
def test_docstring_examples(module):
    tested = doctest.testmod(module)
    assert tested.attempted > 0
    assert tested.failed == 0


def test_job_survives_json():
    for job in (JOB, dataclasses.replace(JOB, network="conv", filters=(32, 64))):
        assert Job.from_json(json.loads(json.dumps(job.to_json()))) == job


def test_ratio_is_taken_within_the_rounds():
    # The machine is half as fast in the last two rounds; no round's ratio knows of it.
    rounds = [{"ours": 30.0 * f, "peer": 10.0 * f} for f in (1.0, 0.5, 0.5)]
    assert results.ratios(rounds, "ours")["peer"] == results.Spread(3.0, 3.0, 3.0)
    assert results.speeds(rounds)["peer"] == results.Spread(5.0, 5.0, 10.0)


def test_loss_that_does_not_fall_is_flagged():
    flags = results.loss_flags({"a": [9.0, 5.0], "b": [5.0, 5.0]}, tolerance=0.05)
    assert set(flags) == {"b"}


def snapshots(foreign_cpu: float, idle_cpu: float = 0.0) -> tuple[Snapshot, Snapshot]:
    """2 s on a machine; 10 is ours, 11 works for 1.5 s, 12 waits, 13 is a child of 12, 20 foreign."""
    before = {
        10: Process(1, "controller", 1.0),
        11: Process(10, "worker", 5.0),
        12: Process(10, "worker", 7.0),
        13: Process(12, "helper", 0.0),
        20: Process(1, "other", 100.0),
    }
    used = {11: 1.5, 13: idle_cpu, 20: foreign_cpu}
    after = {pid: Process(p.parent, p.name, p.cpu + used.get(pid, 0.0)) for pid, p in before.items()}
    busy = 500.0 + 1.5 + idle_cpu + foreign_cpu
    return Snapshot(50.0, 500.0, before, 0.0), Snapshot(52.0, busy, after, 0.5)


def test_foreign_share_is_what_our_tree_did_not_use():
    used = machine.usage(*snapshots(foreign_cpu=1.0), root=10, idle=[12], cpus=2)
    assert used.foreign == pytest.approx(1.0 / (2 * 2.0))
    assert used.own == pytest.approx(1.5 / (2 * 2.0))
    assert used.culprits == (("other", pytest.approx(0.25)),)
    assert used.idle == 0.0


def test_idle_worker_includes_its_children():
    used = machine.usage(*snapshots(0.0, idle_cpu=0.5), root=10, idle=[12], cpus=2)
    assert used.idle == pytest.approx(0.25)
    assert used.foreign == pytest.approx(0.0)


def test_child_that_ends_keeps_its_time_in_our_tree():
    before, after = snapshots(foreign_cpu=0.0)
    before.processes[14] = Process(11, "compiler", 30.0)
    after.processes[11] = Process(10, "worker", 6.5, reaped=30.25)
    after = dataclasses.replace(after, busy=after.busy + 0.25)
    used = machine.usage(before, after, root=10, cpus=2)
    assert used.own == pytest.approx((1.5 + 0.25) / (2 * 2.0))
    assert used.foreign == pytest.approx(0.0)


@pytest.mark.skipif(machine.snapshot() is None, reason="there is no /proc")
def test_snapshot_sees_this_process():
    import os

    taken = machine.snapshot()
    assert taken.processes[os.getpid()].parent == os.getppid()
    assert taken.busy > 0


class FakeTrainer:
    device = "cpu"
    parameters = 3

    def train(self, epochs, clock):
        for epoch in range(epochs):
            clock.begin()
            clock.end(10.0 - epoch)
        return 5 * epochs


def talk(session: worker.Session, *requests: dict) -> list[dict]:
    lines = "".join(json.dumps(request) + "\n" for request in requests)
    answers = io.StringIO()
    worker.serve(session, io.StringIO(lines), answers)
    return [json.loads(line) for line in answers.getvalue().splitlines()]


def test_worker_answers_in_turn_and_stops():
    session = worker.Session(Contender("", {"numpy": "numpy"}, ""), load=lambda contender, job: FakeTrainer())
    start, warmup, measured = talk(
        session,
        {"command": "start", "job": JOB.to_json()},
        {"command": "warmup", "epochs": 2},
        {"command": "measure", "epochs": 1},
        {"command": "stop"},
        {"command": "measure", "epochs": 1},
    )
    assert start["versions"] == {"numpy": np.__version__}
    assert start["parameters"] == 3
    assert warmup["losses"] == [10.0, 9.0]
    assert len(warmup["epoch_seconds"]) == 2
    assert measured["steps"] == 5
    assert 0 <= measured["seconds"] <= measured["call_seconds"]


def test_worker_says_what_is_missing():
    (answer,) = talk(worker.Session(NOWHERE), {"command": "start", "job": JOB.to_json()})
    assert answer["error"] == protocol.MISSING
    assert "a_package_nobody_has" in answer["message"]


def test_worker_reports_a_failure_and_goes_on():
    answers = talk(worker.Session(NOWHERE), *2 * [{"command": "measure", "epochs": 1}])
    assert [answer["error"] for answer in answers] == 2 * [protocol.FAILED]


def test_worker_refuses_a_loss_that_is_not_finite():
    class Diverged(FakeTrainer):
        def train(self, epochs, clock):
            clock.begin()
            clock.end(float("nan"))
            return 1

    session = worker.Session(NOWHERE)
    session.trainer = Diverged()
    (answer,) = talk(session, {"command": "measure", "epochs": 1})
    assert answer["error"] == protocol.FAILED


def test_worker_process_that_ends_is_an_error_with_its_log(tmp_path):
    broken = controller.Worker("no such contender", sys.executable, {}, tmp_path)
    try:
        with pytest.raises(controller.WorkerError, match="KeyError") as caught:
            broken.ask("measure", epochs=1)
    finally:
        broken.close()
    assert caught.value.kind == protocol.FAILED
    assert broken.process.poll() is not None


def scripted(monkeypatch, shares: list[float]) -> list[str]:
    """Lets `controller.measure` return turns with these foreign shares; returns what is said."""
    script = iter(shares)

    def measure(name, contenders):
        share = next(script)
        used = machine.Usage(1.0, 0.5, share, (("other", share),), 0.0, 1.0)
        return Measurement(steps=100, seconds=1.0 + share, call_seconds=2.0, loss=1.0, usage=used)

    monkeypatch.setattr(controller, "measure", measure)
    return []


def test_quiet_round_is_run_once(monkeypatch):
    said = scripted(monkeypatch, [0.01])
    one = controller.run_round(1, {"a": None}, Limits(), said.append)
    assert (one.attempts, one.foreign, said) == (1, 0.01, [])


def test_disturbed_round_is_repeated_until_quiet(monkeypatch):
    said = scripted(monkeypatch, [0.5, 0.02])
    one = controller.run_round(3, {"a": None}, Limits(), said.append)
    assert (one.attempts, one.foreign) == (2, 0.02)
    assert len(said) == 1
    assert "round 3" in said[0]
    assert "50.0 %" in said[0]


def test_quietest_attempt_is_kept_when_none_is_quiet(monkeypatch):
    said = scripted(monkeypatch, [0.5, 0.2, 0.3])
    one = controller.run_round(1, {"a": None}, Limits(repeats=2), said.append)
    assert (one.attempts, one.foreign, len(said)) == (3, 0.2, 3)


def measured_report(losses: dict[str, float]) -> train_speed.Report:
    def warmed(loss):
        start = {"versions": {}, "device": "cpu", "parameters": 3, "seconds": 1.0}
        warmup = {"losses": [2 * loss, loss], "steps": 10, "epoch_seconds": [3.0, 1.0]}
        return Warmed(None, start, {**warmup, "seconds": 4.0, "call_seconds": 5.0}, 1)

    turns = {name: Measurement(10, 1.0, 1.5, loss, None) for name, loss in losses.items()}
    return train_speed.Report(
        options={"model": "vae", "loss_tolerance": 5.0},
        machine="",
        contenders={name: warmed(loss) for name, loss in losses.items()},
        rounds=[Round(1, 1, turns)],
    )


def test_report_is_json_and_flags_the_loss():
    report = measured_report({"keras_vae": 100.0, "torch": 101.0, "keras": 90.0})
    written = json.loads(json.dumps(report.to_json()))
    assert set(written["flags"]) == {"keras"}
    assert written["ratios"]["torch"]["median"] == 1.0
    assert written["contenders"]["torch"]["compile_seconds"] == 2.0
    assert "keras_vae" in train_speed.speed_table(report)
    assert "101.00" in train_speed.contender_table(report)


def test_contender_that_fails_leaves_no_trace_in_the_medians():
    report = measured_report({"keras_vae": 100.0, "torch": 101.0})
    report.drop(controller.WorkerError("torch", protocol.FAILED, "out of memory"))
    assert list(report.to_json()["steps_per_second"]) == ["keras_vae"]
    assert any("torch" in line for line in train_speed.notes(report, Limits()))


def test_report_without_contenders():
    report = measured_report({})
    report.rounds.clear()
    assert json.loads(json.dumps(report.to_json()))["flags"] == {}
    assert train_speed.notes(report, Limits()) == []


def test_clock_measures_from_the_first_beginning_to_the_last_end():
    clock = EpochClock()
    clock.begins, clock.ends = [1.0, 4.0], [3.0, 9.0]
    assert clock.seconds == 8.0
    assert clock.epoch_seconds == [2.0, 5.0]


def test_environment_sizes_the_thread_pools_and_hides_the_accelerator(tmp_path):
    made = controller.environment({"PATH": "/bin"}, tmp_path, JOB, "cpu")
    assert made["OMP_NUM_THREADS"] == made["TF_NUM_INTRAOP_THREADS"] == "2"
    assert (made["CUDA_VISIBLE_DEVICES"], made["PATH"]) == ("", "/bin")
    assert "CUDA_VISIBLE_DEVICES" not in controller.environment({}, tmp_path, JOB, "auto")


def test_synthetic_images_are_seeded_and_look_like_ink():
    images = data.synthetic(1500, seed=3)
    assert images.shape == (1500, 28, 28, 1)
    assert images.dtype == np.float32
    assert images.min() >= 0.0
    assert images.max() <= 1.0
    assert 0.05 < images.mean() < 0.25  # MNIST: 0.13
    np.testing.assert_array_equal(images, data.synthetic(1500, seed=3))
    assert not np.array_equal(images, data.synthetic(1500, seed=4))


def test_every_contender_has_a_module_in_the_table():
    import importlib.util

    for contender in CONTENDERS.values():
        assert importlib.util.find_spec(contender.module) is not None


def test_interpreters_of_several_contenders():
    parsed = train_speed.interpreters(f"torch,pythae={sys.executable}")
    assert parsed == {"torch": sys.executable, "pythae": sys.executable}


@pytest.mark.parametrize("text", ["torch", "torhc=/bin/sh", "torch=/no/such/python", "torch=/"])
def test_bad_interpreters(text):
    with pytest.raises(argparse.ArgumentTypeError, match="expected"):
        train_speed.interpreters(text)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--contenders", "torch,torch"],
        ["--contenders", "torhc"],
        ["--rounds", "0"],
        ["--rounds", "many"],
        ["--seconds", "nan"],
        ["--seconds", "-1"],
        ["--warmup-epochs", "1"],
        ["--network", "mpl"],
        ["--json", "/no/such/folder/speed.json"],
    ],
)
def test_bad_arguments_end_before_anything_starts(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        train_speed.parser().parse_args(arguments)
    assert caught.value.code == 2
    assert arguments[0] in capsys.readouterr().err


def reported(model, ours, peer, network="mlp"):
    measurements = {
        "keras_vae": Measurement(100, 100 / ours, 1.0, 0.0, None),
        "pythae": Measurement(100, 100 / peer, 1.0, 0.0, None),
    }
    options = {"model": model, "network": network, "loss_tolerance": 5.0}
    report = train_speed.Report(options, "a machine")
    report.rounds.append(Round(1, 1, measurements))
    return json.loads(json.dumps(report.to_json()))


def test_summary_of_several_rows():
    rows = [reported("vae", 80.0, 20.0), reported("vae", 90.0, 90.0, "conv"), reported("ae", 80.0, 40.0)]
    lines = {line.split("  ")[0]: line.split()[-1] for line in train_speed.summary(rows).splitlines()}
    assert lines["mlp vae"] == "4.00"
    assert lines["conv vae"] == "1.00"
    assert lines["geometric mean"] == "2.00"
    assert lines["least"] == "1.00"


def test_rows_are_the_models_of_each_network():
    rows = train_speed.rows_of(["mlp", "conv"], ["ae", "vae"])
    assert rows == [("mlp", "ae"), ("mlp", "vae"), ("conv", "vae")]
    everything = train_speed.rows_of(train_speed.network_names("all"), train_speed.model_names("all"))
    assert len(everything) == len(set(everything)) == 15
    with pytest.raises(ValueError, match="network conv: vae, iwae, wae_mmd; received ae"):
        train_speed.rows_of(["conv"], ["ae"])


def sized(*parameters: int, model: str = "vae") -> train_speed.Report:
    names = ["keras_vae", "pythae"]
    starts = [{"parameters": count} for count in parameters]
    warmed = {name: Warmed(None, start, {}, 1) for name, start in zip(names, starts, strict=True)}
    return train_speed.Report({"model": model}, "a machine", contenders=warmed)


def test_contenders_of_other_sizes_end_the_run():
    train_speed.check_sizes(sized(7, 7))
    train_speed.check_sizes(sized(7, 8, model="factor_vae"))
    with pytest.raises(SystemExit, match="'keras_vae': 7, 'pythae': 8"):
        train_speed.check_sizes(sized(7, 8))


@pytest.fixture
def runs(monkeypatch) -> list[tuple[str, str]]:
    """What `main` would measure, row by row; nothing is, and IWAE fails."""
    found = []

    def run(options):
        found.append((options.network, options.model))
        report = measured_report({"keras_vae": 100.0, "pythae": 100.0})
        report.options = {key: train_speed._plain(value) for key, value in vars(options).items()}
        report.machine = machine.describe()
        if options.model == "iwae":
            report.drop(controller.WorkerError("pythae", protocol.FAILED, "out of memory"))
        return report

    monkeypatch.setattr(train_speed, "run", run)
    return found


def test_all_on_all_networks_is_one_table(runs, capsys, tmp_path):
    arguments = ["--model", "all", "--network", "all", "--json", str(tmp_path / "a.json")]
    assert train_speed.main(arguments) == 1  # since IWAE fails
    assert len(runs) == 15
    assert len(json.loads((tmp_path / "a.json").read_text())["models"]) == 15
    assert "conv wae_mmd" in capsys.readouterr().out


def test_rows_are_measured_once_if_nothing_changed(runs, tmp_path):
    arguments = ["--network", "conv", "--model", "all", "--json", str(tmp_path / "a.json"), "--resume"]
    train_speed.main(arguments)
    runs.clear()
    train_speed.main(arguments)
    assert runs == [("conv", "iwae")]  # the one that failed
    runs.clear()
    train_speed.main([*arguments, "--rounds", "3"])
    assert len(runs) == 3
    runs.clear()
    train_speed.main([*arguments, "--rounds", "3", "--examples", "256"])
    assert len(runs) == 3
    runs.clear()
    train_speed.main(arguments[:-1])
    assert len(runs) == 3


def test_resuming_keeps_the_rows_that_come_later(runs, tmp_path):
    file = tmp_path / "a.json"
    train_speed.main(["--model", "vae,ae", "--json", str(file)])
    train_speed.main(["--model", "miwae,vae,ae", "--json", str(file), "--resume"])
    models = [row["options"]["model"] for row in json.loads(file.read_text())["models"]]
    assert sorted(models) == ["ae", "miwae", "vae"]
    assert runs == [("mlp", "vae"), ("mlp", "ae"), ("mlp", "miwae")]


def test_resuming_needs_a_file(runs, capsys):
    with pytest.raises(SystemExit):
        train_speed.main(["--resume"])
    assert "--json FILE" in capsys.readouterr().err
    assert runs == []


def test_worker_says_which_network_it_cannot_build(monkeypatch):
    from benchmarks.contenders import models

    monkeypatch.setattr(models, "NETWORKS", ("mlp",), raising=False)
    contender = Contender("benchmarks.contenders.models", {"numpy": "numpy"}, "")
    job = dataclasses.replace(JOB, network="conv", filters=(32, 64))
    (answer,) = talk(worker.Session(contender), {"command": "start", "job": job.to_json()})
    assert answer["error"] == protocol.UNSUPPORTED
    assert "conv" in answer["message"]


def conv_job() -> Job:
    network = train_speed.NETWORKS["conv"]
    return Job(
        "vae", "conv", network.hidden, network.latent_size, 128, 1e-3, "images.npy", filters=network.filters
    )


def conv_parameters(filters=(32, 64, 128), dense=160, latent=32, side=4) -> int:
    """Counted by hand, layer by layer, kernels and biases."""
    flat = filters[-1] * side * side
    encoder = [9 * 1 * filters[0], 9 * filters[0] * filters[1], 9 * filters[1] * filters[2]]
    encoder_biases = sum(filters)
    top = flat * dense + dense + dense * 2 * latent + 2 * latent
    bottom = latent * dense + dense + dense * flat + flat
    decoder = [9 * filters[2] ** 2, 9 * filters[2] * filters[1], 9 * filters[1] * filters[0], 9 * filters[0]]
    return sum(encoder) + encoder_biases + top + bottom + sum(decoder) + sum(filters) + 1


def test_conv_network_has_about_a_million_parameters():
    from benchmarks.contenders import keras_vae_fit

    trainer = keras_vae_fit.MODELS["vae"](conv_job(), np.zeros([4, 28, 28, 1], np.float32))
    assert trainer.parameters == conv_parameters() == 1_005_953


def test_pytorch_builds_the_same_conv_network():
    torch = pytest.importorskip("torch", reason="PyTorch is in the peers' environment")
    from benchmarks.contenders.torch_networks import ConvDecoder, ConvEncoder

    job = conv_job()
    sizes = ((1, 28, 28), job.filters, job.hidden, job.latent_size)
    encoder, decoder = ConvEncoder(*sizes), ConvDecoder(*sizes)
    assert sum(p.numel() for m in (encoder, decoder) for p in m.parameters()) == conv_parameters()
    mean, _ = encoder(torch.zeros([2, 1, 28, 28]))
    assert tuple(decoder(mean).shape) == (2, 1, 28, 28)


def test_model_names():
    assert train_speed.model_names("all") == list(train_speed.MODELS)
    assert train_speed.model_names("ae,vae") == ["ae", "vae"]
    for text in ("ae,ae", "aa", ""):
        with pytest.raises(argparse.ArgumentTypeError, match="expected all, or different names"):
            train_speed.model_names(text)
