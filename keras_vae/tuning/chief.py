"""The chief of a distributed search: hands out trials, and sees to it that each is run, whoever dies."""

import functools
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import grpc
import keras_tuner
from keras_tuner.src import protos
from keras_tuner.src.distribute.oracle_chief import OracleServicer
from keras_tuner.src.engine.metrics_tracking import MetricsTracker
from keras_tuner.src.engine.trial import Trial, TrialStatus

from keras_vae.errors import invalid
from keras_vae.tuning import resuming
from keras_vae.tuning.distribution import Distribution
from keras_vae.tuning.wire import ON, OPTIONS, OVER, SEARCH, Call

# Seconds between two looks at who is alive and whether the search is over.
_TICK = 0.2
# Seconds that workers have, once told that the search is over, to take their leave.
_LEAVE = 2.0


def serve(oracle: keras_tuner.Oracle, distribution: Distribution) -> None:
    """Serves `oracle` to the workers until every trial is over and every live worker knows.

    Beyond what KerasTuner's chief does: a worker without a sign of life for `distribution.patience` seconds
    is forgotten and its trial given to the next; a worker that comes back late may still deliver, and the
    first complete result counts; nobody is sent home while a trial may come back; a chief that was killed
    and starts again on the same folder takes its workers back in the middle of their trials. What happens to
    workers is said on stderr, a line each.

    Call `tuner.save()` before: KerasTuner resumes only a folder that has the tuner's own file.

    Args:
        oracle: of the chief's tuner, made inside `distribution.environment()`.
        distribution: with role "chief".

    Raises:
        ValueError: if the role is not "chief", the oracle has no folder, or the port cannot be listened on.
        RuntimeError: if more trials failed in a row than `oracle` allows; the workers are told before.
        OSError: if the folder cannot be written. Nothing is lost: start the chief again when it can be.
    """
    if distribution.role != "chief":
        raise invalid("distribution", "the role 'chief' to serve", distribution.role)
    if not isinstance(oracle, keras_tuner.Oracle):
        hint = "A tuner made outside `distribution.environment()` may take itself for a worker."
        raise invalid("oracle", "a keras_tuner.Oracle", oracle, hint)
    if not getattr(oracle, "_project_name", None):
        raise invalid("oracle", "the oracle of a tuner, which gives it a folder", oracle)
    distribution.check()
    chief = Chief(oracle, distribution)
    # One thread answers the calls and makes the chief's own rounds. So nothing else ever holds the oracle,
    # and KerasTuner's lock, which an exception inside the oracle leaves locked, locks nobody out.
    pool = ThreadPoolExecutor(max_workers=1)
    server = grpc.server(pool, options=OPTIONS)
    protos.get_service_grpc().add_OracleServicer_to_server(chief, server)
    try:
        port = server.add_insecure_port(distribution.target)
    except RuntimeError as error:
        raise distribution.unusable(str(error)) from None
    if not port:
        raise distribution.unusable("it cannot be bound")
    server.start()
    try:
        while not pool.submit(chief.look_round, time.monotonic()).result():
            time.sleep(_TICK)
    finally:
        # Calls that are being answered get their answer.
        server.stop(grace=1.0).wait()
        pool.shutdown(wait=False, cancel_futures=True)
    if chief.failure is not None:
        raise chief.failure


class _Refusal(Exception):
    """What a worker is told instead of an answer; the search goes on."""

    def __init__(self, code: grpc.StatusCode, message: str):
        super().__init__(message)
        self.code = code


@dataclass
class _Worker:
    instance: str
    heartbeat: float
    seen: float
    knows_the_end: bool = False

    @property
    def place(self) -> str:
        return ":".join(self.instance.split(":")[:2])


