"""The `due:` rows and their repair, over every table."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from local.testing.app import NOON
from local.testing.memory_table import Fault
from shared.core.errors import LedgerUnavailable
from shared.core.submissions import State
from shared.ledger.ledger import Ledger
from shared.ledger.table.protocol import Delete, Merge, Table
from tests.examples import keys, started, submission

type MakeTable = Callable[..., Table]


def test_a_missing_due_row_does_not_stop_an_update(make_table: MakeTable) -> None:
    table = make_table()
    ledger = Ledger(table)
    claimed = ledger.submissions.claim(submission())
    assert claimed.due_key is not None
    table.transact([Delete(claimed.due_key)])
    assert ledger.submissions.update(claimed, started).state is State.SUBMITTED
    assert keys(table) == ["due", "log", "reference", "sub"]


def test_due_rows_come_the_longest_due_first_and_none_that_is_due_later(
    make_table: MakeTable,
) -> None:
    ledger = Ledger(make_table())
    for number in (3, 1, 2, 9):
        ledger.submissions.claim(submission(number, due=NOON + timedelta(minutes=number)))
    page = ledger.due.page(NOON + timedelta(minutes=3))
    assert [row.key.split(":")[1] for row in page.rows] == [
        f"20270327T120{number}00.000000Z" for number in (1, 2, 3)
    ]
    assert page.continuation is None
    assert page.rows[0].values["trigger"] == "new-data"


def test_the_repair_walk_gives_an_overdue_submission_its_due_row_back(
    make_table: MakeTable,
) -> None:
    table = make_table()
    ledger = Ledger(table)
    for number in range(5):
        ledger.submissions.claim(submission(number))
    lost = ledger.submissions.claim(submission(7))
    assert lost.due_key is not None
    table.transact([Delete(lost.due_key)])
    late = NOON + timedelta(hours=1)
    repair_position, rounds = "", 0
    while (repair_position := ledger.due.repair(repair_position, now=late, limit=2)) or not rounds:
        rounds += 1
        assert rounds < 10
    assert table.get(lost.due_key) is not None


def test_the_repair_walk_leaves_alone_what_is_not_overdue(make_table: MakeTable) -> None:
    table = make_table()
    ledger = Ledger(table)
    claimed = ledger.submissions.claim(submission())
    assert claimed.due_key is not None
    table.transact([Delete(claimed.due_key)])
    ledger.due.repair("", now=NOON, limit=100)
    assert table.get(claimed.due_key) is None


def test_a_due_row_is_removed_once(make_table: MakeTable) -> None:
    table = make_table()
    ledger = Ledger(table)
    claimed = ledger.submissions.claim(submission())
    assert claimed.due_key is not None
    ledger.due.forget(claimed.due_key)
    ledger.due.forget(claimed.due_key)
    assert keys(table) == ["log", "sub"]


def test_the_repair_walk_gives_an_open_submission_without_a_due_time_a_new_one(
    make_table: MakeTable,
) -> None:
    table = make_table()
    ledger = Ledger(table)
    claimed = ledger.submissions.claim(submission())
    assert claimed.due_key is not None
    table.transact(
        [Merge(f"sub:{claimed.id}", {"due": "", "due_key": ""}), Delete(claimed.due_key)]
    )
    ledger.due.repair("", now=NOON, limit=100)
    found = ledger.submissions.get(claimed.id)
    assert found is not None
    assert found.due == NOON
    assert [row.key for row in ledger.due.page(NOON).rows] == [found.due_key]


def test_the_repair_walk_goes_past_a_row_that_cannot_be_read(make_table: MakeTable) -> None:
    table = make_table()
    ledger = Ledger(table)
    rows = [ledger.submissions.claim(submission(number)) for number in range(4)]
    broken, *others = sorted(rows, key=lambda row: row.id)
    table.transact([Merge(f"sub:{broken.id}", {"state": "dreaming"})])
    table.transact([Delete(str(row.due_key)) for row in others])
    ledger.due.repair("", now=NOON + timedelta(hours=1), limit=100)
    due = {row.key for row in table.page("due:", "due;").rows}
    assert due == {row.due_key for row in rows}


def test_a_table_that_does_not_answer_fails_the_page_and_the_repair(make_table: MakeTable) -> None:
    due = Ledger(make_table(lambda _call: Fault.NOT_CARRIED_OUT)).due
    with pytest.raises(LedgerUnavailable):
        due.page(NOON)
    with pytest.raises(LedgerUnavailable):
        due.repair("", now=NOON, limit=100)
    with pytest.raises(LedgerUnavailable):
        due.forget("due:x")
