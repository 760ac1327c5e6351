"""`load`: any data set by its name."""

import functools
import glob
import math
import os
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from keras_vae import errors
from keras_vae.datasets import arrays, sources, streams
from keras_vae.datasets.options import Options
from keras_vae.datasets.parts import ArrayPart, Part, check_count, check_image_size
from keras_vae.datasets.splits import Splits
from keras_vae.datasets.tfds_builders import BuilderPart
from keras_vae.datasets.transforms import Transform

MEMORY_LIMIT = 4 * 2**30
SPLITS = ("train", "validation", "test")


def load(
    name: str | os.PathLike,
    *,
    binarize: str | None = None,
    scale: str = "unit",
    dequantize: bool = False,
    labels: bool | str = False,
    batch_size: int = 128,
    validation: float | int = 0.1,
    shuffle: bool = True,
    seed: int = 0,
    data_dir: str | os.PathLike | None = None,
    image_size: int | tuple[int, int] | None = None,
    cache: bool | str | os.PathLike = True,
    max_examples: int | None = None,
    download: bool = True,
    memory_limit: int = MEMORY_LIMIT,
) -> Splits:
    """Loads a data set by its name, split, shuffled, scaled and in batches.

    Decoded examples are kept as bytes in memory where they fit, and every random transform is
    drawn after that, batch by batch. The same arguments give the same splits, orders and draws.

    Bytes that are 0 and 1 throughout mean black and white, 0 and 255. Of examples that are not kept in
    memory the first 256 of the training split decide, and a pass that then meets a byte above 1 fails.

    Args:
        name: "digits" (8x8 digits of scikit-learn, no download); an image data set of
            tensorflow-datasets such as "mnist", "cifar10" or "emnist/letters"; a folder of
            images (.png, .jpg, .jpeg, .bmp, .gif, .webp, .tif, .tiff), turned upright by their EXIF
            orientation, whose sub-folders are classes, or splits where they are called train,
            validation and test (training, val, valid, testing; in any case), beside which folders of
            masks and annotations are not read; or a .npy file ([N, H, W], [N, H, W, C] or
            [N, D]) or .npz file (keys x or x_train, x_validation, x_test, and y likewise).
        binarize: None; "dynamic", a new Bernoulli draw with the intensity as its mean for every
            training epoch, and always the same draw for validation and test; "static", one draw
            for good; "threshold", intensity > 0.5. With scale="unit" only.
        scale: "unit" for x in [0, 1], "bytes" for 0..255, "symmetric" for [-1, 1], or "standard"
            for zero mean and unit variance of each channel over the training examples.
        dequantize: (bytes + u) / 256 with new uniform u in [0, 1) for each batch, for densities;
            see `bits_per_dim`. With scale="unit" only.
        labels: whether batches are (x, y); the name of an integer feature of a
            tensorflow-datasets data set for labels other than "label".
        batch_size: examples a batch; the last batch holds what is left.
        validation: the fraction, or with an integer the number, of the training examples that are
            held out: the last of a seeded permutation, or the last of the stored order where
            examples are streamed from tensorflow-datasets. A source's own validation split is
            used instead, all of it. 0 for no validation split.
        shuffle: a new order of the training examples every epoch.
        seed: of the splits, orders and draws.
        data_dir: the folder of prepared tensorflow-datasets; TFDS_DATA_DIR when None.
        image_size: height and width, or (height, width): the largest centred piece of that aspect
            ratio, resized. Needed where a source's images differ in size.
        cache: True keeps decoded examples in memory where they fit; False reads them anew every
            epoch; a path, in a folder that exists, does as True, and keeps what does not fit in files
            that start so.
        max_examples: at most so many examples of each of the source's splits; validation is held
            out of them.
        download: whether tensorflow-datasets may download and prepare what is missing.
        memory_limit: the bytes of decoded examples, all splits together, that are kept in memory.

    Returns:
        A `Splits`. Splits in memory carry a `Resident` as attribute `resident` of their dataset.

    Raises:
        ValueError: before any work, for an unknown name or option, options that do not go
            together, a cache in a folder that is missing or, where files are to be written, not
            writable, and data that are missing, unreadable, empty, not numeric or out of range.

    References:
        Salakhutdinov and Murray, "On the quantitative analysis of deep belief networks", 2008, and
        Burda, Grosse and Salakhutdinov, "Importance weighted autoencoders", 2016 (binarisation);
        Theis, van den Oord and Bethge, "A note on the evaluation of generative models", 2016
        (dequantisation).

    Example:

    >>> from keras_vae import datasets
    >>> splits = datasets.load("digits", labels=True, batch_size=32)
    >>> x, y = next(iter(splits.train))
    >>> x.shape, y.shape, splits.num_classes
    (TensorShape([32, 8, 8, 1]), TensorShape([32]), 10)
    """
    options = Options(binarize, scale, dequantize, batch_size, shuffle, seed)
    _check_arguments(labels, validation, cache, max_examples, memory_limit)
    source = sources.find(
        name,
        image_size=check_image_size(image_size),
        data_dir=data_dir,
        download=download,
        labels=labels,
        real=scale == "standard",
    )
    parts = dict(source.parts)
    _check_labels(name, parts, labels)
    if max_examples is not None:
        parts = {split: part.cap(max_examples, seed) for split, part in parts.items()}
    held_out = _held_out(validation, parts)
    if _in_memory(parts, cache, memory_limit):
        parts = {split: part.read() for split, part in parts.items()}
    if held_out:
        parts["train"], parts["validation"] = parts["train"].hold_out(held_out, seed)
    parts = {split: parts[split] for split in SPLITS if split in parts}
    if isinstance(parts["train"], ArrayPart):
        built = _resident(parts, options, bool(labels))
    else:
        choices = (os.fspath(name), data_dir, image_size, labels, validation, max_examples)
        built = _streamed(parts, options, bool(labels), _cache_file(cache, choices, options))
    return Splits(
        name=os.fspath(name),
        train=built.datasets["train"],
        validation=built.datasets.get("validation"),
        test=built.datasets.get("test"),
        image_shape=tuple(parts["train"].shape),
        num_classes=_num_classes(source, parts) if labels else None,
        class_names=source.class_names if labels else None,
        sizes={split: part.size for split, part in parts.items()},
        support=built.transform.support,
        transform=built.transform,
        readers=built.readers,
    )


