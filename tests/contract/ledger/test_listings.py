"""The indexes that people read, over every table."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from local.testing.app import NOON
from local.testing.memory_table import Fault
from shared.core.errors import LedgerUnavailable
from shared.core.submissions import State
from shared.ledger.ledger import Ledger
from shared.ledger.table.protocol import Page, Table
from tests.examples import started, submission

type MakeTable = Callable[..., Table]


def test_newer_submissions_come_first_in_the_log(make_table: MakeTable) -> None:
    table = make_table()
    for number in range(3):
        Ledger(table).submissions.claim(
            submission(number, created=NOON + timedelta(seconds=number))
        )
    created = [row.values["created"] for row in table.page("log:", "log;").rows]
    assert created == sorted(created, key=str, reverse=True)


def ids(page: Page) -> list[str]:
    return [row.key.rpartition(":")[2] for row in page.rows]


def test_pages_of_the_log_follow_each_other(make_table: MakeTable) -> None:
    ledger = Ledger(make_table())
    made = [submission(number, created=NOON - timedelta(seconds=number)).id for number in range(5)]
    for number in range(5):
        ledger.submissions.claim(submission(number, created=NOON - timedelta(seconds=number)))
    first = ledger.listings.log(limit=2)
    assert ids(first) == made[:2]
    rest = ledger.listings.log(limit=10, after=first.rows[-1].key)
    assert ids(rest) == made[2:]
    assert rest.continuation is None
    assert ids(ledger.listings.log(limit=10, after=rest.rows[-1].key)) == []


def test_a_row_of_the_log_is_enough_for_a_line(make_table: MakeTable) -> None:
    ledger = Ledger(make_table())
    ledger.submissions.update(ledger.submissions.claim(submission()), started)
    (row,) = ledger.listings.log(limit=1).rows
    assert {
        "trigger": "new-data",
        "state": "submitted",
        "source": "blob",
        "created": "2027-03-27T12:00:00Z",
        "run_id": "run-1",
    }.items() <= dict(row.values).items()


def test_dead_and_held_submissions_are_listed_by_state_and_counted(make_table: MakeTable) -> None:
    ledger = Ledger(make_table())
    states = [State.DEAD, State.HELD, State.DEAD, State.SKIPPED, State.SUBMITTING, State.DEAD]
    for number, state in enumerate(states):
        due = NOON if state is State.SUBMITTING else None
        ledger.submissions.claim(submission(number, state=state, due=due))
    dead = sorted(submission(number).id for number in (0, 2, 5))
    first = ledger.listings.attention(State.DEAD, limit=2)
    assert ids(first) == dead[:2]
    rest = ledger.listings.attention(State.DEAD, limit=2, after=first.rows[-1].key)
    assert ids(rest) == dead[2:]
    assert ids(ledger.listings.attention(State.HELD, limit=10)) == [submission(1).id]
    assert ledger.listings.count_attention() == (3, 1)


def test_a_table_that_does_not_answer_fails_every_listing(make_table: MakeTable) -> None:
    listings = Ledger(make_table(lambda _call: Fault.NOT_CARRIED_OUT)).listings
    with pytest.raises(LedgerUnavailable):
        listings.log(limit=1)
    with pytest.raises(LedgerUnavailable):
        listings.attention(State.DEAD, limit=1)
    with pytest.raises(LedgerUnavailable):
        listings.count_attention()
