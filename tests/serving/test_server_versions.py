"""Versions come, are warmed, switch and go; broken ones are told of and hurt nobody."""

import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorflow.core.protobuf import saved_model_pb2

from keras_vae.serving.server.folders import versions_in
from keras_vae.serving.server.loaded_model import LoadedModel
from keras_vae.serving.server.runners import Direct
from keras_vae.serving.server.versions import Versions
from keras_vae.serving.wire.status import Code, RequestError, State
from tests.serving import affine

X = np.array([[1, 2, 3]], np.float32)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Versions 1, 2 and 3, of scale 1, 2 and 3, to be copied."""
    folder = tmp_path_factory.mktemp("models")
    for version in (1, 2, 3):
        affine.save(folder, version, version)
    return folder


@pytest.fixture
def home(tmp_path):
    (tmp_path / "line").mkdir()
    return tmp_path / "line"


@pytest.fixture
def make(home):
    with ThreadPoolExecutor(1) as executor:
        yield lambda warm=lambda folder, loaded: None, **options: Versions(
            {"line": home},
            lambda model, signature: Direct(signature.run, executor),
            warm,
            poll_interval=0,
            **options,
        )


def publish(models, home, *numbers):
    for number in numbers:
        shutil.copytree(models / str(number), home / str(number))


def test_numbers_beyond_64_bits_are_no_versions(models, home):
    publish(models, home, 1)
    for name in ("9" * 20, str(2**63)):
        (home / name).mkdir()
    assert list(versions_in(home)) == [1]


def states(versions):
    return {status.version: status.state for status in versions.status("line")}


def answer(version):
    return version.runners["serving_default"].run({"x": X})["y"]


def scale_of(versions, **spec):
    """The scale of the version that answers, by what it answers."""
    version = versions.acquire("line", **spec)
    try:
        return float(answer(version)[0, 0] - 1)
    finally:
        version.release()


def test_a_loaded_model_knows_its_signatures_and_runs_them(models):
    loaded = LoadedModel(models / "2")
    line = loaded.signatures["serving_default"]
    assert line.inputs == {"x": tf.TensorSpec([None, 3], tf.float32, "x")}
    assert {name: spec.shape.as_list() for name, spec in line.outputs.items()} == {
        "y": [None, 3],
        "total": [None],
    }
    np.testing.assert_array_equal(line.run({"x": X})["y"], affine.line(X, 2))
    assert list(line.run({"x": X}, ["total"])) == ["total"]
    row_wise = {name: signature.row_wise for name, signature in loaded.signatures.items()}
    assert row_wise == {"serving_default": True, "sample": False, "brightness": True}


def test_the_latest_version_is_served_and_the_former_unloaded(models, home, make):
    publish(models, home, 1)
    versions = make()
    versions.start()
    assert scale_of(versions) == 1
    publish(models, home, 2)
    versions.poll()
    assert states(versions) == {2: State.AVAILABLE, 1: State.END}
    assert scale_of(versions) == scale_of(versions, number=2) == 2
    with pytest.raises(RequestError, match=r"Servable not found for request: Specific\(line, 1\)"):
        versions.acquire("line", 1)


def test_the_old_version_serves_until_the_new_one_is_warm(models, home, make):
    publish(models, home, 1)
    seen = []

    def warm(folder, loaded):
        served = None if folder.name == "1" else scale_of(versions)
        seen.append((folder.name, "serving_default" in loaded.signatures, states(versions), served))

    versions = make(warm)
    versions.start()
    publish(models, home, 2)
    versions.poll()
    assert seen == [
        ("1", True, {1: State.LOADING}, None),
        ("2", True, {2: State.LOADING, 1: State.AVAILABLE}, 1.0),
    ]


def test_a_request_under_way_ends_on_its_own_version(models, home, make):
    publish(models, home, 1)
    versions = make()
    versions.start()
    opened = versions.acquire("line")
    publish(models, home, 2)
    versions.poll()
    assert states(versions) == {2: State.AVAILABLE, 1: State.UNLOADING}
    np.testing.assert_array_equal(answer(opened), affine.line(X, 1))
    with pytest.raises(RequestError):
        versions.acquire("line", 1)
    opened.release()
    assert states(versions) == {2: State.AVAILABLE, 1: State.END}
    assert opened.loaded is None and not opened.runners


def test_several_versions_by_number_and_by_label(models, home, make):
    publish(models, home, 1, 2, 3)
    versions = make(num_versions=2, labels={"line": {"stable": 2, "gone": 1}})
    versions.start()
    assert states(versions) == {3: State.AVAILABLE, 2: State.AVAILABLE}
    assert [scale_of(versions), scale_of(versions, number=2), scale_of(versions, label="stable")] == [3, 2, 2]
    with pytest.raises(RequestError, match="Unrecognized servable version label: canary") as raised:
        versions.acquire("line", label="canary")
    assert raised.value.code is Code.INVALID_ARGUMENT
    with pytest.raises(RequestError, match="Specific") as raised:
        versions.acquire("line", label="gone")
    assert raised.value.code is Code.NOT_FOUND


def _truncate(folder):
    data = next(folder.glob("variables/*.data*"))
    data.write_bytes(data.read_bytes()[:2])


def _without_tag(folder):

    content = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    content.meta_graphs[0].meta_info_def.tags[:] = ["train"]
    (folder / "saved_model.pb").write_bytes(content.SerializeToString())


BROKEN = {
    "empty folder": lambda folder: (shutil.rmtree(folder), folder.mkdir()),
    "garbage": lambda folder: (folder / "saved_model.pb").write_bytes(bytes(range(256))),
    "empty file": lambda folder: (folder / "saved_model.pb").write_bytes(b""),
    "truncated graph": lambda folder: (folder / "saved_model.pb").write_bytes(
        (folder / "saved_model.pb").read_bytes()[:1000]
    ),
    "truncated variables": _truncate,
    "no variables": lambda folder: shutil.rmtree(folder / "variables"),
    "not to be served": _without_tag,
}


@pytest.mark.parametrize("breakage", BROKEN)
def test_a_broken_version_ends_with_its_reason_and_the_old_one_serves_on(models, home, make, breakage):
    publish(models, home, 1)
    versions = make()
    versions.start()
    publish(models, home, 2)
    BROKEN[breakage](home / "2")
    versions.poll()
    failed, old = versions.status("line")
    assert (failed.version, failed.state) == (2, State.END)
    assert failed.code is not Code.OK and failed.message
    assert (old.version, old.state, scale_of(versions)) == (1, State.AVAILABLE, 1)


def test_a_model_written_as_text_is_served(models, home, make):
    publish(models, home, 1)
    binary = home / "1" / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(binary.read_bytes())
    (home / "1" / "saved_model.pbtxt").write_text(text_format.MessageToString(model))
    binary.unlink()
    versions = make()
    versions.start()
    assert states(versions) == {1: State.AVAILABLE} and scale_of(versions) == 1


def test_a_model_without_signatures_cannot_be_served(home, make):
    module = tf.Module()
    module.variable = tf.Variable(1.0)
    tf.saved_model.save(module, str(home / "1"))
    versions = make()
    versions.start()
    (status,) = versions.status("line")
    assert status.state is State.END and "signatures" in status.message


def test_a_broken_version_is_tried_again_when_its_files_change_and_only_then(models, home, make):
    (home / "2").mkdir()
    tried = []
    versions = make(lambda folder, loaded: tried.append(folder.name))
    versions.start()
    first = versions.status("line")
    versions.poll()
    assert versions.status("line") == first and not tried
    shutil.copytree(models / "2", home / "2", dirs_exist_ok=True)
    versions.poll()
    assert states(versions) == {2: State.AVAILABLE} and tried == ["2"]
    versions.poll()
    assert tried == ["2"]


def test_a_version_whose_warm_up_fails_does_not_serve(models, home, make):
    publish(models, home, 1)

    def warm(folder, loaded):
        raise tf.errors.InvalidArgumentError(None, None, "a bad warm-up request")

    versions = make(warm)
    versions.start()
    (status,) = versions.status("line")
    assert (status.state, status.code) == (State.END, Code.INVALID_ARGUMENT)
    assert "a bad warm-up request" in status.message
    with pytest.raises(RequestError, match=r"Latest\(line\)"):
        versions.acquire("line")


def test_a_version_that_is_taken_away_is_unloaded_and_may_come_back(models, home, make):
    publish(models, home, 1, 2)
    versions = make()
    versions.start()
    shutil.rmtree(home / "2")
    versions.poll()
    assert states(versions) == {2: State.END, 1: State.AVAILABLE}
    publish(models, home, 2)
    versions.poll()
    assert states(versions) == {2: State.AVAILABLE, 1: State.END}
    shutil.rmtree(home)
    versions.poll()
    assert set(states(versions).values()) == {State.END}


def test_only_numbers_are_versions(models, home, make):
    publish(models, home, 1)
    for name in (".draft-7", "notes", "-2", "1.5", "٣"):
        shutil.copytree(models / "1", home / name)
    (home / "9").write_text("a file is no version")
    versions = make()
    versions.start()
    assert states(versions) == {1: State.AVAILABLE}


def test_stopping_unloads_everything(models, home, make):
    publish(models, home, 1)
    versions = make()
    versions.start()
    versions.stop()
    assert states(versions) == {1: State.END}


def test_what_is_not_served_is_said_to_be_unknown(home, make):
    versions = make()
    versions.start()
    for ask in (versions.acquire, versions.status):
        for name in ("line", "other"):
            with pytest.raises(RequestError) as raised:
                ask(name)
            assert raised.value.code is Code.NOT_FOUND


@pytest.mark.parametrize(
    "name, options",
    [("num_versions", {"num_versions": 0}), ("labels", {"labels": {"other": {"stable": 1}}})],
)
def test_options_out_of_range_are_refused(make, name, options):
    with pytest.raises(ValueError, match=f"argument `{name}`"):
        make(**options)
