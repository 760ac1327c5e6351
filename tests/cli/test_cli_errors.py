"""How commands end that do not succeed."""

import os
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import keras_vae
from keras_vae import runs

WITHOUT_LIBRARY = """
import sys, types
package = types.ModuleType("keras_vae")
package.__path__ = [{path!r}]  # the commands without what `import keras_vae` brings
sys.modules["keras_vae"] = package
from typer.testing import CliRunner
from keras_vae.cli import app
for arguments in ([], ["train"], ["evaluate"], ["sample"], ["export"], ["serve"], ["demo"]):
    result = CliRunner().invoke(app, [*arguments, "--help"])
    assert result.exit_code == 0, result.output
result = CliRunner().invoke(app, ["evaluate", "no-such-run"])
assert result.exit_code == 2
heavy = [name for name in ("tensorflow", "keras", "matplotlib", "numpy") if name in sys.modules]
assert not heavy, heavy
"""


# A shell starts what runs in its background deaf to interrupts, and so are the children of that.
INTERRUPTIBLE = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
"""
# A small training spends most of its time in the compiler.
WITHOUT_XLA = """
import keras_vae
from keras_vae.cli import main
keras_vae.LatentVariableModel.jit_compile_by_default = lambda self: False
main()
"""


def test_help_and_mistakes_do_not_wait_for_tensorflow():
    script = WITHOUT_LIBRARY.format(path=os.path.dirname(os.path.dirname(runs.__file__)))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_help_names_every_choice_of_the_library(command, monkeypatch):
    from keras_vae.layers.likelihoods import LIKELIHOODS, POSTERIORS
    from keras_vae.networks.build import NETWORKS

    monkeypatch.setenv("COLUMNS", "200")  # the longest name breaks in a narrower column
    shown = " ".join(command("train", "--help").stdout.replace("│", " ").split())
    for name in (*runs.model_names(), *NETWORKS, *LIKELIHOODS, *POSTERIORS):
        assert f" {name}" in shown, name


@pytest.mark.parametrize("name", ["train", "evaluate", "sample", "export", "demo"])
def test_every_command_explains_itself(command, name):
    done = command(name, "--help")
    assert (done.exit_code == 0 and "--output" in done.stdout) or name == "evaluate"


def test_nothing_typed_is_a_question_for_help(command):
    assert "Commands" in command().output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "--model", "bata-vae"], "Did you mean 'beta-vae'?"),
        (["train", "--network", "cnov"], "Did you mean 'conv'?"),
        (["train", "--likelihood", "bernouli"], "Did you mean 'bernoulli'?"),
        (["train", "--model", "vae", "--beta", "4"], "beta"),
        (["train", "--model", "beta-vae", "--beta", "liner:0:1:9"], "Did you mean 'linear'?"),
        (["train", "--hidden", "512;256"], "512,256"),
        (["train", "--validation", "some"], "argument `validation`"),
        (["train", "--option", "dropout"], "NAME=VALUE"),
        (["train", "--epochs", "0"], "argument `epochs`"),
        (["train", "--epochs", "many"], "--epochs"),
        (["train", "--epocs", "3"], "--epochs"),
        (["train", "--config", "no-such.json"], "no-such.json"),
        (["train", "--dataset", "./no-such-folder"], "no-such-folder"),
        (["evaluate", "no-such-run"], "an existing run folder"),
        (["export", "no-such-run"], "an existing run folder"),
        (["sample", "no-such-run", "--num", "0"], "--num"),
        (["evaluate"], "RUN"),
        (["trian"], "trian"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(command, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    done = command(*arguments)
    assert done.exit_code == 2
    assert done.stderr.startswith("Error: ") and done.stderr.count("\n") == 1
    assert words.lower() in done.stderr.lower()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--images", "encodd"], "Did you mean 'encoded'?"),
        (["--anomaly-score", "negative-elbow"], "Did you mean 'negative_elbo'?"),
    ],
)
def test_a_bad_option_of_an_export_is_one_line(command, trained, tmp_path, options, words):
    done = command("export", trained[0], "--output", tmp_path / "net", *options)
    assert done.exit_code == 2 and not list(tmp_path.iterdir())
    assert done.stderr.startswith("Error: ") and done.stderr.count("\n") == 1 and words in done.stderr


def test_an_unfinished_run_is_told_how_to_mend_it(command, tmp_path):
    runs.Run.create(tmp_path / "cut", runs.RunConfig())
    for name in ("evaluate", "export", "sample"):
        done = command(name, tmp_path / "cut")
        assert done.exit_code == 2 and "model.keras" in done.stderr
        assert f"--config {tmp_path / 'cut' / 'config.json'}" in done.stderr.replace("\n", " ")


@pytest.mark.parametrize("place", ["before", "after"])
def test_debug_keeps_the_traceback(command, place):
    words = ["evaluate", "no-such-run"]
    done = command(*(["--debug", *words] if place == "before" else [*words, "--debug"]))
    assert isinstance(done.exception, ValueError)


def test_the_package_runs_as_a_module(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["keras_vae", "evaluate", "no-such-run"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(Path(keras_vae.__file__).with_name("__main__.py")), run_name="__main__")
    assert ended.value.code == 2 and capsys.readouterr().err.startswith("Error: ")


def test_an_interrupt_says_what_is_left(command, tmp_path, monkeypatch):
    def interrupted(config, folder, **kwargs):
        runs.Run.create(folder, config).write_history({"epoch": [1, 2, 3]})
        raise KeyboardInterrupt

    monkeypatch.setattr(runs, "train", interrupted)
    done = command("train", "--output", tmp_path / "run")
    assert done.exit_code == 130 and "first 3 epochs" in done.stderr


def test_a_mistake_is_all_that_a_process_writes(tmp_path):
    """TensorFlow's native parts would write a dozen lines more."""
    quiet = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    command = [sys.executable, "-m", "keras_vae", "evaluate", str(tmp_path / "nothing")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=quiet)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: ") and done.stderr.count("\n") == 1


def test_ctrl_c_leaves_a_run_to_go_on_with(tiny, tmp_path):
    """A real interrupt of a real process, in the middle of training."""
    folder = tmp_path / "run"
    arguments = [*tiny, "--epochs", "1000000", "--output", folder]
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTIBLE + WITHOUT_XLA, "train", *map(str, arguments)],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
    ) as process:
        try:
            deadline = time.monotonic() + 240
            while not (folder / "model.keras").exists():
                assert process.poll() is None and time.monotonic() < deadline
                time.sleep(0.1)
            time.sleep(0.5)
            process.send_signal(signal.SIGINT)
            stderr = process.communicate(timeout=60)[1]
        finally:
            process.kill()
    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr and "model included" in stderr
    run = runs.Run.open(folder)
    # One step an epoch: the model is that of the last epoch in the history.
    assert int(run.load_model().step.numpy()) == run.history()["epoch"][-1]
