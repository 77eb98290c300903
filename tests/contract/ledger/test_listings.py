"""The indexes that people read, over every table."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from local.testing.app import NOON
from shared.ledger.ledger import Ledger
from shared.ledger.table.protocol import Table
from tests.examples import submission

type MakeTable = Callable[..., Table]


def test_newer_submissions_come_first_in_the_log(make_table: MakeTable) -> None:
    table = make_table()
    for number in range(3):
        Ledger(table).submissions.claim(
            submission(number, created=NOON + timedelta(seconds=number))
        )
    created = [row.values["created"] for row in table.page("log:", "log;").rows]
    assert created == sorted(created, key=str, reverse=True)
