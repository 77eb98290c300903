"""How many calls go to an endpoint at a time, and none to one that has stopped answering.

Each endpoint has a circuit. Its *strikes* are the calls in a row that got no answer, and the calls under way that are
slow.

| strikes | the circuit | calls |
| --- | --- | --- |
| none | closed | at most 8 at a time |
| 1 or 2 | closed | at most 8 at a time, of them one POST |
| 3 or more | open | one trial at a time, each 30 seconds, by the tick. Other events are not sent, and stay `pending` |

A POST that is answered, with any status, clears the strikes. If the trial is a read that succeeds, the circuit closes,
but one POST without an answer opens it again. Calls to endpoints with strikes never take all threads.

All state is in the memory of the process.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from shared.clients.workspace import Workspace
from shared.config.model import Pipeline
from shared.core.outcomes import Outcome, OutcomeKind
from shared.core.runs import ReferenceRun, RunFacts, SearchResult
from shared.core.telemetry import Action, log_decision

logger = logging.getLogger(__name__)

STRIKES = 3
"""Strikes that open a circuit."""

TIMED_OUT = timedelta(seconds=10)
"""A call that was not sent, or not answered, is a strike if it took that long: `clients.transport.CONNECT_TIMEOUT`."""

SLOW = timedelta(seconds=20)
"""A call that has been under way for longer is a strike until it ends. A POST usually takes a few seconds."""

TRIAL_EVERY = timedelta(seconds=30)
"""The least time between two trials of an endpoint. Ticks come every minute, so it is one trial a tick."""

CALLS_PER_ENDPOINT = 8
"""Calls to one endpoint at a time."""

CALLS = 32
"""Calls at a time to all endpoints without strikes."""

CALLS_WITH_STRIKES = 16
"""Calls at a time to all endpoints with strikes."""


@dataclass(frozen=True, slots=True)
class _Turn:
    """A submission that is being worked on."""

    endpoint: str
    """The endpoint that its call goes to."""
    post: bool
    """Whether that is a POST."""


class Circuits:
    """The circuits of all endpoints, each known by its digest.

    Args:
        monotonic: Returns seconds of a monotonic clock.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._unanswered: Counter[str] = Counter()
        self._trials: dict[str, float] = {}
        self._turns: dict[str, _Turn] = {}
        self._calls: dict[object, tuple[str, float]] = {}

    def is_open(self, endpoint: str) -> bool:
        """Return whether an endpoint has stopped answering, so that events are not sent to it."""
        with self._lock:
            return self._strikes(endpoint) >= STRIKES

    def last_trial(self, endpoint: str | None) -> float:
        """Return when an open circuit's last trial began. A closed circuit comes before all of them."""
        with self._lock:
            is_open = endpoint is not None and self._strikes(endpoint) >= STRIKES
            return self._trials.get(endpoint, 0.0) if endpoint is not None and is_open else -1.0

    def has_turn(self, submission: str) -> bool:
        """Return whether a submission is being worked on."""
        with self._lock:
            return submission in self._turns

    def take_turn(self, endpoint: str, submission: str, *, post: bool) -> bool:
        """Begin to work on a submission, if one more call may go to its endpoint now. `end_turn` must follow.

        Args:
            endpoint: The endpoint's digest.
            submission: The submission's id.
            post: Whether the call is a POST.
        """
        with self._lock:
            if submission in self._turns or not self._may_call(endpoint, post=post):
                return False
            if self._strikes(endpoint) >= STRIKES:
                self._trials[endpoint] = self._monotonic()
            self._turns[submission] = _Turn(endpoint, post)
            return True

    def end_turn(self, submission: str) -> None:
        """End what `take_turn` began."""
        with self._lock:
            del self._turns[submission]

    @contextmanager
    def call(self, endpoint: str) -> Iterator[Callable[[], timedelta]]:
        """Count a call as under way. Gives a function that returns how long it has taken."""
        key, began = object(), self._monotonic()
        with self._lock:
            self._calls[key] = (endpoint, began)
        try:
            yield lambda: timedelta(seconds=self._monotonic() - began)
        finally:
            with self._lock:
                del self._calls[key]

    def record(self, pipeline: Pipeline, *, answered: bool, post: bool) -> None:
        """Record whether a call of a pipeline got an answer, and log it if that opens or closes the circuit."""
        endpoint = pipeline.endpoint_digest
        with self._lock:
            before = self._unanswered[endpoint]
            if not answered:
                after = before + 1
            elif post:
                after = 0
            else:
                after = min(before, STRIKES - 1)
            self._unanswered[endpoint] = after
        if before < STRIKES <= after:
            _log(Action.CIRCUIT_OPENED, "has stopped answering: one trial a minute", pipeline)
        elif after < STRIKES <= before:
            _log(Action.CIRCUIT_CLOSED, "answers again", pipeline)

    def _may_call(self, endpoint: str, *, post: bool) -> bool:
        own = [turn for turn in self._turns.values() if turn.endpoint == endpoint]
        strikes = self._strikes(endpoint)
        if strikes >= STRIKES:
            since = self._monotonic() - self._trials.get(endpoint, float("-inf"))
            allowed = not own and since >= TRIAL_EVERY.total_seconds()
        elif strikes and post:
            allowed = len(own) < CALLS_PER_ENDPOINT and not any(turn.post for turn in own)
        else:
            allowed = len(own) < CALLS_PER_ENDPOINT
        alike = [
            turn
            for turn in self._turns.values()
            if (self._strikes(turn.endpoint) > 0) == (strikes > 0)
        ]
        return allowed and len(alike) < (CALLS_WITH_STRIKES if strikes else CALLS)

    def _strikes(self, endpoint: str) -> int:
        slow = self._monotonic() - SLOW.total_seconds()
        return self._unanswered[endpoint] + sum(
            called == endpoint and began < slow for called, began in self._calls.values()
        )


