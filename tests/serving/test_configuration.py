"""The server's files say what TensorFlow Serving's own messages, Compose and Kubernetes read."""

import re
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format, wrappers_pb2
from tensorflow_serving.config import model_server_config_pb2

from keras_vae.serving.deployment.configuration import write_configuration
from tests.serving import yaml_subset

FILES = [
    "models.config",
    "batching_parameters.txt",
    "monitoring.config",
    "docker-compose.yml",
    "kubernetes.yaml",
]


@pytest.fixture
def paths(tmp_path):
    """The folders of an export, as `export` returns them."""
    versions = {half: tmp_path / f"mnist_{half}" / "3" for half in ("encoder", "decoder", "model")}
    for version in versions.values():
        version.mkdir(parents=True)
        (version / "saved_model.pb").touch()
    return versions


def read_yaml(path):
    documents = yaml_subset.load_all(path.read_text())
    try:
        import yaml
    except ImportError:
        return documents
    assert list(yaml.safe_load_all(path.read_text())) == documents
    return documents


def message(name, fields):
    """A message class with the fields of a proto file that no Python package has."""
    label = descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL
    proto = descriptor_pb2.DescriptorProto(name=name)
    for number, (key, kind) in fields.items():
        field = proto.field.add(name=key, number=number, label=label)
        if kind is bool:
            field.type = descriptor_pb2.FieldDescriptorProto.TYPE_BOOL
        else:
            field.type, field.type_name = descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE, f".{kind}"
    file = descriptor_pb2.FileDescriptorProto(name=f"{name}.proto", package="test", syntax="proto3")
    file.dependency.append("google/protobuf/wrappers.proto")
    file.message_type.append(proto)
    pool = descriptor_pool.Default()
    try:
        pool.FindFileByName(file.name)
    except KeyError:
        pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"test.{name}"))


def batching_parameters():
    """`BatchingParameters` of TensorFlow Serving's session_bundle_config.proto."""
    int64 = wrappers_pb2.Int64Value.DESCRIPTOR.full_name
    names = ["max_batch_size", "batch_timeout_micros", "max_enqueued_batches", "num_batch_threads"]
    return message("BatchingParameters", {i + 1: (name, int64) for i, name in enumerate(names)})()


def monitoring_config():
    """`MonitoringConfig` of TensorFlow Serving's monitoring_config.proto."""
    message("PrometheusConfig", {1: ("enable", bool)})
    pool = descriptor_pool.Default()
    file = descriptor_pb2.FileDescriptorProto(name="MonitoringConfig.proto", package="test", syntax="proto3")
    file.dependency.append("PrometheusConfig.proto")
    field = file.message_type.add(name="MonitoringConfig").field.add(name="prometheus_config", number=1)
    field.label = descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL
    field.type = descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE
    field.type_name = ".test.PrometheusConfig"
    try:
        pool.FindFileByName(file.name)
    except KeyError:
        pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("test.MonitoringConfig"))()


def test_models_config_names_every_servable_once(paths):
    written = write_configuration(paths, num_versions=2)
    assert list(written) == FILES
    assert {path.parent for path in written.values()} == {paths["encoder"].parent.parent}
    config = text_format.Parse(
        written["models.config"].read_text(), model_server_config_pb2.ModelServerConfig()
    )
    models = config.model_config_list.config
    assert [model.name for model in models] == ["mnist_encoder", "mnist_decoder", "mnist_model"]
    assert all(model.base_path == f"/models/{model.name}" for model in models)
    assert {model.model_platform for model in models} == {"tensorflow"}
    assert {model.model_version_policy.latest.num_versions for model in models} == {2}


def test_batching_parameters_are_the_arguments(paths):
    written = write_configuration(paths, max_batch_size=48, batch_timeout=0.0035)
    parameters = text_format.Parse(written["batching_parameters.txt"].read_text(), batching_parameters())
    assert parameters.max_batch_size.value == 48
    assert parameters.batch_timeout_micros.value == 3500
    assert parameters.max_enqueued_batches.value > 0
    # Left to the server, which knows its cores.
    assert not parameters.HasField("num_batch_threads")


