"""The checks at the end of a chaos run: each difference between events, ledger and workspace is detected."""

from __future__ import annotations

from dataclasses import replace

import pytest

from local.chaos.checks import NO_FAULT, Checks, check_run
from local.chaos.faults import FaultLog
from local.chaos.options import START
from local.chaos.plan import PlannedEvent
from local.standins.workspace.runs import RunStore, StoredRun
from local.testing.memory_table import MemoryTable
from shared.core.events import ScheduleEvent, deduplication_key
from shared.core.submissions import State, Submission
from shared.ledger.ledger import Ledger
from shared.ledger.table.protocol import Delete, Merge


class FinishedRun:
    """The ledger and the workspace after a run with one successful event."""

    def __init__(self) -> None:
        self.event = ScheduleEvent(trigger="nightly", time=START)
        self.id = deduplication_key(self.event)
        self.runs = RunStore(clock=lambda: START)
        self.table = MemoryTable()
        self.run = self.start()
        self.submission = Submission(
            id=self.id,
            trigger="nightly",
            pipeline="scoring",
            kind="published_pipeline",
            endpoint_digest="p",
            event=self.event,
            body=b'{"ExperimentName": "E"}',
            created=START,
            updated=START,
            state=State.FINISHED,
            run_id=self.run.id,
        )

    def start(self) -> StoredRun:
        body = {"ExperimentName": "E", "tags": {"submission": f"{self.id}-1"}}
        return self.runs.add("pipeline", body)

    def check(self, **changes: object) -> Checks:
        if not self.table.page("sub:", "sub;").rows:
            Ledger(self.table).submissions.claim(replace(self.submission, **changes))  # type: ignore[arg-type]  # real fields
        event = PlannedEvent(id=self.id, notification={})
        return check_run([event], table=self.table, runs=self.runs.all())


def test_one_run_and_a_finished_submission_pass() -> None:
    assert FinishedRun().check().ok


def test_a_second_run_is_detected() -> None:
    finished = FinishedRun()
    finished.start()
    checks = finished.check()
    assert (checks.doubled, checks.lost) == ([finished.id], [])


@pytest.mark.parametrize(
    ("changes", "lost"),
    [
        ({"run_id": None}, True),
        ({"state": State.DEAD, "run_id": None, "reason": "why"}, True),
        ({"state": State.HELD, "run_id": None, "reason": "why"}, False),
        ({"state": State.HELD, "reason": "its run is gone"}, True),
    ],
)
def test_an_event_without_a_run_is_lost_unless_it_is_held_for_a_person(
    changes: dict[str, object], lost: bool
) -> None:
    finished = FinishedRun()
    finished.runs.clear()
    assert finished.check(**changes).lost == ([finished.id] if lost else [])


def test_a_run_id_that_the_workspace_does_not_have_is_detected() -> None:
    checks = FinishedRun().check(run_id="another")
    assert len(checks.problems) == 1
    assert "names run another" in checks.problems[0]


def test_an_event_that_is_not_in_the_ledger_is_detected() -> None:
    finished = FinishedRun()
    checks = check_run(
        [PlannedEvent(id=finished.id, notification={})],
        table=finished.table,
        runs=finished.runs.all(),
    )
    assert checks.problems == [f"{finished.id} has 1 runs but no submission"]


@pytest.mark.parametrize(
    ("changes", "prefix"),
    [
        ({}, "log:"),
        ({"state": State.HELD, "reason": "why"}, "attention:"),
        ({"state": State.SUBMITTED, "due": START}, "due:"),
    ],
)
def test_a_missing_row_of_an_index_is_detected(changes: dict[str, object], prefix: str) -> None:
    finished = FinishedRun()
    finished.check(**changes)
    (row,) = finished.table.page(prefix, prefix[:-1] + ";").rows
    finished.table.transact([Delete(row.key)])
    assert any(row.key in problem for problem in finished.check().problems)


def test_a_row_that_belongs_to_no_submission_is_detected() -> None:
    finished = FinishedRun()
    finished.table.transact([Merge("due:20270327T120000.000000Z:x", {"state": "pending"})])
    assert not finished.check().ok


def test_the_fault_table_counts_lost_and_doubled_events_by_their_faults() -> None:
    fault_log = FaultLog()
    fault_log.record("POST: 500", "a")
    fault_log.record("POST: 500", "b")
    checks = Checks(lost=["a"], doubled=["c"])
    assert checks.fault_table(fault_log) == [
        {"fault": NO_FAULT, "injected": 0, "lost": 0, "doubled": 1},
        {"fault": "POST: 500", "injected": 2, "lost": 1, "doubled": 0},
    ]