class _Built(NamedTuple):
    datasets: dict[str, tf.data.Dataset]
    transform: Transform
    readers: dict[str, Callable[[], ArrayPart]]


def _resident(parts: dict[str, ArrayPart], options: Options, labels: bool) -> _Built:
    stored, binary = arrays.stretch({split: part.x for split, part in parts.items()})
    statistics = arrays.statistics_of(stored["train"]) if options.scale == "standard" else None
    residents = {
        split: arrays.resident(
            stored[split],
            part.y if labels else None,
            options,
            binary=binary,
            statistics=statistics,
            shuffle=options.shuffle and split == "train",
            seed=_seed_of(options, split),
            fresh=split == "train",
        )
        for split, part in parts.items()
    }
    readers: dict[str, Callable[[], ArrayPart]] = {
        split: functools.partial(ArrayPart, residents[split].x, part.y) for split, part in parts.items()
    }
    datasets = {split: resident.to_dataset() for split, resident in residents.items()}
    return _Built(datasets, options.transform(binary, statistics), readers)


def _streamed(parts: dict[str, Part], options: Options, labels: bool, cache_file: str | None) -> _Built:
    binary = streams.are_zero_one(parts["train"])
    fixed: Callable[[tf.Tensor], tf.Tensor] | None = None
    if binary:
        fixed = streams.stretch_example
    elif options.binarize is not None and options.fixed:
        fixed = streams.FIXED[options.binarize](arrays.derived_seed(options.seed))
    streamed = {
        split: streams.Stream(
            part,
            fixed,
            None if cache_file is None else f"{cache_file}-{split}",
            _seed_of(options, split),
        )
        for split, part in parts.items()
    }
    statistics = streamed["train"].statistics() if options.scale == "standard" else None
    transform = options.transform(binary, statistics)
    datasets = {
        split: stream.to_dataset(
            transform,
            labels,
            options.batch_size,
            shuffle=options.shuffle and split == "train",
            fresh=split == "train",
        )
        for split, stream in streamed.items()
    }
    readers: dict[str, Callable[[], ArrayPart]] = {
        split: functools.cache(stream.read) for split, stream in streamed.items()
    }
    return _Built(datasets, transform, readers)