def test_metrics_are_for_prometheus(paths):
    written = write_configuration(paths)
    config = text_format.Parse(written["monitoring.config"].read_text(), monitoring_config())
    assert config.prometheus_config.enable


def mounted(compose):
    """The file of each option of the server, in the folder that is mounted at /models."""
    found = {}
    for argument in compose["command"]:
        option, _, value = argument.partition("=")
        found[option.removeprefix("--")] = value.removeprefix("/models/")
    return found


@pytest.mark.parametrize("batching", [False, True])
def test_compose_serves_the_folder(paths, batching):
    written = write_configuration(paths, name="vaes", image="tensorflow/serving:2.19.1", batching=batching)
    [document] = read_yaml(written["docker-compose.yml"])
    [(name, service)] = document["services"].items()
    assert (name, service["image"]) == ("vaes", "tensorflow/serving:2.19.1")
    assert service["ports"] == ["127.0.0.1:8500:8500", "127.0.0.1:8501:8501"]
    assert service["volumes"] == [{"type": "bind", "source": ".", "target": "/models", "read_only": True}]
    options = mounted(service)
    assert options["model_config_file"] == "models.config"
    assert options["monitoring_config_file"] == "monitoring.config"
    # A parameters file without --enable_batching keeps the server from starting (server.cc).
    assert (options.get("enable_batching") == "true") is batching
    assert ("batching_parameters_file" in options) is batching
    # Refused warm-up requests keep a model from loading.
    assert options.get("enable_model_warmup", "true") == ("false" if batching else "true")
    assert all(
        (written["models.config"].parent / file).exists() for key, file in options.items() if "file" in key
    )


@pytest.mark.parametrize("batching", [False, True])
def test_kubernetes_objects_refer_to_each_other(paths, batching):
    written = write_configuration(paths, name="vaes", batching=batching)
    objects = {document["kind"]: document for document in read_yaml(written["kubernetes.yaml"])}
    assert sorted(objects) == ["ConfigMap", "Deployment", "PersistentVolumeClaim", "Service"]
    names = {kind: document["metadata"]["name"] for kind, document in objects.items()}
    pod = objects["Deployment"]["spec"]["template"]
    [container] = pod["spec"]["containers"]
    volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
    assert volumes["models"]["persistentVolumeClaim"]["claimName"] == names["PersistentVolumeClaim"]
    assert volumes["configuration"]["configMap"]["name"] == names["ConfigMap"]
    assert {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]} == {
        "models": "/models",
        "configuration": "/configuration",
    }
    assert all(mount["readOnly"] is True for mount in container["volumeMounts"])
    # Every file that an option names is in the ConfigMap, word for word.
    data = objects["ConfigMap"]["data"]
    arguments = [argument.partition("=")[2] for argument in container["args"] if "_file=" in argument]
    assert sorted(argument.removeprefix("/configuration/") for argument in arguments) == sorted(data)
    assert all(text == written[name].read_text() for name, text in data.items())
    assert ("batching_parameters.txt" in data) is batching
    labels = pod["metadata"]["labels"]
    assert (
        objects["Deployment"]["spec"]["selector"]["matchLabels"]
        == labels
        == objects["Service"]["spec"]["selector"]
    )
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"grpc": 8500, "rest": 8501}
    assert {port["targetPort"]: port["port"] for port in objects["Service"]["spec"]["ports"]} == ports
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"] == {"path": "/v1/models/mnist_encoder", "port": "rest"}
    assert container["resources"]["requests"] and container["resources"]["limits"]


