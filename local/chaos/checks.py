"""The verdict on a chaos run: the ledger and the workspace, row by row, against the events that happened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from local.chaos.faults import FaultBook
from local.chaos.options import ChaosOptions
from local.chaos.plan import PlannedEvent
from local.standins.workspace.runs import StoredRun
from shared.core.errors import LedgerError
from shared.core.submissions import State, Submission
from shared.ledger import rows
from shared.ledger.table.protocol import Row, Table

NO_FAULT = "(none)"


@dataclass(slots=True)
class Checks:
    """What was found.

    Attributes:
        lost: Events without a run, unless the submission says that a person must decide, and names no run either.
        doubled: Events with more than one run.
        states: How many submissions stand where.
        complaints: Everything that is not as it must be, in sentences.
    """

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    states: Counter[str] = field(default_factory=Counter)
    complaints: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether everything is as it must be."""
        return not (self.lost or self.doubled or self.complaints)

    def table(self, book: FaultBook) -> list[dict[str, Any]]:
        """Return a row for each fault: how often it was injected, and what became of the events that met it."""
        lost = Counter(fault for one in self.lost for fault in book.met(one) or {NO_FAULT})
        doubled = Counter(fault for one in self.doubled for fault in book.met(one) or {NO_FAULT})
        names = {*book.injected, *lost, *doubled}
        return [
            {
                "fault": name,
                "injected": book.injected[name],
                "lost": lost[name],
                "doubled": doubled[name],
            }
            for name in sorted(names)
        ]


def judge(
    planned_events: Sequence[PlannedEvent], *, table: Table, runs: Sequence[StoredRun]
) -> Checks:
    """Compare what happened with the ledger and with the workspace's runs.

    Args:
        happenings: The events, each acknowledged.
        table: The ledger's table.
        runs: Every run that the workspace has made.
    """
    checks = Checks()
    started: dict[str, list[StoredRun]] = {}
    for run in runs:
        identifier, _, generation = run.tags["submission"].rpartition("-")
        started.setdefault(identifier, []).append(run)
        if generation != "1":
            checks.complaints.append(f"run {run.id} is of generation {generation}")
    submissions = _submissions(table, checks)
    known = {planned.id for planned in planned_events}
    for identifier in sorted(known | started.keys() | submissions.keys()):
        if identifier not in known:
            checks.complaints.append(f"{identifier} is of no event")
        _judge_event(identifier, submissions.get(identifier), started.get(identifier, []), checks)
    _judge_indexes(table, submissions, checks)
    return checks


def _judge_event(
    identifier: str, submission: Submission | None, runs: Sequence[StoredRun], checks: Checks
) -> None:
    held = submission is not None and submission.state is State.HELD
    if len(runs) > 1:
        checks.doubled.append(identifier)
    if not runs and not (held and submission is not None and submission.run_id is None):
        checks.lost.append(identifier)
    if submission is None:
        checks.complaints.append(f"{identifier} has no submission, and {len(runs)} runs")
        return
    checks.states[submission.state.value] += 1
    if held and not submission.reason:
        checks.complaints.append(f"{identifier} is held without a reason")
    if submission.state not in {State.FINISHED, State.HELD}:
        checks.complaints.append(
            f"{identifier} ended {submission.state}: {submission.reason or 'no reason'}"
        )
    ids = {run.id for run in runs}
    if submission.run_id is not None and submission.run_id not in ids:
        checks.complaints.append(
            f"{identifier} names run {submission.run_id}; it has {ids or 'none'}"
        )
    if submission.state is State.FINISHED and submission.run_id is None:
        checks.complaints.append(f"{identifier} is finished and names no run")
    if submission.duplicates:
        checks.complaints.append(f"{identifier} knows of duplicates: {submission.duplicates}")


def _submissions(table: Table, checks: Checks) -> dict[str, Submission]:
    found: dict[str, Submission] = {}
    for row in read_range(table, "sub:"):
        try:
            submission = rows.decode_submission(row)
        except LedgerError as error:
            checks.complaints.append(str(error))
        else:
            found[submission.id] = submission
    return found


