"""Which run a search must show: the newest known one of an experiment, and of a workspace."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

import pytest

from local.testing.app import NOON
from local.testing.memory_table import Fault, MemoryTable
from shared.core.lost_runs import adopt
from shared.core.outcomes import Outcome, OutcomeKind
from shared.core.runs import ReferenceRun, RunFacts
from shared.core.submissions import State, Submission
from shared.core.transitions import lease, settle
from shared.ledger import rows
from shared.ledger.ledger import Ledger
from shared.ledger.table.protocol import Merge, Table
from tests.examples import submission

type MakeTable = Callable[..., Table]

WORKSPACE = "fedcba9876543210"
ENDPOINT = "0123456789abcdef"


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def claimed(ledger: Ledger, number: int, *, minute: float = 0, **changes: object) -> Submission:
    """Claim a submission at a minute."""
    fresh = submission(number, created=at(minute), workspace_digest=WORKSPACE, **changes)
    return ledger.submissions.claim(lease(fresh, now=at(minute)))


def started(
    ledger: Ledger, row: Submission, *, minute: float, lease_id: str | None = None
) -> Submission:
    """Settle that a POST of a submission has started a run."""
    outcome = Outcome(kind=OutcomeKind.STARTED, run_id=f"run-of-{row.id}")
    change = partial(
        settle,
        outcome=outcome,
        generation=1,
        lease_id=row.lease_id if lease_id is None else lease_id,
        now=at(minute),
    )
    return ledger.submissions.update(row, change)


def lost(ledger: Ledger, row: Submission, *, minute: float) -> Submission:
    """Settle that the answer to a POST of a submission was lost."""
    outcome = Outcome(kind=OutcomeKind.UNKNOWN, message="lost")
    change = partial(settle, outcome=outcome, generation=1, lease_id=row.lease_id, now=at(minute))
    return ledger.submissions.update(row, change)


def adopted(ledger: Ledger, row: Submission, *, created: float | None, minute: float) -> Submission:
    """Record that a search found the run of a submission."""
    run = RunFacts(id=f"run-of-{row.id}", created=None if created is None else at(created))
    change = partial(adopt, runs=[run], generation=1, now=at(minute))
    return ledger.submissions.update(row, change)


def references(ledger: Ledger, experiment: str = "E") -> list[ReferenceRun | None]:
    return [
        ledger.submissions.reference_run(ENDPOINT, experiment),
        ledger.submissions.workspace_reference_run(WORKSPACE),
    ]


def reference(row: Submission, minute: float) -> ReferenceRun:
    return ReferenceRun(
        correlation_id=row.correlation_id, experiment=row.experiment, started=at(minute)
    )


def test_a_started_run_is_the_reference_of_its_experiment_and_of_its_workspace(
    make_table: MakeTable,
) -> None:
    ledger = Ledger(make_table())
    assert references(ledger) == [None, None]
    first = started(ledger, claimed(ledger, 1), minute=2)
    assert references(ledger) == [reference(first, 0)] * 2
    second = started(ledger, claimed(ledger, 2, minute=5, experiment="other"), minute=6)
    assert references(ledger) == [reference(first, 0), reference(second, 5)]
    assert references(ledger, "other") == [reference(second, 5)] * 2


def test_a_reference_carries_when_its_run_was_created_and_not_when_the_app_learnt_of_it(
    make_table: MakeTable,
) -> None:
    ledger = Ledger(make_table())
    row = started(ledger, claimed(ledger, 1, minute=7), minute=9)
    assert references(ledger) == [reference(row, 7)] * 2
    found = adopted(
        ledger, lost(ledger, claimed(ledger, 2, minute=20), minute=21), created=20.5, minute=600
    )
    assert references(ledger) == [reference(found, 20.5)] * 2


@pytest.mark.parametrize(
    ("created", "started_at"),
    [(20.5, 20.5), (None, 20), (23.5, 23)],  # the POST ended at minute 23 at the latest
    ids=["told", "not told", "by a clock that is ahead"],
)
def test_an_adopted_run_was_created_when_azure_ml_says_so_at_the_latest_when_the_post_had_ended(
    make_table: MakeTable, created: float | None, started_at: float
) -> None:
    ledger = Ledger(make_table())
    row = lost(ledger, claimed(ledger, 1, minute=20), minute=20)
    found = adopted(ledger, row, created=created, minute=600)
    assert (found.run_created, found.updated) == (at(started_at), at(600))


def test_an_older_run_that_is_adopted_replaces_no_newer_reference(make_table: MakeTable) -> None:
    ledger = Ledger(make_table())
    row = lost(ledger, claimed(ledger, 1), minute=1)
    newer = started(ledger, claimed(ledger, 2, minute=30), minute=31)
    adopted(ledger, row, created=0.5, minute=60)
    assert references(ledger) == [reference(newer, 30)] * 2


def test_each_of_the_two_references_is_compared_for_itself(make_table: MakeTable) -> None:
    ledger = Ledger(make_table())
    row = lost(ledger, claimed(ledger, 1), minute=1)
    newer = started(ledger, claimed(ledger, 2, minute=30, experiment="other"), minute=31)
    found = adopted(ledger, row, created=0.5, minute=60)
    assert references(ledger) == [reference(found, 0.5), reference(newer, 30)]


def test_a_late_answer_of_an_old_lease_replaces_no_newer_reference(make_table: MakeTable) -> None:
    ledger = Ledger(make_table())
    asleep = claimed(ledger, 1)
    row = ledger.submissions.update(
        asleep, lambda row: lease(replace(row, state=State.PENDING), now=at(40))
    )
    newer = started(ledger, claimed(ledger, 2, minute=30), minute=31)
    late = started(ledger, row, minute=41, lease_id=asleep.lease_id)
    assert late.run_created == NOON
    assert references(ledger) == [reference(newer, 30)] * 2


def test_a_workspace_that_is_not_known_has_no_reference(make_table: MakeTable) -> None:
    table = make_table()
    ledger = Ledger(table)
    row = ledger.submissions.claim(lease(submission(1), now=NOON))
    started(ledger, row, minute=1)
    assert ledger.submissions.workspace_reference_run("") is None
    assert len(table.page("reference:", "reference;").rows) == 1


def test_a_reference_row_that_was_edited_is_replaced(make_table: MakeTable) -> None:
    table = make_table()
    ledger = Ledger(table)
    keys = [rows.reference_key(ENDPOINT, "E"), rows.workspace_reference_key(WORKSPACE)]
    table.transact([Merge(key, {"started": "soon", "correlation_id": 7}) for key in keys])
    assert references(ledger) == [None, None]
    row = lost(ledger, claimed(ledger, 1), minute=1)
    found = adopted(ledger, row, created=0.5, minute=60)
    assert references(ledger) == [reference(found, 0.5)] * 2


@pytest.mark.parametrize("fault", list(Fault))
def test_an_adoption_whose_answer_was_lost_or_doubled_is_recorded_once(
    make_table: MakeTable, fault: Fault
) -> None:
    row = lost(Ledger(make_table()), claimed(Ledger(make_table()), 1), minute=1)
    left = [fault]
    table = make_table(lambda call: left.pop() if call == "transact" and left else None)
    found = adopted(Ledger(table), row, created=0.5, minute=60)
    assert (found.run_id, found.duplicates) == (f"run-of-{row.id}", ())
    assert references(Ledger(make_table())) == [reference(found, 0.5)] * 2


def test_a_run_that_starts_between_the_comparison_and_the_write_stays_the_reference() -> None:
    table = MemoryTable()
    ledger = Ledger(table)
    row = lost(ledger, claimed(ledger, 1), minute=1)
    other = claimed(ledger, 2, minute=30)
    race = [True]

    def start_meanwhile(call: str) -> None:
        if call == "transact" and race:
            race.clear()
            started(Ledger(table.view()), other, minute=31)

    racing = Ledger(table.view(start_meanwhile))
    found = adopted(racing, row, created=0.5, minute=60)
    assert found.run_id == f"run-of-{row.id}"
    assert [one and one.correlation_id for one in references(ledger)] == [other.correlation_id] * 2


def test_a_direct_start_costs_no_read_and_no_further_transaction() -> None:
    table = MemoryTable()
    ledger = Ledger(table)
    started(ledger, claimed(ledger, 1), minute=1)
    assert table.calls == {"transact": 2}
