"""Image data sets of tensorflow-datasets."""

import os
import re
import socket
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlparse
from urllib.request import getproxies

import tensorflow as tf

from keras_vae import errors
from keras_vae.datasets.parts import ArrayPart, Source, collect, fit_image

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, eq=False)
class BuilderPart:
    """Examples `start` to `stop` of one split of a prepared data set.

    Args:
        builder: the `tfds.core.DatasetBuilder`.
        split: the split's name.
        start, stop: the range of examples.
        image: the name of the image feature.
        label: the path of the label feature; empty for none.
        shape: (height, width, channels) of the images that are read.
    """

    builder: Any
    split: str
    start: int
    stop: int
    image: str
    label: tuple[str, ...]
    shape: tuple[int, int, int]

    @property
    def size(self) -> int:
        return self.stop - self.start

    @property
    def labelled(self) -> bool:
        return bool(self.label)

    def cap(self, count: int, seed: int) -> "BuilderPart":
        del seed  # a prepared data set is shuffled on disk
        return replace(self, stop=min(self.stop, self.start + count))

    def hold_out(self, count: int, seed: int) -> tuple["BuilderPart", "BuilderPart"]:
        del seed
        cut = self.stop - count
        return replace(self, stop=cut), replace(self, start=cut)

    def read(self) -> ArrayPart:
        return collect(self.stream(None), self.size)

    def stream(self, seed: int | None) -> tf.data.Dataset:
        import tensorflow_datasets as tfds

        wanted: dict[str, Any] = {self.image: True}
        if self.label:
            wanted[self.label[0]] = _nested(self.label[1:])
        raw = self.builder.as_dataset(
            split=f"{self.split}[{self.start}:{self.stop}]",
            shuffle_files=seed is not None,
            decoders=tfds.decode.PartialDecoding(wanted),
            read_config=tfds.ReadConfig(shuffle_seed=seed, try_autocache=False, enable_ordering_guard=False),
        )
        return raw.map(self._element, num_parallel_calls=tf.data.AUTOTUNE)

    def _element(self, features: dict[str, Any]) -> dict[str, tf.Tensor]:
        image = features[self.image]
        if tuple(image.shape) != self.shape:
            image = tf.ensure_shape(fit_image(image, self.shape[:2]), self.shape)
        if not self.label:
            return {"x": image}
        label = features
        for key in self.label:
            label = label[key]
        return {"x": image, "y": tf.cast(label, tf.int32)}


def _nested(path: tuple[str, ...]) -> Any:
    return {path[0]: _nested(path[1:])} if path else True


def known_names() -> tuple[str, ...]:
    """The data sets that tensorflow-datasets can build; none where it is not installed."""
    try:
        import tensorflow_datasets as tfds
    except ImportError:
        return ()
    return tuple(tfds.list_builders(with_community_datasets=False))


def base_name(name: str) -> str:
    """ "emnist" of "emnist/letters:3.1.0"."""
    return re.split(r"[/:]", name)[0]


def folder_of(data_dir: str | os.PathLike | None) -> str | None:
    """The folder of prepared data sets; None stands for tensorflow-datasets' own choice."""
    folder = data_dir if data_dir is not None else os.environ.get("TFDS_DATA_DIR")
    return None if folder is None else str(Path(folder).expanduser())


def is_prepared(name: str, data_dir: str | os.PathLike | None) -> bool:
    """Whether the folder holds something of that name."""
    folder = folder_of(data_dir)
    return folder is not None and (Path(folder) / base_name(name)).is_dir()


def tfds_source(
    name: str,
    *,
    data_dir: str | os.PathLike | None,
    download: bool,
    labels: bool | str,
    image_size: tuple[int, int] | None,
) -> Source:
    """Opens a data set of tensorflow-datasets, preparing it first where that is needed.

    Args:
        name: as `tfds.load` takes it.
        data_dir: the folder of prepared data sets.
        download: whether it may be downloaded and prepared.
        labels: the name of the label feature; True for "label"; False for "label" if there is one.
        image_size: the wanted (height, width), or None for that of the images.
    """
    folder = folder_of(data_dir)
    builder = _builder(name, folder)
    features = builder.info.features
    image = _image_feature(name, features)
    shape = _image_shape(name, features[image], image_size)
    path, feature = _label_feature(name, features, labels)
    _prepare(builder, name, folder, download)
    parts = {
        split: BuilderPart(builder, own, 0, _size(builder, own), image, path, shape)
        for split, own in _splits(name, builder).items()
    }
    names = getattr(feature, "names", None)
    classes = getattr(feature, "num_classes", None)
    return Source(parts, None if names is None else tuple(names), classes)