def _judge_indexes(table: Table, submissions: Mapping[str, Submission], checks: Checks) -> None:
    """Compare the `due:`, `log:` and `attention:` rows with the submissions that they are about."""
    expected: dict[str, dict[str, str]] = {"due:": {}, "log:": {}, "attention:": {}}
    for one in submissions.values():
        state = one.state.value
        if one.due is not None:
            expected["due:"][rows.due_key(one.due, one.id)] = ""
        expected["log:"][rows.log_key(one)] = f"{state} {one.run_id or ''}"
        attention = rows.attention_key(one)
        if attention is not None:
            expected["attention:"][attention] = state
    for prefix, wanted in expected.items():
        found = {row.key: _told(prefix, row) for row in read_range(table, prefix)}
        for key in sorted(wanted.keys() | found.keys()):
            if wanted.get(key) != found.get(key):
                checks.complaints.append(
                    f"row {key} says {found.get(key, 'nothing')!r}, and the submission "
                    f"{wanted.get(key, 'nothing')!r}"
                )


def _told(prefix: str, row: Row) -> str:
    values = row.values
    match prefix:
        case "log:":
            return f"{values['state']!s} {values['run_id']!s}"
        case "attention:":
            return str(values["state"])
        case _:
            return ""


def read_range(table: Table, prefix: str) -> Iterator[Row]:
    """Read all rows whose keys begin with a prefix that ends in a colon."""
    continuation: str | None = None
    while True:
        page = table.page(prefix, prefix[:-1] + ";", continuation=continuation)
        yield from page.rows
        continuation = page.continuation
        if continuation is None:
            return


SHOWN = 50
"""Complaints that a report repeats; their number is told in any case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What a run has done.

    Attributes:
        deliveries: Deliveries, those after a failure or a death included.
        failed: Deliveries that failed loudly.
        ticks: Ticks, and how many of them failed.
        deaths: Workers that were killed.
        posts: POSTs that the workspace received.
        searches: Searches for runs that it received.
        runs: Runs that it made.
        hours: How far the clock was moved on.
        seconds: What it all took, in real time.
    """

    deliveries: int
    failed: int
    ticks: int
    failed_ticks: int
    deaths: int
    posts: int
    searches: int
    runs: int
    hours: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a chaos run found.

    Attributes:
        options: How it was made: enough to make it again.
        verdict: What was found at the end.
        book: What was injected.
        counts: What was done.
    """

    options: ChaosOptions
    checks: Checks
    book: FaultBook
    counts: Counts

    @property
    def ok(self) -> bool:
        """Whether everything is as it must be."""
        return self.checks.ok

    @property
    def lost(self) -> int:
        """How many events have no run and no reason."""
        return len(self.checks.lost)

    @property
    def doubled(self) -> int:
        """How many events have more than one run."""
        return len(self.checks.doubled)

    def to_json(self) -> dict[str, Any]:
        """Return it for machines."""
        checks, counts, options = self.checks, self.counts, self.options
        return {
            "ok": self.ok,
            "lost": self.lost,
            "doubled": self.doubled,
            "seed": options.seed,
            "events": options.events,
            "options": {
                "workers": options.workers,
                "threads": options.threads,
                "post_faults": options.post_faults,
                "storage_faults": options.storage_faults,
                "kills_at_each_point": options.kills,
                "search": options.search.value,
                "lag_minutes": options.lag.total_seconds() / 60,
                "bug": options.bug,
                "only_fault": options.only_fault,
                "only_crash": options.only_crash,
            },
            "states": dict(sorted(checks.states.items())),
            "counts": {name: getattr(counts, name) for name in Counts.__slots__},
            "faults": checks.table(self.book),
            "lost_ids": checks.lost[:SHOWN],
            "doubled_ids": checks.doubled[:SHOWN],
            "complaints": len(checks.complaints),
            "first_complaints": checks.complaints[:SHOWN],
        }
