"""The versions of every served model: found, loaded, warmed, switched and unloaded while requests go on."""

import logging
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from keras_vae.checks import check_count
from keras_vae.errors import invalid
from keras_vae.serving.server.folders import versions_in
from keras_vae.serving.server.loaded_model import LoadedModel, Signature
from keras_vae.serving.server.runners import Runner
from keras_vae.serving.server.version import Version
from keras_vae.serving.wire.status import Code, RequestError, State, VersionStatus

log = logging.getLogger(__name__)

# What lies in a folder: path, size and time of change of each file.
_Contents = tuple[tuple[str, int, int], ...]


class Versions:
    """What is served, kept in step with the folders.

    As TensorFlow Serving does by default, the latest versions in a model's folder are served. A new version
    is loaded and warmed before the old one is let go, which then ends the requests it has begun. A version
    that does not load is in state END with the reason; the old one stays, and the new one is tried again when
    its files change. A version whose folder is gone is let go.

    Args:
        folders: the folder of each model by the model's name; versions are the folders in it that are
            numbers.
        make_runner: makes what runs a signature, from the model's name and the signature.
        warm: runs what a folder holds for warm-up.
        num_versions: how many of the latest versions to serve.
        labels: numbers of versions by label, by model.
        poll_interval: seconds between looks at the folders, or 0 for a single look at the start.

    Raises:
        ValueError: if a number is out of range or labels name a model that is not served.
    """

    def __init__(
        self,
        folders: Mapping[str, Path],
        make_runner: Callable[[str, Signature], Runner],
        warm: Callable[[Path, LoadedModel], object],
        *,
        num_versions: int = 1,
        labels: Mapping[str, Mapping[str, int]] | None = None,
        poll_interval: float = 1.0,
    ):
        check_count("num_versions", num_versions)
        if not poll_interval >= 0:
            raise invalid("poll_interval", "seconds >= 0", poll_interval)
        for name in labels or {}:
            if name not in folders:
                raise invalid("labels", f"models among {', '.join(folders)}", name)
        self.folders, self._labels = dict(folders), dict(labels or {})
        self._make_runner, self._warm, self._num_versions = make_runner, warm, num_versions
        self._interval = poll_interval
        self._models: dict[str, dict[int, Version]] = {name: {} for name in folders}
        self._failed: dict[Path, _Contents] = {}
        self._switch = threading.Lock()
        self._stopped = threading.Event()
        self._poller: threading.Thread | None = None

    def start(self) -> None:
        """Loads what there is, then watches the folders in a thread of its own."""
        self.poll()
        if self._interval:
            self._poller = threading.Thread(target=self._watch, name="versions", daemon=True)
            self._poller.start()

    def stop(self) -> None:
        """Ends the watch and unloads every version that is not in use; the others when they are not."""
        self._stopped.set()
        if self._poller is not None:
            self._poller.join()
        for versions in self._models.values():
            for version in versions.values():
                version.unload()

    def acquire(self, name: str, number: int | None = None, label: str | None = None) -> Version:
        """The version for a request, the latest where none is named; `Version.release` must follow.

        Raises:
            RequestError: NOT_FOUND if it is not served, INVALID_ARGUMENT for a label that nobody gave.
        """
        if label is not None:
            number = self._of_label(name, label)
        # The lock keeps the old version from going between the look at the new one and at the old one.
        with self._switch:
            versions = self._models.get(name, {})
            for candidate in sorted(versions, reverse=True) if number is None else [number]:
                version = versions.get(candidate)
                if version is not None and version.acquire():
                    return version
        wanted = f"Latest({name})" if number is None else f"Specific({name}, {number})"
        raise RequestError(Code.NOT_FOUND, f"Servable not found for request: {wanted}")

    def status(self, name: str, number: int | None = None) -> list[VersionStatus]:
        """The status of one version, or of all that were ever seen, the latest first.

        Raises:
            RequestError: NOT_FOUND if there is none.
        """
        versions = self._models.get(name, {})
        if number is not None:
            if number not in versions:
                raise RequestError(Code.NOT_FOUND, f"Could not find version {number} of model {name}")
            return [versions[number].status]
        if not versions:
            raise RequestError(Code.NOT_FOUND, f"Could not find any versions of model {name}")
        return [versions[each].status for each in sorted(versions, reverse=True)]

    def poll(self) -> None:
        """Looks at every folder once, and loads and unloads by what it finds."""
        for name, folder in self.folders.items():
            found = versions_in(folder)
            wanted = dict(sorted(found.items())[-self._num_versions :])
            for number, path in wanted.items():
                self._load_if_new(name, number, path)
            self._unload_others(name, wanted, found)

    def _watch(self) -> None:
        while not self._stopped.wait(self._interval):
            try:
                self.poll()
            except OSError as error:
                log.warning("The folders could not be read: %s", error)

    def _load_if_new(self, name: str, number: int, folder: Path) -> None:
        versions = self._models[name]
        if number in versions and not self._to_be_tried(versions[number]):
            return
        version = Version(name, number, folder)
        contents = _contents(folder)
        # A copy with one version more, because requests read the dictionary while this thread changes it.
        self._models[name] = {**versions, number: version}
        if version.load(self._make_runner, self._warm):
            self._failed.pop(folder, None)
            log.info("%s: version %d is available", name, number)
        else:
            self._failed[folder] = contents
            log.warning("%s: version %d does not load: %s", name, number, version.status.message)

    def _to_be_tried(self, version: Version) -> bool:
        """Whether it ended, and not for a reason that still lies in the folder."""
        ended = version.status.state is State.END
        return ended and self._failed.get(version.folder) != _contents(version.folder)

    def _unload_others(self, name: str, wanted: Mapping[int, Path], found: Mapping[int, Path]) -> None:
        versions = self._models[name]
        replaced = any(versions[number].available for number in wanted)
        for number, version in versions.items():
            # The old one stays until a new one can take its place, unless its files are gone.
            if number not in wanted and (replaced or number not in found) and version.available:
                log.info("%s: version %d is unloading", name, number)
                with self._switch:
                    version.unload()

    def _of_label(self, name: str, label: str) -> int:
        known = self._labels.get(name, {})
        if label not in known:
            raise RequestError(Code.INVALID_ARGUMENT, f"Unrecognized servable version label: {label}")
        return known[label]


def _contents(folder: Path) -> _Contents:
    found = []
    for path in folder.rglob("*"):
        try:
            about = path.stat()
        except FileNotFoundError:  # it went while we looked
            continue
        found.append((str(path), about.st_size, about.st_mtime_ns))
    return tuple(sorted(found))
