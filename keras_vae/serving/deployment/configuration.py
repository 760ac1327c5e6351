"""What TensorFlow Serving needs to serve an export: its configuration, Docker Compose's and Kubernetes'."""

import os
import re
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path

from keras_vae.checks import check_count
from keras_vae.errors import invalid
from keras_vae.runs import files
from keras_vae.serving.deployment import configuration_texts as texts
from keras_vae.serving.deployment.configuration_texts import BATCHING, COMPOSE, KUBERNETES, MODELS, MONITORING

# The newest that there is: a server should be about as new as the TensorFlow that wrote the SavedModels.
IMAGE = "tensorflow/serving:2.20.0"

Servables = str | os.PathLike | Mapping[str, str | os.PathLike] | Iterable[str | os.PathLike]


def write_configuration(
    servables: Servables,
    *,
    name: str = "keras-vae",
    num_versions: int = 1,
    batching: bool = False,
    max_batch_size: int = 128,
    batch_timeout: float = 0.002,
    image: str = IMAGE,
    overwrite: bool = False,
) -> dict[str, Path]:
    """Writes the configuration of a TensorFlow Serving that serves these servables, beside their folders.

        models.config             the servables and which of their versions to serve, a `ModelServerConfig`
        batching_parameters.txt   how to join requests, `BatchingParameters`
        monitoring.config         metrics for Prometheus, a `MonitoringConfig`
        docker-compose.yml        one server of them all, gRPC at port 8500 and REST at 8501
        kubernetes.yaml           the same as ConfigMap, PersistentVolumeClaim, Deployment and Service

    `docker compose up` in that folder starts the server. It finds new versions by itself.

    The server does not join requests unless asked to. With `--enable_batching`, TensorFlow Serving joins
    those of every signature, and refuses inputs of rank 0 or of unequal first axes, so that every signature
    with a `seed` or `steps` is lost: `sample`, `interpolate`, `log_likelihood`, `anomaly_score`. What is left
    are `serving_default`, `reconstruct` and `classify`, for requests of up to `max_batch_size` examples.
    Since a warm-up request that is refused keeps a model from loading, warm-up is off then. See
    `keras_vae.serving.deployment.warmup`.

    Args:
        servables: what `export` returned, or the folders of versions or of servables, all in one folder; or
            that folder, for all that are in it.
        name: of the service: lower case letters, digits and "-", at most 50, a letter first.
        num_versions: how many of the newest versions to serve at the same time.
        batching: whether the server joins requests.
        max_batch_size: examples of a joined run at most.
        batch_timeout: seconds that a request waits for others at most.
        image: of the server.
        overwrite: whether to replace files that are there and differ.

    Returns:
        The paths, by file name.

    Raises:
        ValueError: for a bad argument, a folder without an exported version, or files that are there and
            differ; nothing is written then.

    Example:

    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     version = pathlib.Path(folder, "mnist_encoder", "1")
    ...     version.mkdir(parents=True)
    ...     _ = version.joinpath("saved_model.pb").write_bytes(b"")
    ...     written = write_configuration([version])
    ...     print(written["models.config"].read_text())
    model_config_list {
      config {
        name: "mnist_encoder"
        base_path: "/models/mnist_encoder"
        model_platform: "tensorflow"
        model_version_policy { latest { num_versions: 1 } }
      }
    }
    <BLANKLINE>
    """
    homes = _homes(servables)
    if not re.fullmatch(r"[a-z]([-a-z0-9]{0,48}[a-z0-9])?", name):
        raise invalid("name", "lower case letters, digits and '-', at most 50, a letter first", name)
    if not re.fullmatch(r"[\w./:@-]+", image, re.ASCII):
        raise invalid("image", "the name of a container image", image)
    check_count("num_versions", num_versions)
    names = [home.name for home in homes]
    contents = {
        MODELS: texts.model_config_list(names, num_versions),
        BATCHING: texts.batching_parameters(max_batch_size, batch_timeout),
        MONITORING: "prometheus_config { enable: true }\n",
    }
    mounted = {key: text for key, text in contents.items() if batching or key != BATCHING}
    contents[COMPOSE] = texts.compose(name, image, names, batching)
    contents[KUBERNETES] = texts.kubernetes(name, image, names[0], batching, mounted)
    return _write(homes[0].parent, contents, overwrite)


def _homes(servables: Servables) -> list[Path]:
    """The folders of the servables, each once, checked."""
    if isinstance(servables, (str, os.PathLike)):
        given: Iterable[str | os.PathLike] = _found(Path(servables))
    else:
        given = servables.values() if isinstance(servables, Mapping) else servables
    paths = [Path(path).absolute() for path in given]
    homes = list(dict.fromkeys(path.parent if path.name.isdecimal() else path for path in paths))
    if not homes:
        raise invalid("servables", "some folders of exported servables", servables)
    if len({home.parent for home in homes}) > 1:
        raise invalid("servables", "folders in one folder", [str(home) for home in homes])
    for home in homes:
        if not any(path.parent.name.isdecimal() for path in home.glob("*/saved_model.pb")):
            hint = "Write one with `keras_vae.serving.export`."
            raise invalid("servables", "a folder that holds an exported version", str(home), hint)
        # The name goes into an address, a text proto and a shell's words.
        if not re.fullmatch(r"[\w.-]+", home.name, re.ASCII):
            raise invalid("servables", "names of letters, digits, '_', '-' and '.'", home.name)
    return homes


def _found(folder: Path) -> list[Path]:
    """The servables in a folder."""
    versions = [path.parent for path in folder.glob("*/*/saved_model.pb")]
    found = sorted({version.parent for version in versions if version.name.isdecimal()})
    if not found:
        hint = "Export a model into it with `keras-vae export` or `keras_vae.serving.export`."
        raise invalid("servables", "a folder that holds exported servables", str(folder), hint)
    return found


def _write(folder: Path, contents: Mapping[str, str], overwrite: bool) -> dict[str, Path]:
    paths = {name: folder / name for name in contents}
    encoded = {name: text.encode() for name, text in contents.items()}
    old = [name for name, path in paths.items() if path.exists() and path.read_bytes() != encoded[name]]
    if old and not overwrite:
        hint = f"They are in {folder} and differ from what would be written."
        raise invalid("overwrite", f"True, to replace {', '.join(old)}", overwrite, hint)
    for name, path in paths.items():
        if name in old or not path.exists():
            files.write(path, partial(Path.write_bytes, data=encoded[name]))
    return paths
