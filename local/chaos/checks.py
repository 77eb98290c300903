"""The checks at the end of a chaos run: ledger and workspace must agree with the delivered events, row by row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from local.chaos.faults import FaultLog
from local.chaos.options import ChaosOptions
from local.chaos.plan import PlannedEvent
from local.standins.workspace.runs import StoredRun
from shared.core.errors import LedgerError
from shared.core.submissions import State, Submission
from shared.ledger import rows
from shared.ledger.table.protocol import Row, Table

NO_FAULT = "(none)"
"""The row of the fault table for events that got no fault."""

MAX_LISTED = 50
"""How many problems and event ids a report lists. It always states their total."""


@dataclass(slots=True)
class Checks:
    """The result of the checks."""

    lost: list[str] = field(default_factory=list)
    """Events without a run, except those that are held for a person and name no run."""
    doubled: list[str] = field(default_factory=list)
    """Events with more than one run."""
    states: Counter[str] = field(default_factory=Counter)
    """The number of submissions in each state."""
    problems: list[str] = field(default_factory=list)
    """Everything else that is wrong, one sentence each."""

    @property
    def ok(self) -> bool:
        """Whether all checks passed."""
        return not (self.lost or self.doubled or self.problems)

    def fault_table(self, fault_log: FaultLog) -> list[dict[str, Any]]:
        """Return a row for each fault: how often it was injected, and how many events with it were lost or doubled."""
        lost = Counter(
            fault for one in self.lost for fault in fault_log.faults_of(one) or [NO_FAULT]
        )
        doubled = Counter(
            fault for one in self.doubled for fault in fault_log.faults_of(one) or [NO_FAULT]
        )
        names = {*fault_log.injected, *lost, *doubled}
        return [
            {
                "fault": name,
                "injected": fault_log.injected[name],
                "lost": lost[name],
                "doubled": doubled[name],
            }
            for name in sorted(names)
        ]


def check_run(events: Sequence[PlannedEvent], *, table: Table, runs: Sequence[StoredRun]) -> Checks:
    """Compare the delivered events with the ledger and with the workspace's runs.

    Args:
        events: The delivered events.
        table: The ledger's table.
        runs: Every run that the workspace has started.
    """
    checks = Checks()
    started: dict[str, list[StoredRun]] = {}
    for run in runs:
        identifier, _, generation = run.tags["submission"].rpartition("-")
        started.setdefault(identifier, []).append(run)
        if generation != "1":
            checks.problems.append(f"run {run.id} has generation {generation} instead of 1")
    submissions = _read_submissions(table, checks)
    known = {event.id for event in events}
    for identifier in sorted(known | started.keys() | submissions.keys()):
        if identifier not in known:
            checks.problems.append(f"{identifier} belongs to no delivered event")
        _check_event(identifier, submissions.get(identifier), started.get(identifier, []), checks)
    _check_indexes(table, submissions, checks)
    return checks


def _check_event(
    identifier: str, submission: Submission | None, runs: Sequence[StoredRun], checks: Checks
) -> None:
    held = submission is not None and submission.state is State.HELD
    if len(runs) > 1:
        checks.doubled.append(identifier)
    if not runs and not (held and submission is not None and submission.run_id is None):
        checks.lost.append(identifier)
    if submission is None:
        checks.problems.append(f"{identifier} has {len(runs)} runs but no submission")
        return
    checks.states[submission.state.value] += 1
    if held and not submission.reason:
        checks.problems.append(f"{identifier} is held without a reason")
    if submission.state not in {State.FINISHED, State.HELD}:
        checks.problems.append(
            f"{identifier} is {submission.state} at the end, not finished or held: "
            f"{submission.reason or 'no reason'}"
        )
    ids = {run.id for run in runs}
    if submission.run_id is not None and submission.run_id not in ids:
        checks.problems.append(
            f"{identifier} names run {submission.run_id}, but its runs are {ids or 'none'}"
        )
    if submission.state is State.FINISHED and submission.run_id is None:
        checks.problems.append(f"{identifier} is finished but names no run")
    if submission.duplicates:
        checks.problems.append(f"{identifier} has recorded duplicates: {submission.duplicates}")


def _read_submissions(table: Table, checks: Checks) -> dict[str, Submission]:
    found: dict[str, Submission] = {}
    for row in read_range(table, "sub:"):
        try:
            submission = rows.decode_submission(row)
        except LedgerError as error:
            checks.problems.append(str(error))
        else:
            found[submission.id] = submission
    return found


def _check_indexes(table: Table, submissions: Mapping[str, Submission], checks: Checks) -> None:
    """Compare the `due:`, `log:` and `attention:` rows with the submissions that they index."""
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
        found = {row.key: _index_value(prefix, row) for row in read_range(table, prefix)}
        for key in sorted(wanted.keys() | found.keys()):
            if wanted.get(key) != found.get(key):
                checks.problems.append(
                    f"row {key} holds {found.get(key, 'nothing')!r}, but the submission has "
                    f"{wanted.get(key, 'nothing')!r}"
                )


def _index_value(prefix: str, row: Row) -> str:
    values = row.values
    match prefix:
        case "log:":
            return f"{values['state']!s} {values['run_id']!s}"
        case "attention:":
            return str(values["state"])
        case _:
            return ""


def read_range(table: Table, prefix: str) -> Iterator[Row]:
    """Yield all rows whose keys begin with `prefix`, which must end in a colon."""
    continuation: str | None = None
    while True:
        page = table.page(prefix, prefix[:-1] + ";", continuation=continuation)
        yield from page.rows
        continuation = page.continuation
        if continuation is None:
            return


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """The counters of a run."""

    deliveries: int
    """Deliveries, including those repeated after an error or a crash."""
    failed: int
    """Deliveries that ended in an error or a crash."""
    ticks: int
    """Ticks."""
    failed_ticks: int
    """Ticks that ended in an error or a crash."""
    crashes: int
    """Workers that were killed."""
    posts: int
    """POSTs that the workspace received."""
    searches: int
    """Searches that the workspace received."""
    runs: int
    """Runs that the workspace started."""
    hours: float
    """How far the clock was advanced, in hours."""
    seconds: float
    """The duration of the run, in real seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The report of a chaos run. `cli.chaos` prints it."""

    options: ChaosOptions
    """The options of the run. They are all that is needed to repeat it."""
    checks: Checks
    """The result of the checks."""
    fault_log: FaultLog
    """The injected faults."""
    counts: Counts
    """The counters of the run."""

    @property
    def ok(self) -> bool:
        """Whether all checks passed."""
        return self.checks.ok

    @property
    def lost(self) -> int:
        """The number of lost events."""
        return len(self.checks.lost)

    @property
    def doubled(self) -> int:
        """The number of events with more than one run."""
        return len(self.checks.doubled)

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
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
                "crashes_per_point": options.crashes_per_point,
                "search": options.search.value,
                "lag_minutes": options.lag.total_seconds() / 60,
                "defect": options.defect,
                "only_fault": options.only_fault,
                "only_crash": options.only_crash,
            },
            "states": dict(sorted(checks.states.items())),
            "counts": {name: getattr(counts, name) for name in Counts.__slots__},
            "faults": checks.fault_table(self.fault_log),
            "lost_ids": checks.lost[:MAX_LISTED],
            "doubled_ids": checks.doubled[:MAX_LISTED],
            "problems": len(checks.problems),
            "first_problems": checks.problems[:MAX_LISTED],
        }