def _answer(method: Callable) -> Callable:
    """Lets `method` take the `Call` in place of gRPC's context, and turns what it raises into an answer."""

    @functools.wraps(method)
    def answer(self: "Chief", request: Any, context: grpc.ServicerContext) -> Any:
        response, code, message = None, None, ""
        call = Call.of(context.invocation_metadata())
        try:
            if call is None:
                raise _Refusal(
                    grpc.StatusCode.FAILED_PRECONDITION,
                    "This chief needs to know its workers. Let the worker join with `keras_vae.tuning`.",
                )
            self.meet(call)
            if self.failure is None:
                response = method(self, request, call)
        except _Refusal as refusal:
            code, message = refusal.code, str(refusal)
        except Exception as error:
            # The oracle cannot go on: without this the workers would wait for it, and it for them.
            self.failure = error
        if self.failure is not None:
            code, message = grpc.StatusCode.ABORTED, f"The search has ended on the chief: {self.failure}"
        if call is not None:
            state = OVER if self.is_over else ON
            context.set_trailing_metadata(((SEARCH, state),))
            if code in (None, grpc.StatusCode.ABORTED):
                self.note_told(call, state)
        if code is not None:
            context.abort(code, message)
        return response

    return answer


class Chief(OracleServicer):
    """KerasTuner's service, and who is there to use it. All methods are called from one thread.

    Args:
        oracle: decides on the trials; its folder is resumed.
        distribution: the chief's.
    """

    def __init__(self, oracle: keras_tuner.Oracle, distribution: Distribution):
        super().__init__(oracle)
        self.distribution = distribution
        self.failure: Exception | None = None
        self._workers: dict[str, _Worker] = {}
        # The oracle has no more trials to offer, though some may come back.
        self._is_exhausted = False
        # What each worker reported on a running trial: two may run one, if one was taken for dead.
        self._reports: dict[str, dict[str, MetricsTracker]] = {}
        # Until when trials that ran when the chief was killed wait for their workers.
        self._held: dict[str, float] = {}
        self._looked = self._started = time.monotonic()
        self._told: float | None = None
        self._has_said_nobody = False
        self._is_resumed = bool(oracle.trials)
        resuming.save_whole(oracle)
        self._resume()

    # What the workers call.

    @_answer
    def GetSpace(self, request, call):
        """The search space; without use for it, a sign of life."""
        return super().GetSpace(request, call)

    @_answer
    def UpdateSpace(self, request, call):
        """Adds hyperparameters that a worker found."""
        try:
            return super().UpdateSpace(request, call)
        except (RuntimeError, ValueError) as error:
            raise _Refusal(grpc.StatusCode.INVALID_ARGUMENT, str(error)) from None

    @_answer
    def GetBestTrials(self, request, call):
        """The best trials so far."""
        return super().GetBestTrials(request, call)

    @_answer
    def CreateTrial(self, request, call):
        """A trial to run, or IDLE while others may still come back, or STOPPED."""
        trial = self._next_trial(call.tuner_id)
        return protos.get_service().CreateTrialResponse(trial=trial.to_proto())

    @_answer
    def GetTrial(self, request, call):
        """A trial, with what the calling worker reported on it."""
        trial = self._known(request.trial_id)
        answer = trial.to_proto()
        if trial.status == TrialStatus.RUNNING:
            answer.metrics.CopyFrom(self._report(trial, call.tuner_id).to_proto())
        return protos.get_service().GetTrialResponse(trial=answer)

    @_answer
    def UpdateTrial(self, request, call):
        """Takes a worker's figures, unless the trial is over."""
        trial = self._known(request.trial_id)
        if trial.status == TrialStatus.RUNNING:
            figures = dict(request.metrics)
            try:
                self.oracle._check_objective_found(figures)
            except ValueError as error:
                raise _Refusal(grpc.StatusCode.INVALID_ARGUMENT, str(error)) from None
            trial.metrics = self._report(trial, call.tuner_id)
            self.oracle.update_trial(trial.trial_id, figures, step=request.step)
        return protos.get_service().UpdateTrialResponse(trial=trial.to_proto())

    @_answer
    def EndTrial(self, request, call):
        """Takes the first complete result of a trial, or the failure of the worker it is given to."""
        ended = Trial.from_proto(request.trial)
        ended.message = call.message
        self._end_trial(ended, call.tuner_id)
        return protos.get_service().EndTrialResponse()

    # Who is there.

    def meet(self, call: Call) -> None:
        """Notes that a worker is alive, and lets it have the trial it runs, if nobody else has it."""
        if call.heartbeat > self.distribution.patience / 2:
            raise _Refusal(
                grpc.StatusCode.INVALID_ARGUMENT,
                f"A heartbeat of {call.heartbeat:g} s is too slow for the chief, which takes a worker for "
                f"dead after {self.distribution.patience:g} s: make it half of that or less.",
            )
        now = time.monotonic()
        worker = self._workers.get(call.tuner_id)
        if worker is not None and worker.instance != call.instance:
            silence = now - worker.seen
            if silence < 2 * worker.heartbeat + 0.5:
                raise _Refusal(
                    grpc.StatusCode.ALREADY_EXISTS,
                    f"{call.tuner_id} is the id of a worker that runs at {worker.place} and was heard of "
                    f"{silence:.1f} s ago.",
                )
            worker = None
        if call.is_farewell:
            if worker is not None:
                self._forget(call.tuner_id, "has left")
            return
        if worker is None:
            worker = self._workers[call.tuner_id] = _Worker(call.instance, call.heartbeat, now)
            self._has_said_nobody = False
            _say(f"worker {call.tuner_id} at {worker.place} has joined")
        worker.seen, worker.heartbeat = now, call.heartbeat
        if call.trial_id is not None:
            self._reclaim(call.tuner_id, call.trial_id)

    def note_told(self, call: Call, state: str) -> None:
        """Notes that a worker learns with this answer that the search is over or has failed."""
        worker = self._workers.get(call.tuner_id)
        if worker is not None and (state == OVER or self.failure is not None):
            worker.knows_the_end = True

    @property
    def is_over(self) -> bool:
        """Whether no trial runs and none will."""
        if self.oracle.ongoing_trials or self.oracle._retry_queue:
            return False
        return self._is_exhausted or self._is_full

    @property
    def _is_full(self) -> bool:
        most = self.oracle.max_trials
        return bool(most) and len(self.oracle.trials) >= most

    def look_round(self, now: float) -> bool:
        """Forgets workers that are silent, and returns whether the chief may end.

        Args:
            now: when this round was asked for. Calls that came before it have been answered.
        """
        away = now - self._looked
        self._looked = now
        if away > 10 * _TICK:
            # The chief itself did not listen: its machine slept, or the oracle computed.
            for worker in self._workers.values():
                worker.seen += away
            self._held = {trial_id: until + away for trial_id, until in self._held.items()}
        is_end = self.failure is not None or self.is_over
        for tuner_id, worker in list(self._workers.items()):
            patience = self.distribution.patience
            if is_end:
                patience = min(patience, 3 * worker.heartbeat + 1)
            silence = now - worker.seen
            if silence > patience:
                self._forget(tuner_id, f"gave no sign of life for {silence:.0f} s")
        for trial_id, until in list(self._held.items()):
            if now > until:
                self._release(trial_id)
        if is_end:
            return self._may_end(now)
        self._told = None
        if not self._workers and not self._has_said_nobody:
            self._has_said_nobody = True
            _say(f"{self._progress()}; waits for workers at {self.distribution.target}")
        return False

    def _may_end(self, now: float) -> bool:
        if not all(worker.knows_the_end for worker in self._workers.values()):
            self._told = None
            return False
        self._told = now if self._told is None else self._told
        if self._workers and now < self._told + _LEAVE:
            return False
        # Workers of a chief that was started again come back within a heartbeat, to hear of the end.
        return not self._is_resumed or now > self._started + 2 * self.distribution.heartbeat + 2

    def _forget(self, tuner_id: str, why: str) -> None:
        del self._workers[tuner_id]
        self.oracle.tuner_ids.discard(tuner_id)
        trial = self.oracle.ongoing_trials.pop(tuner_id, None)
        if trial is not None:
            self.oracle._retry_queue.append(trial.trial_id)
            self.oracle.save()
            _say(f"worker {tuner_id} {why}; its trial {trial.trial_id} goes to the next")

    # What becomes of trials.

    def _resume(self) -> None:
        oracle = self.oracle
        resuming.mend(oracle)
        for trial_id in list(oracle._retry_queue):
            # Those that failed and are to be tried again are not RUNNING.
            if oracle.trials[trial_id].status == TrialStatus.RUNNING:
                oracle._retry_queue.remove(trial_id)
                # It stays among the running ones, for the files: a chief may be killed twice.
                oracle.ongoing_trials[_nobody(trial_id)] = oracle.trials[trial_id]
                self._held[trial_id] = self._started + self.distribution.patience
        oracle.save()
        if self._held:
            names = ", ".join(sorted(self._held))
            _say(f"waits up to {self.distribution.patience:g} s for the workers at trials {names}")

    def _next_trial(self, tuner_id: str) -> Trial:
        oracle = self.oracle
        is_old = bool(oracle._retry_queue) or tuner_id in oracle.ongoing_trials
        if is_old or not (self._is_exhausted or self._is_full):
            trial = oracle.create_trial(tuner_id)
            if trial.status == TrialStatus.RUNNING:
                # What an earlier run of it reported is not this one's.
                trial.metrics, trial.score = MetricsTracker(), None
                self._reports.setdefault(trial.trial_id, {})[tuner_id] = trial.metrics
                if is_old:
                    oracle._save_trial(trial)
                return trial
            if trial.status == TrialStatus.IDLE:
                return trial
            self._is_exhausted = True
        status = TrialStatus.STOPPED if self.is_over else TrialStatus.IDLE
        return Trial(oracle.get_space(), trial_id="", status=status)

    def _end_trial(self, ended: Trial, tuner_id: str) -> None:
        oracle = self.oracle
        trial = self._known(ended.trial_id)
        if trial.status != TrialStatus.RUNNING:
            _say(f"worker {tuner_id} delivers trial {trial.trial_id}, which is over: the first result counts")
            return
        if ended.status != TrialStatus.COMPLETED and oracle.ongoing_trials.get(tuner_id) is not trial:
            _say(f"worker {tuner_id} failed at trial {trial.trial_id}, which another runs by now")
            return
        trial.metrics = self._report(trial, tuner_id)
        if trial.trial_id in oracle._retry_queue:
            oracle._retry_queue.remove(trial.trial_id)
        # KerasTuner's display stumbles over trials that began just before the chief was killed.
        display, now = oracle._display, datetime.now()
        display.search_start = display.search_start or now
        display.trial_start.setdefault(trial.trial_id, now)
        display.trial_number.setdefault(trial.trial_id, oracle.start_order.index(trial.trial_id) + 1)
        oracle.end_trial(ended)
        # Some oracles change once more after they have saved themselves.
        oracle.save()
        self._reports.pop(trial.trial_id, None)
        self._held.pop(trial.trial_id, None)

    def _known(self, trial_id: str) -> Trial:
        trial = self.oracle.trials.get(trial_id)
        if trial is None:
            message = f"The chief's search has no trial {trial_id}: the worker is from another search."
            raise _Refusal(grpc.StatusCode.NOT_FOUND, message)
        return trial

    def _report(self, trial: Trial, tuner_id: str) -> MetricsTracker:
        """What `tuner_id` reported on `trial`."""
        reports = self._reports.setdefault(trial.trial_id, {})
        if tuner_id not in reports:
            # A chief that was started again has it from the trial's file.
            reports[tuner_id] = MetricsTracker() if reports else trial.metrics
        return reports[tuner_id]

    def _reclaim(self, tuner_id: str, trial_id: str) -> None:
        oracle = self.oracle
        trial = oracle.trials.get(trial_id)
        if trial is None or trial.status != TrialStatus.RUNNING or tuner_id in oracle.ongoing_trials:
            return
        if trial_id in self._held:
            del self._held[trial_id], oracle.ongoing_trials[_nobody(trial_id)]
        elif trial_id in oracle._retry_queue:
            oracle._retry_queue.remove(trial_id)
        else:
            return
        oracle.ongoing_trials[tuner_id] = trial
        oracle.save()
        _say(f"worker {tuner_id} is still at trial {trial_id}")

    def _release(self, trial_id: str) -> None:
        del self._held[trial_id], self.oracle.ongoing_trials[_nobody(trial_id)]
        self.oracle._retry_queue.append(trial_id)
        self.oracle.save()
        _say(f"nobody came back for trial {trial_id}; it goes to the next worker")

    def _progress(self) -> str:
        most = self.oracle.max_trials
        return f"{len(self.oracle.end_order)}{f' of {most}' if most else ''} trials are over"


def _nobody(trial_id: str) -> str:
    """Stands for the unknown worker of a trial that may still be running; no tuner id is like it."""
    return f"(trial {trial_id})"


def _say(what: str) -> None:
    print(f"chief: {what}", file=sys.stderr, flush=True)
