"""`keras-vae serve`, as a user types it."""

import signal
import subprocess
import sys
from contextlib import contextmanager

import httpx
import pytest
import tensorflow as tf

from tests.serving import affine

WAIT = 60  # seconds after which a test that hangs fails
X = [[1.0, 2.0, 3.0]]


@contextmanager
def serving(*arguments):
    """`keras-vae serve` on free ports, and what it has said until it answers; killed where a test fails."""
    ports = ["--rest-port", "0", "--grpc-port", "0"]
    command = [sys.executable, "-m", "keras_vae", "serve", *map(str, arguments), *ports]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        lines = []
        while not (lines and lines[-1].startswith("gRPC: ")):
            lines.append(process.stdout.readline())
            assert lines[-1], lines
        yield process, lines
    finally:
        process.kill()
        process.stdout.close()
        process.wait()


def url(lines):
    return next(line for line in lines if line.startswith("REST: ")).split()[1]


def test_it_serves_until_it_is_told_to_end(tmp_path):
    home = tmp_path / "line"
    affine.save(home, 1, 1.0)
    affine.save(home.with_name("plane_encoder"), 1, 2.0)
    affine.save(home.with_name("plane_decoder"), 1, 3.0)
    with serving(home, home.with_name("plane"), "--label", "line:stable=1") as (process, lines):
        told = "".join(lines)
        assert "In production, serve the same folders by TensorFlow Serving" in told
        assert all(
            f"{name} version 1: AVAILABLE" in told for name in ("line", "plane_encoder", "plane_decoder")
        )
        answer = httpx.post(f"{url(lines)}/labels/stable:predict", json={"inputs": X}, timeout=WAIT)
        assert answer.json()["outputs"]["y"] == affine.line(X, 1).tolist()
        process.send_signal(signal.SIGTERM)
        assert process.wait(WAIT) == 0
        assert "Stopping" in process.stdout.read()


class Endless(tf.Module):
    """A run that does not end."""

    @tf.function(input_signature=[tf.TensorSpec([], tf.int64, "turns")], autograph=False)
    def turn(self, turns):
        start = tf.constant(0, tf.int64)
        (done,) = tf.while_loop(lambda i: i < turns, lambda i: (i + 1,), (start,), parallel_iterations=1)
        return {"turns": done}


def test_a_run_that_does_not_end_does_not_keep_it(tmp_path):
    model = Endless()
    tf.saved_model.save(model, str(tmp_path / "endless" / "1"), signatures=model.turn)
    with serving(tmp_path / "endless", "--timeout", "1") as (process, lines):
        answer = httpx.post(f"{url(lines)}:predict", json={"inputs": 2**62}, timeout=WAIT)
        assert answer.status_code == 504
        process.send_signal(signal.SIGTERM)
        assert process.wait(WAIT) == 0
        assert "Runs cut off that took longer than the time to finish: 1" in process.stdout.read()


def test_help_names_what_is_for_production(command):
    shown = " ".join(command("serve", "--help").stdout.replace("│", " ").split())
    assert (
        "for development" in shown and "In production, serve the same folders by TensorFlow Serving" in shown
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "argument `folders`"),
        (["--label", "stable"], "SERVABLE:LABEL=VERSION"),
        (["--label", "line:stable=one"], "SERVABLE:LABEL=VERSION"),
        (["--rest-port", "70000"], "--rest-port"),
        (["--max-batch-size", "0"], "--max-batch-size"),
    ],
)
def test_mistakes_are_said_before_anything_is_loaded(command, tmp_path, options, words):
    done = command("serve", tmp_path / "nothing", *options)
    assert done.exit_code == 2 and words in done.stderr
