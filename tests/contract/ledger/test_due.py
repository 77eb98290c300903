"""The `due:` rows and their repair, over every table."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from local.testing.app import NOON
from shared.core.submissions import State
from shared.ledger.ledger import Ledger
from shared.ledger.table.protocol import Delete, Table
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