class CircuitWorkspace:
    """A workspace whose calls are recorded in the circuits of their endpoints.

    Args:
        workspace: Makes the calls.
        circuits: The circuits.
    """

    def __init__(self, workspace: Workspace, circuits: Circuits) -> None:
        self._workspace = workspace
        self._circuits = circuits

    def submit(self, pipeline: Pipeline, body: bytes) -> Outcome:
        """Start a run. See `Workspace.submit`."""
        with self._circuits.call(pipeline.endpoint_digest) as taken:
            outcome = self._workspace.submit(pipeline, body)
            unanswered = outcome.kind is OutcomeKind.UNKNOWN or taken() >= TIMED_OUT
        if outcome.status is not None:
            self._circuits.record(pipeline, answered=True, post=True)
        elif unanswered:
            self._circuits.record(pipeline, answered=False, post=True)
        return outcome

    def status(self, pipeline: Pipeline, run_id: str) -> RunFacts:
        """Return a run with its status. See `Workspace.status`."""
        return self._read(pipeline, lambda: self._workspace.status(pipeline, run_id))

    def search(
        self,
        pipeline: Pipeline,
        *,
        experiment: str,
        correlation_id: str,
        reference: str | None,
        newer: ReferenceRun | None = None,
    ) -> SearchResult:
        """Search for runs. See `Workspace.search`, which reports no error if Azure ML does not answer."""
        return self._read(
            pipeline,
            lambda: self._workspace.search(
                pipeline,
                experiment=experiment,
                correlation_id=correlation_id,
                reference=reference,
                newer=newer,
            ),
            is_answer=lambda found: bool(found.runs) or found.saw_reference,
        )

    def cancel(self, pipeline: Pipeline, run_id: str) -> None:
        """Cancel a run. See `Workspace.cancel`."""
        self._read(pipeline, lambda: self._workspace.cancel(pipeline, run_id))

    def _read[T](
        self,
        pipeline: Pipeline,
        call: Callable[[], T],
        *,
        is_answer: Callable[[T], bool] = lambda _: True,
    ) -> T:
        """Make a call that is no POST. It is a strike only if it took long and brought nothing."""
        answered = False
        with self._circuits.call(pipeline.endpoint_digest) as taken:
            try:
                result = call()
                answered = is_answer(result)
                return result
            finally:
                answered = answered or taken() < TIMED_OUT
                self._circuits.record(pipeline, answered=answered, post=False)


def _log(action: Action, what: str, pipeline: Pipeline) -> None:
    log_decision(
        logger,
        action,
        f"the endpoint of pipeline {pipeline.name} {what}",
        {"pipeline": pipeline.name},
        level=logging.WARNING,
    )
