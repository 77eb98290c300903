"""What a chaos worker puts between the app and its edges: a moved clock, points to die at, and a shorter deadline."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta

from local.chaos.faults import DEADLINE
from shared.clients.transport import Transport
from shared.clients.workspace import Workspace
from shared.config.model import Pipeline
from shared.core.outcomes import Outcome, ServiceAnswer
from shared.core.runs import RunFacts, SearchResult
from shared.core.submissions import State
from shared.ledger.table.protocol import PAGE_ROWS, Insert, Merge, Operation, Page, Row, Table

current_event: ContextVar[str | None] = ContextVar("the event this thread works on", default=None)
"""For the book of faults: which event a request to storage is for."""


class MovedClock:
    """Real time plus an offset that the harness raises, and this process's own error.

    Args:
        offset: Seconds that the run is ahead of real time.
        skew: Seconds that this process is wrong by.
    """

    def __init__(self, *, offset: float, skew: float) -> None:
        self.offset = offset
        self._skew = skew

    def now(self) -> datetime:
        """Say the time."""
        return datetime.now(UTC) + timedelta(seconds=self.offset + self._skew)

    def monotonic(self) -> float:
        """Say the monotonic time: it is moved on, too, as if the machine had been suspended."""
        return time.monotonic() + self.offset


class CrashPoints:
    """Kills this process at a point, once it is armed.

    Args:
        note: Told of the crash, before it happens, with the point and the event.
    """

    def __init__(self, note: Callable[[str, str | None], None]) -> None:
        self._note = note
        self._armed: set[str] = set()
        self._lock = threading.Lock()

    def arm(self, point: str) -> None:
        """Let the next thread that reaches the point end the process."""
        with self._lock:
            self._armed.add(point)

    def reach(self, point: str) -> None:
        """Die here, if that was asked for."""
        with self._lock:  # never given back: nobody else gets past any point
            if point in self._armed:
                self._note(point, current_event.get())
                os.kill(os.getpid(), signal.SIGKILL)
                time.sleep(60)  # the signal comes at once; nothing may happen until then


class ChaosTable:
    """A table with crash points around claims and settlements.

    Args:
        table: The table.
        points: Where to die.
    """

    def __init__(self, table: Table, points: CrashPoints) -> None:
        self._table = table
        self._points = points

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
        return self._table.page(start, end, limit=limit, continuation=continuation)


def _kind(operations: Sequence[Operation]) -> str | None:
    """Tell a claim from a settlement; and note which event they are about."""
    for operation in operations:
        if isinstance(operation, Insert | Merge) and operation.key.startswith("sub:"):
            current_event.set(operation.key.removeprefix("sub:"))
            sender = operation.values.get("state") == State.SUBMITTING.value
            return "claim" if sender else "settle"
    return None


class ChaosWorkspace:
    """A workspace with a crash point behind the POST: it was answered, and nobody knows it yet.

    Args:
        workspace: The workspace.
        points: Where to die.
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
        self, pipeline: Pipeline, *, experiment: str, correlation_id: str, reference: str | None
    ) -> SearchResult:
        """See `WorkspaceClient.look`."""
        return self._workspace.search(
            pipeline, experiment=experiment, correlation_id=correlation_id, reference=reference
        )

    def cancel(self, pipeline: Pipeline, run_id: str) -> None:
        """See `WorkspaceClient.cancel`."""
        self._workspace.cancel(pipeline, run_id)


class HastyTransport(Transport):
    """The real transport with a shorter deadline, so that a server that hangs costs seconds and not minutes."""

    def send(
        self,
        method: str,
        url: str,
        *,
        scope: str,
        body: bytes | None = None,
        deadline: timedelta = DEADLINE,
    ) -> ServiceAnswer:
        """See `Transport.send`."""
        return super().send(method, url, scope=scope, body=body, deadline=min(deadline, DEADLINE))
