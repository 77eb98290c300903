"""Wrappers that a chaos worker puts around the app's edges: a shifted clock, crash points and a shorter deadline."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from local.chaos.faults import DEADLINE
from shared.clients.transport import BodyReader, Transport
from shared.clients.workspace import Workspace
from shared.config.model import Pipeline
from shared.core.outcomes import Outcome, ServiceAnswer
from shared.core.runs import ReferenceRun, RunFacts, SearchResult
from shared.core.submissions import State
from shared.ledger.table.protocol import PAGE_ROWS, Insert, Merge, Operation, Page, Row, Table

current_event: ContextVar[str | None] = ContextVar("the event this thread works on", default=None)
"""The deduplication key of the event that this thread works on. The fault log needs it for faults of storage."""


class ShiftedClock:
    """A clock that shows real time plus an offset, which the harness raises, plus this process's own skew.

    Args:
        offset: How many seconds the run is ahead of real time.
        skew: How many seconds this process's clock is wrong by.
    """

    def __init__(self, *, offset: float, skew: float) -> None:
        self.offset = offset
        """How many seconds the run is ahead of real time."""
        self._skew = skew

    def now(self) -> datetime:
        """Return the current time (timezone-aware)."""
        return datetime.now(UTC) + timedelta(seconds=self.offset + self._skew)

    def monotonic(self) -> float:
        """Return the monotonic time in seconds."""
        # The offset counts here too, as if the machine had been suspended.
        return time.monotonic() + self.offset


class CrashPoints:
    """Points at which this process kills itself if they are armed.

    Args:
        on_crash: Called just before the crash with the point and the event.
    """

    def __init__(self, on_crash: Callable[[str, str | None], None]) -> None:
        self._on_crash = on_crash
        self._armed: set[str] = set()
        self._lock = threading.Lock()

    def arm(self, point: str) -> None:
        """Kill the process when the next thread reaches `point`."""
        with self._lock:
            self._armed.add(point)

    def reach(self, point: str) -> None:
        """Kill the process if `point` is armed."""
        # A crash never releases the lock, so no other thread gets past any point.
        with self._lock:
            if point in self._armed:
                self._on_crash(point, current_event.get())
                os.kill(os.getpid(), signal.SIGKILL)
                time.sleep(60)  # the signal is on its way, and this thread must do nothing more


class ChaosTable:
    """A table with crash points around claims and settlements, and whose time is moved as the processes' is.

    Args:
        table: The table that carries out the operations.
        points: The crash points.
        clock: The process's clock.
    """

    def __init__(self, table: Table, points: CrashPoints, clock: ShiftedClock) -> None:
        self._table = table
        self._points = points
        self._clock = clock

    def transact(self, operations: Sequence[Operation]) -> Sequence[str]:
        """See `Table.transact`."""
        kind = _kind(operations)
        if kind is None:
            return self._table.transact(operations)
        self._points.reach(f"before_{kind}")
        etags = self._table.transact(operations)
        self._points.reach(f"after_{kind}")
        return etags

    def get(self, key: str) -> Row | None:
        """See `Table.get`."""
        return self._table.get(key)

    def page(
        self, start: str, end: str, *, limit: int = PAGE_ROWS, continuation: str | None = None
    ) -> Page:
        """See `Table.page`."""
        page = self._table.page(start, end, limit=limit, continuation=continuation)
        offset = timedelta(seconds=self._clock.offset)
        return replace(page, date=page.date + offset if page.date is not None else None)


def _kind(operations: Sequence[Operation]) -> str | None:
    """Return "claim" or "settle" for a write of a submission, else None, and set the current event."""
    for operation in operations:
        if isinstance(operation, Insert | Merge) and operation.key.startswith("sub:"):
            current_event.set(operation.key.removeprefix("sub:"))
            is_claim = operation.values.get("state") == State.SUBMITTING.value
            return "claim" if is_claim else "settle"
    return None


class ChaosWorkspace:
    """A workspace client with a crash point after the POST: Azure ML answered, and the ledger does not know it yet.

    Args:
        workspace: The client that sends the requests.
        points: The crash points.
    """

    def __init__(self, workspace: Workspace, points: CrashPoints) -> None:
        self._workspace = workspace
        self._points = points

    def submit(self, pipeline: Pipeline, body: bytes) -> Outcome:
        """See `WorkspaceClient.submit`."""
        outcome = self._workspace.submit(pipeline, body)
        self._points.reach("after_post")
        return outcome

    def status(self, pipeline: Pipeline, run_id: str) -> RunFacts:
        """See `WorkspaceClient.status`."""
        return self._workspace.status(pipeline, run_id)

    def search(
        self,
        pipeline: Pipeline,
        *,
        experiment: str,
        correlation_id: str,
        reference: str | None,
        newer: ReferenceRun | None = None,
    ) -> SearchResult:
        """See `WorkspaceClient.search`."""
        return self._workspace.search(
            pipeline,
            experiment=experiment,
            correlation_id=correlation_id,
            reference=reference,
            newer=newer,
        )

    def cancel(self, pipeline: Pipeline, run_id: str) -> None:
        """See `WorkspaceClient.cancel`."""
        self._workspace.cancel(pipeline, run_id)


class ShortDeadlineTransport(Transport):
    """The real transport with a shorter deadline, so that a server that hangs costs seconds instead of minutes."""

    def send(
        self,
        method: str,
        url: str,
        *,
        scope: str,
        body: bytes | None = None,
        deadline: timedelta = DEADLINE,
        read: BodyReader | None = None,
    ) -> ServiceAnswer:
        """See `Transport.send`."""
        return super().send(
            method, url, scope=scope, body=body, deadline=min(deadline, DEADLINE), read=read
        )
