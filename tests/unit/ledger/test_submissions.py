"""How many transactions submissions cost, and lost answers to many at once."""

from __future__ import annotations

import pytest

from local.testing.memory_table import Fault, MemoryTable
from shared.ledger.ledger import Ledger
from tests.examples import keys, skipped, started, submission


def test_without_faults_an_event_costs_two_transactions() -> None:
    table = MemoryTable()
    ledger = Ledger(table)
    ledger.submissions.update(ledger.submissions.claim(submission()), started)
    assert table.calls == {"transact": 2}


@pytest.mark.parametrize("fault", [Fault.ANSWER_LOST, Fault.SENT_TWICE])
def test_many_submissions_whose_answer_was_lost_or_doubled_are_recorded_once(fault: Fault) -> None:
    calls: list[str] = []

    def first(call: str) -> Fault | None:
        calls.append(call)
        return fault if calls == ["transact"] else None

    table = MemoryTable(fault=first)
    Ledger(table).submissions.record_all([skipped(number) for number in range(3)])
    assert keys(table) == ["log"] * 3 + ["sub"] * 3
