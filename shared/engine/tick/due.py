"""Works off what is due: send `pending` submissions again, search for lost runs, poll started ones.

A tick reads the `due:` rows once, the longest due first. It works them off with a fair share for each endpoint and each
trigger, until nothing is left or its time is over. What is left is still due at the next tick. A failure of one
submission does not keep the others. If an endpoint has stopped answering, the tick works on one of its submissions.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from shared.core.errors import LedgerError, NewerRow, Unavailable
from shared.core.submissions import State, Submission
from shared.core.telemetry import Action, log_decision
from shared.engine.runs import expire, poll, search
from shared.engine.send import resend
from shared.engine.services import Services
from shared.engine.tick.work import Task, Work
from shared.ledger.table.protocol import Row

logger = logging.getLogger(__name__)

PAGES = 10
"""Pages of 1,000 `due:` rows that one tick reads, the longest due first. That is far more than it can work off."""

MORE_PAGES = 20
"""Pages that it reads behind them, for triggers that have few rows in them."""

ENOUGH_ROWS = 1_000
"""Rows of one trigger that a tick needs at most. It cannot work off more of one endpoint."""

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
    halfway = (services.monotonic() + until) / 2
    rows, more = _read(services, now, until=halfway)
    newer: list[str] = []
    work = Work(services, _tasks(services, rows, newer))
    work.work_off(until=until, name="tick-due")
    for error in work.failures:
        if isinstance(error, Unavailable):
            raise error
    if work.failures:
        raise ExceptionGroup("unexpected errors in some submissions", work.failures)
    return DueReport(done=work.done - len(newer), left=more or bool(work.left), newer=len(newer))


def _tasks(services: Services, rows: Sequence[Row], newer: list[str]) -> list[Task]:
    """Return what the rows need, in the order in which it begins."""

    def handle(row: Row) -> None:
        if not _handle(services, row):
            newer.append(row.key)

    tasks = [
        Task(
            submission=row.key.rpartition(":")[2],
            endpoint=_endpoint(services, row),
            post=row.values.get("state") == State.PENDING.value,
            do=partial(handle, row),
        )
        for row in fair(rows)
    ]
    # Of the endpoints whose circuits are open, the one with the oldest trial is next. A read is tried before a POST,
    # since it leaves nothing ambiguous.
    trials = {one.endpoint: services.circuits.last_trial(one.endpoint) for one in tasks}
    return sorted(
        tasks, key=lambda one: (trials[one.endpoint], trials[one.endpoint] >= 0 and one.post)
    )


def _endpoint(services: Services, row: Row) -> str | None:
    """Return the endpoint that the work on a submission calls, by its trigger. None: it calls none."""
    if row.values.get("state") == State.SUBMITTING.value:
        return None
    name = str(row.values.get("trigger") or "")
    trigger = services.config.triggers.get(name)
    return trigger.pipeline.endpoint_digest if trigger else f"trigger {name}"


def _read(services: Services, now: datetime, *, until: float) -> tuple[list[Row], bool]:
    """Return the rows that are due, and whether there are more.

    A tick reads the longest due first. Rows of one trigger can fill these pages, and then rows of others stand behind
    them. So the tick reads on, and takes rows of triggers that have few. The next tick goes on where this one stopped.

    Args:
        services: The app's parts.
        now: Rows due up to here are read.
        until: When to read no further behind these pages, in seconds of the monotonic clock.
    """
    backlog, page = services.backlog, services.ledger.due.page(now)
    rows = list(page.rows)
    for _ in range(PAGES - 1):
        if page.continuation is None:
            break
        page = services.ledger.due.page(now, after=page.continuation)
        rows += page.rows
    if page.continuation is None:
        backlog.read_to = None
        return rows, False
    counts = Counter(row.values.get("trigger") for row in rows)
    last = rows[-1].key if rows else ""
    after = read_to = max(last, backlog.read_to or "")
    left = after != last
    for _ in range(MORE_PAGES):
        page = services.ledger.due.page(now, after=after)
        for row in page.rows:
            read_to, trigger = row.key, row.values.get("trigger")
            if counts[trigger] < ENOUGH_ROWS:
                counts[trigger] += 1
                rows.append(row)
            else:
                left = True
        if page.continuation is None:
            backlog.read_to = None
            return rows, left
        after = page.continuation
        if services.monotonic() >= until:
            break
    backlog.read_to = read_to
    return rows, True


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
