"""When to ask again, and how long to wait before."""

import random
import time
from collections.abc import Callable
from typing import TypeVar

from keras_vae.checks import check_count
from keras_vae.errors import invalid
from keras_vae.serving.client.errors import Unreachable
from keras_vae.serving.wire.status import Code, RequestError

T = TypeVar("T")

# No answer came, or none yet: to ask again does no harm, because a request changes nothing.
_TEMPORARY = (Code.UNAVAILABLE, Code.RESOURCE_EXHAUSTED)


class Retries:
    """Exponential backoff with full jitter: before try n + 1, a wait uniform on [0, min(longest, first 2^n)].

    Only what may pass is repeated: no connection or a broken one, HTTP 429, 502 and 503, gRPC's
    RESOURCE_EXHAUSTED and UNAVAILABLE. A bad request is bad the second time too, and so is one too large.

    Args:
        attempts: tries in all; 1 means that nothing is repeated.
        first: seconds that the first wait is at most.
        longest: seconds that any wait is at most.
        seed: of the jitter; random if None.
        sleep: waits that many seconds.
        clock: seconds since some moment.

    Raises:
        ValueError: if `attempts` is no positive integer, or a wait is negative.

    Source:
        M. Brooker, Exponential Backoff And Jitter, AWS Architecture Blog, 2015, "full jitter".
    """

    def __init__(
        self,
        attempts: int = 4,
        first: float = 0.1,
        longest: float = 5.0,
        seed: int | None = None,
        sleep: Callable[[float], object] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ):
        check_count("attempts", attempts)
        for name, value in (("first", first), ("longest", longest)):
            if not value >= 0:
                raise invalid(name, "seconds >= 0", value)
        self.attempts, self.first, self.longest = attempts, first, longest
        self._sleep, self._clock = sleep, clock
        self._random = random.Random(seed)

    def run(self, call: Callable[[float], T], timeout: float) -> T:
        """Calls until it succeeds, fails for good, the tries are used up or the time is.

        Args:
            call: is given the seconds that are left.
            timeout: seconds for all tries and waits together.

        Raises:
            RequestError: the last try's.
        """
        deadline = self._clock() + timeout
        for attempt in range(self.attempts - 1):
            try:
                return call(deadline - self._clock())
            except RequestError as error:
                wait = self._random.uniform(0, min(self.longest, self.first * 2.0**attempt))
                if not _may_pass(error) or self._clock() + wait >= deadline:
                    raise
            self._sleep(wait)
        return call(deadline - self._clock())


def _may_pass(error: RequestError) -> bool:
    if isinstance(error, Unreachable):
        return error.again
    # gRPC says so of a message beyond the receiver's limit, under the code of a busy server.
    return error.code in _TEMPORARY and "message larger than max" not in error.message
