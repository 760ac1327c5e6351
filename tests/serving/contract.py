"""Servers that must answer alike: what they serve, and how each is started.

A small VAE, its decoder in two versions, and a SavedModel that gives back what it is sent.
"""

import contextlib
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from keras_vae import VAE, serving
from keras_vae.serving import servables

EVENT, LATENT = (4,), 2
LABELS = {"stable": 1, "canary": 2}
BINARY = "tensorflow_model_server"


@dataclass(frozen=True)
class Served:
    """A running server.

    Attributes:
        rest: where its REST API is, up to the port.
        grpc: where its gRPC API is, host and port.
    """

    rest: str
    grpc: str


@dataclass(frozen=True)
class Exported:
    """What is served: `tiny_decoder` in versions 1 and 2, the rest of the VAE in version 2.

    Attributes:
        folder: holds `tiny_encoder`, `tiny_decoder`, `tiny_model` and `echo`.
        models: the VAEs in memory, by version.
    """

    folder: Path
    models: dict[int, VAE]

    def signature_defs(self, servable: str, version: int) -> dict:
        """The signatures as the file holds them, read by protobuf alone."""
        saved = saved_model_pb2.SavedModel()
        saved.ParseFromString((self.folder / servable / str(version) / "saved_model.pb").read_bytes())
        return dict(saved.meta_graphs[0].signature_def)


class Echo(tf.Module):
    """Gives back text, numbers of several dtypes, and a scalar."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "text")], autograph=False)
    def text(self, text):
        return {"text": text, "text_bytes": text, "length": tf.strings.length(text)}

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, 2], tf.float32, "x"),
            tf.TensorSpec([None], tf.int64, "n"),
            tf.TensorSpec([None], tf.bool, "b"),
        ],
        autograph=False,
    )
    def numbers(self, x, n, b):
        return {"x": tf.identity(x), "n": tf.identity(n), "b": tf.identity(b)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")], autograph=False)
    def total(self, x):
        return {"total": tf.reduce_sum(x)}


def export(folder: Path) -> Exported:
    """Writes what is served: two versions of the VAE's decoder, one of all else."""
    models = {
        version: VAE.create(EVENT, LATENT, hidden=(3,), likelihood="normal", seed=version)
        for version in (1, 2)
    }
    servables.decoder(models[1]).save(str(folder / "tiny_decoder" / "1"))
    # The next version that none of the servables has.
    serving.export(models[2], folder / "tiny")
    echo = Echo()
    signatures = {"serving_default": echo.text, "numbers": echo.numbers, "total": echo.total}
    tf.saved_model.save(echo, str(folder / "echo" / "1"), signatures=signatures)
    return Exported(folder, models)


@contextlib.contextmanager
def embedded(folder: Path) -> Iterator[Served]:
    """The server of this library, in threads of this process."""
    from keras_vae.serving.server import Server

    folders = [folder / "tiny", folder / "echo"]
    labels = {"tiny_decoder": LABELS}
    with Server(folders, 0, 0, num_versions=2, labels=labels, poll_interval=0) as server:
        yield Served(f"http://{server.host}:{server.rest_port}", f"{server.host}:{server.grpc_port}")


@contextlib.contextmanager
def tensorflow_model_server(folder: Path) -> Iterator[Served]:
    """TensorFlow Serving, where it is installed."""
    if shutil.which(BINARY) is None:
        pytest.skip(f"{BINARY} is not on PATH")
    rest, grpc = _free_port(), _free_port()
    (folder / "models.config").write_text(_models_config(folder), encoding="utf-8")
    command = [
        BINARY,
        f"--rest_api_port={rest}",
        f"--port={grpc}",
        f"--model_config_file={folder / 'models.config'}",
        "--allow_version_labels_for_unavailable_models=true",
    ]
    with open(folder / "server.log", "w", encoding="utf-8") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        served = Served(f"http://localhost:{rest}", f"localhost:{grpc}")
        for servable in ("tiny_encoder", "tiny_decoder", "tiny_model", "echo"):
            _wait_until_available(f"{served.rest}/v1/models/{servable}", process, folder / "server.log")
        yield served
    finally:
        process.terminate()
        process.wait(30)


SERVERS = {"embedded": embedded, BINARY: tensorflow_model_server}


def _models_config(folder: Path) -> str:
    labels = "".join(f' version_labels {{ key: "{key}" value: {value} }}' for key, value in LABELS.items())
    configs = [
        f'config {{ name: "{name}" base_path: "{folder / name}" model_platform: "tensorflow" '
        f"model_version_policy {{ latest {{ num_versions: 2 }} }}"
        f"{labels if name == 'tiny_decoder' else ''} }}"
        for name in ("tiny_encoder", "tiny_decoder", "tiny_model", "echo")
    ]
    return f"model_config_list {{ {' '.join(configs)} }}"


def _free_port() -> int:
    with socket.socket() as chosen:
        chosen.bind(("localhost", 0))
        return chosen.getsockname()[1]


def _wait_until_available(url: str, process: subprocess.Popen, log: Path, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                if b"AVAILABLE" in answer.read():
                    return
        except (urllib.error.URLError, OSError):
            pass
        time.sleep(0.1)
    raise AssertionError(f"{BINARY} does not serve {url}:\n{log.read_text(encoding='utf-8')[-2000:]}")
