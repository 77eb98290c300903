"""Works off what is due: send `pending` submissions again, search for lost runs, poll started ones.

A tick reads the `due:` rows once, the longest due first. It works them off with a fair share for each trigger, until
nothing is left or its time is over. What is left is still due at the next tick. A failure of one submission does not
keep the others.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from shared.core.errors import LedgerError, NewerRow, Unavailable
from shared.core.submissions import State, Submission
from shared.core.telemetry import Action, log_decision, submit_in_context
from shared.engine.runs import expire, poll, search
from shared.engine.send import resend
from shared.engine.services import Services
from shared.ledger.table.protocol import Row

logger = logging.getLogger(__name__)

WORKERS = 16
"""Submissions that are worked on at a time, so calls to Azure ML at a time."""

MAX_PAGES = 10
"""Pages of 1,000 `due:` rows that one tick reads. That is far more than it can work off."""

WORK: Mapping[State, Callable[[Services, Submission], object]] = {
    State.PENDING: resend,
    State.SUBMITTING: expire,
    State.UNKNOWN: search,
    State.SUBMITTED: poll,
}
"""What a due submission needs, by its state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DueReport:
    """What was done."""

    done: int = 0
    """Submissions that were worked on."""
    left: bool = False
    """Whether some that were due are left for the next tick."""
    newer: int = 0
    """Submissions that a newer version of the app wrote. They are left alone."""


def work_off_due(services: Services, *, now: datetime, until: float) -> DueReport:
    """Work off what is due.

    Args:
        services: The app's parts.
        now: Submissions due up to here are worked on.
        until: When to begin no more, in seconds of the monotonic clock.

    Raises:
        Unavailable: The ledger did not answer. What is left stays due.
        ExceptionGroup: Some submissions met unexpected errors. The others were worked off.
    """
    rows, more = _read(services, now)
    if not rows:
        return DueReport()
    tally = _Tally(fair(rows))
    with ThreadPoolExecutor(min(WORKERS, len(rows)), "tick-due") as workers:
        for _ in range(min(WORKERS, len(rows))):
            submit_in_context(workers, _work_off, services, tally, until)
    tally.raise_failures()
    return DueReport(done=tally.done, left=more or tally.left, newer=tally.newer)


def _read(services: Services, now: datetime) -> tuple[list[Row], bool]:
    """Return the rows that are due, and whether there are more."""
    rows: list[Row] = []
    continuation: str | None = None
    for _ in range(MAX_PAGES):
        page = services.ledger.due.page(now, continuation=continuation)
        rows += page.rows
        continuation = page.continuation
        if continuation is None:
            return rows, False
    return rows, True


def _work_off(services: Services, tally: _Tally, until: float) -> None:
    while services.monotonic() < until and (row := tally.next()) is not None:
        try:
            tally.count(newer=not _handle(services, row))
        except Exception as error:  # noqa: BLE001 — kept, and raised when the others are done
            tally.fail(error)


def _handle(services: Services, row: Row) -> bool:
    """Do what one submission needs. False: it is left alone."""
    submissions, identifier = services.ledger.submissions, row.key.rpartition(":")[2]
    try:
        submission = submissions.get(identifier)
    except NewerRow:
        log_decision(
            logger,
            Action.SUBMISSION_NEWER,
            f"submission {identifier} was written by a newer version of the app: it is left alone",
            {"submission": identifier},
            level=logging.WARNING,
        )
        return False
    except LedgerError as error:
        submissions.hold_unreadable(identifier, row.key, str(error))
        log_decision(
            logger,
            Action.SUBMISSION_HELD,
            f"submission {identifier} is held: {error}",
            {"submission": identifier},
            level=logging.ERROR,
        )
        return True
    work = WORK.get(submission.state) if submission else None
    if submission is None or work is None or submission.due_key != row.key:
        services.ledger.due.forget(row.key)
    else:
        work(services, submission)
    return True


class _Tally:
    """What the workers share: the rows that are left, and the results of the others."""

    def __init__(self, rows: Iterator[Row]) -> None:
        self._rows = rows
        self._lock = threading.Lock()
        self._failures: list[Exception] = []
        self.done = 0
        self.newer = 0

    def next(self) -> Row | None:
        """Take the next row. None: there is none, or the ledger does not answer."""
        with self._lock:
            if any(isinstance(error, Unavailable) for error in self._failures):
                return None
            return next(self._rows, None)

    @property
    def left(self) -> bool:
        """Whether rows are left."""
        return next(self._rows, None) is not None

    def count(self, *, newer: bool) -> None:
        """Count a row that was worked on."""
        with self._lock:
            self.done += not newer
            self.newer += newer

    def fail(self, error: Exception) -> None:
        """Keep a failure."""
        with self._lock:
            self._failures.append(error)

    def raise_failures(self) -> None:
        """Raise what failed: an unavailable ledger as itself, all other errors together."""
        for error in self._failures:
            if isinstance(error, Unavailable):
                raise error
        if self._failures:
            raise ExceptionGroup("unexpected errors in some submissions", self._failures)


def fair(rows: Iterable[Row]) -> Iterator[Row]:
    """Yield rows of each trigger in turn: first those to send or search, then those to poll, the longest due first."""
    queues: dict[str, deque[Row]] = {}
    for row in sorted(rows, key=lambda row: row.values.get("state") == State.SUBMITTED.value):
        queues.setdefault(str(row.values.get("trigger") or ""), deque()).append(row)
    while queues:
        for trigger in list(queues):
            yield queues[trigger].popleft()
            if not queues[trigger]:
                del queues[trigger]