def _builder(name: str, folder: str | None) -> Any:
    import tensorflow_datasets as tfds

    try:
        return tfds.builder(name, data_dir=folder)
    except Exception as error:
        raise errors.invalid(
            "name",
            "a data set, configuration and version of tensorflow-datasets",
            name,
            _nearest_config(name) or _one(error),
        ) from None


def _nearest_config(name: str) -> str:
    import tensorflow_datasets as tfds

    base = base_name(name)
    try:
        configs = tfds.builder_cls(base).builder_configs
    except Exception:  # no code for it, only files: there is nothing to compare with
        return ""
    return errors._did_you_mean(name, [f"{base}/{config}" for config in configs])


def _prepare(builder: Any, name: str, folder: str | None, download: bool) -> None:
    if builder.info.splits:
        return
    reason = "download=False forbids it here"
    if download:
        try:
            _check_network(builder)
            builder.download_and_prepare()
            return
        # Whatever stopped it (network, disk, a manual step), the way out is the same.
        except Exception as error:
            reason = f"doing so here failed with {type(error).__name__}: {_one(error)}"
    raise errors.invalid(
        "name",
        f"a data set prepared in {builder.data_path}",
        name,
        f"Download and prepare it with `tfds.load({name!r}, data_dir={folder!r})`; {reason}",
    )


def _one(error: Exception) -> str:
    """An error's message on one line of bounded length."""
    text = " ".join(str(error).split())
    return text if len(text) <= 300 else text[:297] + "..."


def _check_network(builder: Any) -> None:
    """Fails at once where no host can be resolved; the download would try for minutes."""
    hosts = {urlparse(url).hostname for url in builder.url_infos or {}} - {None}
    if not hosts or getproxies():
        return
    for host in hosts:
        try:
            socket.getaddrinfo(host, 443)
            return
        except OSError as error:
            failure = error
    raise ConnectionError(f"cannot resolve {', '.join(sorted(map(str, hosts)))} ({failure})")


def _splits(name: str, builder: Any) -> dict[str, str]:
    """Our splits by their names in the data set; its only split, whatever its name, trains."""
    own = list(builder.info.splits)
    found = {split: split for split in SPLITS if split in own}
    if "train" in found:
        return found
    if len(own) == 1:
        return {"train": own[0]}
    raise errors.invalid("name", "a data set with a split 'train'", f"{name} with splits {own}")


def _size(builder: Any, split: str) -> int:
    return int(builder.info.splits[split].num_examples)


def _image_feature(name: str, features: Any) -> str:
    import tensorflow_datasets as tfds

    images = [key for key, feature in features.items() if isinstance(feature, tfds.features.Image)]
    if "image" in images:
        return "image"
    if len(images) == 1:
        return images[0]
    raise errors.invalid(
        "name", "a data set with an image feature", f"{name} with features {list(features.keys())}"
    )


def _image_shape(name: str, feature: Any, image_size: tuple[int, int] | None) -> tuple[int, int, int]:
    if tf.as_dtype(feature.dtype) != tf.uint8 or feature.shape[-1] is None:
        shown = f"{name} with {feature.dtype} images of shape {feature.shape}"
        raise errors.invalid("name", "a data set of uint8 images with fixed channels", shown)
    height, width = image_size or feature.shape[:2]
    if height is None or width is None:
        raise errors.invalid("image_size", f"a size, since the images of {name} differ in theirs", image_size)
    return int(height), int(width), int(feature.shape[-1])


def _label_feature(name: str, features: Any, labels: bool | str) -> tuple[tuple[str, ...], Any]:
    found = _scalars(features)
    wanted = labels if isinstance(labels, str) else "label"
    if wanted in found:
        return tuple(wanted.split("/")), found[wanted]
    if not labels:
        return (), None
    hint = f"The integer features of {name} are {', '.join(found) or 'none'}."
    raise errors.invalid("labels", "an integer feature of the data set", wanted, hint)


def _scalars(features: Any, prefix: str = "") -> dict[str, Any]:
    """The integer or boolean scalar features by path, such as "label" or "attributes/Male"."""
    found = {}
    for key, feature in features.items():
        if hasattr(feature, "items"):
            found.update(_scalars(feature, f"{prefix}{key}/"))
        elif feature.shape == () and _is_integer(feature):
            found[prefix + key] = feature
    return found


def _is_integer(feature: Any) -> bool:
    dtype = tf.as_dtype(feature.dtype)
    return dtype.is_integer or dtype.is_bool