class Status(BaseHTTPRequestHandler):
    """TensorFlow Serving's answer about the state of a model."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.asked.append(self.path)
        name = self.path.rpartition("/")[2]
        state = self.server.states.get(name)
        body = b'{"error": "Could not find any versions of model"}'
        if state:
            body = b'{"model_version_status": [{"version": "1", "state": "%s"}]}' % state.encode()
        self.send_response(200 if state else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with HTTPServer(("127.0.0.1", 0), Status) as server:
        server.asked, server.states = [], {}
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def healthy(written, server):
    [document] = read_yaml(written["docker-compose.yml"])
    test = document["services"]["keras-vae"]["healthcheck"]["test"]
    assert test[:3] == ["CMD", "bash", "-c"]
    # Compose reads "$$" as "$".
    assert not re.search(r"(?<!\$)(\$\$)*\$(?!\$)", test[3])
    script = test[3].replace("$$", "$").replace("/8501", f"/{server.server_port}")
    return subprocess.run(["bash", "-c", script], timeout=60, capture_output=True).returncode == 0


def test_the_health_check_is_of_every_model(paths, server):
    written = write_configuration(paths)
    names = ["mnist_encoder", "mnist_decoder", "mnist_model"]
    server.states = dict.fromkeys(names, "AVAILABLE")
    assert healthy(written, server)
    assert server.asked == [f"/v1/models/{name}" for name in names]
    server.states["mnist_model"] = "LOADING"
    assert not healthy(written, server)
    del server.states["mnist_model"]
    assert not healthy(written, server)


def test_the_health_check_fails_where_nobody_listens(paths, server):
    written = write_configuration(paths)
    server.socket.close()
    assert not healthy(written, server)


def test_folders_of_servables_will_do_and_no_name_comes_twice(paths):
    homes = [path.parent for path in paths.values()]
    first = write_configuration(paths)["models.config"].read_text()
    assert write_configuration([*homes, *paths.values()])["models.config"].read_text() == first


def test_a_folder_stands_for_all_that_were_exported_into_it(paths, tmp_path):
    (tmp_path / "notes").mkdir()
    config = text_format.Parse(
        write_configuration(tmp_path)["models.config"].read_text(),
        model_server_config_pb2.ModelServerConfig(),
    )
    names = [model.name for model in config.model_config_list.config]
    assert names == ["mnist_decoder", "mnist_encoder", "mnist_model"]
    with pytest.raises(ValueError, match="exported servables"):
        write_configuration(tmp_path / "notes")


def test_files_that_differ_are_kept_unless_told_otherwise(paths):
    written = write_configuration(paths)
    changed = written["docker-compose.yml"]
    changed.write_text("mine")
    times = {path: path.stat().st_mtime_ns for path in written.values()}
    with pytest.raises(ValueError, match=r"argument `overwrite`.*docker-compose\.yml"):
        write_configuration(paths, num_versions=3)
    assert {path: path.stat().st_mtime_ns for path in written.values()} == times
    write_configuration(paths, overwrite=True)
    assert changed.read_text() != "mine"
    # Files that are the same already are not touched.
    assert written["models.config"].stat().st_mtime_ns == times[written["models.config"]]


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("name", "Upper"),
        ("name", "ends-"),
        ("num_versions", 0),
        ("num_versions", True),
        ("max_batch_size", 0),
        ("batch_timeout", -1.0),
        ("batch_timeout", float("nan")),
        ("image", "two words"),
    ],
)
def test_bad_arguments_are_refused_and_write_nothing(paths, argument, value):
    with pytest.raises(ValueError, match=f"argument `{argument}`"):
        write_configuration(paths, **{argument: value})
    assert not [path for path in paths["encoder"].parent.parent.iterdir() if path.is_file()]


def test_folders_that_no_server_can_serve_are_refused(paths, tmp_path):
    with pytest.raises(ValueError, match="some folders"):
        write_configuration([])
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="exported version"):
        write_configuration([*paths.values(), tmp_path / "empty"])
    with pytest.raises(ValueError, match="in one folder"):
        write_configuration([*paths.values(), tmp_path / "elsewhere" / "net" / "1"])
    odd = tmp_path / "two words" / "1"
    odd.mkdir(parents=True)
    (odd / "saved_model.pb").touch()
    with pytest.raises(ValueError, match="names of letters"):
        write_configuration([odd])
