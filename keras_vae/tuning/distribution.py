"""Who takes part in a search over several processes or machines, and where they meet."""

import contextlib
import errno
import math
import os
import re
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from keras_vae.errors import invalid, lookup

_ADDRESS, _PORT, _TUNER = "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT", "KERASTUNER_TUNER_ID"


@dataclass(frozen=True)
class Distribution:
    """One process's part in a search: the chief hands the trials out, the workers run them.

    Every process is given the same address and port, those of the chief, and a tuner id of its own.

    Args:
        role: "chief" or "worker".
        address: the chief's host name or IP address, as the workers reach it; the chief listens on it.
        port: the chief's port, 1 to 65535.
        tuner_id: letters, digits, ".", "_" and "-". KerasTuner takes a process for the chief by the word
            "chief" in its id, so the chief's has it and no worker's does.
        connect_timeout: seconds for which a worker looks for the chief before it gives up.
        call_timeout: seconds for which a worker at work waits for a chief that went away to come back.
        patience: seconds without a sign of life after which the chief gives a worker's trial to another.
        heartbeat: seconds between a worker's signs of life. At least two must fit into `patience`.

    Raises:
        ValueError: for an argument that is none of these.

    Example:

    >>> Distribution("worker", "10.0.0.1", 8000, "worker-3").target
    '10.0.0.1:8000'
    """

    role: Literal["chief", "worker"]
    address: str
    port: int
    tuner_id: str
    connect_timeout: float = 60.0
    call_timeout: float = 600.0
    patience: float = 60.0
    heartbeat: float = 5.0

    def __post_init__(self):
        lookup("role", self.role, {"chief": None, "worker": None})
        if not isinstance(self.address, str) or not re.fullmatch(r"[\w.:%-]+", self.address):
            raise invalid("address", "a host name or an IP address, as 'localhost' or '::1'", self.address)
        if self.address.count(":") == 1:
            raise invalid("address", "an address without a port", self.address, "The port is `port`.")
        if isinstance(self.port, bool) or not isinstance(self.port, int) or not 1 <= self.port <= 65535:
            raise invalid("port", "an integer from 1 to 65535", self.port)
        if not isinstance(self.tuner_id, str) or not re.fullmatch(r"[A-Za-z0-9._-]+", self.tuner_id):
            # It names a file in the search's folder and goes into the headers of calls.
            raise invalid("tuner_id", "letters, digits, '.', '_' and '-'", self.tuner_id)
        if ("chief" in self.tuner_id) != (self.role == "chief"):
            word = "with" if self.role == "chief" else "without"
            expected = f"an id {word} the word 'chief' for the {self.role}"
            raise invalid("tuner_id", expected, self.tuner_id, "KerasTuner knows the chief by that word.")
        for name in ("connect_timeout", "call_timeout", "patience", "heartbeat"):
            seconds = getattr(self, name)
            is_number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
            if not is_number or not math.isfinite(seconds) or seconds <= 0:
                raise invalid(name, "a number of seconds > 0", seconds)
        if self.patience < 2 * self.heartbeat:
            expected = f"at least two heartbeats, {2 * self.heartbeat:g} seconds"
            raise invalid("patience", expected, self.patience, "One late sign of life is no death.")

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> "Distribution | None":
        """What KerasTuner's variables say, or None where they ask for no distribution.

        KERASTUNER_ORACLE_IP and KERASTUNER_ORACLE_PORT are the chief's, KERASTUNER_TUNER_ID is this
        process's. An id alone asks for none: KerasTuner reads it without distribution as well.

        Raises:
            ValueError: if only some of them are set, or one is no address, port or id.

        Example:

        >>> names = ("KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT", "KERASTUNER_TUNER_ID")
        >>> Distribution.from_environment(dict(zip(names, ("10.0.0.1", "8000", "chief")))).role
        'chief'
        >>> Distribution.from_environment({}) is None
        True
        """
        if _ADDRESS not in environ and _PORT not in environ:
            return None
        meanings = ("the chief's address", "the chief's port", "an id, with 'chief' in it for the chief")
        for name, meaning in zip((_ADDRESS, _PORT, _TUNER), meanings, strict=True):
            if not environ.get(name):
                hint = f"Set {_ADDRESS}, {_PORT} and {_TUNER}, or none of them."
                raise invalid(name, meaning, environ.get(name), hint)
        port, tuner_id = environ[_PORT], environ[_TUNER]
        if not port.isascii() or not port.isdigit():
            raise invalid(_PORT, "an integer from 1 to 65535", port)
        role: Literal["chief", "worker"] = "chief" if "chief" in tuner_id else "worker"
        return cls(role, environ[_ADDRESS].strip("[]"), int(port), tuner_id)

    @property
    def target(self) -> str:
        """Address and port in one, as gRPC takes them."""
        return f"{self._host}:{self.port}"

    @property
    def _host(self) -> str:
        return f"[{self.address}]" if ":" in self.address else self.address

    @contextlib.contextmanager
    def environment(self) -> Iterator[None]:
        """Sets the three variables by which KerasTuner knows its part, and puts back what was there.

        A tuner reads them when it is made and while it searches.
        """
        ours = {_ADDRESS: self._host, _PORT: str(self.port), _TUNER: self.tuner_id}
        before = {name: os.environ.get(name) for name in ours}
        os.environ.update(ours)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value

    def check(self) -> None:
        """Finds out, before data are read and models built, whether this process can play its part.

        The chief needs a free port at an address of this machine; a worker waits for the chief's to be open,
        for up to `connect_timeout` seconds.

        Raises:
            ValueError: for the chief, if the address is not this machine's or the port is taken.
            ConnectionError: for a worker, if nothing listens there.
        """
        if self.role == "chief":
            self._check_port()
        else:
            from keras_vae.tuning.worker import reach

            reach(self)

    def _check_port(self) -> None:
        try:
            found = socket.getaddrinfo(self.address, self.port, type=socket.SOCK_STREAM)
        except OSError as error:
            expected, hint = "an address of this machine", f"The system says: {error.strerror}."
            raise invalid("address", expected, self.address, hint) from None
        problems: list[OSError] = []
        for family, kind, protocol, _, where in found:
            try:
                with socket.socket(family, kind, protocol) as listener:
                    # Connections of a chief that ended a moment ago do not keep the next one from the port.
                    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    listener.bind(where)
                    listener.listen()
            except OSError as error:
                problems.append(error)
        # 'localhost' is two addresses, of which a machine may lack one.
        if len(problems) == len(found) or any(error.errno == errno.EADDRINUSE for error in problems):
            raise self.unusable(problems[0].strerror or str(problems[0]))

    def unusable(self, reason: str) -> ValueError:
        """Returns the error of a chief that cannot listen."""
        hint = f"The system says: {reason}. Another chief may be running; give this one another port."
        return invalid("port", f"a port of this machine that is free, at {self.address}", self.port, hint)
