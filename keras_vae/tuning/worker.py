"""A worker of a distributed search: KerasTuner's client, with time-outs and signs of life."""

import contextlib
import functools
import os
import socket
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

import grpc
from keras_tuner.src import protos
from keras_tuner.src.distribute.oracle_client import OracleClient
from keras_tuner.src.engine.hyperparameters import HyperParameters
from keras_tuner.src.engine.trial import Trial, TrialStatus

from keras_vae.errors import invalid
from keras_vae.tuning.distribution import Distribution
from keras_vae.tuning.wire import OPTIONS, OVER, SEARCH, Call

# Seconds between two attempts to reach a chief that does not answer.
_PAUSE = 0.5
# Seconds that a worker gives a chief to hear that it leaves.
_FAREWELL = 2.0
_CALLS = ("GetSpace", "UpdateSpace", "CreateTrial", "UpdateTrial", "EndTrial", "GetTrial", "GetBestTrials")
_GONE = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)


@contextlib.contextmanager
def join(client: OracleClient, distribution: Distribution) -> Iterator["Session"]:
    """Joins the chief's search for the length of a `with` block, in which the tuner searches.

    `client` then calls the chief with time-outs, waits up to `distribution.call_timeout` seconds for a chief
    that is started again, and tells it every `distribution.heartbeat` seconds that this worker lives and
    which trial it runs. KerasTuner's environment variables are set meanwhile. After the block the chief may
    be gone: `client` answers nothing any more.

        with distribution.environment():
            tuner = keras_tuner.RandomSearch(...)
        with join(tuner.oracle, distribution):
            tuner.search(...)

    Args:
        client: the `oracle` of the worker's tuner, made inside `distribution.environment()`.
        distribution: with role "worker".

    Yields:
        The `Session`, which knows the running trial and whether the search is over.

    Raises:
        ValueError: if the role is not "worker", `client` is none, or another live worker has the tuner id.
        ConnectionError: if no chief answers within `connect_timeout` seconds; in the block, if it stays away
            for longer than `call_timeout` seconds.
        RuntimeError: in the block, if the search has failed on the chief.
    """
    if distribution.role != "worker":
        raise invalid("distribution", "the role 'worker' to join a search", distribution.role)
    if not isinstance(client, OracleClient):
        hint = "Make the tuner inside `distribution.environment()`."
        raise invalid("client", "the OracleClient of a worker's tuner", client, hint)
    session = Session(distribution)
    end_trial = client.end_trial

    def end_with_reason(trial: Trial) -> None:
        session.message = trial.message
        end_trial(trial)

    with distribution.environment():
        try:
            session.connect()
            client.stub, client.end_trial = session, end_with_reason
            yield session
        finally:
            session.leave()


def reach(distribution: Distribution) -> None:
    """Waits until something listens at the chief's address, for up to `connect_timeout` seconds.

    Raises:
        ConnectionError: if nothing does.
    """
    with grpc.insecure_channel(distribution.target, options=OPTIONS) as channel:
        try:
            grpc.channel_ready_future(channel).result(timeout=distribution.connect_timeout)
        except grpc.FutureTimeoutError:
            raise _unreachable(distribution, distribution.connect_timeout, "no connection") from None


