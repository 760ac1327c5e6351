"""What a worker tells the chief in the headers of calls, which leave KerasTuner's service as it is."""

from collections.abc import Iterable
from dataclasses import dataclass

_TUNER, _INSTANCE, _HEARTBEAT = "keras-vae-tuner", "keras-vae-instance", "keras-vae-heartbeat"
_TRIAL, _FAREWELL, _MESSAGE = "keras-vae-trial", "keras-vae-farewell", "keras-vae-message-bin"
SEARCH = "keras-vae-search"
OVER, ON = "over", "on"

# gRPC refuses headers of more than 8 KiB in all.
_LONGEST_MESSAGE = 4000

OPTIONS = (
    # A proxy for the web does not lead to a port of the local network.
    ("grpc.enable_http_proxy", 0),
    # A chief that was started again is found within a second; gRPC's own pause grows to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 1000),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # Two chiefs on one port would share its workers out between them.
    ("grpc.so_reuseport", 0),
)


@dataclass(frozen=True)
class Call:
    """Who calls the chief.

    Args:
        tuner_id: the worker's id.
        instance: tells apart two processes that use this id; begins with host and process id.
        heartbeat: seconds between its signs of life.
        trial_id: of the trial it runs, if it does.
        is_farewell: whether it leaves the search with this call.
        message: why its trial failed, a part of KerasTuner's trial that its service leaves behind.
    """

    tuner_id: str
    instance: str
    heartbeat: float
    trial_id: str | None = None
    is_farewell: bool = False
    message: str | None = None

    def headers(self) -> tuple[tuple[str, str | bytes], ...]:
        """As gRPC sends them.

        Example:

        >>> call = Call("worker-1", "host:12:ab", 5.0, trial_id="0003")
        >>> Call.of(call.headers()) == call
        True
        """
        headers: list[tuple[str, str | bytes]] = [
            (_TUNER, self.tuner_id),
            (_INSTANCE, self.instance),
            (_HEARTBEAT, repr(float(self.heartbeat))),
        ]
        if self.trial_id is not None:
            headers.append((_TRIAL, self.trial_id))
        if self.is_farewell:
            headers.append((_FAREWELL, "yes"))
        if self.message is not None:
            # A traceback says what happened at its end.
            headers.append((_MESSAGE, self.message.encode()[-_LONGEST_MESSAGE:]))
        return tuple(headers)

    @classmethod
    def of(cls, headers: Iterable[tuple[str, str | bytes]]) -> "Call | None":
        """The call with these headers, or None where they are not ours: KerasTuner's own client has none."""
        found = dict(headers)
        text = {key: value for key, value in found.items() if isinstance(value, str)}
        if not {_TUNER, _INSTANCE, _HEARTBEAT} <= set(text):
            return None
        try:
            heartbeat = float(text[_HEARTBEAT])
        except ValueError:
            return None
        message = found.get(_MESSAGE)
        return cls(
            text[_TUNER],
            text[_INSTANCE],
            heartbeat,
            text.get(_TRIAL),
            _FAREWELL in text,
            message.decode(errors="ignore") if isinstance(message, bytes) else None,
        )
