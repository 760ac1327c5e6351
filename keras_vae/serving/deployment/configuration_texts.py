"""The texts of a server's files: text protos, and templates filled in."""

import textwrap
from collections.abc import Iterable, Mapping
from importlib import resources
from string import Template

from keras_vae.checks import check_count
from keras_vae.errors import invalid

MODELS, BATCHING, MONITORING = "models.config", "batching_parameters.txt", "monitoring.config"
COMPOSE, KUBERNETES = "docker-compose.yml", "kubernetes.yaml"


def model_config_list(names: Iterable[str], num_versions: int) -> str:
    """`ModelServerConfig` of tensorflow_serving/config/model_server_config.proto."""
    configs = [
        f"  config {{\n"
        f'    name: "{name}"\n'
        f'    base_path: "/models/{name}"\n'
        f'    model_platform: "tensorflow"\n'
        f"    model_version_policy {{ latest {{ num_versions: {num_versions} }} }}\n"
        f"  }}\n"
        for name in names
    ]
    return f"model_config_list {{\n{''.join(configs)}}}\n"


def batching_parameters(max_batch_size: int, batch_timeout: float) -> str:
    """`BatchingParameters` of session_bundle_config.proto.

    There is no `num_batch_threads`: as many as the server has cores, by default. Nor are there
    `allowed_batch_sizes`, which pad: an exported signature takes any batch size without retracing.
    """
    check_count("max_batch_size", max_batch_size)
    if isinstance(batch_timeout, bool) or not 0 <= batch_timeout < 60:
        raise invalid("batch_timeout", "seconds in [0, 60)", batch_timeout)
    return (
        f"max_batch_size {{ value: {max_batch_size} }}\n"
        f"batch_timeout_micros {{ value: {round(batch_timeout * 1e6)} }}\n"
        # Requests beyond so many batches are refused at once instead of waiting without end.
        f"max_enqueued_batches {{ value: 100 }}\n"
    )


def _arguments(folder: str, batching: bool) -> list[str]:
    """The server's options, its files in a folder of the container."""
    chosen = [f"--model_config_file={folder}/{MODELS}", f"--monitoring_config_file={folder}/{MONITORING}"]
    if batching:
        chosen += ["--enable_batching=true", f"--batching_parameters_file={folder}/{BATCHING}"]
        # The warm-up requests of seeded signatures would be refused, and their models with them.
        chosen += ["--enable_model_warmup=false"]
    return chosen


def compose(name: str, image: str, models: Iterable[str], batching: bool) -> str:
    arguments = _items(_arguments("/models", batching), indent=6)
    return _fill(COMPOSE, name=name, image=image, arguments=arguments, models=" ".join(models))


def kubernetes(name: str, image: str, probed: str, batching: bool, mounted: Mapping[str, str]) -> str:
    contents = [f"  {key}: |\n{textwrap.indent(text, '    ')}" for key, text in mounted.items()]
    arguments = _items(_arguments("/configuration", batching), indent=12)
    texts = "".join(contents).rstrip("\n")
    return _fill(KUBERNETES, name=name, image=image, arguments=arguments, probed=probed, files=texts)


def _items(values: Iterable[str], indent: int) -> str:
    """A sequence in YAML."""
    return "\n".join(f"{' ' * indent}- {value}" for value in values)


def _fill(template: str, **values: str) -> str:
    source = resources.files("keras_vae.serving.deployment") / "templates" / template
    return Template(source.read_text(encoding="utf-8")).substitute(values)