def _seed_of(options: Options, split: str) -> int:
    return arrays.derived_seed(options.seed, SPLITS.index(split))


def _cache_file(cache: Any, choices: tuple, options: Options) -> str | None:
    """The files of a cache path, named after all that decides what they hold."""
    if isinstance(cache, bool):
        return None
    content = repr((choices, options.seed, options.binarize))
    file = f"{os.fspath(cache)}-{zlib.crc32(content.encode()):08x}"
    # Files that are there already are only read.
    written = _is_local(file) and not glob.glob(f"{glob.escape(file)}-*")
    if written and not os.access(_folder_of(file), os.W_OK):
        raise errors.invalid("cache", "a path in a folder that can be written to", os.fspath(cache))
    return file


def _check_cache(cache: Any) -> None:
    if not isinstance(cache, (bool, str, os.PathLike)):
        raise errors.invalid("cache", "True, False or a path", cache)
    if not isinstance(cache, bool) and _is_local(cache) and not os.path.isdir(_folder_of(cache)):
        hint = f"Make the folder {_folder_of(cache)} first."
        raise errors.invalid("cache", "True, False or a path in a folder that exists", os.fspath(cache), hint)


def _folder_of(path: str | os.PathLike) -> str:
    return os.path.dirname(os.fspath(path)) or os.curdir


def _is_local(path: str | os.PathLike) -> bool:
    """Whether a path is of this machine's own files, and not of TensorFlow's others, such as gs://."""
    return "://" not in os.fspath(path)


def _check_arguments(labels: Any, validation: Any, cache: Any, max_examples: Any, memory_limit: Any) -> None:
    if not isinstance(labels, (bool, str)):
        raise errors.invalid("labels", "True, False or the name of a feature", labels)
    _check_cache(cache)
    if max_examples is not None:
        check_count("max_examples", max_examples)
    check_count("memory_limit", memory_limit, least=0)
    _check_validation(validation)


def _check_validation(validation: Any) -> None:
    expected = "a fraction in [0, 1) or a number of examples >= 0"
    number = isinstance(validation, (int, float, np.integer, np.floating))
    if not number or isinstance(validation, bool) or not validation >= 0:
        raise errors.invalid("validation", expected, validation)
    if not isinstance(validation, (int, np.integer)) and not validation < 1:
        raise errors.invalid("validation", expected, validation)


def _held_out(validation: float | int, parts: dict[str, Any]) -> int:
    """The number of training examples to hold out; drops a validation split not asked for."""
    if not validation:
        parts.pop("validation", None)
        return 0
    if "validation" in parts:
        return 0
    size = parts["train"].size
    count = validation
    if not isinstance(validation, (int, np.integer)):
        count = max(1, round(validation * size))
    if count >= size:
        raise errors.invalid("validation", f"fewer than the {size} training examples", validation)
    return int(count)


def _in_memory(parts: dict[str, Any], cache: Any, memory_limit: int) -> bool:
    if all(isinstance(part, ArrayPart) for part in parts.values()):
        return True
    size = sum(part.size * math.prod(part.shape) for part in parts.values())
    return cache is not False and size <= memory_limit


def _check_labels(name: Any, parts: dict[str, Any], labels: bool | str) -> None:
    if not labels:
        return
    if isinstance(labels, str) and not isinstance(parts["train"], BuilderPart):
        raise errors.invalid("labels", "True or False but for tensorflow-datasets", labels)
    for split, part in parts.items():
        if not part.labelled:
            expected = f"False for {os.fspath(name)}, whose {split} split has no labels"
            raise errors.invalid("labels", expected, labels)


def _num_classes(source: Any, parts: dict[str, Any]) -> int | None:
    if source.num_classes is not None:
        return source.num_classes
    if not all(isinstance(part, ArrayPart) for part in parts.values()):
        return None
    return 1 + max(int(part.y.max()) for part in parts.values())