class Session:
    """A worker's part in a search, in the place of the stub by which KerasTuner's client calls the chief.

    Args:
        distribution: the worker's.

    Attributes:
        trial_id: of the trial that this worker runs, or None.
        is_over: whether the chief has said that the search is over. A worker may hear it in the middle of a
            trial that was given to another one while this one was silent; its result is then not needed.
    """

    def __init__(self, distribution: Distribution):
        self.distribution = distribution
        self.trial_id: str | None = None
        self.is_over = False
        # Why the trial that ends next failed.
        self.message: str | None = None
        self._instance = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._failure: Exception | None = None
        self._space: Any = None
        self._has_left = threading.Event()
        self._channel = grpc.insecure_channel(distribution.target, options=OPTIONS)
        self._stub = protos.get_service_grpc().OracleStub(self._channel)
        self._pulse = threading.Thread(target=self._beat, name="keras-vae-heartbeat", daemon=True)

    def __getattr__(self, name: str) -> Any:
        if name in _CALLS:
            return functools.partial(self._call, name)
        raise AttributeError(name)

    def connect(self) -> None:
        """Introduces this worker to the chief, then sends signs of life. Errors: see `join`."""
        limit = self.distribution.connect_timeout
        start = time.monotonic()
        # A worker that was killed and started again waits until the chief has missed the one before.
        rival_limit = min(limit, 3 * self.distribution.heartbeat + 2)
        rival_since: float | None = None
        has_said = False
        while True:
            passed = time.monotonic() - start
            try:
                self._space, answer = self._stub.GetSpace.with_call(
                    protos.get_service().GetSpaceRequest(),
                    timeout=max(limit - passed, 0.1),
                    metadata=self._headers(),
                )
                break
            except grpc.RpcError as error:
                now = time.monotonic()
                is_rival = error.code() == grpc.StatusCode.ALREADY_EXISTS
                if is_rival:
                    rival_since = now if rival_since is None else rival_since
                    is_late = now > rival_since + rival_limit
                else:
                    is_late = error.code() not in _GONE or now > start + limit
                if is_late:
                    raise self._error(error, limit) from None
            if not has_said:
                has_said = True
                if is_rival:
                    _say(f"waits up to {rival_limit:g} s for another worker of its id to be gone")
                else:
                    _say(f"waits up to {limit:g} s for the chief at {self.distribution.target}")
            time.sleep(_PAUSE)
        if not self._hear(answer):
            raise RuntimeError(
                f"What answers at {self.distribution.target} is a chief of KerasTuner's own, which hears no "
                f"signs of life. Start the chief with keras_vae.tuning.",
            )
        self._pulse.start()

    def leave(self) -> None:
        """Ends the signs of life and tells the chief, which gives a trial that runs to the next worker."""
        is_known = self._pulse.ident is not None and not self._has_left.is_set()
        self._has_left.set()
        if is_known:
            self._pulse.join(timeout=_FAREWELL)
            with contextlib.suppress(grpc.RpcError):
                self._stub.GetSpace(
                    protos.get_service().GetSpaceRequest(),
                    timeout=_FAREWELL,
                    metadata=self._headers(is_farewell=True),
                )
        self._channel.close()

    def _beat(self) -> None:
        while not self._has_left.wait(self.distribution.heartbeat):
            try:
                _, answer = self._stub.GetSpace.with_call(
                    protos.get_service().GetSpaceRequest(),
                    timeout=max(1.0, self.distribution.heartbeat),
                    metadata=self._headers(),
                )
            except grpc.RpcError as error:
                # A chief that is away may come back; what it refuses now it refuses for good.
                if error.code() in (grpc.StatusCode.ABORTED, grpc.StatusCode.ALREADY_EXISTS):
                    self._failure = self._error(error, self.distribution.call_timeout)
                    return
            except ValueError:  # the channel was closed
                return
            else:
                self._hear(answer)

    def _hear(self, answer: grpc.Call) -> bool:
        """Takes note of what the chief said beside its answer, and returns whether it said anything."""
        state = dict(answer.trailing_metadata() or ()).get(SEARCH)
        if state == OVER:
            self.is_over = True
        return state is not None

    def _headers(self, is_farewell: bool = False, message: str | None = None) -> Any:
        distribution = self.distribution
        call = Call(
            distribution.tuner_id, self._instance, distribution.heartbeat, self.trial_id, is_farewell, message
        )
        return call.headers()

    def _call(self, name: str, request: Any, **options: Any) -> Any:
        """What KerasTuner's client calls. Its `options`, a time-out of an hour, give way to ours."""
        if self._has_left.is_set():
            raise ConnectionError(
                f"This worker has left the search of the chief at {self.distribution.target}, which may have "
                "ended. The results are in the chief's folder."
            )
        message, self.message = (self.message, None) if name == "EndTrial" else (None, self.message)
        limit = self.distribution.call_timeout
        start = time.monotonic()
        has_said = False
        while True:
            if self._failure is not None:
                raise self._failure
            known = self._answer_after_the_end(name, request) if self.is_over else None
            if known is not None:
                return known
            left = start + limit - time.monotonic()
            try:
                response, answer = getattr(self._stub, name).with_call(
                    request, timeout=max(left, 0.1), metadata=self._headers(message=message)
                )
                break
            except grpc.RpcError as error:
                if error.code() not in _GONE or left <= 0:
                    raise self._error(error, limit) from None
            if not has_said:
                has_said = True
                _say(
                    f"the chief at {self.distribution.target} does not answer; waits for it up to {limit:g} s"
                )
            time.sleep(_PAUSE)
        if has_said:
            _say(f"the chief at {self.distribution.target} is back")
        self._hear(answer)
        if name == "CreateTrial":
            status = TrialStatus.from_proto(response.trial.status)
            self.trial_id = response.trial.trial_id if status == TrialStatus.RUNNING else None
            if status == TrialStatus.IDLE:
                # KerasTuner asks again at once.
                self._has_left.wait(min(1.0, self.distribution.heartbeat))
        elif name == "EndTrial":
            self.trial_id = None
        elif name == "GetSpace":
            self._space = response
        return response

    def _answer_after_the_end(self, name: str, request: Any) -> Any:
        """What the chief would say, were it still there; None where only it can."""
        service = protos.get_service()
        if name == "CreateTrial":
            trial = Trial(HyperParameters(), trial_id="", status=TrialStatus.STOPPED)
            return service.CreateTrialResponse(trial=trial.to_proto())
        if name in ("UpdateTrial", "GetTrial"):
            trial = Trial(HyperParameters(), trial_id=request.trial_id, status=TrialStatus.RUNNING)
            return getattr(service, f"{name}Response")(trial=trial.to_proto())
        if name == "EndTrial":
            self.trial_id = None
        fixed = {
            "EndTrial": service.EndTrialResponse(),
            "UpdateSpace": service.UpdateSpaceResponse(),
            "GetSpace": self._space,
        }
        return fixed.get(name)

    def _error(self, error: Any, seconds: float) -> Exception:
        """What a refused call means to the user."""
        code, details = error.code(), error.details()
        if code == grpc.StatusCode.ALREADY_EXISTS:
            expected = "an id that no other running worker has"
            return invalid("tuner_id", expected, self.distribution.tuner_id, details)
        if code == grpc.StatusCode.INVALID_ARGUMENT:
            return ValueError(details)
        if code == grpc.StatusCode.UNIMPLEMENTED:
            return RuntimeError(
                f"What answers at {self.distribution.target} is no chief of a search: {details}"
            )
        if code in (*_GONE, grpc.StatusCode.DEADLINE_EXCEEDED):
            return _unreachable(self.distribution, seconds, details)
        return RuntimeError(details)


def _unreachable(distribution: Distribution, seconds: float, reason: str) -> ConnectionError:
    return ConnectionError(
        f"The chief at {distribution.target} did not answer for {seconds:g} seconds ({reason}). "
        "Start it, with the same address and port, and see that no firewall is between; a slow start needs a "
        "longer time-out."
    )


def _say(what: str) -> None:
    print(f"worker: {what}", file=sys.stderr, flush=True)
