"""How long a process caches what it knows of triggers."""

from __future__ import annotations

from local.testing.memory_table import MemoryTable
from shared.ledger.ledger import Ledger
from tests.examples import registration


def test_the_rows_of_a_trigger_are_read_every_30_seconds() -> None:
    table = MemoryTable()
    time = [100.0]
    ledger = Ledger(table, monotonic=lambda: time[0])
    for seconds in (0, 29, 1, 29, 1):
        time[0] += seconds
        ledger.triggers.register(registration())
    assert table.calls["get"] == 3 * 2
