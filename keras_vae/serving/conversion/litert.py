"""`to_litert`: a model for phones and microcontrollers."""

import os
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from keras_vae.errors import lookup
from keras_vae.runs import files
from keras_vae.serving.conversion.check import check_results
from keras_vae.serving.conversion.parts import SIGNATURE, check_path, servable_of, unsupported

if TYPE_CHECKING:
    from keras_vae import LatentVariableModel

SUFFIX = ".tflite"


def to_litert(
    model: "LatentVariableModel",
    path: str | os.PathLike,
    part: str = "encoder",
    quantization: str | None = None,
) -> Path:
    """Writes the encoder or the decoder of a model as a LiteRT (formerly TensorFlow Lite) file.

    The file has one signature, that of `export`'s `serving_default`, with batches of any size:

        encoder: `x` `[batch] + event` to `mean` and `stddev`, `[batch] + latent`
        decoder: `z` `[batch] + latent` to `mean`, `[batch] + event`

    and with `y` where the part is conditional. Its results are the model's to about 1e-5; before it is
    written, those of a few random inputs are compared, to 1e-3, unless weights are quantised. Run it with
    `ai_edge_litert.interpreter.Interpreter(path).get_signature_runner("serving_default")`.

    Args:
        model: a model of this library.
        path: of the file, which ends in `.tflite`; an old one is replaced.
        part: "encoder" or "decoder".
        quantization: None for float32; "float16" for weights of half the size, computed with in float32;
            "int8" for weights of a quarter of the size (dynamic range quantisation), of which small ones
            stay as they are.

    Returns:
        The path.

    Raises:
        ValueError: for a bad argument, a model with operations that LiteRT lacks, which it names, or one that
            LiteRT computes otherwise than TensorFlow; no file is written then.

    Example:

    >>> import tempfile, keras_vae
    >>> vae = keras_vae.VAE.create((8, 8, 1), latent_size=2, hidden=(4,))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     to_litert(vae, f"{folder}/encoder.tflite").read_bytes()[4:8]
    b'TFL3'
    """
    target = check_path(path, SUFFIX)
    check_quantization(quantization)
    servable = servable_of(model, part)
    with tempfile.TemporaryDirectory() as folder:
        servable.save(folder)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=[SIGNATURE])
        _quantize(converter, quantization)
        contents = _convert(converter)
    check_results(servable, lambda inputs: _run(contents, inputs), "LiteRT", exact=quantization is None)
    return files.write(target, lambda draft: draft.write_bytes(contents))


def check_quantization(quantization: str | None) -> None:
    """Raises the `ValueError` for an unknown kind."""
    if quantization is not None:
        lookup("quantization", quantization, dict.fromkeys(("float16", "int8")))


def _quantize(converter: Any, quantization: str | None) -> None:
    if quantization is None:
        return
    # Without examples of x to calibrate on, this means weights alone: of 8 bits, unless types are given.
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantization == "float16":
        converter.target_spec.supported_types = [tf.float16]


def _convert(converter: Any) -> bytes:
    from tensorflow.lite.python.convert_phase import ConverterError

    try:
        return converter.convert()
    except ConverterError as error:
        operations = {data.operator.name.removeprefix("tf.") for data in error.errors if data.operator.name}
        raise unsupported(operations, "LiteRT") from error


def _run(contents: bytes, inputs: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
    with warnings.catch_warnings():
        # TensorFlow's own interpreter needs no further package; it points to the one of LiteRT.
        warnings.simplefilter("ignore")
        return tf.lite.Interpreter(model_content=contents).get_signature_runner(SIGNATURE)(**inputs)
