"""What the converters share: which part of a model, into which file."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from keras_vae.errors import invalid, lookup

if TYPE_CHECKING:
    from keras_vae import LatentVariableModel
    from keras_vae.serving.servable import Servable

SIGNATURE = "serving_default"


def servable_of(model: "LatentVariableModel", part: str) -> "Servable":
    """The servable of a part, whose `serving_default` is what the converters convert.

    Raises:
        ValueError: if `model` is none of keras_vae, for an unknown part, or where its distribution tells
            nothing without draws.
    """
    from keras_vae.models import LatentVariableModel
    from keras_vae.serving import servables

    if not isinstance(model, LatentVariableModel):
        raise invalid("model", "a model of keras_vae", model)
    make = lookup("part", part, {"encoder": servables.encoder, "decoder": servables.decoder})
    servable = make(model)
    if SIGNATURE not in servable.functions:
        raise invalid("part", "one whose distribution has a known mean or parameters", part)
    return servable


def check_path(path: str | os.PathLike, suffix: str) -> Path:
    """The path, if its name ends as it should.

    >>> check_path("encoder.onnx", ".tflite")
    Traceback (most recent call last):
    ...
    ValueError: Invalid value received for argument `path`. Expected: a file name that ends in .tflite. \
Received: encoder.onnx.
    """
    if Path(path).suffix != suffix:
        raise invalid("path", f"a file name that ends in {suffix}", str(path))
    return Path(path)


def unsupported(operations: set[str], target: str) -> ValueError:
    """The error for operations that a format lacks."""
    named = ", ".join(sorted(operations)) or "some that the converter does not name"
    hint = (
        "Build the model of other layers or distributions, or serve it with TensorFlow: "
        "`keras_vae.serving.export` needs no conversion."
    )
    return invalid("model", f"operations that {target} has", named, hint)
