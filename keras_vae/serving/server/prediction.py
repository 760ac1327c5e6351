"""A prediction without a transport: a model's name, a signature's, arrays in, arrays out."""

import logging
import threading
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from keras_vae.errors import invalid
from keras_vae.serving.server.checks import check_inputs, check_outputs
from keras_vae.serving.server.loaded_model import Signature
from keras_vae.serving.server.runners import Results
from keras_vae.serving.server.version import Version, code_of
from keras_vae.serving.server.versions import Versions
from keras_vae.serving.wire.json_tensors import DEFAULT_SIGNATURE
from keras_vae.serving.wire.status import Code, RequestError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Limits:
    """What a request may ask for.

    Args:
        timeout: seconds that a request may take; its sender is then told DEADLINE_EXCEEDED.
        max_rows: rows of one request at most, `count`, `num_samples` and `steps` included.
        max_draws: rows times `num_samples` of one request at most.
        max_in_flight: requests at a time; further ones are told UNAVAILABLE, and may come again.
        max_body: bytes of one request at most, as sent and as decompressed.

    Raises:
        ValueError: if one is not positive.
    """

    timeout: float = 30.0
    max_rows: int = 16384
    max_draws: int = 2**22
    max_in_flight: int = 1024
    max_body: int = 64 * 2**20

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0:
                raise invalid(name, "a number > 0", value)


@dataclass(frozen=True)
class Prediction:
    """The results of a request, by name, and the version that gave them."""

    outputs: Results
    version: int


class Predictor:
    """Answers requests from what is served.

    Args:
        versions: what is served.
        limits: what a request may ask for.
    """

    def __init__(self, versions: Versions, limits: Limits):
        self.versions, self.limits = versions, limits
        self._in_flight = 0
        self._lock = threading.Lock()

    @property
    def in_flight(self) -> int:
        """How many requests are under way."""
        return self._in_flight

    def predict(
        self,
        model: str,
        inputs: Mapping[str, np.ndarray],
        signature: str = DEFAULT_SIGNATURE,
        *,
        version: int | None = None,
        label: str | None = None,
        outputs: Collection[str] = (),
    ) -> Prediction:
        """Runs a request in the caller's thread, or joined with others that wait.

        Args:
            model: its name.
            inputs: arrays by the signature's names.
            signature: its name.
            version: its number, by default the latest.
            label: the version by its label instead.
            outputs: names of the results wanted, by default all.

        Raises:
            RequestError: if it cannot be served; the code says why.
        """
        with self.open(model, version, label) as opened:
            found = signature_of(opened, signature)
            check_inputs(found, inputs, self.limits.max_rows, self.limits.max_draws)
            check_outputs(found, outputs)
            with translated():
                results = opened.runners[signature].run(inputs, self.limits.timeout)
            chosen = {name: results[name] for name in outputs or results}
            return Prediction(chosen, opened.number)

    @contextmanager
    def open(self, model: str, version: int | None = None, label: str | None = None) -> Iterator[Version]:
        """The version that answers a request, kept loaded until the request has ended.

        Raises:
            RequestError: NOT_FOUND if it is not served, UNAVAILABLE if too many are under way.
        """
        with self._lock:
            if self._in_flight >= self.limits.max_in_flight:
                raise RequestError(
                    Code.UNAVAILABLE, f"{self.limits.max_in_flight} requests are under way; try again later."
                )
            self._in_flight += 1
        try:
            opened = self.versions.acquire(model, version, label)
            try:
                yield opened
            finally:
                opened.release()
        finally:
            with self._lock:
                self._in_flight -= 1

    def submit(self, opened: Version, signature: str, inputs: Mapping[str, np.ndarray]) -> Future:
        """Runs a request elsewhere; the future holds all results by name.

        Raises:
            RequestError: INVALID_ARGUMENT if the inputs do not fit the signature.
        """
        found = signature_of(opened, signature)
        check_inputs(found, inputs, self.limits.max_rows, self.limits.max_draws)
        return opened.runners[signature].submit(inputs)


def signature_of(opened: Version, name: str) -> Signature:
    """A signature of an opened version.

    Raises:
        RequestError: FAILED_PRECONDITION if it has none of that name.
    """
    signatures = opened.loaded.signatures if opened.loaded else {}
    if name not in signatures:
        raise RequestError(Code.FAILED_PRECONDITION, f'Serving signature key "{name}" not found.')
    return signatures[name]


@contextmanager
def translated() -> Iterator[None]:
    """Turns whatever a run raises into a `RequestError`."""
    try:
        yield
    except RequestError:
        raise
    except TimeoutError as error:
        raise RequestError(
            Code.DEADLINE_EXCEEDED, "The request took longer than the server allows."
        ) from error
    except CancelledError as error:
        raise RequestError(Code.CANCELLED, "The request was withdrawn.") from error
    except tf.errors.OpError as error:
        raise RequestError(code_of(error), " ".join(error.message.split())) from error
    except Exception as error:
        log.exception("A run failed")
        raise RequestError(Code.INTERNAL, f"{type(error).__name__}: {error}") from error
