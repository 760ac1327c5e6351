"""`Client`: a served model's own words, as `LatentVariableModel` has them, with a network in between."""

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_vae.checks import check_count
from keras_vae.errors import invalid
from keras_vae.serving.client.batches import fold
from keras_vae.serving.client.connection import Connection, Version
from keras_vae.serving.client.options import TLS
from keras_vae.serving.client.retries import Retries
from keras_vae.serving.wire.json_tensors import BYTES_SUFFIX, DEFAULT_SIGNATURE

Seed = int | Sequence[int] | np.ndarray | None


class Client(Connection):
    """Asks a model that `keras_vae.serving.export` wrote and TensorFlow Serving or `keras-vae serve` serves.

    Where images travel encoded (`export(..., images="encoded")`), x and means of x are arrays of PNG files as
    bytes, `[batch]`. One client serves many threads. Signatures are asked of the server once for each
    version, and inputs are held against them before anything is sent. Over REST as over gRPC, float32 arrives
    as it left.

    Args:
        url: `http://host:8501` or `https://...` for REST, `grpc://host:8500` or `grpcs://...` for gRPC.
        model: the model's name: "mnist" of `mnist_encoder`, `mnist_decoder` and `mnist_model`. Only the
            methods that name a servable, `predict`, `status` and `metadata`, do without.
        version: number or label of the version to ask; by default the latest.
        batch_size: rows of one request; larger arrays are split, and the answers joined. By default, one
            request. Random draws depend on it, since each part has a seed of its own. If the server goes to a
            new version meanwhile, so do the parts that are left, unless `version` is a number.
        timeout: seconds for a request, its repetitions and the waits between them; where an array is split,
            for each part. Over HTTP, for connecting, sending and waiting for the answer each.
        retries: when to ask again.
        headers: sent with every request, e.g. `{"Authorization": "Bearer ..."}`; metadata in gRPC.
        tls: certificates for `https://` and `grpcs://`; by default the system's authorities are trusted.
        compress: whether large requests are sent compressed by gzip; a server over HTTP that refuses it is
            sent no further ones.

    Raises:
        ValueError: for a bad argument, before anything is sent.
        ImportError: if the extra `serving` is not installed.
        ServerUnreachable: by any method, if no connection comes about.
        ServingError: by any method, if the server refuses, with its code and words.

    Example:

    >>> from keras_vae.serving import Client
    >>> with Client("http://localhost:8501", "mnist") as client:  # doctest: +SKIP
    ...     digits = client.sample(16, seed=0)
    ...     z = client.encode(digits)["mean"]
    """

    def __init__(
        self,
        url: str,
        model: str | None = None,
        *,
        version: Version = None,
        batch_size: int | None = None,
        timeout: float = 60.0,
        retries: Retries | None = None,
        headers: Mapping[str, str] | None = None,
        tls: TLS | None = None,
        compress: bool = False,
    ):
        if model is not None and (not isinstance(model, str) or not model):
            raise invalid("model", "a model's name, or None", model)
        self.model = model
        super().__init__(
            url,
            version=version,
            batch_size=batch_size,
            timeout=timeout,
            retries=retries,
            headers=headers,
            tls=tls,
            compress=compress,
        )

    def encode(self, x: Any, y: Any = None) -> dict[str, np.ndarray]:
        """q(z|x): `mean` and `stddev`, `[batch] + latent`, or the posterior's parameters.

        Args:
            x: `[batch] + event`.
            y: `[batch] + condition`, of a conditional model.
        """
        return self._ask_model("encoder", {"x": x, "y": y})

    def sample_posterior(self, x: Any, y: Any = None, *, seed: Seed = None) -> np.ndarray:
        """One draw of z from q(z|x) for every example, `[batch] + latent`.

        Args:
            x: `[batch] + event`.
            y: `[batch] + condition`, of a conditional model.
            seed: an integer, or two of 32 bits; the same seed gives the same draws. Random if None.
        """
        return self._one("z", "encoder", {"x": x, "seed": _pair(seed), "y": y}, "sample")

    def decode(self, z: Any, y: Any = None) -> np.ndarray:
        """The mean of p(x|z), `[batch] + event`.

        Args:
            z: `[batch] + latent`.
            y: `[batch] + condition`, of a conditional model.
        """
        return self._one("mean", "decoder", {"z": z, "y": y})

    def sample(self, count: int, seed: Seed = None, y: Any = None) -> np.ndarray:
        """Draws of x from the model, `[count] + event`: those of `model.sample(count, seed)`.

        Args:
            count: how many; beyond `batch_size`, in several requests.
            seed: as of `sample_posterior`.
            y: `[count] + condition` or `[1] + condition`, of a conditional model.

        Raises:
            ValueError: if count is no positive integer.
        """
        count = check_count("count", count)
        first, size = _pair(seed), min(count, self.batch_size or count)
        y = None if y is None else np.asarray(y)
        if y is not None and (y.ndim == 0 or len(y) not in (1, count)):
            raise invalid("y", f"{count} conditions, or one for all, along the first axis", y.shape)
        parts = []
        for start in range(0, count, size):
            number = min(size, count - start)
            rows = y if y is None or len(y) == 1 else y[start : start + number]
            inputs = {"seed": fold(first, start // size), "count": number, "y": rows}
            parts.append(self._one("x", "decoder", inputs, "sample"))
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def interpolate(self, z_start: Any, z_end: Any, steps: int, y: Any = None) -> np.ndarray:
        """Means of p(x|z) at equal distances between two latents, ends included, `[steps] + event`.

        Args:
            z_start: `latent`, where the line begins.
            z_end: `latent`, where it ends.
            steps: how many points.
            y: `[steps] + condition` or `[1] + condition`, of a conditional model.
        """
        inputs = {"z_start": z_start, "z_end": z_end, "steps": steps, "y": y}
        return self._one("mean", "decoder", inputs, "interpolate")

    def reconstruct(self, x: Any, y: Any = None) -> np.ndarray:
        """The mean of p(x|z) at the mean of q(z|x), `[batch] + event`.

        Args:
            x: `[batch] + event`.
            y: `[batch] + condition`, of a conditional model.
        """
        return self._one("mean", "model", {"x": x, "y": y}, "reconstruct")

    def classify(self, x: Any) -> np.ndarray:
        """The probabilities of the classes, `[batch, classes]`, of semi-supervised models.

        Args:
            x: `[batch] + event`.
        """
        return self._one("probabilities", "model", {"x": x}, "classify")

    def log_likelihood(
        self, x: Any, y: Any = None, *, num_samples: int = 100, seed: Seed = None
    ) -> np.ndarray:
        """The importance-weighted estimate of log p(x), `[batch]`, nats.

        Args:
            x: `[batch] + event`.
            y: `[batch] + condition`, of a conditional model.
            num_samples: draws of z for each example.
            seed: as of `sample_posterior`.
        """
        return self._estimate("log_likelihood", x, y, num_samples, seed)

    def anomaly_score(
        self, x: Any, y: Any = None, *, num_samples: int = 100, seed: Seed = None
    ) -> np.ndarray:
        """How little an example is like the training data, `[batch]`, nats; the higher, the less.

        Args:
            x: `[batch] + event`.
            y: `[batch] + condition`, of a conditional model.
            num_samples: draws of z for each example.
            seed: as of `sample_posterior`.
        """
        return self._estimate("anomaly_score", x, y, num_samples, seed)

    def _estimate(self, name: str, x: Any, y: Any, num_samples: int, seed: Seed) -> np.ndarray:
        inputs = {"x": x, "seed": _pair(seed), "num_samples": num_samples, "y": y}
        return self._one(name, "model", inputs, name)

    def _one(
        self, output: str, part: str, inputs: Mapping[str, Any], signature: str = DEFAULT_SIGNATURE
    ) -> np.ndarray:
        """The output of that name, or of `NAME_bytes` where images travel encoded."""
        outputs = self._ask_model(part, inputs, signature)
        for name in (output, output + BYTES_SUFFIX):
            if name in outputs:
                return outputs[name]
        raise invalid("model", f"one that gives {output}", ", ".join(outputs), "Ask for these by predict().")

    def _ask_model(
        self, part: str, inputs: Mapping[str, Any], signature: str = DEFAULT_SIGNATURE
    ) -> dict[str, np.ndarray]:
        """Runs a signature of one of the model's servables; inputs that are None are not sent."""
        if self.model is None:
            raise invalid("model", f"a model's name, to ask its {part}", None, "Write Client(url, 'mnist').")
        servable = f"{self.model}_{part}"
        given = {name: value for name, value in inputs.items() if value is not None}
        if "x" in given and "x" + BYTES_SUFFIX in self._input_names(servable, signature):
            given["x" + BYTES_SUFFIX] = given.pop("x")
        return self.predict(servable, given, signature)


def _pair(seed: Seed) -> np.ndarray:
    """A seed as signatures take it, int32 `[2]`; an integer's 64 bits as the models in memory read them."""
    if seed is None:
        seed = secrets.randbits(64)
    if isinstance(seed, int | np.integer) and not isinstance(seed, bool):
        return np.array([int(seed) % 2**64], np.uint64).view(np.int32)
    pair = np.asarray(seed)
    if pair.shape != (2,) or pair.dtype.kind not in "iu":
        raise invalid("seed", "an integer, or two integers", seed)
    return pair
