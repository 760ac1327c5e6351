"""The command line in this process, and one tiny run that it trained."""

import pytest
from typer.testing import CliRunner

from keras_vae.cli import app

TINY = ["--max-examples", "64", "--validation", "16", "--hidden", "8", "--latent-size", "2"]
TINY += ["--epochs", "1", "--batch-size", "48", "--binarize", "threshold", "--verbose", "0"]


@pytest.fixture(scope="session")
def command():
    """Calls the command line; the result has `exit_code`, `stdout`, `stderr`."""

    def call(*arguments):
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    return call


@pytest.fixture(autouse=True)
def compile_nothing(without_xla):
    with without_xla():
        yield


@pytest.fixture(scope="session")
def tiny():
    return TINY


@pytest.fixture(scope="session")
def trained(command, tiny, without_xla, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    with without_xla():
        done = command("train", *tiny, "--output", folder, "--num-samples", "3")
    assert done.exit_code == 0, done.output
    return folder, done.stdout
