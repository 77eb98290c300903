"""What a tick has to do with submissions: send `pending` ones again, search for lost answers, follow runs.

The `due:` rows are read once, the longest due first, and worked off with a fair share for each trigger, until nothing
is left or the tick's time is over; what is left is still due for the next tick. One submission's failure does not
keep the others.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from shared.core.errors import LedgerError, NewerRow, Unavailable
from shared.core.submissions import State, Submission
from shared.engine.following import Polling
from shared.engine.searching import Searcher
from shared.engine.send import Sender
from shared.ledger.ledger import Ledger
from shared.ledger.table.protocol import Row

logger = logging.getLogger(__name__)

WORKERS = 16
"""Submissions at a time, so calls to Azure ML at a time."""

MAX_PAGES = 10
"""Pages of 1,000 `due:` rows that one tick reads: far more than it can work off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DueReport:
    """What was done.

    Attributes:
        done: Submissions that were worked on.
        left: Whether some that were due are left for the next tick.
        newer: Submissions that a newer version of the app wrote: left alone.
    """

    done: int = 0
    left: bool = False
    newer: int = 0


class DueWork:
    """Works off what is due.

    Args:
        ledger: Where it is.
        sending: For `pending` submissions.
        searching: For `unknown` ones, and `submitting` ones whose lease ran out.
        following: For `submitted` ones.
        monotonic: Seconds, for the tick's budget.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        sender: Sender,
        searcher: Searcher,
        poller: Polling,
        monotonic: Callable[[], float],
    ) -> None:
        self._ledger = ledger
        self._monotonic = monotonic
        self._work: dict[State, Callable[[Submission], object]] = {
            State.PENDING: sender.send_again,
            State.SUBMITTING: searcher.mark_ambiguous,
            State.UNKNOWN: searcher.search,
            State.SUBMITTED: poller.poll,
        }

    def run(self, *, now: datetime, until: float) -> DueReport:
        """Work off what is due.

        Args:
            now: What is due up to here.
            until: When to stop beginning with more, in seconds of the monotonic clock.

        Raises:
            Unavailable: The ledger did not answer; what is left stays due.
            ExceptionGroup: Some submissions met errors that nobody expected; the others were worked off.
        """
        rows, more = self._read(now)
        if not rows:
            return DueReport()
        tally = _Tally(fair(rows))
        with ThreadPoolExecutor(min(WORKERS, len(rows)), "tick-due") as workers:
            for _ in range(min(WORKERS, len(rows))):
                workers.submit(self._work_off, tally, until)
        tally.raise_failures()
        return DueReport(done=tally.done, left=more or tally.left, newer=tally.newer)

    def _read(self, now: datetime) -> tuple[list[Row], bool]:
        rows: list[Row] = []
        continuation: str | None = None
        for _ in range(MAX_PAGES):
            page = self._ledger.due(now, continuation=continuation)
            rows += page.rows
            continuation = page.continuation
            if continuation is None:
                return rows, False
        return rows, True

    def _work_off(self, tally: _Tally, until: float) -> None:
        while self._monotonic() < until and (row := tally.next()) is not None:
            try:
                tally.count(newer=not self._handle(row))
            except Exception as error:  # noqa: BLE001 — kept, and raised when the others are done
                tally.fail(error)

    def _handle(self, row: Row) -> bool:
        """Do what one submission needs; False for one that is left alone."""
        identifier = row.key.rpartition(":")[2]
        try:
            submission = self._ledger.get(identifier)
        except NewerRow:
            logger.warning(
                "submission %s was written by a newer version of the app: left alone",
                identifier,
                extra={"action": "submission_newer", "submission": identifier},
            )
            return False
        except LedgerError as error:
            self._ledger.hold_unreadable(identifier, row.key, str(error))
            logger.error(  # noqa: TRY400 — the error is the row's, and its text says all
                "submission %s is held: %s",
                identifier,
                error,
                extra={"action": "submission_held", "submission": identifier},
            )
            return True
        work = self._work.get(submission.state) if submission else None
        if submission is None or work is None or submission.due_key != row.key:
            self._ledger.forget_due(row.key)
        else:
            work(submission)
        return True


class _Tally:
    """What the workers share: the rows that are left, and what became of the others."""

    def __init__(self, rows: Iterator[Row]) -> None:
        self._rows = rows
        self._lock = threading.Lock()
        self._failures: list[Exception] = []
        self.done = 0
        self.newer = 0

    def next(self) -> Row | None:
        """Take the next row; None when there is none, or the ledger is gone."""
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
        """Raise what went wrong: an unavailable ledger as itself, anything else together."""
        for error in self._failures:
            if isinstance(error, Unavailable):
                raise error
        if self._failures:
            raise ExceptionGroup("some submissions met errors that nobody expected", self._failures)


def fair(rows: Iterable[Row]) -> Iterator[Row]:
    """Yield rows of each trigger in turn: sending and searching before following, the longest due first."""
    queues: dict[str, deque[Row]] = {}
    for row in sorted(rows, key=lambda row: row.values.get("state") == State.SUBMITTED.value):
        queues.setdefault(str(row.values.get("trigger") or ""), deque()).append(row)
    while queues:
        for trigger in list(queues):
            yield queues[trigger].popleft()
            if not queues[trigger]:
                del queues[trigger]
