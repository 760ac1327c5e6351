"""What REST and gRPC have in common."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from keras_vae.serving.client.metadata import Metadata, SignatureSpecs
from keras_vae.serving.wire.status import VersionStatus

Arrays = Mapping[str, np.ndarray]

# Smaller bodies gain nothing from compression.
COMPRESSED_FROM = 16 * 1024


class Target(NamedTuple):
    """Whom a request is for: a servable, and a version by number or label, or None for the latest."""

    servable: str
    version: int | str | None = None


class Transport(Protocol):
    """One request, one answer. All methods may be called from several threads at once.

    They raise `Unreachable` where no connection comes about, and otherwise `RequestError` with the server's
    code and words. Timeouts are seconds.
    """

    def predict(
        self, target: Target, signature: str, inputs: Arrays, specs: SignatureSpecs, timeout: float
    ) -> dict[str, np.ndarray]: ...

    def metadata(self, target: Target, timeout: float) -> Metadata: ...

    def status(self, target: Target, timeout: float) -> Sequence[VersionStatus]: ...

    def close(self) -> None: ...
